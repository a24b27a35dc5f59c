"""A model on its way to another process, which gets each of its weights once.

Weights are known by content: a fused optimiser changes them and leaves their version counters as they were.
"""

import copy
import hashlib
import pickle
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from mixsd.lm.chat_model import ChatModel

_numbers = count()
_last: list[tuple[Any, Any, tuple[bytes, ...], int, bytes]] = []
"""Of the model that was sent last: network, template, contents, number and skeleton."""


@dataclass(frozen=True)
class Parcel:
    """A model on its way to helpers.

    Attributes:
        number: Names these weights; a helper that has them gets nothing.
        skeleton: The pickled network without its weights, and its chat template.
        tensors: The weights.
    """

    number: int
    skeleton: bytes
    tensors: Sequence[Tensor]


def weights_digest(model: ChatModel) -> str:
    """A hash of the contents of all weights."""
    return hashlib.blake2b(b"".join(_contents(_tensors(model.network))), digest_size=8).hexdigest()


def parcel_of(model: ChatModel) -> Parcel:
    """A model as helpers get it; the same number as before where nothing of it has changed."""
    network = model.network
    tensors = _tensors(network)
    contents = _contents(tensors)
    if not _last or (_last[0][0](), _last[0][1], _last[0][2]) != (network, model.template, contents):
        _last[:] = [(weakref.ref(network), model.template, contents, next(_numbers), _skeleton(model))]
    *_, number, skeleton = _last[0]
    return Parcel(number, skeleton, tensors)


def _contents(tensors: Sequence[Tensor]) -> tuple[bytes, ...]:
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return tuple(pool.map(_digest, tensors))


def _digest(tensor: Tensor) -> bytes:
    return hashlib.blake2b(to_bytes(tensor), digest_size=16).digest()


def _tensors(network: nn.Module) -> list[Tensor]:
    """Each tensor of a network once: its weights, and buffers that no checkpoint holds."""
    found = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return list(found.values())


def _with(network: nn.Module, tensors: Sequence[Tensor]) -> Any:
    """A copy of a network with other tensors in the places of its own; tied ones stay tied."""
    given = zip(_tensors(network), tensors, strict=True)
    memo: dict[int, Any] = {id(own): _like(own, tensor) for own, tensor in given}
    return copy.deepcopy(network, memo)


def _like(own: Tensor, tensor: Tensor) -> Tensor:
    return nn.Parameter(tensor, requires_grad=False) if isinstance(own, nn.Parameter) else tensor


def _skeleton(model: ChatModel) -> bytes:
    network = model.network
    empty = _with(network, [torch.empty_like(tensor, device="meta") for tensor in _tensors(network)])
    # Those of a meter belong to this process.
    for module in empty.modules():
        module._forward_pre_hooks.clear()
    # Prompts are put, and made token ids, by the leader alone.
    return pickle.dumps((empty, model.template.putting(str)))


def received(skeleton: bytes, buffers: deque[bytes], device: str) -> ChatModel:
    """The model that was sent.

    Args:
        skeleton: Of its parcel.
        buffers: The contents of its tensors, in their order; they are used up.
        device: Where it is to be.
    """
    empty, template = pickle.loads(skeleton)
    tensors = []
    for tensor in _tensors(empty):
        # A copy, since bytes cannot be written to; without the strides of the other end.
        here = torch.frombuffer(bytearray(buffers.popleft()), dtype=torch.uint8)
        tensors.append(here.view(tensor.dtype).reshape(tensor.shape).to(device))
    return ChatModel(_with(empty, tensors).eval(), template)


def to_bytes(tensor: Tensor) -> memoryview:
    """A tensor's contents, row by row."""
    numbers: Any = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return memoryview(numbers)
