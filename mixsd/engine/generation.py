"""Free generation, shared by probes and held-out tasks, so that both are read in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from mixsd.method import Student, left_pad


@dataclass(frozen=True)
class Completion:
    """A generated reply.

    Attributes:
        text: The reply without its end token, cut at a stop string if one came.
        tokens: Tokens generated, end included.
        truncated: Whether the budget ran out before the end of turn or a stop string.
    """

    text: str
    tokens: int
    truncated: bool


@torch.inference_mode()
def generate(
    student: Student,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
    stop: Sequence[str] = (),
    **sampling: Any,
) -> list[Completion]:
    """Let the model reply to prompts, greedily unless `sampling` says otherwise.

    Prompts of like length share a batch. In bf16 a batch's composition changes bits, so batch size and
    prompts are part of whatever identifies the result.

    Args:
        student: The model.
        prompts: Token ids of each prompt.
        max_new_tokens: Budget, end token included.
        batch_size: Rows a batch.
        on_done: Told how many more prompts are answered.
        stop: Strings at which a reply ends; they are cut off.
        sampling: `temperature`, `top_p`, `top_k` of `transformers.GenerationConfig`.

    Returns:
        One completion per prompt, in order.
    """
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=bool(sampling),
        repetition_penalty=1.0,
        eos_token_id=sorted(student.end_ids),
        pad_token_id=student.end_id,
        stop_strings=list(stop) or None,
        **sampling,
    )
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    completions: dict[int, Completion] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        tokens, mask = left_pad([prompts[row] for row in rows], student.device)
        output = student.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=config,
            tokenizer=student.tokenizer if stop else None,
        )
        for row, reply in zip(rows, output[:, tokens.shape[1] :].tolist(), strict=True):
            completions[row] = _complete(student, reply, stop)
        on_done(len(rows))
    return [completions[index] for index in range(len(prompts))]


def _complete(student: Student, reply: list[int], stop: Sequence[str]) -> Completion:
    end = next((i for i, token in enumerate(reply) if token in student.end_ids), None)
    length = len(reply) if end is None else end + 1
    text = student.text(reply[:length])
    cuts = [text.find(string) for string in stop if string in text]
    if cuts:
        text = text[: min(cuts)].strip()
    return Completion(text, length, truncated=end is None and not cuts)
