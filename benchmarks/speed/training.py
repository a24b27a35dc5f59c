"""A training step of ours beside TRL's, at equal settings: SFT beside SFTTrainer, OPSD beside SDFTTrainer.

The same token ids on both sides, the same optimiser, no gradient checkpointing, bf16 autocast over float32
weights on both. For OPSD every answer is made as long as its budget on both sides, the teacher is the frozen
base model, and the divergence is KL(teacher || model) over the whole vocabulary. Seconds a step are taken
between the ends of successive steps; the first is left out.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from baselines.opsd import OPSD
from baselines.sft import SFT
from benchmarks.speed.common import load, release_memory
from benchmarks.tasks.kgfact.task import KGFact
from mixsd.core.errors import MixSDError
from mixsd.core.questions import Fact
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import gold_example
from mixsd.mixing.expert_prompt import wording
from mixsd.run.meter import Meter
from mixsd.run.settings import TrainingSettings
from mixsd.run.train import Evaluation, train
from mixsd.run.workbench import Bench, console

BATCH, ROLLOUTS, ROLLOUT_TOKENS = 16, 8, 24
WORDING = "answer"


class PeerMissingError(MixSDError, ImportError):
    """The software to compare with is not installed."""


def measure(
    model: Sequence[str], steps: int, repetitions: int, methods: Sequence[str]
) -> list[dict[str, Any]]:
    """One row per (method, side): target tokens per second, seconds a step, memory, medians with spread.

    Raises:
        PeerMissingError: TRL is not installed.
    """
    if find_spec("trl") is None:
        raise PeerMissingError("TRL is not installed; run: pip install -c constraints.txt -e '.[peers]'")
    ways: dict[tuple[str, str], Callable[[ChatModel, list[Fact], int], tuple[list[float], int]]] = {
        ("sft", "ours"): _our_sft,
        ("sft", "trl"): _trl_sft,
        ("opsd", "ours"): _our_opsd,
        ("opsd", "trl"): _trl_sdft,
    }
    ways = {key: way for key, way in ways.items() if key[0] in methods}
    facts = KGFact("speed").facts
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
    notes: dict[tuple[str, str], tuple[int, int]] = {}
    for number in range(repetitions):
        for key, way in ways.items():  # interleaved, so that a slow minute hits all of them
            release_memory()
            base = load(model)
            with Meter(base.network) as meter:
                taken, tokens = way(base, facts, steps)
            seconds[key] += taken
            notes[key] = tokens, meter.growth_bytes
            console.print(f"{' '.join(key)}, {number + 1}: {statistics.median(taken):.2f} s a step")
    rows = []
    for (method, side), taken in seconds.items():
        tokens, memory = notes[method, side]
        ours = statistics.median(seconds[method, "ours"])
        rows.append(
            {
                "method": method,
                "side": side,
                "tokens a step": tokens,
                "tokens/s": tokens / statistics.median(taken),
                "slowest": tokens / max(taken),
                "fastest": tokens / min(taken),
                "s a step": statistics.median(taken),
                "ours is faster by": statistics.median(taken) / ours,
                "peak GiB more": memory / 2**30,
            }
        )
    return rows


def _settings(batch_size: int, steps: int) -> TrainingSettings:
    """As TRL's side is set: a constant rate, no weight decay, nothing but steps."""
    return TrainingSettings(
        learning_rate=1e-5,
        warmup_steps=0,
        max_steps=steps,
        batch_size=batch_size,
        micro_batch_size=min(BATCH, batch_size * ROLLOUTS),
        weight_decay=0.0,
        eval_every=steps + 1,
        until_recall=None,
        checkpoint_every=None,
    )


def _our_sft(model: ChatModel, facts: list[Fact], steps: int) -> tuple[list[float], int]:
    examples = [gold_example(fact, model) for fact in facts[:BATCH]]
    settings = _settings(BATCH, steps)
    return _ours(SFT("sft"), model, examples, settings), sum(len(e.target_ids) for e in examples)


def _our_opsd(model: ChatModel, facts: list[Fact], steps: int) -> tuple[list[float], int]:
    prompts = BATCH // ROLLOUTS
    method = OPSD(
        "opsd",
        rollouts=ROLLOUTS,
        max_new_tokens=ROLLOUT_TOKENS,
        rollout_batch_size=BATCH,
        expert_wording=WORDING,
    )
    model.end_ids = frozenset()  # every answer is as long as its budget
    examples = method.prepare(facts[:prompts], model, Bench(Path(), {})).examples
    return _ours(method, model, examples, _settings(prompts, steps)), BATCH * ROLLOUT_TOKENS


def _ours(method: Any, model: ChatModel, examples: list[Example], settings: TrainingSettings) -> list[float]:
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        train(
            method,
            model,
            examples,
            settings,
            seed=0,
            scratch=Path(scratch),
            log=lambda _: None,
            evaluate=lambda *_: Evaluation(0.0),
            on_step=lambda _: ends.append(time.perf_counter()),
        )
    return _between(ends)


def _trl_sft(model: ChatModel, facts: list[Fact], steps: int) -> tuple[list[float], int]:
    from datasets import Dataset

    trl: Any = import_module("trl")

    examples = [gold_example(fact, model) for fact in facts[:BATCH]]
    rows = Dataset.from_list(
        [
            {
                "input_ids": [*e.prompt_ids, *e.target_ids],
                "completion_mask": [0] * len(e.prompt_ids) + [1] * len(e.target_ids),
            }
            for e in examples
        ]
    )
    with tempfile.TemporaryDirectory() as scratch:
        config = trl.SFTConfig(**_shared(scratch, steps), completion_only_loss=True, max_length=None)
        ends = _train_by(trl.SFTTrainer, model, config, rows)
    return _between(ends), sum(len(e.target_ids) for e in examples)


def _trl_sdft(model: ChatModel, facts: list[Fact], steps: int) -> tuple[list[float], int]:
    from datasets import Dataset

    sdft: Any = import_module("trl.experimental.sdft")

    rows = Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": fact.prompt}], "privileged_context": fact.gold_text}
            for fact in facts[: BATCH // ROLLOUTS]
        ]
    )
    template = wording(WORDING).template.replace("{gold}", "{privileged_context}")
    with tempfile.TemporaryDirectory() as scratch:
        config = sdft.SDFTConfig(
            **_shared(scratch, steps),
            num_generations=ROLLOUTS,
            max_completion_length=ROLLOUT_TOKENS,
            generation_kwargs={"min_new_tokens": ROLLOUT_TOKENS},
            teacher_model_kind="base",
            teacher_prompt_template=template,
            distillation_mode="full_logits",
            distillation_alpha=0.0,
            temperature=1.0,
        )
        ends = _train_by(sdft.SDFTTrainer, model, config, rows)
    return _between(ends), BATCH * ROLLOUT_TOKENS


def _train_by(trainer: Any, model: ChatModel, config: Any, rows: Any) -> list[float]:
    """Train with one of TRL's trainers; when each step ended."""
    watch = _Ends()
    trainer(
        model=model.network,
        args=config,
        train_dataset=rows,
        processing_class=model.tokenizer,
        callbacks=[watch],
    ).train()
    return watch.ends


def _shared(scratch: str, steps: int) -> dict[str, Any]:
    return {
        "output_dir": scratch,
        "max_steps": steps,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "adam_beta2": 0.95,
        "optim": "adamw_torch_fused",
        "bf16": True,
        "use_cpu": not torch.cuda.is_available(),
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_steps": 1000,
    }


class _Ends(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())


def _between(ends: list[float]) -> list[float]:
    return [end - start for start, end in pairwise(ends)]
