"""Makers for tests that train: settings, examples, fresh models, and a method prepared and trained."""

import atexit
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from baselines.sft import SFT
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.load import load
from mixsd.lm.sources import ModelSettings
from mixsd.methods.contract import EditsToo, GradientMethod, Method, gold_example
from mixsd.results.schema import TrainingReport
from mixsd.run.preparation import read_examples, write_examples
from mixsd.run.settings import TrainingSettings
from mixsd.run.train import Evaluation, train
from tests.helpers.fakes import FakeTask, MemoryBench

ROOT = Path(__file__).parents[2]
END = 2
TASK = FakeTask(2)
"""What methods are shown in conformance tests."""

QUICK: dict[str, Any] = {
    "learning_rate": 3e-3,
    "warmup_steps": 0,
    "max_steps": 4,
    "batch_size": 4,
    "micro_batch_size": 4,
    "weight_decay": 0.0,
    "dtype": "float32",
    "eval_every": 100,
    "until_recall": None,
    "checkpoint_every": None,
}
"""Training settings under which the tiny model learns two facts in a second."""

OVERRIDES = {
    # A random model never ends its replies, so what it writes is kept although it is wrong.
    "mixsd": ["method.on_failure=keep_last"],
    "context_distillation": ["method.on_failure=keep_last"],
    "stm": ["method.threshold=270"],
    "self_replay": ["method.max_new_tokens=6", "method.replays=2"],
    "opsd": ["method.rollouts=3"],
    "composed": [
        "method.train.on_failure=keep_last",
        *(
            f"method.edit.{setting}"
            for setting in ("layers=[0]", "lookup=prompt_end", "steps=3", "moment_tokens=400")
        ),
        f"method.edit.corpus={ROOT}/mixsd/methods/general_prompts.txt",
    ],
    **{
        name: [
            f"method.layers={layers}",
            "method.lookup=prompt_end",
            "method.steps=3",
            "method.moment_tokens=400",
            f"method.corpus={ROOT}/mixsd/methods/general_prompts.txt",
        ]
        for name, layers in (("memit", [0, 1]), ("emmet", [0, 1]), ("rome", [1]), ("alphaedit", [0]))
    },
}
"""What a method needs beyond its config file to have something to train on with a random model."""


def make(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{**QUICK, **changes})


def example(prompt: int, target: int, fact_id: str = "f") -> Example:
    """An example of so many prompt and target tokens; the last one is `END`."""
    ids = tuple(range(10, 10 + prompt)), (*range(50, 50 + target - 1), END)
    return Example(fact_id, ids[0], ids[1], "g" * target, "")


def fresh() -> ChatModel:
    """The tiny random model with its first weights."""
    return load(ModelSettings("tiny_random", scoring_dtype="float32"), Path("/nowhere"))


def gold(model: ChatModel, count: int = 2) -> list[Example]:
    return [gold_example(fact, model) for fact in FakeTask(count).facts]


def weights(model: ChatModel) -> Tensor:
    """All weights in one row."""
    return torch.cat([parameter.detach().flatten() for parameter in model.network.parameters()])


def fit_sft(
    model: ChatModel,
    settings: TrainingSettings,
    scratch: Path,
    examples: list[Example] | None = None,
    evaluate: Callable[[int, TrainingReport], Evaluation] = lambda *_: Evaluation(0.0),
    seed: int = 0,
    **more: Any,
) -> tuple[TrainingReport, list[dict[str, Any]]]:
    """Train on gold texts; the report and the curve."""
    curve: list[dict[str, Any]] = []
    report = train(
        SFT("sft"),
        model,
        gold(model) if examples is None else examples,
        settings,
        seed=seed,
        scratch=scratch,
        log=curve.append,
        evaluate=evaluate,
        **more,
    )
    return report, curve


def fit(
    method: GradientMethod,
    folder: Path,
    model: ChatModel | None = None,
    die_at: int | None = None,
    evaluate: Callable[[int, TrainingReport], Evaluation] = lambda *_: Evaluation(0.0),
    **changes: Any,
) -> tuple[ChatModel, TrainingReport, list[dict[str, Any]]]:
    """Prepare a method on `TASK` and train; optionally die after a step, as a killed process does."""
    model = model or fresh()
    folder.mkdir(exist_ok=True)
    listed = folder / "examples.jsonl"
    if not listed.exists():
        made = method.prepare(TASK.facts, model, MemoryBench())
        write_examples(listed, made.examples, model)
    steps = 0
    curve: list[dict[str, Any]] = []

    def on_step(count: int) -> None:
        nonlocal steps
        steps += count
        if steps == die_at:
            raise KeyboardInterrupt

    report = train(
        method,
        model,
        read_examples(listed),
        make(**changes),
        seed=0,
        scratch=folder / "trainer",
        log=curve.append,
        evaluate=evaluate,
        on_step=on_step,
        fisher=lambda: {n: torch.ones_like(w) for n, w in model.network.named_parameters()},
        start=lambda: (
            method.start(TASK.facts, model, MemoryBench()) if isinstance(method, EditsToo) else None
        ),
    )
    return model, report, curve


@cache
def saved_model() -> Path:
    """A folder that holds a trained tiny model, for settings that must name one."""
    folder = Path(mkdtemp(prefix="mixsd-saved-"))
    atexit.register(shutil.rmtree, folder)
    model = fresh()
    with torch.no_grad():
        model.network.lm_head.weight[0, 0] += 1
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def build_method(composed: Callable[..., DictConfig], name: str, *more: str) -> Method:
    """The method of a config file, for the tiny model in float32; folders that must be named hold a model."""
    from mixsd.run.config import read_config

    node = OmegaConf.load(ROOT / f"conf/method/{name}.yaml")
    missing = [f"method.{key}={saved_model()}" for key in node if OmegaConf.is_missing(node, key)]
    overrides = [f"method={name}", "model=tiny_random", "training.dtype=float32", *OVERRIDES.get(name, [])]
    return read_config(
        composed(*overrides, *missing, "task.max_new_tokens=12", "retention=none", *more)
    ).method
