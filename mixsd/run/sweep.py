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

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from mixsd.core.errors import MixSDError
from mixsd.run.grid import GridSweeper, grid_jobs
from mixsd.run.job import FAILED, UNMET, job_of, share_machine, side_by_side
from mixsd.run.lease import visible_gpus

OVERHEAD = 0.02
"""The share of a sweep's time that writing reports meanwhile may take."""

WIDTH = 200
"""Columns of tables that go to a file or a pipe."""
REPORT_S = 3.0
"""What a report takes, about."""

OmegaConf.register_new_resolver("visible_gpus", lambda: max(1, len(visible_gpus())), replace=True)

if TYPE_CHECKING:
    from mixsd.run.config import RunConfig
    from mixsd.run.plan import Job, Plan


class SweepCallback(Callback):
    """Says what a sweep is going to do, checks all jobs first, and tells how they went.

    A launcher hands a copy of it to each of its processes; so what is told there is read from the run
    directories.
    """

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._configs: list[RunConfig] = []
        self._ended: list[tuple[str, str]] = []
        self._reported = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Tasks and trackers stay here: other processes read the plan alone.
        return {**vars(self), "_configs": []}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check every job's config; nothing is run if one is wrong, or if all are done."""
        from mixsd.run import sweep_file
        from mixsd.run.plan import Plan

        with _exits_only():
            arguments = sys.argv[1:]
            jobs = _jobs_of(config)
            before = _done_before(config, arguments) if jobs else None
            if before:
                print(f"{before.told()}: nothing has changed since")
                self._list([(job, "skipped") for job in before.jobs])
                sys.exit(0)
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
            if not found:
                return
            self._plan = plan = Plan(found, side_by_side(config.hydra))
            print(plan.told())
            if config.dry_run:
                self._list([(job, "done" if job.was_done else "to run") for job in plan.jobs])
                sys.exit(0)
            sweep_file.write(arguments, plan.jobs, _inputs(self._configs))
            _forget_failures(plan)
            if plan.side_by_side > 1:
                GridSweeper.order = [list(job.overrides) for job in plan.in_turn()]
            self._reported = time.monotonic()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Tell how far the sweep is, and write the report where it is time for one."""
        from mixsd.run.plan import progress

        returned = job_return._return_value
        state = returned.state if job_return.status is JobStatus.COMPLETED else FAILED
        self._ended.append((state, " ".join(job_return.overrides or [])))
        if self._plan is None or config.dry_run:
            return
        print(progress(self._plan), flush=True)
        if config.sweep.report and state in ("done", UNMET):
            self._report_in_time(self._plan)

    def _report_in_time(self, plan: "Plan") -> None:
        """Write the report, unless reports took too much of the time since the last one."""
        began = time.monotonic()
        waited, self._reported = began - self._reported, began
        if waited < REPORT_S / OVERHEAD:
            self._reported -= waited
            return
        with contextlib.suppress(MixSDError, OSError):  # the last one tells
            _write_reports(plan, quiet=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """List every run as done, skipped or failed; exit 1 if one failed, 3 if one did not meet its gate."""
        from mixsd.results import schema
        from mixsd.results.gate import EXIT_STATUS, unmet

        failed = gate_unmet = False
        if self._plan is None:
            failed = any(state == FAILED for state, _ in self._ended)
            gate_unmet = any(state == UNMET for state, _ in self._ended)
            print("\nsweep:")
            for state, overrides in self._ended:
                print(f"  {state:<8} {overrides}")
        else:
            states = [
                (job, "skipped" if job.was_done else "done" if job.is_done else FAILED)
                for job in self._plan.jobs
            ]
            failed = any(state == FAILED for _, state in states)
            gate_unmet = any(
                job.is_done and bool(unmet(schema.load(job.run_dir), run.gate))
                for job, run in zip(self._plan.jobs, self._configs, strict=True)
            )
            if config.sweep.report:
                _told(lambda plan=self._plan: _write_reports(plan, quiet=False))
            self._list(states)
            self._mirror(self._plan)
        if failed:
            print("Run the same command again to finish the failed ones.", file=sys.stderr)
            sys.exit(1)
        if gate_unmet:
            sys.exit(EXIT_STATUS)

    def _list(self, states: "Sequence[tuple[Job, str]]") -> None:
        from mixsd.run.state import LOG

        print("\nsweep:")
        for job, state in states:
            log = job.run_dir / LOG
            print(
                f"  {state:<8} {job.run_dir}" + (f" (see {log})" if state == FAILED and log.exists() else "")
            )

    def _mirror(self, plan: "Plan") -> None:
        """Show each experiment of which this sweep finished a run as a whole."""
        from mixsd.run.push import mirror_sweep

        jobs = zip(plan.jobs, self._configs, strict=True)
        fresh = [run for job, run in jobs if not job.was_done and job.is_done]
        for folder, tracker in {run.run_dir.parent: run.tracking for run in fresh}.items():
            _told(lambda folder=folder, tracker=tracker: mirror_sweep(folder, tracker))


def _told(step: Callable[[], Any]) -> None:
    """What fails here is told and no more: the runs are whole without it."""
    try:
        step()
    except (MixSDError, OSError) as error:
        print(error, file=sys.stderr)


@contextlib.contextmanager
def _exits_only() -> Iterator[None]:
    """End the process after any error: Hydra would make a warning of it, and start the jobs."""
    try:
        yield
    except (MixSDError, HydraException) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - told in full
        traceback.print_exc()
        sys.exit(1)


def _write_reports(plan: "Plan", quiet: bool) -> None:
    """Write the report of each experiment of a sweep that has a finished run."""
    from rich.console import Console

    from mixsd.results.report import write_report

    for folder in dict.fromkeys(job.run_dir.parent for job in plan.jobs if job.is_done):
        write_report(folder, Console(quiet=quiet, width=None if sys.stdout.isatty() else WIDTH))


def _done_before(config: DictConfig, arguments: Sequence[str]) -> "Plan | None":
    """The sweep's plan where it was finished before and nothing has changed; told without torch."""
    from mixsd.run import sweep_file

    try:
        folder = Path(str(config.runs_dir)).expanduser() / str(config.experiment_name)
        return sweep_file.done_before(folder, arguments)
    except MixSDError:  # a broken record is told where it is to be written
        return None


def _inputs(runs: "Sequence[RunConfig]") -> list[str] | None:
    from mixsd.lm.sources import BUNDLED
    from mixsd.run import sweep_file

    found = [sweep_file.inputs_of(run.resolved, BUNDLED) for run in runs]
    return None if None in found else sorted({path for paths in found for path in paths or ()})


def _forget_failures(plan: "Plan") -> None:
    """Jobs that failed before wait again: from now on, a failure is one of this sweep."""
    from mixsd.core.store import write_json
    from mixsd.run.state import FAILED as RUN_FAILED
    from mixsd.run.state import STATUS, WAITING, state_of

    for job in plan.to_run:
        if state_of(job.run_dir).state == RUN_FAILED:
            write_json(job.run_dir / STATUS, {"run_id": job.run_dir.name, "state": WAITING})


def _checked(config: DictConfig, overrides: list[str]) -> "RunConfig | str":
    """A job's checked config, or what is wrong with it."""
    from mixsd.run.config import read_config
    from mixsd.run.messages import config_error

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
