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
        network: A module that is read without gradients and without autocast.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear) and _can_be_packed(layer)]
    for layer in layers:
        # `None`: one layout for any number of rows, since a batch shrinks as its replies end.
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        layer.forward = partial(_product, weight, layer.bias)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # what was set on the layer hid the forward of its class


def _product(weight: Tensor, bias: Tensor | None, states: Tensor) -> Tensor:
    """`F.linear` with a packed weight; states (..., I) -> (..., O)."""
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")


def _can_be_packed(layer: nn.Linear) -> bool:
    """Whether a module is a plain linear layer that oneDNN can multiply, and is not packed already."""
    # A subclass may do more than multiply.
    if type(layer) is not nn.Linear or "forward" in vars(layer) or layer.weight.device.type != "cpu":
        return False
    if not (torch.backends.mkldnn.is_available() and "AVX" in torch.backends.cpu.get_cpu_capability()):
        return False
    if layer.weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return layer.weight.dtype == torch.float32
