"""Grids over options with different settings: a job gets a swept key only where its own options have it.

`-m method=sft,mixsd method.mixing_rate=0.1,0.3` runs `sft` once and `mixsd` twice. A key that no chosen
option has stays in every job, so that Hydra refuses it.
"""

import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig

Plugins.instance()  # loads Hydra's own plugins anew: a class of an earlier copy would be none of them
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

Jobs = list[list[str]]
LAUNCHERS = ("joblib.", "submitit.")
"""Packages whose errors come from a launcher, not from a job."""
LOST = ("TerminatedWorkerError", "UncompletedJobError")
"""Of them, those that say that a process was killed, most often for want of memory."""
SAID = 300


class GridSweeper(BasicSweeper):
    """Hydra's own sweeper, without the jobs that differ in nothing.

    Attributes:
        order: The jobs as they are to be started (None: as they are given).
    """

    order: ClassVar[Jobs | None] = None

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[Jobs]:
        """The jobs in batches; see `BasicSweeper`."""
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        jobs = GridSweeper.order or grid_jobs(overrides, hydra.config_loader)
        return list(BasicSweeper.split_overrides_to_chunks(jobs, max_batch_size))  # type: ignore[arg-type]

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs; where a launcher lost the process of one, that is told, and the sweep ends."""
        try:
            return super().sweep(arguments)
        except Exception as error:
            # Jobs tell of their own failures; what a launcher raises is most often the death of a process.
            kind = type(error)
            if not kind.__module__.startswith(LAUNCHERS):
                raise
            said = " ".join(str(error).split())[:SAID]
            what = "the process of a job was lost" if kind.__name__ in LOST else "the launcher gave up"
            print(f"{what} ({kind.__name__}: {said})", file=sys.stderr)
            return []


# Hydra takes plugins from packages below `hydra_plugins` alone; this one is registered under such a name.
GridSweeper.__module__ = "hydra_plugins.mixsd"


def register() -> None:
    """Let configs name `hydra_plugins.mixsd.GridSweeper`."""
    Plugins.instance().register(GridSweeper)
    # Hydra 1.3.8 looks a registered class up once more, by importing its name.
    if importlib.util.find_spec("hydra_plugins") is None:
        sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    sys.modules["hydra_plugins.mixsd"] = sys.modules[__name__]


def grid_jobs(overrides: list[Override], loader: ConfigLoader) -> Jobs:
    """The overrides of each job, each job once.

    Args:
        overrides: Those of the command line and of the sweep.
        loader: Knows the config groups and their options.
    """
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    groups = frozenset(loader.list_groups(""))
    known: dict[tuple[str, ...], DictConfig] = {}

    def config_of(job: Sequence[str]) -> DictConfig:
        """The config with the options that a job chooses, before any key of them is set."""
        chosen = tuple(override for override in job if override.partition("=")[0] in groups)
        if chosen not in known:
            known[chosen] = loader.load_configuration("config", list(chosen), RunMode.RUN)
        return known[chosen]

    somewhere = {key for job in jobs for key in map(_key, job) if _has(config_of(job), key)}
    kept = [
        [o for o in job if not _is_plain(o) or _key(o) not in somewhere or _has(config_of(job), _key(o))]
        for job in jobs
    ]
    return [list(job) for job in dict.fromkeys(map(tuple, kept))]


def _key(override: str) -> str:
    return override.partition("=")[0]


def _is_plain(override: str) -> bool:
    """Whether an override changes a key that must exist: `+key`, `++key` and `~key` need not."""
    return not override.startswith(("+", "~"))


def _has(config: DictConfig, key: str) -> bool:
    node = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or part not in node:
            return False
        # A missing value (`???`) is a setting all the same.
        node = node._get_node(part)  # type: ignore[assignment]
    return True
