"""Sweeps: every job is checked before the first one starts, and the end says how each went.

Imported by Hydra before the command is known, so everything heavy is imported where it is used.
"""

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from mixsd.core.errors import MixSDError, SettingError
from mixsd.run import job, signals, sweep_file
from mixsd.run.ended import FAILED, UNMET, WHOLE, Ended, EndedJob
from mixsd.run.grid import GridSweeper, grid_jobs
from mixsd.run.job import job_of, share_machine, side_by_side
from mixsd.run.lease import visible_gpus
from mixsd.run.messages import CONF, config_error

OVERHEAD = 0.02
"""The share of a sweep's time that writing reports meanwhile may take."""

WIDTH = 200
"""Columns of tables that go to a file or a pipe."""
REPORT_S = 3.0
"""What a report of 24 runs takes, about."""
PAGE = "report.html"

OmegaConf.register_new_resolver("visible_gpus", lambda: max(1, len(visible_gpus())), replace=True)

if TYPE_CHECKING:
    from mixsd.run.config import RunConfig
    from mixsd.run.plan import Job, Plan


class SweepCallback(Callback):
    """Says what a sweep is going to do, checks all jobs first, and tells how they went.

    A launcher hands a copy of it to each of its processes; what happens there is written down in `_ended`.
    """

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._configs: list[RunConfig] = []
        self._ended: Ended | None = None
        self._runs: list[BaseFileLock] = []

    def __getstate__(self) -> dict[str, Any]:
        # Tasks, trackers and locks stay here: other processes read the plan alone.
        return {**vars(self), "_configs": [], "_runs": []}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check every job's config; nothing is run if one is wrong, or if all are done."""
        from mixsd.run.plan import Plan

        with _exits_only():
            _see_that_more_is_better(config)
            jobs = _jobs_of(config)
            before = _done_before(config, sys.argv[1:]) if jobs else None
            if before:
                print(f"{before.told()}: nothing has changed since")
                self._list([(job.run_dir, "skipped") for job in before.jobs])
                sys.exit(0)
            found = self._checked(config, jobs)
            # Of this sweep alone, and below a folder that all its processes see.
            self._ended = Ended(Path(str(config.hydra.sweep.dir)) / f"{uuid4().hex}.jsonl")
            job.sweep_so_far[:] = [self._ended]
            if not found and config.dry_run:
                raise SettingError(
                    "dry_run=true has no plan to show: this sweeper chooses jobs as it goes on; leave it out"
                )
            if not found:
                return
            self._plan = plan = Plan(found, side_by_side(config.hydra))
            print(plan.told(), flush=True)
            if config.dry_run:
                self._list([(job.run_dir, "done" if job.was_done else "to run") for job in plan.jobs])
                sys.exit(0)
            sweep_file.write(sys.argv[1:], plan.jobs, _inputs(config, self._configs))
            self._runs = sweep_file.mark_as_running(job.run_dir.parent for job in plan.jobs)
            if plan.side_by_side > 1:
                GridSweeper.order = [list(job.overrides) for job in plan.in_turn()]
                signals.hear(first=signals.end_children)

    def _checked(self, config: DictConfig, jobs: Sequence[list[str]]) -> "list[Job]":
        """The jobs with their configs read; all mistakes are told at once, and end the sweep."""
        problems: list[str] = []
        found: list[Job] = []
        for overrides in jobs:
            checked = _checked(config, overrides)
            if isinstance(checked, str):
                problems.append(f"{' '.join(overrides)}: {checked}")
            else:
                self._configs.append(checked)
                found.append(job_of(overrides, checked))
        problems += _one_run_in_two_ways(self._configs)
        if problems:
            print("\n".join(problems), file=sys.stderr)
            sys.exit(2)
        return found

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell the job of its sweep, also in a process that a launcher started."""
        job.sweep_so_far[:] = [self._ended] if self._ended else []
        if self._plan is not None and self._plan.side_by_side > 1:
            signals.end_with_parent()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write down how a job ended, tell how far the sweep is, and write the report where it is time."""
        from mixsd.run.plan import progress

        returned = job_return._return_value
        overrides = list(job_return.overrides or [])
        ended = EndedJob(overrides, FAILED)
        if job_return.status is JobStatus.COMPLETED:
            ended = EndedJob(overrides, returned.state, returned.run_dir)
        if self._ended is None or config.dry_run:
            return
        self._ended.add(ended)
        if self._plan is not None:
            print(progress(self._plan, self._ended.jobs()), flush=True)
        if config.sweep.report and ended.state in ("done", UNMET):
            _report_in_time(Path(ended.run_dir).parent)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """List every run as done, skipped or failed; exit 1 if one failed, 3 if one did not meet its gate."""
        with _exits_only():
            states = self._states()
            folders = list(dict.fromkeys(run_dir.parent for run_dir, state in states if state in WHOLE))
            self._list(states)
            if config.sweep.report:
                for folder in folders:
                    _told(lambda folder=folder: _write_report(folder, quiet=False))
            self._mirror(states)
            status = _status([state for _, state in states])
            if self._plan is not None:
                _told(lambda: sweep_file.mark_as_ended(folders, sys.argv[1:], status))
            if self._ended:
                self._ended.forget()
            if status == 1:
                print("Run the same command again to finish those that are not done.", file=sys.stderr)
            if status:
                sys.exit(status)

    def _states(self) -> list[tuple[Path, str]]:
        """Each job's run, where it really is, and how it went."""
        ended = self._ended.jobs() if self._ended else []
        if self._plan is None:
            return [(Path(one.run_dir or " ".join(one.overrides)), one.state) for one in ended]
        by_job = {tuple(one.overrides): one for one in ended}
        states: list[tuple[Path, str]] = []
        for planned in self._plan.jobs:
            # A job without an end was left out by its launcher, or its process was killed.
            one = by_job.get(planned.overrides) or EndedJob([], _without_an_end(planned))
            # On another machine, with other arithmetic, it may be another run than was planned.
            states.append((Path(one.run_dir) if one.run_dir else planned.run_dir, one.state))
        return states

    def _list(self, states: Sequence[tuple[Path, str]]) -> None:
        from mixsd.run.state import LOG

        print("\nsweep:")
        for run_dir, state in states:
            log = run_dir / LOG
            seen = f" (see {log})" if state == FAILED and log.exists() else ""
            print(f"  {state:<8} {run_dir}{seen}")

    def _mirror(self, states: Sequence[tuple[Path, str]]) -> None:
        """Show each experiment of which this sweep finished a run as a whole."""
        from mixsd.run.push import mirror_sweep

        jobs = zip(states, self._configs, strict=False)
        fresh = {run_dir.parent: run.tracking for (run_dir, state), run in jobs if state in ("done", UNMET)}
        for folder, tracker in fresh.items():
            _told(lambda folder=folder, tracker=tracker: mirror_sweep(folder, tracker))


def _without_an_end(planned: "Job") -> str:
    """How a job is that did not tell its end; one of a cluster may go on when its sweep is over."""
    from mixsd.run.state import KILLED, RUNNING, state_of

    if planned.is_done:
        return "done"
    state = state_of(planned.run_dir).state
    return state if state in (RUNNING, KILLED) else FAILED


def _status(states: Sequence[str]) -> int:
    """A sweep's exit status."""
    from mixsd.results.gate import EXIT_STATUS

    if set(states) - set(WHOLE):
        return 1
    return EXIT_STATUS if UNMET in states else 0


def _see_that_more_is_better(config: DictConfig) -> None:
    """Refuse an optimiser that would look for the least recall: that is what Optuna's does unasked.

    Raises:
        SettingError: It minimises.
    """
    direction = config.hydra.sweeper.get("direction")
    if direction is not None and "minimize" in str(direction).lower():
        raise SettingError(
            f"hydra.sweeper.direction={direction} looks for the least recall and retention; "
            "give maximize, once for each of sweep.objectives"
        )


def _told(step: Callable[[], Any]) -> None:
    """What fails here is told and no more: the runs are whole without it."""
    try:
        step()
    except Exception as error:  # noqa: BLE001 - the states of the jobs are still to be told
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)


@contextlib.contextmanager
def _exits_only() -> Iterator[None]:
    """End the process after any error: Hydra would make a warning of it, and start the jobs."""
    try:
        yield
    except (MixSDError, HydraException) as error:
        print(config_error(error), file=sys.stderr)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - told in full
        traceback.print_exc()
        sys.exit(1)


def _report_in_time(folder: Path) -> None:
    """Write an experiment's report, unless reports took too much of the time, or another job writes it."""
    page, runs = folder / PAGE, len(list(folder.glob("*/DONE")))
    last = page if page.exists() else folder / sweep_file.FILE
    takes = REPORT_S * max(1.0, runs / 24)
    if not last.exists() or time.time() - last.stat().st_mtime < takes / OVERHEAD:
        return
    with contextlib.suppress(MixSDError, OSError, Timeout), FileLock(folder / ".report.lock", timeout=0):
        _write_report(folder, quiet=True)


def _write_report(folder: Path, quiet: bool) -> None:
    """Write an experiment's report, and print it where that is wanted."""
    from rich.console import Console

    from mixsd.results.report import write_report

    write_report(folder, Console(quiet=quiet, width=None if sys.stdout.isatty() else WIDTH))


def _done_before(config: DictConfig, arguments: Sequence[str]) -> "Plan | None":
    """The sweep's plan where it was finished before and nothing has changed; told without torch."""
    try:
        folder = Path(str(config.runs_dir)).expanduser() / str(config.experiment_name)
        return sweep_file.done_before(folder, arguments)
    except MixSDError:  # a broken record is told where it is to be written
        return None


def _inputs(config: DictConfig, runs: "Sequence[RunConfig]") -> list[str] | None:
    """Files and folders that a sweep reads beside this project's own (None: not all can be told)."""
    from mixsd.lm.sources import BUNDLED

    places = [source.path for source in config.hydra.runtime.config_sources if source.schema == "file"]
    # Configs of another folder may take anything from the environment, as an override may.
    if [Path(place) for place in places] != [CONF] or any("oc." in word for word in sys.argv):
        return None
    found = [sweep_file.inputs_of(run.resolved, BUNDLED) for run in runs]
    return None if None in found else sorted({path for paths in found for path in paths or ()})


def _checked(config: DictConfig, overrides: list[str]) -> "RunConfig | str":
    """A job's checked config, or what is wrong with it."""
    from mixsd.run.config import read_config

    try:
        composed = _compose(config, overrides)
        share_machine(composed, config.hydra)
        return read_config(composed)
    except (MixSDError, HydraException) as error:
        return config_error(error)
    except Exception as error:  # noqa: BLE001 - Hydra would make a warning of it and start the jobs
        return f"{type(error).__name__}: {error}"


def _one_run_in_two_ways(runs: list["RunConfig"]) -> list[str]:
    """Jobs that share a run directory but differ in how the model is measured: each would replace the other's
    results."""
    first: dict[Path, RunConfig] = {}
    problems = []
    for run in runs:
        known = first.setdefault(run.run_dir, run)
        if known.identity.measured != run.identity.measured or known.gate != run.gate:
            problems.append(
                f"{run.run_id}: two jobs train alike and differ only in how the model is measured; "
                "give each its own experiment_name, or its own command"
            )
    return list(dict.fromkeys(problems))


def _jobs_of(config: DictConfig) -> list[list[str]]:
    """The overrides of each job that our sweeper will start; other sweepers choose theirs as they go."""
    if not str(config.hydra.sweeper._target_).endswith("GridSweeper"):
        return []
    parameters = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create({}))
    assert isinstance(parameters, dict)
    arguments = [f"{key}={value}" for key, value in parameters.items()]
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    return grid_jobs(parser.parse_overrides([*arguments, *config.hydra.overrides.task]), hydra.config_loader)


def _compose(config: DictConfig, overrides: list[str]) -> DictConfig:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    composed = hydra.config_loader.load_sweep_config(config, overrides)
    plain = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(plain, dict)
    # `run.py` gets its config without this node too, and our check would refuse it.
    plain.pop("hydra")
    return OmegaConf.create(plain)
