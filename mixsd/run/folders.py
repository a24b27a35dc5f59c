"""Folders that a run writes to, made and tried before any work."""

import errno
import tempfile
from pathlib import Path

from mixsd.core.errors import StoreError


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
