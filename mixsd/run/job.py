"""One job: a run, told to its user and to its sweep.

Everything heavy is imported where it is used: before torch, a job takes its GPU.
"""

import errno
import math
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mixsd.core.errors import HelperLost, Interrupted, MixSDError, Terminated
from mixsd.run import signals
from mixsd.run.ended import FAILED, NOT_RUN, UNMET, Ended
from mixsd.run.lease import take_gpus
from mixsd.run.software import cores

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL = 1 << 20
"""Bytes; with less, a disk is full."""

sweep_so_far: list[Ended] = []
"""The sweep that this process runs a job of; set before each job, since a launcher may have started it."""

if TYPE_CHECKING:
    from mixsd.run.config import RunConfig
    from mixsd.run.plan import Job
    from mixsd.run.stages import RunOutcome


class JobFailed(RuntimeError):
    """Tells an optimiser that a job gave no numbers; why is told already."""


def search_without_numbers(error: Exception) -> str:
    """What ended an optimiser's search whose trials failed, in one line; '' for any other error."""
    ended = [job.state for sweep in sweep_so_far for job in sweep.jobs()]
    failed = ended.count(FAILED)
    # Of Optuna, which would name the best of them.
    none_is_best = failed == len(ended) and "No trials are completed" in str(error)
    if not failed or not (isinstance(error, JobFailed) or none_is_best):
        return ""
    return f"the search ends: {failed} of {len(ended)} trials failed, for the reasons told above"


class Returned(list[float]):
    """What a job returns to a sweeper: its objectives, and how it ended.

    One objective is a number of its own, too: optimisers of one ask for `float(returned)`.
    """

    state: str = ""
    run_dir: str = ""

    def __float__(self) -> float:
        (only,) = self
        return only


def run_job(config: DictConfig) -> Returned:
    """Run one experiment and say how it ended.

    A user's mistake prints one line and exits 2, an unmet gate exits 3. In a sweep a failure of any kind is
    told and the next job goes on; the sweep's exit status tells that there was one.

    Raises:
        JobFailed: In a sweep whose sweeper goes by what jobs return.
    """
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    share_machine(config, HydraConfig.get())
    # Before torch is imported: CUDA starts on what is visible then.
    too_few: MixSDError | None = None
    try:
        take_gpus(_devices(config))
    except MixSDError as error:
        too_few = error  # told as any other mistake of this job
    from mixsd.results.gate import EXIT_STATUS
    from mixsd.run.config import read_config
    from mixsd.run.messages import describe_run
    from mixsd.run.workbench import console

    # Lines of jobs side by side would tell nobody whose they are; each has its own log.
    console.quiet = in_sweep and side_by_side(HydraConfig.get()) > 1
    signals.hear()
    try:
        run = read_config(config)
        if too_few:
            raise too_few
        if config.dry_run:
            return _returned(run, _tell_plan(run))
        if run.sweep.fail_fast and any(sweep.any_failed for sweep in sweep_so_far):
            print(f"{run.run_id} is not run: another job failed (sweep.fail_fast)", file=sys.stderr)
            return _returned(run, NOT_RUN)
        outcome = _try(run)
    except Interrupted as stopped:  # a whole sweep, too
        print(stopped, file=sys.stderr)
        cause = stopped.__cause__
        by = cause.args[0] if isinstance(cause, Terminated) and cause.args else signal.SIGINT
        if in_sweep and side_by_side(HydraConfig.get()) > 1:
            # joblib's processes would take an exit for a result, and wait for the next job.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(128 + by)
        sys.exit(128 + by)
    except Exception as error:
        said = _in_one_line(error, [Path(str(config[key])).expanduser() for key in ("runs_dir", "cache_dir")])
        if not (said or in_sweep):
            raise
        print(said or traceback.format_exc(), file=sys.stderr)
        # An exit in one job would end the whole sweep.
        if not in_sweep:
            sys.exit(2)
        if _asks_for_numbers(HydraConfig.get()):
            raise JobFailed(said or f"{type(error).__name__}: {error}") from None
        return _nothing(FAILED)
    print(describe_run(run.run_dir, outcome.state))
    for condition in outcome.unmet:
        kept = "the model that was kept before stays" if outcome.model_kept else "no model is kept"
        print(f"gate not met: {condition}; {kept}", file=sys.stderr)
    if outcome.unmet and not in_sweep:
        sys.exit(EXIT_STATUS)
    returned = _returned(run, UNMET if outcome.unmet else outcome.state)
    if in_sweep and _asks_for_numbers(HydraConfig.get()):
        _see_that_there_are_numbers(run, returned)
    return returned


def _see_that_there_are_numbers(run: "RunConfig", returned: Returned) -> None:
    """An optimiser takes no NaN, and a zero would be a lie."""
    missing = [name for name, value in zip(run.sweep.objectives, returned, strict=True) if math.isnan(value)]
    if missing:
        said = f"{run.run_id} has no {', '.join(missing)} for the optimiser; see sweep.objectives"
        print(said, file=sys.stderr)
        raise JobFailed(said)


def _try(run: "RunConfig") -> "RunOutcome":
    """Run it, and try again after a crash as often as is asked for."""
    from mixsd.run.stages import run_experiment

    for left in range(run.sweep.retries, -1, -1):
        try:
            return run_experiment(run)
        except Exception as error:
            # What the user has to mend would only fail again; a helper process that was killed need not.
            is_told = _in_one_line(error, [run.run_dir.parent, run.cache_dir])
            if not left or (is_told and not isinstance(error, HelperLost)):
                raise
            print(
                f"{run.run_id} crashed ({type(error).__name__}: {' '.join(str(error).split())[:200]}); "
                f"tried again, {left - 1} more after that",
                file=sys.stderr,
            )
    raise AssertionError  # the last try returns or raises


def _returned(run: "RunConfig", state: str) -> Returned:
    """The objectives of a run, as its last evaluation has them; not a number where it has none."""
    from mixsd.core.store import read_jsonl
    from mixsd.results.schema import TRAJECTORY

    path = run.run_dir / TRAJECTORY
    points = read_jsonl(path) if path.exists() else []
    last = points[-1] if points else {}
    values = [last.get(name) for name in run.sweep.objectives]
    found = Returned(math.nan if value is None else float(value) for value in values)
    found.state, found.run_dir = state, str(run.run_dir)
    return found


def _nothing(state: str) -> Returned:
    found = Returned([math.nan])
    found.state = state
    return found


def _asks_for_numbers(hydra: Any) -> bool:
    """Whether the sweeper goes by what jobs return; to it, a failure must be one."""
    return not str(hydra.sweeper._target_).endswith(("GridSweeper", "BasicSweeper"))


def share_machine(config: DictConfig, hydra: Any) -> None:
    """Give each process its share of the cores, where several run at once and nothing else is set.

    Args:
        config: The job's; `threads` is written into it.
        hydra: The node `hydra` of the config.
    """
    count = side_by_side(hydra) * _devices(config)
    if count > 1 and config.get("threads", 1) is None:
        config.threads = max(1, cores() // count)


def _devices(config: DictConfig) -> int:
    """Processes of a job; a wrong number is told where the config is checked."""
    devices = config.get("devices")
    return devices if isinstance(devices, int) and devices > 0 else 1


def side_by_side(hydra: Any) -> int:
    """How many jobs of a sweep run at once on this machine.

    Args:
        hydra: The node `hydra` of a config.
    """
    jobs = hydra.launcher.get("n_jobs") or 1
    return cores() if jobs < 0 else int(jobs)


def _tell_plan(run: "RunConfig") -> str:
    """Say what one run would do."""
    from mixsd.run.plan import Plan
    from mixsd.run.state import state_of

    plan = Plan([job_of((), run)])
    print(f"dry run; {plan.told()}\n  {state_of(run.run_dir).state:<12} {run.run_dir}")
    return NOT_RUN


def _in_one_line(error: Exception, folders: Sequence[Path]) -> str:
    """What a user is told of an error that is theirs to mend; '' for one that is ours.

    Args:
        error: What ended a run.
        folders: Where it writes; on a full disk, libraries raise errors of many kinds.
    """
    if isinstance(error, MixSDError):
        return str(error)
    full = [folder for folder in folders if folder.exists() and shutil.disk_usage(folder).free < FULL]
    if full or (isinstance(error, OSError) and error.errno in _DISK):
        where = ", ".join(map(str, full or folders))
        said = " ".join(str(error).split())[:120]
        return f"no space left at {where} ({said}); make room and give the same command again"
    return ""


def job_of(overrides: Sequence[str], run: "RunConfig") -> "Job":
    """A job as a plan has it.

    Args:
        overrides: What it sets.
        run: Its checked config.
    """
    from mixsd.core.store import content_hash
    from mixsd.run.plan import Job
    from mixsd.run.state import is_done

    measured = content_hash(run.identity.measured)
    prepared = run.identity.prepared
    base = content_hash([run.model_fingerprint, prepared["seed"], prepared["task"]])
    # Asked now: at the end, a run done before looks like one done in this sweep.
    was_done = is_done(run.run_dir, measured)
    return Job(tuple(overrides), run.run_dir, measured, was_done, base, content_hash(prepared))
