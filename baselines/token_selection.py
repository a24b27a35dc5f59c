"""Which tokens of its answers a student is trained on (TIP, arXiv 2604.14084).

A token's score is made of the student's entropy h there, and of how far the teacher is from it, d; both are
scaled to [0, 1] over the whole step, so that micro-batches change nothing.
"""

from collections.abc import Sequence
from math import floor, log

import torch
from torch import Tensor

from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.losses import CHUNK, REVERSE_KL, divergence

ENTROPY, SOFT_OR, CONFIDENT, RANDOM = "entropy", "soft_or", "q3", "random"
SCORES = {
    ENTROPY: "h: where the student is unsure",
    SOFT_OR: "h + d - h d: unsure, or far from the teacher",
    CONFIDENT: "(1 - h) d: sure, and far from the teacher; the published thresholds are not known",
    RANDOM: "a draw: the control at the same share",
}
"""What a setting may name, and what it says."""
CLIP = 0.98
"""The quantile of the entropies above which they count alike."""
BATCH = 16
"""Answers read at a time; fixed, so that no setting of the training moves a score."""


@torch.no_grad()
def entropies_and_distances(
    examples: Sequence[Example], student: ChatModel, teacher: ChatModel, taught: Sequence[Example]
) -> tuple[list[Tensor], list[Tensor]]:
    """The student's entropy and KL(student || teacher) at every target token of some examples.

    Args:
        examples: What the student reads.
        student: It.
        teacher: Reads the same targets.
        taught: What it reads, example by example.

    Returns:
        Two lists of one float32 tensor per example, (target tokens,): entropy as a share of the greatest
        that there may be, ln V, and the divergence in nats.
    """
    entropies: list[Tensor] = []
    distances: list[Tensor] = []
    for start in range(0, len(examples), BATCH):
        chunk = examples[start : start + BATCH]
        own = student.target_states(student.collate(chunk))
        wanted = teacher.target_states(teacher.collate(taught[start : start + BATCH]))
        for found, more in zip(own.split(CHUNK), wanted.split(CHUNK), strict=True):
            logits = student.head(found).float()
            log_q = logits.log_softmax(dim=-1)
            entropies.append((-(log_q.exp() * log_q).sum(dim=-1) / log(logits.shape[-1])).cpu())
            distances.append(divergence(REVERSE_KL, logits, teacher.head(more)).cpu())
    lengths = [len(example.target_ids) for example in examples]
    return [list(torch.cat(parts).split(lengths)) for parts in (entropies, distances)]  # type: ignore[return-value]


def token_scores(kind: str, entropies: Sequence[Tensor], distances: Sequence[Tensor]) -> list[Tensor]:
    """The score of every token of a step.

    Args:
        kind: One of `SCORES`, but `random`.
        entropies: One tensor per answer, in any unit.
        distances: KL(student || teacher), likewise.

    Returns:
        One float32 tensor per answer, values in [0, 1].
    """
    lengths = [len(values) for values in entropies]
    h = torch.cat(list(entropies))
    h = _scaled(h.clamp(max=float(h.quantile(CLIP))))
    d = _scaled(torch.cat(list(distances)))
    found = {ENTROPY: h, SOFT_OR: h + d - h * d, CONFIDENT: (1 - h) * d}[kind]
    return list(found.split(lengths))


def _scaled(values: Tensor) -> Tensor:
    """From 0 for the least to 1 for the greatest; 0 where all are alike."""
    least, span = values.min(), values.max() - values.min()
    return torch.where(span > 0, (values - least) / span.clamp(min=1e-30), torch.zeros_like(values))


def masked(scores: Tensor, keep: float) -> tuple[int, ...]:
    """The places of an answer that are not trained on.

    Args:
        scores: (n,) of its tokens.
        keep: The share that stays, those with the largest scores, earlier ones first; never none.
    """
    stays = max(1, floor(keep * len(scores)))
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    return tuple(sorted(order[stays:]))
