"""Between base and tuned: base + alpha (tuned - base), at no training cost (WiSE-FT, arXiv 2109.01903)."""

import torch

from mixsd.core.errors import StoreError
from mixsd.lm.chat_model import ChatModel
from mixsd.run.drift import same_shape


@torch.no_grad()
def interpolate(base: ChatModel, tuned: ChatModel, alpha: float) -> ChatModel:
    """A new model between two of the same shape; at 0 and 1 it equals base and tuned bit for bit.

    Raises:
        StoreError: The two models have different weights.
    """
    if not same_shape(base, tuned):
        raise StoreError(
            "training.interpolate needs a tuned model with the weights of its base (model.name), "
            "name by name; these two differ: set training.interpolate=[]"
        )
    start, end = dict(base.network.named_parameters()), dict(tuned.network.named_parameters())
    between = base.copy("float32")  # in bf16 the ends would not be met bit for bit
    for name, weight in between.network.named_parameters():
        weight.copy_(torch.lerp(start[name], end[name], alpha))
    return between
