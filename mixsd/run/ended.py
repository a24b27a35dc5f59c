"""How the jobs of a sweep ended, as the processes that ran them wrote it down.

A launcher's processes share no memory with the sweep, and on another machine a run may have another hash.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mixsd.core.store import append_jsonl, read_jsonl

FAILED, NOT_RUN, UNMET = "failed", "not run", "done, gate not met"
"""How a job ended that failed, that was left out after another failed, and that did not meet its gate."""
WHOLE = ("done", "skipped", UNMET)
"""How a job ended whose run is whole."""


@dataclass(frozen=True)
class EndedJob:
    """How a job ended.

    Attributes:
        overrides: What it set.
        state: `done`, `skipped`, or one of the words above.
        run_dir: Its run's directory ('': it never had one).
    """

    overrides: list[str]
    state: str
    run_dir: str = ""


class Ended:
    """The jobs of one sweep that ended so far.

    Args:
        path: A file of this sweep alone, which all its processes see.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, job: EndedJob) -> None:
        """Write one down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self._path, asdict(job))

    def jobs(self) -> list[EndedJob]:
        """All so far, in the order in which they ended."""
        return [EndedJob(**row) for row in read_jsonl(self._path)] if self._path.exists() else []

    def of(self, overrides: Sequence[str]) -> EndedJob | None:
        """How the job with these overrides ended; None where it did not."""
        return next((job for job in reversed(self.jobs()) if job.overrides == list(overrides)), None)

    @property
    def any_failed(self) -> bool:
        """Whether one failed."""
        return any(job.state == FAILED for job in self.jobs())

    def forget(self) -> None:
        """Delete the file: the sweep is over, and told."""
        self._path.unlink(missing_ok=True)
