"""Where a run is shown while it goes on: a tracker is a class with four calls and one file.

The config chooses it: a YAML in `conf/tracking/` names the class in `_target_`, and its other keys are the
constructor's parameters. Local files are the truth; what a tracker shows can be made again from them.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
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
        id: Names the run among all runs of all experiments; the same whenever it is started again.
        name: What people call it.
        group: The experiment.
        job_type: The method.
        config: The resolved config without any path or file name, and what made the run (commit, date).
        folder: The run directory, for trackers that write files; it is not to be shown.
        live: Whether the run goes on now; False where a finished run is shown from its files.
        tags: Words to find it by.
        notes: What a reader of its numbers must know.
        content: A hash of all that is shown of a finished run; '' while it goes on.
    """

    id: str
    name: str
    group: str
    job_type: str
    config: Mapping[str, Any]
    folder: Path
    live: bool = True
    tags: tuple[str, ...] = ()
    notes: str = ""
    content: str = ""


@runtime_checkable
class Tracker(Protocol):
    """Shows runs, one after the other.

    The calls of a run are `start`, `log` any number of times, `finish` once, and `close` whatever happens.
    A run that resumes is started again and gets its kept records again; a tracker that still has them
    leaves them out.
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
    """A picture of a table: a Vega-Lite spec, whose fields `${field:<name>}` are columns of the table.

    Attributes:
        name: Its title.
        x: The column on its x-axis, and
        y: that on its y-axis, for trackers that draw no specs.
        spec: Vega-Lite; its data is named `wandb`.
        fields: Column by field.
    """

    name: str
    x: str
    y: str
    spec: Mapping[str, Any]
    fields: Mapping[str, str]


@runtime_checkable
class Extras(Tracker, Protocol):
    """What a tracker may do besides; each of these may be left out.

    `log_text` says whether tables and files may hold questions and answers. Whoever calls `table` and `files`
    goes by it; without it no text is given.
    """

    log_text: bool

    def stage(self, name: str, done: int, total: int) -> None:
        """Show what the run does now, and how far that is."""
        ...

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Show a table, and a chart of it; between `start` and `close`."""
        ...

    def files(self, name: str, kind: str, paths: Sequence[Path]) -> None:
        """Keep files that the run has made, under a name."""
        ...

    def interrupted(self) -> None:
        """Show that the run was stopped from outside and can go on; instead of `finish`."""
        ...

    def shows(self, run: RunInfo) -> bool:
        """Whether it shows exactly this content of a finished run already."""
        ...

    def rename(self, names: Mapping[str, str], experiment: str) -> int:
        """Give the runs of an experiment, by id, the names that people call them; how many had others."""
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
        """As the wrapped tracker's; False where it does not say."""
        return bool(getattr(self._tracker, "log_text", False))

    @property
    def log_model(self) -> bool:
        """As the wrapped tracker's; False where it does not say."""
        return bool(getattr(self._tracker, "log_model", False))

    def start(self, run: RunInfo) -> None:
        """Begin to show a run."""
        self._try("start", run)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers of a step."""
        self._try("log", step, values)

    def stage(self, name: str, done: int, total: int) -> None:
        """Show what the run does now."""
        self._try("stage", name, done, total)

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Show a table."""
        self._try("table", name, frame, chart)

    def files(self, name: str, kind: str, paths: Sequence[Path]) -> None:
        """Keep files."""
        self._try("files", name, kind, paths)

    def interrupted(self) -> None:
        """Show that the run was stopped and can go on."""
        self._try("interrupted")

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Show how the run ended."""
        self._try("finish", results, error)

    def close(self) -> None:
        """Release what `start` took, also after an error."""
        self._try("close", even_after_error=True)

    def _try(self, call: str, *arguments: Any, even_after_error: bool = False) -> None:
        if self._failed and not even_after_error:
            return
        try:
            optional(self._tracker, call)(*arguments)
        except Exception as error:  # noqa: BLE001 - hours of training must not end with what only shows them
            if not self._failed:
                print(_one_line(self._tracker, error), file=sys.stderr)
            self._failed = True


def optional(tracker: Tracker, call: str) -> Callable[..., Any]:
    """A call of a tracker, or one that does nothing and gives None where it lacks that one of `Extras`."""
    return getattr(tracker, call, lambda *_, **__: None)


def _one_line(tracker: Tracker, error: Exception) -> str:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return f"{type(tracker).__name__} stopped showing this run ({said}); the run goes on, its files are whole"
