"""Weights & Biases: a run while it goes on, or again from its files."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixsd.core.errors import SettingError, TrackingError, one_of
from mixsd.core.store import content_hash, read_json, write_json
from mixsd.trackers.tracker import Chart, RunInfo, Summary

if TYPE_CHECKING:
    import pandas as pd

MODES = ("offline", "online", "disabled")
_NO_NAME = "/\\#?%:"
LONGEST_NAME, LONGEST_ID = 128, 64
"""Characters of a W&B name, and of an id that leaves room: the names of tables are made of it."""
STAGE_S = 5.0
"""Seconds between two messages about how far a stage is."""
VERSIONS = 9
"""How often a run can be replaced: W&B never gives the id of a deleted run again."""
CONTENT = "results_hash"
"""The key, in a run's config, of the hash of what is shown."""
_SHOWN = "shown.json"
"""Beside the files of an offline run that has ended: the hash of what it shows."""
_GONE = "previously created and deleted"


@dataclass
class WandB:
    """Shows runs in Weights & Biases.

    W&B gets settings, numbers and, where `log_text` is on, answers and targets. It gets no path, no command
    line and no console output, because these name files.

    The id of a run is the same at every start, so a run that resumes goes on where it was: points that W&B
    has are not sent again (each has a W&B step of its own, twice the optimiser's). A finished run that is
    shown again with other content is replaced: deleted, and made anew under the next version of its id.

    Attributes:
        mode: `offline` (files in `wandb/` of the experiment's folder, for `wandb sync`), `online` or
            `disabled`.
        project: W&B project.
        entity: W&B user or team (None: the default one).
        log_text: Whether questions and answers are shown too; else numbers and settings only.
        log_model: Whether kept weights are uploaded; they know what they were taught.
        alerts: Whether W&B tells its user of runs that failed and of gates that are not met.
        tags: Words beside task, model and method.
        notes: A note for every run.

    Raises:
        SettingError: The mode is unknown, or is `online` where W&B has no login.
    """

    mode: str = "offline"
    project: str = "mixsd-bench"
    entity: str | None = None
    log_text: bool = True
    log_model: bool = False
    alerts: bool = False
    tags: tuple[str, ...] = ()
    notes: str = ""
    _run: Any = field(default=None, init=False, repr=False, compare=False)
    _info: RunInfo | None = field(default=None, init=False, repr=False, compare=False)
    _exit_code: int = field(default=0, init=False, repr=False, compare=False)
    _known: dict[str, list[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _told: tuple[str, float] = field(default=("", 0.0), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of("tracking.mode", self.mode, MODES)
        for key, name in (("project", self.project), ("entity", self.entity)):
            if name is not None and (not name or len(name) > LONGEST_NAME or set(name) & set(_NO_NAME)):
                hint = "tracking.entity=<team> tracking.project=<name>" if "/" in name else "another name"
                raise SettingError(
                    f"tracking.{key}={name} is no name for W&B (at most {LONGEST_NAME} characters, none of "
                    f"{_NO_NAME}); "
                    f"give {hint}"
                )
        if self.mode == "online" and not _logged_in():
            raise SettingError(
                "tracking.mode=online needs a W&B login, and there is none on this machine; "
                "run `wandb login`, or choose offline"
            )

    def start(self, run: RunInfo) -> None:
        """Open a W&B run, the one of an earlier start where there is one and the run goes on.

        Raises:
            TrackingError: W&B does not open it.
        """
        if self.mode == "disabled":
            return
        # Until `finish` says otherwise the run failed: an error before it reaches `close` alone.
        self._info, self._exit_code, self._told = run, 1, ("", 0.0)
        with self._errors_in_one_line():
            ids = self._free_ids(run)
            for number, wandb_id in enumerate(ids):
                try:
                    self._run = self._init(run, wandb_id)
                    break
                except Exception as error:
                    if _GONE not in str(error) or number == len(ids) - 1:
                        raise
            if self.mode == "online":
                print(f"shown at {self._run.url}", file=sys.stderr)
            # Steps are those of the optimiser: two kinds of records share them.
            self._run.define_metric("step", hidden=True)
            self._run.define_metric("trained_tokens", hidden=True)
            self._run.define_metric("*", step_metric="step")
            self._run.define_metric("trajectory/recall", step_metric="step", summary="max,last")

    def _init(self, run: RunInfo, wandb_id: str) -> Any:
        wandb = _wandb()

        return wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,  # type: ignore[arg-type]
            dir=os.environ.get("WANDB_DIR") or run.folder.parent,
            id=wandb_id,
            resume="allow",
            name=run.name,
            group=os.environ.get("WANDB_RUN_GROUP") or run.group,
            job_type=run.job_type,
            tags=[*run.tags, *self.tags, *filter(None, os.environ.get("WANDB_TAGS", "").split(","))],
            notes="\n".join(filter(None, (self.notes, os.environ.get("WANDB_NOTES"), run.notes))),
            config={**run.config, "id": run.id},
            # A resumed run has a config already, and this one may hold a newer commit.
            allow_val_change=True,
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                console="off",  # the console names files
                x_disable_meta=True,  # so do the arguments of the command
                x_disable_stats=not run.live,  # of this process, not of the one that trained
                x_stats_coreweave_metadata_base_url="http://127.0.0.1",  # asks no cloud where it runs
                # A server that does not answer may hold a run up for so long, and no longer.
                init_timeout=30,
                finish_timeout=120,
                x_graphql_retry_max=3,
                x_graphql_retry_wait_max_seconds=5,
                x_file_stream_retry_max=5,
                x_file_stream_retry_wait_max_seconds=5,
                x_file_transfer_retry_max=3,
                x_file_transfer_retry_wait_max_seconds=5,
            ),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the run's history, unless W&B has it.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None:
            return
        # The trainer looks at a step before it tells of it.
        at = 2 * step + any(key.startswith("train/") for key in values)
        if at < self._run.starting_step:
            return
        tokens = [value for key, value in values.items() if key.endswith("/trained_tokens")]
        with self._errors_in_one_line():
            axes = {"step": step, **({"trained_tokens": tokens[0]} if tokens else {})}
            self._run.log({**axes, **values}, step=at, commit=True)

    def stage(self, name: str, done: int, total: int) -> None:
        """Show what the run does now, and how far that is, every few seconds.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None or not self._info or not self._info.live:
            return
        before, when = self._told
        if name == before and time.monotonic() - when < STAGE_S:
            return
        self._told = name, time.monotonic()
        with self._errors_in_one_line():
            self._run.summary.update({"stage": name, "progress": done / total if total else 0.0})

    def table(self, name: str, frame: "pd.DataFrame", chart: Chart | None = None) -> None:
        """Add a table, and a picture of it.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None:
            return
        with self._errors_in_one_line():
            wandb = _wandb()

            shown = wandb.Table(dataframe=frame)
            # Not in the history, where it would stand among the curves.
            self._run.summary[name] = shown
            if chart:
                drawn = wandb.plot_table(
                    self._spec_name(chart),
                    wandb.Table(dataframe=frame),
                    dict(chart.fields),
                    {"title": chart.name},
                )
                self._run.log({chart.name: drawn})

    def _spec_name(self, chart: Chart) -> str:
        """The name of a chart's spec on the server, which gets it first; offline, of W&B's scatter plot."""
        if self.mode != "online":
            return "wandb/scatter/v0"
        wandb = _wandb()

        # By content: the same spec is never put twice, and another one replaces none that is in use.
        name = f"mixsd-{chart.name}-{content_hash(dict(chart.spec), size=4)}"
        entity = self._run.entity
        try:
            wandb.Api().create_custom_chart(
                entity=entity, name=name, display_name=f"MixSD {chart.name}", spec_type="vega2",
                access="private", spec=dict(chart.spec),
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the client's errors have no common base
            if "exist" not in str(error).lower():
                return "wandb/scatter/v0"
        return f"{entity}/{name}"

    def files(self, name: str, kind: str, paths: Sequence[Path]) -> None:
        """Keep files as an artifact that this run has made.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None or (kind == "model" and not self.log_model):
            return
        with self._errors_in_one_line():
            wandb = _wandb()

            artifact = wandb.Artifact(name[-LONGEST_NAME:], kind)
            for path in paths:
                (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path), name=path.name)
            self._run.log_artifact(artifact)

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Write the summary, or that the run failed and by what kind of error, whose text may name files.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None or not self._info:
            return
        self._exit_code = 0 if results is not None else 1
        kind = error.partition(":")[0]
        with self._errors_in_one_line():
            if results is None:
                self._run.summary.update({"failed": 1, "error": kind})
                self._alert("failed", kind)
            else:
                self._run.config.update({CONTENT: results.get(CONTENT, "")}, allow_val_change=True)
                self._run.summary.update({**results, "stage": "done", "progress": 1.0})
                if results.get("gate_met") == 0:
                    self._alert("gate not met", "what it was trained on or kept misses the gate")

    def interrupted(self) -> None:
        """Tell W&B that the run was stopped and can go on.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is not None:
            with self._errors_in_one_line():
                self._run.mark_preempting()

    def close(self) -> None:
        """Close the W&B run, so that the next one does not merge with it.

        Raises:
            TrackingError: W&B does not take what is left.
        """
        run, self._run = self._run, None
        if run is not None and self._info:
            offline = Path(run.settings.sync_dir) if self.mode == "offline" else None
            content = dict(run.config).get(CONTENT, "")
            with self._errors_in_one_line():
                run.finish(exit_code=self._exit_code)
                if offline and content and self._exit_code == 0:
                    write_json(offline / _SHOWN, {CONTENT: content})

    def shows(self, run: RunInfo) -> bool:
        """Whether W&B, or an offline folder, holds exactly this content of a finished run.

        Raises:
            TrackingError: W&B cannot be asked.
        """
        if self.mode == "disabled" or in_agent():
            return False
        if self.mode == "offline":
            return any(
                read_json(found / _SHOWN)[CONTENT] == run.content
                for version in range(1, VERSIONS + 1)
                for found in _offline_runs(run, _versioned(run.id, version))
                if (found / _SHOWN).exists()
            )
        self._info = run
        return any(found.config.get(CONTENT) == run.content for found in self._remote(run.group, run.id))

    def rename(self, names: Mapping[str, str], experiment: str) -> int:
        """Give the runs of an experiment on the server the names that people call them; how many had others.

        Raises:
            TrackingError: W&B cannot be asked.
        """
        if self.mode != "online":
            return 0
        changed = 0
        for found in self._remote(experiment):
            name = names.get(found.config.get("id", ""))
            if name is not None and found.name != name:
                found.name = name
                found.save()
                changed += 1
        return changed

    def _free_ids(self, run: RunInfo) -> list[str]:
        """Ids to try in order; what another content of a finished run is in the way of is removed first."""
        if self.mode == "offline":
            return [self._free_offline(run)]
        versions = [_versioned(run.id, version) for version in range(1, VERSIONS + 1)]
        if run.live or in_agent():  # W&B gives an agent's run the id that the agent asked for
            return versions
        earlier = self._remote(run.group, run.id)
        for found in earlier:
            found.delete()
            self._known[run.group].remove(found)
        # The ids up to the newest of them are used up.
        used = [versions.index(found.id) + 1 for found in earlier if found.id in versions]
        return versions[max(used, default=0) :]

    def _free_offline(self, run: RunInfo) -> str:
        """An id under which `wandb sync` has sent nothing; files that it has not sent are made anew."""
        for version in range(1, VERSIONS + 1):
            wandb_id = _versioned(run.id, version)
            earlier = _offline_runs(run, wandb_id)
            if not any(list(found.glob("*.synced")) for found in earlier):
                for found in earlier:
                    shutil.rmtree(found)
                return wandb_id
        raise OSError(f"{VERSIONS} versions of it were synced; delete {run.folder.parent / 'wandb'}")

    def _remote(self, experiment: str, run_id: str | None = None) -> list[Any]:
        """The runs of an experiment on the server, or those that show one run; asked for once."""
        if experiment not in self._known:
            self._known[experiment] = self._asked(experiment)
        return [run for run in self._known[experiment] if run_id is None or run.config.get("id") == run_id]

    def _asked(self, experiment: str) -> list[Any]:
        with self._errors_in_one_line():
            wandb = _wandb()
            api = wandb.Api(timeout=30)
            path = f"{self.entity or api.default_entity}/{self.project}"
            try:
                return list(api.runs(path, filters={"config.experiment_name": experiment}, per_page=200))
            except ValueError:  # there is no such project yet
                return []

    def _alert(self, title: str, text: str) -> None:
        if self.alerts:
            assert self._info is not None
            self._run.alert(f"{self._info.name}: {title}", text or title)

    @contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        from wandb.errors import Error

        try:
            yield
        # A folder that cannot be written, a setting of the environment, a call that the server refuses.
        except (Error, OSError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            name, folder = (self._info.name, self._info.folder) if self._info else ("a run", "RUNS_DIR")
            raise TrackingError(
                f"W&B did not take {name} ({said}); the local files are whole: "
                f"`python -m mixsd push {folder} --mode {self.mode}` shows them later"
            ) from error


def in_agent() -> bool:
    """Whether an agent of `wandb sweep` started this process and waits for the numbers of one run."""
    return "WANDB_SWEEP_ID" in os.environ


def _versioned(run_id: str, version: int) -> str:
    """A W&B id of a run; a long one is cut, and told apart by a hash."""
    if len(run_id) > LONGEST_ID:
        run_id = f"{run_id[: LONGEST_ID - 17]}-{content_hash(run_id, size=8)}"
    return run_id if version == 1 else f"{run_id}-v{version}"


def _offline_runs(run: RunInfo, wandb_id: str) -> list[Path]:
    """Folders of offline runs with this id."""
    folder = Path(os.environ.get("WANDB_DIR") or run.folder.parent) / "wandb"
    return sorted(folder.glob(f"offline-run-{'?' * 8}_{'?' * 6}-{escape(wandb_id)}"))


def _wandb() -> Any:
    """The library, which is heavy and talks much beside our own lines."""
    os.environ.setdefault("WANDB_SILENT", "true")
    # Lists of files name where W&B laid copies of them: by default below the user's home, which has a name.
    os.environ.setdefault("WANDB_DATA_DIR", f"{tempfile.gettempdir()}/wandb-{os.getuid()}")
    import wandb

    return wandb


def _logged_in() -> bool:
    """Whether W&B finds a key here; nothing is sent."""
    wandb = _wandb()
    from wandb.errors import Error

    try:
        return wandb.login(prompt=False, verify=False)
    except (Error, ValueError) as error:  # ValueError: a setting of the environment, such as WANDB_BASE_URL
        said = " ".join(str(error).split())[:200]
        raise SettingError(f"tracking.mode=online: W&B cannot be used on this machine ({said})") from error
