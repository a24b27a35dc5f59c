"""What is trained on: token ids with their provenance, and padded batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from mixsd.core.provenance import AGREED, BASE, EXPERT, GOLD, NAIVE, STUDENT, UNKNOWN

__all__ = [
    "AGREED", "BASE", "EXPERT", "GOLD", "NAIVE", "STUDENT", "UNKNOWN", "Batch", "Example",
    "collate", "left_pad",
]  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One training example: token ids, never text, so that what was checked is what is trained on.

    Attributes:
        fact_id: The fact it teaches.
        prompt_ids: The naive prompt. Never trained on, the assistant header included.
        target_ids: The target, end of turn included; empty where the student writes it during training.
        provenance: A letter per target token, see `NAIVE` and those beside it.
        text: The target as text, for people.
        attempt: The attempt that passed verification (0 is the first).
        masked: Places in the target that are read but not trained on.
        teacher_ids: The prompt a teacher reads before the target, where the method has a teacher.
        extra: Whether it teaches no fact: not in the schedule that all methods share.
    """

    fact_id: str
    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    provenance: str
    text: str
    attempt: int = 0
    masked: tuple[int, ...] = ()
    teacher_ids: tuple[int, ...] = ()
    extra: bool = False

    @property
    def trained_tokens(self) -> int:
        """Target tokens that carry a loss."""
        return len(self.target_ids) - len(self.masked)


@dataclass(frozen=True)
class Batch:
    """A right-padded training batch.

    Attributes:
        input_ids: (B, T) prompt and target tokens.
        attention_mask: (B, T) True on real tokens.
        is_predictor: (B, T) True where the *next* token is a target token; logits are taken there.
        target_ids: (N,) those next tokens, row by row; N counts the trained ones of the batch.
        target_rows: (N,) the row each belongs to.
        examples: The B examples.
    """

    input_ids: Tensor
    attention_mask: Tensor
    is_predictor: Tensor
    target_ids: Tensor
    target_rows: Tensor
    examples: tuple[Example, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        tensors = {
            f.name: v.to(device) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad examples on the right into one batch, on the CPU.

    Padding is known by position, never by token id: with some tokenizers pad and end of turn are one id.
    """
    width = max(len(e.prompt_ids) + len(e.target_ids) for e in examples)
    input_ids = torch.full((len(examples), width), pad_id)
    attention_mask = torch.zeros(len(examples), width, dtype=torch.bool)
    is_predictor = torch.zeros_like(attention_mask)
    for row, example in enumerate(examples):
        start, end = len(example.prompt_ids), len(example.prompt_ids) + len(example.target_ids)
        input_ids[row, :end] = torch.tensor([*example.prompt_ids, *example.target_ids])
        attention_mask[row, :end] = True
        is_predictor[row, start - 1 : end - 1] = True  # the last prompt token predicts the first target
        # Masked as a target only: later tokens still read it.
        is_predictor[row, [start - 1 + place for place in example.masked]] = False
    # The roll wraps the first column to the last, where no token predicts a target.
    target_ids = input_ids.roll(-1, dims=1)[is_predictor]
    target_rows = is_predictor.nonzero()[:, 0]
    return Batch(input_ids, attention_mask, is_predictor, target_ids, target_rows, tuple(examples))


def left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (R, T) and mask (R, T) of prompts padded on the left; a padded id is never attended to."""
    # On the left, so that the last column holds every prompt's last token.
    width = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)
