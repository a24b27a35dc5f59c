"""Signals by which schedulers end a process (SIGTERM, SIGUSR2): a training first writes a checkpoint."""

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from mixsd.core.errors import Terminated

ENDS = (signal.SIGTERM, *([signal.SIGUSR2] if hasattr(signal, "SIGUSR2") else []))
PATIENCE_S = 100.0
"""How long processes that were asked to end are waited for."""
_waiting: list[Callable[[], None]] = []
"""What is to be done about a signal that came while it was postponed."""
_postponed = False


def hear(first: Callable[[], None] = lambda: None) -> None:
    """End as after Ctrl-C where a scheduler asks for it: what is done is written, and trackers are told.

    A launcher's own handler, as submitit's that queues the job again, is called where ours would end the run.

    Args:
        first: Called before that.
    """
    # Elsewhere Python cannot hear signals, and whoever made the thread sees to it.
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDS:
        before = signal.getsignal(number)
        if getattr(before, "is_ours", False):
            continue
        # submitit means it when it passes over SIGTERM: its jobs are told by SIGUSR2.
        if callable(before) and number == signal.SIGTERM:
            continue
        signal.signal(number, _handler(number, before if callable(before) else None, first))


def end_children() -> None:
    """Pass the wish to end on to the processes that this one started, and give them time for a checkpoint."""
    import psutil

    # joblib's tracker passes over signals, and ends by itself.
    children = [
        child
        for child in psutil.Process().children(recursive=True)
        if not any("resource_tracker" in word for word in child.cmdline())
    ]
    for child in children:
        with suppress(psutil.Error):
            child.send_signal(signal.SIGTERM)
    psutil.wait_procs(children, timeout=PATIENCE_S)


def end_with_parent() -> None:
    """Let this process be asked to end when the one that started it is gone; nothing where that cannot be."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))  # PR_SET_PDEATHSIG


def _handler(
    number: int, before: Callable[[int, FrameType | None], Any] | None, first: Callable[[], None]
) -> Callable[..., None]:
    def end(frame: FrameType | None = None) -> None:
        first()
        if before is None:
            raise Terminated(number)
        before(number, frame)

    def handle(_: int, frame: FrameType | None) -> None:
        # A second one means it.
        if _postponed and not _waiting:
            _waiting.append(end)
        else:
            end(frame)

    handle.is_ours = True  # type: ignore[attr-defined]
    return handle


@contextmanager
def postponed() -> Iterator[None]:
    """Keep the first signal back until `end_if_asked`."""
    global _postponed
    _postponed = True
    try:
        yield
    except BaseException:
        _waiting.clear()
        raise
    finally:
        _postponed = False
    # One that came after the last look.
    end_if_asked()


def is_asked() -> bool:
    """Whether a signal waits."""
    return bool(_waiting)


def end_if_asked() -> None:
    """Do what the signal that waits asks for.

    Raises:
        Terminated: As the signal would have.
    """
    if _waiting:
        _waiting.pop()()
