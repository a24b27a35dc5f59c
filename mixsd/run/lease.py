"""GPUs of a job: it takes those that are free by a lock each, before CUDA starts in its process."""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mixsd.core.errors import SettingError
from mixsd.run.software import gpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
LEASE = "MIXSD_LEASE_GPU"
"""The variable that asks for a lease."""
_held: list[tuple[str, FileLock | None]] = []
"""What this process took; kept to its end, since CUDA stays on the device on which it started."""

_by_launcher = False


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return [str(number) for number, _ in enumerate(gpus())]
    return [name.strip() for name in named.split(",") if name.strip()]


def take_local_gpu() -> None:
    """Show this process, which a launcher started beside others of its machine, a GPU of its own."""
    global _by_launcher
    _by_launcher = True
    place = int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0)
    if visible := visible_gpus():
        os.environ[VISIBLE] = visible[place % len(visible)]


def taken_gpus() -> list[str]:
    """The GPUs that this process took."""
    return [name for name, _ in _held]


def take_gpus(count: int, wait_s: float = 1.0) -> list[str]:
    """Take GPUs for this process and its helpers; those that it has already, if it has them.

    This process is shown the first alone. Where `MIXSD_LEASE_GPU` asks for leases, it waits until enough are
    free, and their locks go with the process, however that ends; elsewhere it takes the first that it sees.
    One GPU without a lease is the caller's own affair, and nothing is taken.

    Args:
        count: How many.
        wait_s: Seconds between two looks.

    Returns:
        Their names; none where there is no GPU.

    Raises:
        SettingError: There are fewer.
    """
    if _by_launcher or len(_held) >= count:
        return taken_gpus()[:count]
    leases = bool(os.environ.get(LEASE))
    visible = visible_gpus()
    if not visible or (count == 1 and not leases):
        return []
    if len(visible) < count or _held:
        there = _held or visible
        raise SettingError(
            f"devices={count}, but this process has {len(there)} GPUs; give {len(there)} or less"
        )
    told = False
    while not (found := _free(visible, count) if leases else [(name, None) for name in visible[:count]]):
        if not told:
            print(
                f"{count} of {len(visible)} GPUs are wanted, and other jobs have them; waiting",
                file=sys.stderr,
            )
            told = True
        time.sleep(wait_s)
    _held.extend(found)
    os.environ[VISIBLE] = found[0][0]
    return taken_gpus()


def _free(names: Sequence[str], count: int) -> list[tuple[str, FileLock | None]]:
    """So many that nobody has, locked; none where there are fewer, since who holds some may wait forever."""
    # Of this machine, whatever folders are shared with others.
    folder = Path(tempfile.gettempdir()) / f"mixsd-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    found: list[tuple[str, FileLock | None]] = []
    for name in names:
        lock = FileLock(folder / f"{name.replace('/', '_')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        found.append((name, lock))
        if len(found) == count:
            return found
    for _, lock in found:
        if lock:
            lock.release()
    return []
