"""Run identity, directories, atomic writes, caches and locks.

Every file appears whole or not at all (temporary file, then rename); appended files are flushed to
disk record by record, and a torn last line is cut off, not guessed at.
"""

import errno
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from mixsd.core.errors import StoreError

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{32}")
"""Names of the folders of `atomic_folder` that are not whole yet."""


def content_hash(value: Any, size: int = 5) -> str:
    """A short stable hash of anything JSON can hold; keys are sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return blake2b(text.encode(), digest_size=size).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # half of it, on a full disk
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    """Write a JSON Lines file atomically."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StoreError: It is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise StoreError(f"{path} is not JSON ({error}); delete it to make it anew") from error


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file; a torn last line, which a killed writer leaves, is passed over.

    Raises:
        StoreError: It is missing, or a line before the last is not JSON.
    """
    try:
        records, _ = _whole_lines(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})") from error
    return records


def append_jsonl(path: Path, record: dict[str, Any]) -> None:
    """Append one record and flush it to disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder` when the block ends well and vanishes when not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not `mkdtemp`, whose folders nobody else may read: a saved model is shared.
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def discard(path: Path) -> None:
    """Delete a file or folder, if it is there; a folder goes as a whole, also when this is cut off.

    A folder is renamed first: half of a model must never stand under the name of a whole one.
    """
    if path.is_dir():
        trash = path.with_name(f".trash-{path.name}-{uuid4().hex}")
        path.replace(trash)
        shutil.rmtree(trash, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what a killed process left half-written in a folder; nobody else may be writing there."""
    for path in folder.glob(".*"):
        if path.name.startswith(".trash-") or path.suffix == ".tmp" or _HALF_WRITTEN.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


class RecordFile(Protocol):
    """Finished pieces of work, by key; what was appended survives the process."""

    records: dict[str, dict[str, Any]]

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Add one finished piece, durably."""
        ...


class Records:
    """A `RecordFile` on disk, each record with a checksum: what was damaged there is made anew.

    Args:
        path: The file; nobody else may be writing to it.

    Attributes:
        damaged: Lines that were there and could not be used, beside a torn last one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.records: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        if path.exists():
            self._read()

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Add one finished piece, durably."""
        append_jsonl(self._path, _sealed(key, record))
        self.records[key] = record

    def _read(self) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        torn = bool(lines) and not lines[-1].endswith(b"\n")
        whole = lines[:-1] if torn else lines
        sound = [found for line in whole if (found := _sound(line))]
        self.records = {line["key"]: line["value"] for line in sound}
        self.damaged = len(whole) - len(sound)
        if torn or self.damaged:
            write_jsonl(self._path, sound)


def _sealed(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "value": value, "sum": content_hash([key, value], size=8)}


def _sound(line: bytes) -> dict[str, Any] | None:
    """A line of records; None where it is not what was written."""
    try:
        found = json.loads(line)
        return found if found == _sealed(found["key"], found["value"]) else None
    except (ValueError, KeyError, TypeError):
        return None


@cache
def _tell_of_no_locks() -> None:
    """Once a process."""
    warnings.warn(
        "this file system has no locks; a file `*.held` stands for one: delete it if a process on another "
        "machine was killed there",
        stacklevel=4,
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock by a file; another process waits its turn.

    Where the file system has no locks, a file that is there is the lock. One that a killed process left there
    is found by its process, which is gone; on another machine it must be deleted.
    """
    lock: BaseFileLock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _tell_of_no_locks()
        lock = SoftFileLock(path.with_name(f"{path.name}.held"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_of(path: Path) -> Path:
    """The lock of a file of records."""
    return path.with_name(f"{path.name}.lock")


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file; of a file system that cannot tell, yes."""
    if path.with_name(f"{path.name}.held").exists():
        return True
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


@contextmanager
def open_records(cache_dir: Path, kind: str, fingerprint: dict[str, Any]) -> Iterator[Records]:
    """Open the records of exactly this fingerprint under a file lock; another process waits its turn.

    The fingerprint itself is written beside the records, so that a cache can be read by people.
    """
    folder = cache_dir / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content_hash(fingerprint, size=12)}.jsonl"
    with locked(lock_of(path)):
        for left in folder.glob(f".{path.stem}.*.tmp"):  # of a process that was killed
            left.unlink(missing_ok=True)
        write_json(path.with_suffix(".key.json"), fingerprint)
        yield Records(path)


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of a JSON Lines file, and the size in bytes of its whole lines."""
    records: list[dict[str, Any]] = []
    whole = 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise StoreError(f"{path}:{number} is not JSON; delete the file to make it anew") from error
        whole += len(line)
    return records, whole
