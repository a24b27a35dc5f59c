"""Work on a model, cut into units that this process and its helpers do side by side.

What a unit gives hangs on the unit alone. In bfloat16 what shares a batch changes bits, so units are cut
alike whatever the number of processes; in float32 replies may be cut as it suits.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from mixsd.core.errors import HelperLost
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.parcels import Parcel, parcel_of
from mixsd.lm.processes import Helper, dismiss, helpers, next_of

T = TypeVar("T")
Tell = Callable[[Any], None]
"""Gets a part of what a unit gives, as soon as it is there."""
Work = Callable[[ChatModel, Any, Tell], None]
"""(model, unit, tell): does one unit. It is sent, so it is no lambda and no function within another."""

BATCHES = 4
"""Batches in a unit of bfloat16: with fewer, batches run empty at the end of each more often."""
TURNS = 2
"""Units for each process in float32, so that one whose replies are short takes over from another."""


@runtime_checkable
class CountsPasses(Protocol):
    """A hook before a network's forward passes that counts them."""

    def add(self, passes: int) -> None:
        """Count passes that were made elsewhere."""
        ...


def company_of(dtypes: Collection[str]) -> dict[str, int]:
    """What decides which replies share a batch, as part of whatever that moves; nothing in float32."""
    return {"batches_in_a_unit": BATCHES} if "bfloat16" in dtypes else {}


def units(items: Sequence[T], batch_size: int) -> list[Sequence[T]]:
    """Cut what is to be done into units, alike for any number of processes.

    Args:
        items: What is to be done.
        batch_size: Items at a time.
    """
    return _cut(items, BATCHES * batch_size)


def reply_units(items: Sequence[T], model: ChatModel, batch_size: int) -> list[Sequence[T]]:
    """Cut replies that are to be decoded into units.

    Args:
        items: What is to be decoded, neighbours best of like length.
        model: What decodes it.
        batch_size: Replies at a time.
    """
    if model.network.dtype != torch.float32:
        return units(items, batch_size)
    # In float32 company changes no token: one unit where nobody helps, else some for each process.
    turns = TURNS * (len(helpers()) + 1) if helpers() else 1
    return _cut(items, max(1, -(-len(items) // turns)))


def _cut(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def share(work: Work, model: ChatModel, todo: Sequence[Any], tell: Tell) -> None:
    """Do all units, here and on the helpers, each by whoever is free.

    Args:
        work: Does one unit.
        model: What it is done with; helpers get its weights as they are now.
        todo: The units.
        tell: Gets every part, in this process and thread; the units come in any order.

    Raises:
        HelperLost: A helper ended before its work did.
    """
    left = deque(todo)
    called = helpers()[: max(0, len(todo) - 1)]
    if not called:
        for unit in todo:
            work(model, unit, tell)
        return
    told: SimpleQueue[Any] = SimpleQueue()
    at_work = len(called)

    def hear(wait: bool = False) -> None:
        """Pass on what helpers told."""
        nonlocal at_work
        while at_work and (wait or not told.empty()):
            part = told.get()
            if isinstance(part, BaseException):
                at_work -= 1
                raise part
            if isinstance(part, _Ended):
                at_work -= 1
                _count(model, part.passes)
            else:
                tell(part)

    def here(part: Any) -> None:
        tell(part)
        hear()

    # Made before any work: that changes how the network's layers multiply.
    parcel = parcel_of(model)
    try:
        for helper in called:
            Thread(target=_lead, args=(helper, work, parcel, left, told.put), daemon=True).start()
        while (unit := next_of(left)) is not None:
            work(model, unit, here)
        hear(wait=True)
    except (KeyboardInterrupt, HelperLost):
        dismiss()  # others are started when they are wanted
        raise
    except BaseException:
        # Nobody may tell of this work when the next one has begun.
        left.clear()
        _hear_out(told, at_work)
        raise


@dataclass(frozen=True)
class _Ended:
    """A helper has no more to do."""

    passes: int


def _hear_out(told: "SimpleQueue[Any]", at_work: int) -> None:
    """Wait until helpers have ended what they are at, and forget it."""
    while at_work:
        part = told.get()
        at_work -= isinstance(part, _Ended | BaseException)
        if isinstance(part, HelperLost):
            dismiss()


def _lead(helper: Helper, work: Work, parcel: Parcel, left: deque[Any], tell: Tell) -> None:
    try:
        tell(_Ended(helper.do(work, parcel, left, tell)))
    except BaseException as error:  # noqa: BLE001 - it is raised where the parts are heard
        tell(error)


def _count(model: ChatModel, passes: int) -> None:
    """Charge what helpers did to whoever counts the passes of this model."""
    for hook in model.network.get_decoder()._forward_pre_hooks.values():
        if isinstance(hook, CountsPasses):
            hook.add(passes)
