"""Jobs and sweeps: every job is checked before the first one starts, and the end says how each went.

Imported by Hydra before the command is known, so everything heavy is imported where it is used.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mixsd.core.errors import MixSDError

if TYPE_CHECKING:
    from mixsd.run.config import RunConfig


def run_job(config: DictConfig) -> str:
    """Run one experiment and say how it ended.

    A user's mistake prints one line and exits 2, a missed gate exits 3. In a sweep a failure of any kind is
    told and the next job goes on; the sweep's exit status tells that there was one.
    """
    from mixsd.results.gate import EXIT_STATUS
    from mixsd.run.config import read_config
    from mixsd.run.messages import describe_run
    from mixsd.run.stages import run_experiment

    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        run = read_config(config)
        outcome = run_experiment(run)
    except MixSDError as error:
        print(error, file=sys.stderr)
        if not in_sweep:
            sys.exit(2)
        return "failed"
    except Exception:
        if not in_sweep:
            raise
        traceback.print_exc()
        return "failed"
    print(describe_run(run.run_dir, outcome.state))
    for missed in outcome.missed:
        print(f"gate missed: {missed}; no model is kept", file=sys.stderr)
    if outcome.missed and not in_sweep:
        sys.exit(EXIT_STATUS)
    return outcome.state


class SweepCallback(Callback):
    """Checks all jobs of a sweep first and lists how they ended last."""

    def __init__(self) -> None:
        self._jobs: list[tuple[RunConfig, bool]] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check every job's config; nothing is run if one is wrong."""
        from mixsd.run.config import read_config
        from mixsd.run.messages import config_error
        from mixsd.run.stages import DONE

        problems = []
        for overrides in job_overrides(config):
            try:
                run = read_config(_compose(config, overrides))
            except Exception as error:  # noqa: BLE001 - Hydra would make a warning of it and start the jobs
                known = isinstance(error, MixSDError | HydraException)
                told = config_error(error) if known else f"{type(error).__name__}: {error}"
                problems.append(f"{' '.join(overrides)}: {told}")
                continue
            self._jobs.append((run, (run.run_dir / DONE).exists()))
        if problems:
            print("\n".join(problems), file=sys.stderr)
            sys.exit(2)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """List every run as done, skipped or failed; exit 1 if one failed, 3 if one missed its gate."""
        from mixsd.core.store import read_json
        from mixsd.results.gate import EXIT_STATUS, misses
        from mixsd.run.stages import DONE

        failed = missed = False
        print("\nsweep:")
        for run, was_done in self._jobs:
            done = (run.run_dir / DONE).exists()
            failed |= not done
            missed |= done and bool(misses(read_json(run.run_dir / "results.json"), run.gate))
            print(f"  {'skipped' if was_done else 'done' if done else 'failed':<8} {run.run_dir}")
        try:
            self._mirror()
        finally:  # Hydra makes a warning of what the mirror may raise; the exit status must not go with it
            if failed:
                print("Run the same command again to finish the failed ones.", file=sys.stderr)
                sys.exit(1)
            if missed:
                sys.exit(EXIT_STATUS)

    def _mirror(self) -> None:
        """One W&B run for each experiment of which this sweep finished a run."""
        from mixsd.run.stages import DONE
        from mixsd.trackers.wandb import mirror_sweep

        fresh = [run for run, was_done in self._jobs if not was_done and (run.run_dir / DONE).exists()]
        for folder, settings in {run.run_dir.parent: run.tracking for run in fresh}.items():
            mirror_sweep(folder, settings)


def job_overrides(config: DictConfig) -> Iterator[list[str]]:
    """The overrides of each job that Hydra's basic sweeper will start; one empty job for other sweepers."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    if "basic_sweeper" not in config.hydra.sweeper._target_:
        yield list(config.hydra.overrides.task)
        return
    parameters = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create({}))
    assert isinstance(parameters, dict)
    arguments = [f"{key}={value}" for key, value in parameters.items()]
    parsed = OverridesParser.create().parse_overrides([*arguments, *config.hydra.overrides.task])
    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        yield from batch


def _compose(config: DictConfig, overrides: list[str]) -> DictConfig:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    composed = hydra.config_loader.load_sweep_config(config, overrides)
    plain = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra")
    return OmegaConf.create(plain)
