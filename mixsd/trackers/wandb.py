"""Weights & Biases: a run while it goes on, or again from its files."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixsd.core.errors import SettingError, TrackingError, one_of
from mixsd.trackers.tracker import Chart, RunInfo, Summary

if TYPE_CHECKING:
    import pandas as pd

MODES = ("offline", "online", "disabled")
_NO_NAME = "/\\#?%:"
LONGEST_ID = 128
"""Characters of a W&B id."""


@dataclass
class WandB:
    """Shows runs in Weights & Biases.

    W&B gets settings, numbers and, where `log_text` is on, answers. It gets no path, no command line and no
    console output, because these name files.

    W&B cannot replace a run: a second run of one id appends to the first, or mixes with its old points
    (wandb issues 3424 and 6216). So every start takes a fresh id, `<id>-<time>`. Offline, the files of an
    earlier start are removed first; online, what it sent stays on the server under its own id.

    Attributes:
        mode: `offline` (files under the run directory), `online`, or `disabled`.
        project: W&B project.
        entity: W&B user or team (None: the default one).
        log_text: Whether questions and answers are shown too; else numbers and settings only.

    Raises:
        SettingError: The mode is unknown, or is `online` where W&B has no login.
    """

    mode: str = "offline"
    project: str = "mixsd-bench"
    entity: str | None = None
    log_text: bool = True
    _run: Any = field(default=None, init=False, repr=False, compare=False)
    _info: RunInfo | None = field(default=None, init=False, repr=False, compare=False)
    _exit_code: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of("tracking.mode", self.mode, MODES)
        for key, name in (("project", self.project), ("entity", self.entity)):
            if name is not None and (not name or len(name) > LONGEST_ID or set(name) & set(_NO_NAME)):
                hint = "tracking.entity=<team> tracking.project=<name>" if "/" in name else "another name"
                raise SettingError(
                    f"tracking.{key}={name} is no name for W&B (at most {LONGEST_ID} characters, none of "
                    f"{_NO_NAME}); "
                    f"give {hint}"
                )
        if self.mode == "online" and not _logged_in():
            raise SettingError(
                "tracking.mode=online needs a W&B login, and there is none on this machine; "
                "run `wandb login`, or choose offline"
            )

    def start(self, run: RunInfo) -> None:
        """Open a W&B run.

        Raises:
            TrackingError: W&B does not open it.
        """
        if self.mode == "disabled":
            return
        # Until `finish` says otherwise the run failed: an interrupt reaches `close` alone.
        self._info, self._exit_code = run, 1
        short = run.id[-(LONGEST_ID - len("-20260101T000000000000")) :]
        with self._errors_in_one_line():
            import wandb  # heavy, and needed only here

            _remove_earlier_files(run.folder, short)
            self._run = wandb.init(
                project=self.project,
                entity=self.entity,
                mode=self.mode,  # type: ignore[arg-type]
                dir=run.folder,
                id=f"{short}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}",
                name=run.name,
                group=run.group,
                job_type=run.job_type,
                config=dict(run.config),
                reinit="finish_previous",
                settings=wandb.Settings(
                    silent=True,
                    console="off",  # the console names files
                    x_disable_meta=True,  # so do the arguments of the command
                    x_disable_stats=not run.live,  # of this process, not of the one that trained
                ),
            )
            # Steps are those of the optimiser: two kinds of records share them, in any order.
            self._run.define_metric("step")
            self._run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the run's history.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is not None:
            with self._errors_in_one_line():
                self._run.log({"step": step, **values})

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Add a table, and a scatter plot of it.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None:
            return
        with self._errors_in_one_line():
            import wandb

            shown = wandb.Table(dataframe=frame)
            self._run.log({name: shown})
            if chart:
                drawn = wandb.plot.scatter(shown, chart.x, chart.y, title=chart.name)
                self._run.log({chart.name: drawn})

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Write the summary, or that the run failed; the error itself stays here, for it may name files.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None:
            return
        self._exit_code = 0 if results is not None else 1
        with self._errors_in_one_line():
            self._run.summary.update(dict(results or {"failed": 1}))

    def close(self) -> None:
        """Close the W&B run, so that the next one does not merge with it.

        Raises:
            TrackingError: W&B does not take what is left.
        """
        run, self._run = self._run, None
        if run is not None:
            with self._errors_in_one_line():
                run.finish(exit_code=self._exit_code)

    @contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        from wandb.errors import Error

        try:
            yield
        except (
            Error,
            OSError,
            ValueError,
        ) as error:  # a folder that cannot be written, a setting of the environment
            said = " ".join(str(error).split())[:200]
            assert self._info is not None
            raise TrackingError(
                f"W&B did not take {self._info.name} ({said}); the local files are whole: "
                f"`python -m mixsd track {self._info.folder} --mode {self.mode}` shows them later"
            ) from error


def _logged_in() -> bool:
    """Whether W&B finds a key here; nothing is sent."""
    import wandb  # heavy, and needed only here
    from wandb.errors import Error

    try:
        return wandb.login(prompt=False, verify=False)
    except (Error, ValueError) as error:  # ValueError: a setting of the environment, such as WANDB_BASE_URL
        said = " ".join(str(error).split())[:200]
        raise SettingError(f"tracking.mode=online: W&B cannot be used on this machine ({said})") from error


def _remove_earlier_files(folder: Path, run_id: str) -> None:
    """Remove offline files of earlier starts of a run; `wandb sync` would send them beside the new ones."""
    for earlier in (folder / "wandb").glob(f"offline-run-*-{escape(run_id)}-*"):
        shutil.rmtree(earlier)
