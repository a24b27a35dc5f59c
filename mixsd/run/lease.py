"""One job a GPU: a job takes the first free one by a lock, before CUDA starts in its process."""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mixsd.run.software import gpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
LEASE = "MIXSD_LEASE_GPU"
"""The variable that asks for a lease."""
_held: list[tuple[str, FileLock]] = []
"""What this process leased; kept to its end, since CUDA stays on the device on which it started."""


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return [str(number) for number, _ in enumerate(gpus())]
    return [name.strip() for name in named.split(",") if name.strip()]


def lease_gpu(wait_s: float = 1.0) -> str | None:
    """Take a GPU for this process and show it no other; the one that it has already, if it has one.

    Waits where all are taken. The lock goes with the process, however that ends.

    Args:
        wait_s: Seconds between two looks.

    Returns:
        Its name; None where there is none.
    """
    if _held:
        return _held[0][0]
    visible = visible_gpus()
    if not visible:
        return None
    told = False
    while not (found := _first_free(visible)):
        if not told:
            print(f"all of {len(visible)} GPUs are taken by other jobs; waiting for one", file=sys.stderr)
            told = True
        time.sleep(wait_s)
    _held.append(found)
    os.environ[VISIBLE] = found[0]
    return found[0]


def _first_free(names: Sequence[str]) -> tuple[str, FileLock] | None:
    # Of this machine, whatever folders are shared with others.
    folder = Path(tempfile.gettempdir()) / f"mixsd-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for name in names:
        lock = FileLock(folder / f"{name.replace('/', '_')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return name, lock
    return None
