"""Files and folders that settings name: their content is on a run's hash, their path is not."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path

from mixsd.core.errors import DataError
from mixsd.core.store import write_text


@dataclass(frozen=True)
class File:
    """A file that a setting names. A constructor asks for one by the type of its parameter.

    Attributes:
        setting: The setting, such as `task.path`, for messages.
        path: Where it is.

    Raises:
        DataError: There is none.
    """

    setting: str
    path: Path

    def __post_init__(self) -> None:
        try:
            there = self.path.exists()
        except OSError as error:  # a name that is too long
            raise DataError(
                f"{self.setting}={str(self.path)[:60]}... is no name ({error.strerror}); give a shorter one"
            ) from error
        if not there:
            # A relative path may be one below the folder of data set clones.
            below = "" if self.path.is_absolute() else ", or data_root=<the folder that it is in>"
            raise DataError(f"{self.setting}={self.path} does not exist; give {self.wanted}{below}")
        if self.path.is_dir() != isinstance(self, Folder):
            found = "a folder" if self.path.is_dir() else "a file"
            raise DataError(f"{self.setting}={self.path} is {found}; give {self.wanted}")

    @property
    def wanted(self) -> str:
        """What a user should give instead of what is not there."""
        return "a file"

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def digest(self) -> str:
        """A hash of the content.

        Raises:
            DataError: It cannot be read.
        """
        try:
            return file_digest(self.path)
        except OSError as error:
            raise DataError(f"{self.setting}={self.path} cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Folder(File):
    """A folder that a setting names."""

    @property
    def wanted(self) -> str:
        """What a user should give instead of what is not there."""
        return "a folder"

    @cached_property
    def digest(self) -> str:
        """A hash of the names and contents of all files in it; hidden ones are left out."""
        return folder_digest(self.path)


def file_digest(path: Path) -> str:
    """A hash of a file's bytes, read in blocks."""
    digest = blake2b(digest_size=8)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def folder_digest(folder: Path, unread: frozenset[str] = frozenset({".md", ".pyc"})) -> str:
    """A hash of names and contents below a folder, without hidden files and the endings in `unread`."""
    digest = blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        if path.is_file() and path.suffix not in unread and not hidden:
            digest.update(f"{place.as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def seal(path: Path) -> None:
    """Write down what a finished file or folder of the cache holds, in `<name>.sum` beside it."""
    write_text(_seal_of(path), _digest(path) + "\n")


def is_sound(path: Path) -> bool:
    """Whether a file or folder is there and holds what it held when it was sealed."""
    seal = _seal_of(path)
    if not (path.exists() and seal.exists()):
        return False
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamps = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _digest_of(path, stamps) == seal.read_text(encoding="utf-8").strip()


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sum")


@lru_cache(maxsize=16)
def _digest_of(path: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    """Read once a process while the stamps stay: a model has gigabytes."""
    return _digest(path)


def _digest(path: Path) -> str:
    return folder_digest(path) if path.is_dir() else file_digest(path)
