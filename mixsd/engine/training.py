"""One trainer for every method, on `transformers.Trainer`.

Weights stay in float32; the forward pass runs under autocast when `training.dtype` is bfloat16. Batches
come from a schedule fixed in advance, so the same facts come in the same order for every method.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from mixsd.draws import shuffled
from mixsd.errors import SettingError, at_least, one_of, within
from mixsd.method import DTYPES, Batch, Example, Method, Student, collate

AVERAGES = ("token", "sequence")


@dataclass(frozen=True)
class TrainingSettings:
    """How every method is trained.

    Attributes:
        learning_rate: Constant after warm-up.
        warmup_steps: Linear warm-up.
        max_steps: Ceiling of optimiser steps; 0 trains nothing.
        batch_size: Examples per optimiser step, in one process.
        micro_batch_size: Examples per forward pass.
        weight_decay: AdamW.
        betas: AdamW.
        clip: Gradient norm ceiling.
        dtype: `bfloat16` autocast over float32 weights, or `float32`.
        loss_average: `token`: mean over the batch's target tokens; `sequence`: mean of example means.
        eval_every: Steps between evaluations of recall (the fixed schedule of decision 2).
        until_recall: Stop at the first evaluation with this recall over all facts (None: never).
        save_model: Keep the trained weights in the run directory.
    """

    learning_rate: float
    warmup_steps: int
    max_steps: int
    batch_size: int
    micro_batch_size: int
    weight_decay: float
    betas: tuple[float, float]
    clip: float
    dtype: str
    loss_average: str
    eval_every: int
    until_recall: float | None
    save_model: bool

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise SettingError(
                f"training.learning_rate={self.learning_rate} is out of range; allowed: above 0"
            )
        if not 0 < self.clip < math.inf or not self.learning_rate < math.inf:
            raise SettingError("training.clip and training.learning_rate must be finite and above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SettingError(f"training.betas={self.betas} is out of range; allowed: two numbers in [0, 1)")
        at_least("training.warmup_steps", self.warmup_steps, 0)
        at_least("training.max_steps", self.max_steps, 0)
        at_least("training.micro_batch_size", self.micro_batch_size, 1)
        at_least("training.weight_decay", self.weight_decay, 0)
        at_least("training.eval_every", self.eval_every, 1)
        one_of("training.dtype", self.dtype, DTYPES)
        one_of("training.loss_average", self.loss_average, AVERAGES)
        if self.until_recall is not None:
            within("training.until_recall", self.until_recall, 0, 1)
        if self.batch_size < 1 or self.batch_size % self.micro_batch_size:
            raise SettingError(
                f"training.batch_size={self.batch_size} must be a positive multiple of "
                f"training.micro_batch_size={self.micro_batch_size}"
            )


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation during training saw; `stop` ends the training."""

    recall: float
    stop: bool


@dataclass
class TrainingReport:
    """What the training did: steps, target tokens trained on, why it stopped, last recall."""

    steps: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    stopped_by: str = "max_steps"
    recall: float | None = None


def schedule(examples: Sequence[Example], settings: TrainingSettings, seed: int) -> list[Example]:
    """The examples of all steps in order, `max_steps * batch_size` of them.

    Each pass over the facts is shuffled by (seed, pass) and the fact ids alone, so a method that
    dropped facts sees the others in the order everybody sees them.
    """
    by_fact = {example.fact_id: example for example in examples}
    needed = settings.max_steps * settings.batch_size
    planned: list[Example] = []
    epoch = 0
    while len(planned) < needed:
        planned += [by_fact[fact_id] for fact_id in shuffled(by_fact, "order", seed, epoch)]
        epoch += 1
    return planned[:needed]


def average_loss(losses: Tensor, batch: Batch, how: str, tokens: Tensor | int, sequences: int) -> Tensor:
    """A micro-batch's part of the loss of the whole batch; the parts add up to the mean.

    Args:
        losses: (N,) loss per target token.
        batch: The micro-batch.
        how: `token` or `sequence`.
        tokens: Target tokens of the whole batch.
        sequences: Examples of the whole batch.
    """
    if how == "token":
        return losses.sum() / tokens
    lengths = batch.is_predictor.sum(dim=1)
    return (losses / lengths[batch.target_rows]).sum() / sequences


def train(
    method: Method,
    student: Student,
    examples: Sequence[Example],
    settings: TrainingSettings,
    *,
    seed: int,
    scratch: Path,
    log: Callable[[dict[str, Any]], None],
    evaluate: Callable[[int, int], Evaluation],
    on_step: Callable[[], None] = lambda: None,
) -> TrainingReport:
    """Train the student's model in place.

    Args:
        method: Gives the loss of each target token.
        student: Its model is trained.
        examples: What to train on; with none, or with no steps, nothing happens.
        settings: Shared by all methods.
        seed: Draws the order.
        scratch: A folder the trainer may write to.
        log: Gets one record a step: step, loss, learning_rate, grad_norm, trained_tokens.
        evaluate: (step, trained tokens) -> what was seen; called every `eval_every` steps and at the end.
        on_step: Called after each step, for progress.
    """
    report = TrainingReport()
    if not examples or settings.max_steps == 0:
        report.stopped_by = "nothing to train"
        return report
    start = time.perf_counter()
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        max_grad_norm=settings.clip,
        optim="adamw_torch_fused",
        seed=seed,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=student.device.type == "cpu",
        dataloader_pin_memory=student.device.type == "cuda",
    )
    trainer = _Trainer(method, student, settings, arguments, schedule(examples, settings, seed))
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Watch(trainer, settings, report, log, evaluate, on_step))
    student.model.requires_grad_(True)
    trainer.train()
    student.model.eval()
    report.seconds = time.perf_counter() - start
    return report


class _Schedule(Dataset[Example]):
    def __init__(self, planned: Sequence[Example]) -> None:
        self._planned = planned

    def __len__(self) -> int:
        return len(self._planned)

    def __getitem__(self, index: int) -> Example:
        return self._planned[index]


class _Trainer(Trainer):
    """Batches in schedule order, per-token losses from the method, one way of averaging."""

    def __init__(
        self,
        method: Method,
        student: Student,
        settings: TrainingSettings,
        arguments: TrainingArguments,
        planned: Sequence[Example],
    ) -> None:
        def collate_features(examples: list[Example]) -> dict[str, Tensor]:
            batch = collate(examples, pad_id=student.end_id)
            # The trainer counts the target tokens of a whole step by these two.
            return {**vars(batch), "labels": batch.target_ids, "shift_labels": batch.target_ids}

        super().__init__(
            model=student.model,
            args=arguments,
            train_dataset=_Schedule(planned),
            data_collator=collate_features,
        )
        # The loss is divided by the tokens of the whole step already; the trainer must not divide again.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self._method, self._student, self._settings = method, student, settings
        self.trained_tokens = 0

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """The method's per-token losses, averaged over the global batch (decision 10)."""
        fields = {key: value for key, value in inputs.items() if key not in ("labels", "shift_labels")}
        batch = Batch(**fields)
        self.trained_tokens += len(batch.target_ids)
        half = self._settings.dtype == "bfloat16"
        with (
            _reading(self._student, model),
            torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=half),
        ):
            losses = self._method.loss(batch, self._student)
        assert num_items_in_batch is not None
        return average_loss(
            losses, batch, self._settings.loss_average, num_items_in_batch, self._settings.batch_size
        )


@contextmanager
def _reading(student: Student, wrapped: Any) -> Iterator[None]:
    """Let the student compute through the trainer's wrapper, which gathers shards and gradients."""
    inner, student.model = student.model, wrapped
    try:
        yield
    finally:
        student.model = inner


class _Watch(TrainerCallback):
    """Writes the curve, evaluates on schedule, and stops at the wanted recall."""

    def __init__(
        self,
        trainer: _Trainer,
        settings: TrainingSettings,
        report: TrainingReport,
        log: Callable[[dict[str, Any]], None],
        evaluate: Callable[[int, int], Evaluation],
        on_step: Callable[[], None],
    ) -> None:
        self._trainer, self._settings, self._report = trainer, settings, report
        self._log, self._evaluate, self._on_step = log, evaluate, on_step

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:
            curve = {key: float(logs[key]) for key in ("loss", "learning_rate", "grad_norm")}
            self._log({"step": state.global_step, **curve, "trained_tokens": self._trainer.trained_tokens})

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = state.global_step
        self._report.steps, self._report.trained_tokens = step, self._trainer.trained_tokens
        self._on_step()
        if step % self._settings.eval_every == 0 or step == self._settings.max_steps:
            model: Any = self._trainer.model
            model.eval()
            seen = self._evaluate(step, self._trainer.trained_tokens)
            model.train()
            self._report.recall = seen.recall
            if seen.stop:
                self._report.stopped_by = "until_recall"
                control.should_training_stop = True
