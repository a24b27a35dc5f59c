"""Where a run is shown while it goes on: a tracker is a class with four calls and one file.

The config chooses it: a YAML in `conf/tracking/` names the class in `_target_`, and its other keys are the
constructor's parameters. Local files are the truth; what a tracker shows can be made again from them.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

Summary = Mapping[str, float | int | str]
"""Final numbers of a run, flat: `probes/recall`, `retention/ratio`, ..."""


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told of a run when it starts.

    Attributes:
        id: Names the run among all runs of all experiments.
        name: The run id, `<task>-<method>-<model>-s<seed>-<hash>`.
        group: The experiment.
        job_type: The method.
        config: The resolved config without any path or file name.
        folder: The run directory, for trackers that write files; it is not to be shown.
        live: Whether the run goes on now; False where a finished run is shown from its files.
    """

    id: str
    name: str
    group: str
    job_type: str
    config: Mapping[str, Any]
    folder: Path
    live: bool = True


@runtime_checkable
class Tracker(Protocol):
    """Shows runs, one after the other.

    The calls of a run are `start`, `log` any number of times, `finish` once, and `close` whatever happens.
    A run that resumes is started again and gets its kept records again, so a tracker must begin anew.
    """

    def start(self, run: RunInfo) -> None:
        """Begin to show a run."""
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers of an optimiser step; keys are `train/<name>` and `trajectory/<name>`."""
        ...

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Show how the run ended.

        Args:
            results: Its final numbers; None where it failed.
            error: Why it failed, in one line. It may name files.
        """
        ...

    def close(self) -> None:
        """Release what `start` took; also after a failure, and where `start` failed."""
        ...


@dataclass(frozen=True)
class Chart:
    """Two numeric columns of a table, drawn as points."""

    name: str
    x: str
    y: str


@runtime_checkable
class ShowsTables(Protocol):
    """What a tracker may do besides: show tables."""

    @property
    def log_text(self) -> bool:
        """Whether tables may hold questions and answers; whoever calls `table` goes by it."""
        ...

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Show a table, and a chart of it; between `start` and `close`."""
        ...


class Harmless:
    """A tracker that cannot end a run: the first error of the one it wraps is told, and then it is silent.

    Args:
        tracker: What shows the run.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._failed = False

    @property
    def log_text(self) -> bool:
        """As the wrapped tracker's; False where it shows no tables."""
        return isinstance(self._tracker, ShowsTables) and self._tracker.log_text

    def start(self, run: RunInfo) -> None:
        """Begin to show a run."""
        self._try("start", run)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers of a step."""
        self._try("log", step, values)

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Show how the run ended."""
        self._try("finish", results, error)

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Show a table, where the wrapped tracker does."""
        if isinstance(self._tracker, ShowsTables):
            self._try("table", name, frame, chart)

    def close(self) -> None:
        """Release what `start` took, also after an error."""
        self._try("close", even_after_error=True)

    def _try(self, call: str, *arguments: Any, even_after_error: bool = False) -> None:
        if self._failed and not even_after_error:
            return
        try:
            getattr(self._tracker, call)(*arguments)
        except Exception as error:  # noqa: BLE001 - hours of training must not end with what only shows them
            if not self._failed:
                print(_one_line(self._tracker, error), file=sys.stderr)
            self._failed = True


def _one_line(tracker: Tracker, error: Exception) -> str:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return f"{type(tracker).__name__} stopped showing this run ({said}); the run goes on, its files are whole"
