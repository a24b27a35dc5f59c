"""Per-token losses. None of them reduces: the trainer averages, the same way for every method."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mixsd.lm.chat_model import nll

FORWARD_KL, REVERSE_KL, JSD = "forward_kl", "reverse_kl", "jsd"
DIVERGENCES = {
    FORWARD_KL: "KL(teacher || student)",
    REVERSE_KL: "KL(student || teacher)",
    JSD: "mean of KL(teacher || m) and KL(student || m), m their mean",
}
"""What a setting may name, and what it says."""
CHUNK = 128
"""Target tokens whose logits are in memory at a time."""


def divergence(kind: str, student: Tensor, teacher: Tensor, top_k: int | None = None) -> Tensor:
    """How far the student's next-token distribution q is from the teacher's p, in nats.

    `forward_kl` is KL(p || q) = sum p log(p / q), which wants q wherever p is; `reverse_kl` is
    KL(q || p), which wants q nowhere else; `jsd` is the mean of KL(p || m) and KL(q || m), m = (p + q) / 2.

    Args:
        kind: One of `DIVERGENCES`.
        student: (N, V) logits.
        teacher: (N, V) logits; no gradient flows to them.
        top_k: Compare over the teacher's most probable tokens alone, both distributions renormalised
            (None: over the whole vocabulary).

    Returns:
        (N,) float32, from 0 up (`jsd`: to log 2).
    """
    # A small divergence is a difference of nearly equal numbers, too fine for bf16.
    teacher = teacher.detach().float()
    student = student.float()
    if top_k is not None and top_k < teacher.shape[-1]:
        teacher, kept = torch.topk(teacher, top_k, dim=-1)
        student = student.gather(-1, kept)  # `log_softmax` below renormalises both
    log_p, log_q = teacher.log_softmax(dim=-1), student.log_softmax(dim=-1)
    if kind == FORWARD_KL:
        return _kl(log_p, log_q)
    if kind == REVERSE_KL:
        return _kl(log_q, log_p)
    # In logarithms, since the probabilities of unlikely tokens underflow.
    log_m = torch.logaddexp(log_p, log_q) - torch.log(torch.tensor(2.0))
    return (_kl(log_p, log_m) + _kl(log_q, log_m)) / 2


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    return (log_a.exp() * (log_a - log_b)).sum(dim=-1)


def chunked_nll(
    states: Tensor, target_ids: Tensor, head: Callable[[Tensor], Tensor], chunk: int = CHUNK
) -> Tensor:
    """`nll` from hidden states, a chunk of tokens at a time; logits are made again for the gradient.

    Args:
        states: (N, D).
        target_ids: (N,).
        head: (n, D) -> (n, V) logits.
        chunk: Tokens at a time.

    Returns:
        (N,) float32.
    """

    def of_chunk(part: Tensor, wanted: Tensor) -> Tensor:
        return nll(head(part), wanted)

    parts = [
        # Nothing in here is random, so the generator's state need not be kept.
        checkpoint(of_chunk, part, wanted, use_reentrant=False, preserve_rng_state=False)
        for part, wanted in zip(states.split(chunk), target_ids.split(chunk), strict=True)
    ]
    return torch.cat(parts)  # type: ignore[arg-type]


def chunked_divergence(
    kind: str,
    student_states: Tensor,
    teacher_states: Tensor,
    student_head: Callable[[Tensor], Tensor],
    teacher_head: Callable[[Tensor], Tensor],
    top_k: int | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """`divergence` from hidden states, a chunk of tokens at a time.

    A chunk's logits are made, compared and dropped, and made again for the gradient, so that at no time
    the logits of all tokens exist, of the student or of the teacher.

    Args:
        kind: One of `DIVERGENCES`.
        student_states: (N, D).
        teacher_states: (N, E).
        student_head: (n, D) -> (n, V) logits.
        teacher_head: (n, E) -> (n, V) logits.
        top_k: See `divergence`.
        chunk: Tokens at a time.

    Returns:
        (N,) float32.
    """

    def compare(student: Tensor, teacher: Tensor) -> Tensor:
        # Run again for the gradient, when a `no_grad` of the caller is over.
        with torch.no_grad():
            wanted = teacher_head(teacher)
        return divergence(kind, student_head(student), wanted, top_k)

    parts = [
        checkpoint(compare, student, teacher, use_reentrant=False, preserve_rng_state=False)
        for student, teacher in zip(student_states.split(chunk), teacher_states.split(chunk), strict=True)
    ]
    return torch.cat(parts)  # type: ignore[arg-type]
