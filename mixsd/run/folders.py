"""Folders that a run writes to, made and tried before any work."""

import errno
import tempfile
from pathlib import Path

from mixsd.core.errors import StoreError

MOUNTS = Path("/proc/mounts")
LOCKS_HERE_ALONE = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock", "noflock"})
"""Options of network file systems under which a lock excludes nobody on another machine."""


def lock_warning(folder: Path) -> str:
    """A line where a folder's file system does not keep processes of other machines apart; ''."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # no Linux
        return ""
    # The innermost mount holds it.
    holding = [m for m in mounts if len(m) > 3 and folder.resolve().is_relative_to(m[1])]
    found = max(holding, key=lambda mount: len(mount[1]), default=None)
    options = LOCKS_HERE_ALONE & set(found[3].split(",")) if found else ()
    if not found or not options:
        return ""
    return (
        f"{folder} is on {found[2]} mounted with {min(options)}: its locks hold on this machine alone, so "
        "two machines may do the same work at once; give folders that all of them lock"
    )


def make_folder(key: str, folder: Path) -> None:
    """Make a folder, and see that it can be written to.

    Args:
        key: The setting that names it, for messages.
        folder: The folder.

    Raises:
        StoreError: It cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Tried, not asked: permissions do not tell of a read-only file system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise StoreError(
                f"{key}: a name in {str(folder)[:60]}... is longer than this file system allows; give a "
                "shorter experiment_name, task.name or method.name"
            ) from error
        raise StoreError(
            f"{key}: {folder} cannot be written to ({error.strerror}); give another {key}"
        ) from error
