"""Shared fixtures: a tiny random model for units, the embedded model where real language matters."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.tasks.kgfact.task import KGFact
from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.sources import ModelSettings
from mixsd.methods.contract import Method
from tests.helpers.commands import WarmProcess, WarmPython
from tests.helpers.fakes import MemoryRecords
from tests.helpers.training import build_method

ROOT = Path(__file__).parents[1]
hypothesis.settings.register_profile("same", derandomize=True)  # a run can be repeated
hypothesis.settings.load_profile("same")
torch.set_num_threads(1)  # two threads that spin on shared cores are ten times slower on a tiny model


SMALL_TASK = ("task.facts=4", "task.retrieval=8")
SMALL = (
    *SMALL_TASK, "model=tiny_random", "task.max_new_tokens=8", "training.max_steps=4",
    "training.eval_every=2", "training.batch_size=4", "training.micro_batch_size=4", "retention.limit=8",
    "retention.validation_limit=2",
)  # fmt: skip


def settings(name: str, **changes: Any) -> ModelSettings:
    values: dict[str, Any] = {
        "name": name,
        "answer_format": "plain",
        "expert_wording": "answer",
        "template_options": {},
        "scoring_dtype": "float32",
        "scoring_batch_size": 64,
    }
    return ModelSettings(**{**values, **changes})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that read the embedded model as slow, and begin with the files that have most slow tests.

    Where files are shared out among processes, none is then left alone with a long one.
    """
    for item in items:
        if "smollm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish() -> None:
    """Take what was imported out of the collector's sight.

    Every training collects garbage, and would look through all libraries for it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def tiny() -> ChatModel:
    """A fresh tiny model; tests may train it."""
    return models.load(settings("tiny_random"), Path("/nowhere"))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache when it is named (so that the model is converted once), else one of this session."""
    named = os.environ.get("MIXSD_CACHE_DIR")
    # Each of several test processes has a folder of its own in that of the session.
    own = tmp_path_factory.getbasetemp()
    return Path(named) if named else (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"


@pytest.fixture(scope="session")
def smollm(cache_dir: Path) -> ChatModel:
    """The embedded model; tests must not change its weights."""
    return models.load(settings("smollm2_135m"), cache_dir)


@pytest.fixture
def task() -> KGFact:
    """Six facts."""
    return KGFact("kgfact_small", 5, 10, 6, "plain", 24, 0)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """Compose the real config with overrides, without running anything."""
    return lambda *overrides: deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.fixture
def build(composed: Callable[..., DictConfig]) -> Callable[..., Method]:
    """Build the method of a config file, for the tiny model."""
    return lambda name, *overrides: build_method(composed, name, *overrides)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command of the project as a user does, with runs and cache in a temporary folder."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        variables = _variables(tmp_path, environment)
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """A process that has imported the libraries; commands run in forks of it."""
    python = WarmPython({**os.environ, "OMP_NUM_THREADS": "1"})
    yield python
    python.close()


@pytest.fixture
def warm_cli(warm_python: WarmPython, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As `cli`, without the seconds in which a new Python imports the libraries; each kind has a cold test."""
    return lambda *arguments, **environment: warm_python.run(
        arguments, ROOT, _variables(tmp_path, environment)
    )


@pytest.fixture
def warm_start(warm_python: WarmPython, tmp_path: Path) -> Callable[..., WarmProcess]:
    """As `warm_cli`, for a command that runs while the test goes on."""
    return lambda *arguments, **environment: warm_python.start(
        arguments, ROOT, _variables(tmp_path, environment)
    )


def _variables(tmp_path: Path, more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "MIXSD_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="session")
def sweep(tmp_path_factory, warm_python):
    """One real sweep over both methods, shared by the tests that read it, and a way to start it again."""
    folder = tmp_path_factory.mktemp("sweep")
    command = ["run.py", "-m", *SMALL, f"runs_dir={folder}/runs", "experiment_name=e", "method=sft,mixsd"]
    variables = _variables(folder, {})
    first = warm_python.run(command, ROOT, variables)
    assert first.returncode == 0, first.stderr
    return folder / "runs", first, lambda: warm_python.run(command, ROOT, variables)


def runs_of(folder: Path) -> dict[str, Path]:
    return {path.name.split("-")[1]: path for path in sorted(folder.glob("e/*")) if (path / "DONE").exists()}
