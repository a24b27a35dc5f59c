"""Jobs and sweeps: every job is checked before the first one starts, and the end says how each went.

Imported by Hydra before the command is known, so everything heavy is imported where it is used.
"""

import errno
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mixsd.core.errors import Interrupted, MixSDError, Terminated

UNMET = "done, gate not met"
"""How a job ended that did not meet its gate."""

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL = 1 << 20
"""Bytes; with less, a disk is full."""

if TYPE_CHECKING:
    from mixsd.run.config import RunConfig


def run_job(config: DictConfig) -> str:
    """Run one experiment and say how it ended.

    A user's mistake prints one line and exits 2, an unmet gate exits 3. In a sweep a failure of any kind is
    told and the next job goes on; the sweep's exit status tells that there was one.
    """
    from mixsd.results.gate import EXIT_STATUS
    from mixsd.run.config import read_config
    from mixsd.run.messages import describe_run
    from mixsd.run.stages import run_experiment

    _hear_sigterm()
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        run = read_config(config)
        outcome = run_experiment(run)
    except Interrupted as stopped:  # a whole sweep, too
        print(stopped, file=sys.stderr)
        by = signal.SIGTERM if isinstance(stopped.__cause__, Terminated) else signal.SIGINT
        sys.exit(128 + by)
    except Exception as error:
        said = _in_one_line(error, [Path(str(config[key])).expanduser() for key in ("runs_dir", "cache_dir")])
        if not (said or in_sweep):
            raise
        print(said or traceback.format_exc(), file=sys.stderr)
        # An exit in one job would end the whole sweep.
        if not in_sweep:
            sys.exit(2)
        return "failed"
    print(describe_run(run.run_dir, outcome.state))
    for condition in outcome.unmet:
        kept = "the model that was kept before stays" if outcome.model_kept else "no model is kept"
        print(f"gate not met: {condition}; {kept}", file=sys.stderr)
    if outcome.unmet and not in_sweep:
        sys.exit(EXIT_STATUS)
    return UNMET if outcome.unmet else outcome.state


def _hear_sigterm() -> None:
    """End as after Ctrl-C where a scheduler asks for it: what is done is written, and trackers are told."""

    def terminate(*_: object) -> None:
        raise Terminated

    # Elsewhere Python cannot hear signals, and whoever made the thread sees to it.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)


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


class SweepCallback(Callback):
    """Checks all jobs of a sweep first and lists how they ended last."""

    def __init__(self) -> None:
        self._jobs: list[tuple[RunConfig, bool]] = []
        self._ended: list[tuple[str, str]] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check every job's config; nothing is run if one is wrong."""
        problems: list[str] = []
        for overrides in _jobs_of(config):
            found = _checked(config, overrides)
            if isinstance(found, str):
                problems.append(f"{' '.join(overrides)}: {found}")
            else:
                # Asked now: at the end, a run done before looks like one done in this sweep.
                self._jobs.append((found, _is_done(found)))
        problems += _one_run_in_two_ways([run for run, _ in self._jobs])
        if problems:
            # An exception in a callback becomes a warning; only an exit stops the jobs.
            print("\n".join(problems), file=sys.stderr)
            sys.exit(2)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Remember how a job ended, for sweepers whose jobs are not known beforehand."""
        state = job_return._return_value if job_return.status is JobStatus.COMPLETED else "failed"
        self._ended.append((str(state), " ".join(job_return.overrides or [])))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """List every run as done, skipped or failed; exit 1 if one failed, 3 if one did not meet its gate."""
        from mixsd.results import schema
        from mixsd.results.gate import EXIT_STATUS, unmet

        failed = gate_unmet = False
        print("\nsweep:")
        for state, overrides in self._ended if not self._jobs else []:
            failed |= state == "failed"
            gate_unmet |= state == UNMET
            print(f"  {state:<8} {overrides}")
        for run, was_done in self._jobs:
            done = _is_done(run)
            failed |= not done
            gate_unmet |= done and bool(unmet(schema.load(run.run_dir), run.gate))
            print(f"  {'skipped' if was_done else 'done' if done else 'failed':<8} {run.run_dir}")
        try:
            self._mirror()
        finally:  # Hydra makes a warning of what the mirror may raise; the exit status must not go with it
            if failed:
                print("Run the same command again to finish the failed ones.", file=sys.stderr)
                sys.exit(1)
            if gate_unmet:
                sys.exit(EXIT_STATUS)

    def _mirror(self) -> None:
        """Show each experiment of which this sweep finished a run as a whole."""
        from mixsd.run.push import mirror_sweep

        fresh = [run for run, was_done in self._jobs if not was_done and _is_done(run)]
        for folder, tracker in {run.run_dir.parent: run.tracking for run in fresh}.items():
            try:
                mirror_sweep(folder, tracker)
            except MixSDError as error:  # the runs are whole without it
                print(error, file=sys.stderr)


def _is_done(run: "RunConfig") -> bool:
    from mixsd.run.layers import Layers

    return Layers(run.run_dir, run.identity, {}).is_done


def _checked(config: DictConfig, overrides: list[str]) -> "RunConfig | str":
    """A job's checked config, or what is wrong with it."""
    from mixsd.run.config import read_config
    from mixsd.run.messages import config_error

    try:
        return read_config(_compose(config, overrides))
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
    from mixsd.run.grid import grid_jobs

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
