"""Weights of target tokens, read from the student's own next-token distributions as a loss is computed.

They are not trained through, and the trainer divides by all tokens as ever: where weights are small, so are
steps. Each kind has a control that deals the same weights out to other tokens of the same example, so that an
effect of which tokens they are on can be told from one of how small the steps are.
"""

from math import log

import torch
from torch import Tensor

from mixsd.core.draws import uniform
from mixsd.core.errors import one_of
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel, nll
from mixsd.methods.contract import TokenLoss

NONE, DFT, EAFT = "none", "dft", "eaft"
SHUFFLED = "_shuffled"
KINDS = {
    NONE: "every token alike",
    DFT: "p(target), so that unlikely tokens pull no harder than likely ones (arXiv 2508.05629)",
    EAFT: "entropy of the 20 likeliest tokens over ln 20: sure predictions are left alone (arXiv 2601.02151)",
}
WEIGHTS = (NONE, *(f"{kind}{more}" for kind in (DFT, EAFT) for more in ("", SHUFFLED)))
"""What a setting may name."""
LIKELIEST = 20


def weights_named(kind: str) -> str:
    """Pass the name through.

    Raises:
        SettingError: No weights have this name.
    """
    return one_of("method.weights", kind, WEIGHTS)


def inert(kind: str) -> frozenset[str]:
    """The setting itself, where it weighs nothing: it then is no part of a run's hash."""
    return frozenset({"weights"} if kind == NONE else ())


def weighted_nll(kind: str, model: ChatModel, batch: Batch) -> TokenLoss:
    """w_t (-log p(y_t | x, y_<t)) per target token, (N,), with the weight w_t as a number.

    Args:
        kind: One of `WEIGHTS`.
        model: The student.
        batch: What it reads.
    """
    if kind == NONE:
        return TokenLoss(model.target_losses(batch))
    logits = model.target_logits(batch)
    losses = nll(logits, batch.target_ids)
    weights = token_weights(kind.removesuffix(SHUFFLED), logits.detach(), losses.detach())
    if kind.endswith(SHUFFLED):
        weights = weights[_elsewhere(batch)]
    return TokenLoss(weights * losses, {"nll": losses, "weight": weights})


def token_weights(kind: str, logits: Tensor, losses: Tensor) -> Tensor:
    """The weight of each target token.

    Args:
        kind: `dft` or `eaft`.
        logits: (N, V).
        losses: (N,) NLL in nats of the targets.

    Returns:
        (N,) float32 in [0, 1].
    """
    if kind == DFT:
        return (-losses).exp()
    likeliest = min(LIKELIEST, logits.shape[-1])
    log_p = logits.float().topk(likeliest, dim=-1).values.log_softmax(dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1) / log(likeliest)


def _elsewhere(batch: Batch) -> Tensor:
    """For each target token the place of another of its example, the same in every batch that holds it."""
    places, start = [], 0
    for example in batch.examples:
        count = example.trained_tokens
        # Settled by the example alone: neither micro-batches nor a resume may deal anew.
        drawn = sorted(range(count), key=lambda n, e=example: uniform("weights", e.fact_id, count, n))
        # Round one ring, so that no token keeps its own.
        after = dict(zip(drawn, [*drawn[1:], *drawn[:1]], strict=True))
        places += [start + after[place] for place in range(count)]
        start += count
    return torch.tensor(places, device=batch.target_ids.device)
