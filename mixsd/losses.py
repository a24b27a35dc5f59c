"""Per-token losses. None of them reduces: the trainer averages, the same way for every method."""

import torch.nn.functional as F
from torch import Tensor


def nll(logits: Tensor, target_ids: Tensor) -> Tensor:
    """Negative log-likelihood in nats, -log p(target).

    Args:
        logits: (N, V), any float type; computed in float32.
        target_ids: (N,).

    Returns:
        (N,) float32.
    """
    return F.cross_entropy(logits.float(), target_ids, reduction="none")
