"""Weights & Biases: a run while it goes on, or again from its files."""

import os
import re
import secrets
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
END_S, UPLOAD_S = 30.0, 600.0
"""Seconds that W&B is given at the end of a run, also of one that is stopped; more where weights go with it.
What has not arrived by then, `push` sends later."""
STAGE_S = 5.0
"""Seconds between two messages about how far a stage is."""
CONTENT = "results_hash"
"""The key, in a run's config, of the hash of what is shown."""
STATE = "wandb.json"
"""In a run's directory: under which id it is shown, and what an ended run shows."""
_GONE = "previously created and deleted"
_TRIES = 5
_LEGACY = {"dryrun": "offline", "run": "online", "": "offline"}
"""What W&B also takes for a mode."""
_LONGEST_TAG = 64


@dataclass
class WandB:
    """Shows runs in Weights & Biases.

    W&B gets settings, numbers and, where `log_text` is on, answers and targets. It gets no path, no command
    line and no console output, because these name files.

    The id of a run is drawn once and kept in its directory (`wandb.json`), so nobody else's run has it. A
    run that resumes goes on where it was: points that W&B has are not sent again, since each has a W&B step
    of its own, twice the optimiser's. A finished run that is shown again with other content is made anew
    under the next version of its id, and the earlier one is deleted then; W&B gives an id only once.

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
    _replaced: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    _told: tuple[str, float] = field(default=("", 0.0), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.mode = _LEGACY.get(self.mode, self.mode)
        self.project, self.entity = self.project or "mixsd-bench", self.entity or None  # set, but empty
        one_of("tracking.mode", self.mode, MODES)
        named("project", self.project)
        named("entity", self.entity)
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
            state = self._next_state(run)
            for _ in range(_TRIES):
                try:
                    self._run = self._init(run, _versioned(state))
                    break
                except Exception as error:
                    if _GONE not in str(error):
                        raise
                    state["version"] += 1
            if self._run is None:
                raise OSError(f"{_TRIES} versions of it were deleted there")
            write_json(_state_file(run), {**state, "online": state["online"] or self.mode == "online"})
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
            tags=_tags([*run.tags, *self.tags, *os.environ.get("WANDB_TAGS", "").split(",")]),
            notes="\n".join(filter(None, (self.notes, os.environ.get("WANDB_NOTES"), run.notes))),
            # `method_name`: in an agent's run W&B keeps the agent's own `method`, which is a word.
            config={**run.config, "id": run.id, "method_name": run.job_type},
            # A resumed run has a config already, and this one may hold a newer commit.
            allow_val_change=True,
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                console="off",  # the console names files
                # So do the command, the checkout and its remote; what made the run stands in the config.
                x_disable_meta=True,
                disable_git=True,
                program="run.py",
                host="-",
                x_disable_stats=not run.live,  # of this process, not of the one that trained
                x_stats_coreweave_metadata_base_url="http://127.0.0.1",  # asks no cloud where it runs
                # A server that does not answer may hold a run up for so long, and no longer.
                init_timeout=30,
                finish_timeout=UPLOAD_S if self.log_model else END_S,
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
                spec, fields = self._spec(chart)
                drawn = wandb.plot_table(spec, wandb.Table(dataframe=frame), fields, {"title": chart.name})
                self._run.log({chart.name: drawn})

    def _spec(self, chart: Chart) -> tuple[str, dict[str, str]]:
        """A chart's spec on the server, which gets it first, and its fields; else W&B's own scatter plot."""
        plain = "wandb/scatter/v0", {"x": chart.x, "y": chart.y}
        if self.mode != "online":
            return plain
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
                print(
                    f"W&B did not take the chart of {chart.name}; a plain one stands for it", file=sys.stderr
                )
                return plain
        return f"{entity}/{name}", dict(chart.fields)

    def files(self, name: str, kind: str, paths: Sequence[Path]) -> None:
        """Keep files as an artifact that this run has made.

        Raises:
            TrackingError: W&B does not take it.
        """
        if self._run is None or (kind == "model" and not self.log_model):
            return
        with self._errors_in_one_line():
            wandb = _wandb()

            artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name)[-LONGEST_NAME:], kind)
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
                # A run that failed before may stand there.
                done = {"stage": "done", "progress": 1.0, "failed": 0, "error": ""}
                self._run.summary.update({**results, **done})
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
        if run is None or not self._info:
            return
        content, file = dict(run.config).get(CONTENT, ""), _state_file(self._info)
        with self._errors_in_one_line():
            run.finish(exit_code=self._exit_code)
            if content and self._exit_code == 0 and file.exists():
                write_json(file, {**read_json(file), CONTENT: content, "mode": self.mode})
                for earlier in self._replaced:
                    earlier.delete()
                    self._known[self._info.group].remove(earlier)
            self._replaced = []

    def shows(self, run: RunInfo) -> bool:
        """Whether W&B, or an offline folder, holds exactly this content of a finished run.

        Raises:
            TrackingError: W&B cannot be asked.
        """
        if self.mode == "disabled" or in_agent():
            return False
        self._info, file = run, _state_file(run)
        state = read_json(file) if file.exists() else {}
        if state.get(CONTENT) != run.content:
            return False
        if self.mode == "offline":
            return bool(_offline_runs(run, _versioned(state)))
        # What its history lost on the way, the hash cannot tell: then it did not end there either.
        there = [found for found in self._remote(run.group) if found.id == _versioned(state)]
        return any(f.state == "finished" and f.config.get(CONTENT) == run.content for f in there)

    def rename(self, names: Mapping[str, str], experiment: str) -> int:
        """Give the runs of an experiment on the server the names that people call them; how many had others.

        Raises:
            TrackingError: W&B cannot be asked.
        """
        if self.mode != "online":
            return 0
        changed = 0
        with self._errors_in_one_line():
            for found in self._remote(experiment):
                name = names.get(found.config.get("id", ""))
                if name is not None and found.name != name and found.state != "running":
                    found.name = name
                    found.save()
                    changed += 1
        return changed

    def _next_state(self, run: RunInfo) -> dict[str, Any]:
        """Under which id to show a run now; other content of a finished run goes under the next version."""
        file = _state_file(run)
        before = read_json(file) if file.exists() else {"token": secrets.token_hex(4), "version": 1}
        state = {"id": run.id, "token": before["token"], "version": before["version"]}
        state["online"] = before.get("online", False)
        if in_agent():  # W&B gives its run the id that the agent asked for
            return state
        if self.mode == "offline":
            earlier = _offline_runs(run, _versioned(state))
            # What the server has, `wandb sync` would append to; what it has not, is made anew.
            if state["online"] or any(list(found.glob("*.synced")) for found in earlier):
                return {**state, "version": state["version"] + 1, "online": False}
            for found in earlier:
                shutil.rmtree(found)
        elif not run.live:
            ids = {_versioned({**state, "version": n}) for n in range(1, state["version"] + 1)}
            # Deleted once the new one is there; never what somebody is writing to.
            there = [found for found in self._remote(run.group) if found.id in ids]
            self._replaced = [found for found in there if found.state != "running"]
            if there:
                return {**state, "version": state["version"] + 1}
        return state

    def _remote(self, experiment: str) -> list[Any]:
        """The runs of an experiment on the server; asked for once."""
        if experiment not in self._known:
            self._known[experiment] = self._asked(experiment)
        return self._known[experiment]

    def _asked(self, experiment: str) -> list[Any]:
        with self._errors_in_one_line():
            wandb = _wandb()
            api = wandb.Api(timeout=30)
            path = f"{self.entity or api.default_entity}/{self.project}"
            try:
                # Not lazily: each run's config would be asked for alone.
                asked = {"config.experiment_name": experiment}
                return list(api.runs(path, filters=asked, per_page=200, lazy=False))
            except ValueError:  # there is no such project yet
                return []

    def _alert(self, title: str, text: str) -> None:
        if self.alerts:
            assert self._info is not None
            self._run.alert(f"{self._info.name}: {title}", text or title)

    @contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        try:
            yield
        # A folder that cannot be written, a setting of the environment, a call that the server refuses: the
        # client's errors have no common base.
        except Exception as error:
            if isinstance(error, TrackingError):
                raise
            said = " ".join(str(error).split())[:200]
            name, folder = (self._info.name, self._info.folder) if self._info else ("a run", "RUNS_DIR")
            raise TrackingError(
                f"W&B did not take {name} ({said}); the local files are whole: "
                f"`python -m mixsd push {folder} --mode {self.mode}` shows them later"
            ) from error


def named(key: str, name: str | None) -> None:
    """See that W&B can take a name.

    Raises:
        SettingError: It cannot.
    """
    if name is not None and (not name or len(name) > LONGEST_NAME or set(name) & set(_NO_NAME)):
        hint = "tracking.entity=<team> tracking.project=<name>" if "/" in name else "another name"
        raise SettingError(
            f"tracking.{key}={name} is no name for W&B (at most {LONGEST_NAME} characters, none of "
            f"{_NO_NAME}); give {hint}"
        )


def in_agent() -> bool:
    """Whether an agent of `wandb sweep` started this process and waits for the numbers of one run."""
    return "WANDB_SWEEP_ID" in os.environ


def _state_file(run: RunInfo) -> Path:
    """Where it stands under which id a run is shown; an experiment as a whole has no directory of its own."""
    folder = run.folder
    return folder / STATE if folder.is_dir() else folder.with_name(f"{folder.name}-{STATE}")


def _versioned(state: Mapping[str, Any]) -> str:
    """A W&B id: the run's own, as far as there is room, the token that no other run has, and the version."""
    version = "" if state["version"] == 1 else f"-v{state['version']}"
    end = f"-{state['token']}{version}"
    return f"{state['id'][: LONGEST_ID - len(end)]}{end}"


def _tags(words: Sequence[str]) -> list[str]:
    """Tags as W&B takes them."""
    return list(dict.fromkeys(word.strip()[:_LONGEST_TAG] for word in words if word.strip()))


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
    # W&B looks for no key where the environment says offline, although another mode was asked for.
    mode = os.environ.pop("WANDB_MODE", None)
    wandb = _wandb()
    from wandb.errors import Error

    try:
        return wandb.login(prompt=False, verify=False)
    except (Error, ValueError) as error:  # ValueError: a setting of the environment, such as WANDB_BASE_URL
        said = " ".join(str(error).split())[:200]
        raise SettingError(f"tracking.mode=online: W&B cannot be used on this machine ({said})") from error
    finally:
        if mode is not None:
            os.environ["WANDB_MODE"] = mode
