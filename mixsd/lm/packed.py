"""Weights laid out once as the processor's matrix products want them, while a model is only read.

A decoding step multiplies few rows by every weight of the model, so reading the weights, not arithmetic,
takes the time. oneDNN reads them faster in a layout of its own. Otherwise it would lay them out at every
product in bfloat16, and in float32 PyTorch would not ask it at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn


@contextmanager
def packed(network: nn.Module) -> Iterator[None]:
    """On a CPU, let every linear layer multiply by a packed copy of its weights; elsewhere nothing changes.

    Meanwhile the weights take twice their memory, and must not be changed.

    Args:
        network: A module that is read without gradients.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear) and can_be_packed(layer)]
    try:
        for layer in layers:
            # `None`: one layout for any number of rows, since a batch shrinks as its replies end.
            weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
            layer.forward = partial(_product, weight, layer.bias)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)  # what was set on the layer hid the forward of its class


def can_be_packed(layer: nn.Linear) -> bool:
    """Whether oneDNN can multiply by a layer's weights, and does not already."""
    # A subclass may do more than multiply.
    if type(layer) is not nn.Linear or "forward" in vars(layer) or layer.weight.device.type != "cpu":
        return False
    # Autocast would cast the states and not the weights.
    if not _there_is_onednn() or torch.is_autocast_enabled("cpu"):
        return False
    if layer.weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return layer.weight.dtype == torch.float32


def _product(weight: Tensor, bias: Tensor | None, input: Tensor) -> Tensor:  # named as in `nn.Linear`
    """`F.linear` with a packed weight; input (..., I) -> (..., O)."""
    return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")


def _there_is_onednn() -> bool:
    """Whether oneDNN is built in and was made for this processor."""
    return torch.backends.mkldnn.is_available() and "AVX" in torch.backends.cpu.get_cpu_capability()
