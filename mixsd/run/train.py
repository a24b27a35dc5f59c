"""One trainer for every method, on `transformers.Trainer`.

Weights stay in float32; the forward pass runs under autocast when `training.dtype` is bfloat16. Batches
come from a schedule fixed in advance, so the same facts come in the same order for every method. Training
that was interrupted goes on from its last complete checkpoint, to the same weights bit for bit on a CPU.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from mixsd.core.draws import shuffled
from mixsd.core.errors import SettingError
from mixsd.core.store import read_json
from mixsd.lm.batches import STUDENT, Batch, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import ChoosesExamples, GradientMethod, HasState, Step, reads_base
from mixsd.results.schema import TrainingReport
from mixsd.run.checkpoints import COMPLETE, complete, last_checkpoint, restore_method
from mixsd.run.settings import TrainingSettings


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation during training saw; `stop` says why the training ends there, or ''."""

    recall: float
    stop: str = ""


def schedule(examples: Sequence[Example], settings: TrainingSettings, seed: int) -> list[Example]:
    """The examples of all steps in order, `max_steps * batch_size` of them.

    Each pass over the facts is shuffled by (seed, pass) and the fact ids alone, so a method that
    dropped facts sees the others in the order everybody sees them.
    """
    by_fact = {example.fact_id: example for example in examples if not example.extra}
    needed = settings.max_steps * settings.batch_size
    planned: list[Example] = []
    epoch = 0
    while len(planned) < needed:
        planned += [by_fact[fact_id] for fact_id in shuffled(by_fact, "order", seed, epoch)]
        epoch += 1
    return planned[:needed]


def average_loss(losses: Tensor, batch: Batch, how: str, tokens: int, sequences: int) -> Tensor:
    """A micro-batch's part of the loss of the whole batch; the parts add up to the mean.

    Args:
        losses: (N,) loss per target token.
        batch: The micro-batch.
        how: `token` or `sequence`.
        tokens: Target tokens of the whole batch.
        sequences: Examples of the whole batch.
    """
    if how == "token":
        return losses.sum() / max(tokens, 1)
    lengths = batch.is_predictor.sum(dim=1)
    return (losses / lengths[batch.target_rows]).sum() / sequences


def train(
    method: GradientMethod,
    model: ChatModel,
    examples: Sequence[Example],
    settings: TrainingSettings,
    *,
    seed: int,
    scratch: Path,
    log: Callable[[dict[str, Any]], None],
    evaluate: Callable[[int, TrainingReport], Evaluation],
    on_step: Callable[[int], None] = lambda _: None,
    passes: Callable[[], int] = lambda: 0,
) -> TrainingReport:
    """Train the student's model in place, from the last complete checkpoint in `scratch` if there is one.

    Args:
        method: Gives the loss of each target token.
        model: Its model is trained; the base model when this begins, also when going on.
        examples: What to train on; with none, or with no steps, nothing happens.
        settings: Shared by all methods.
        seed: Draws the order, and LoRA's first weights.
        scratch: A folder the trainer may write to.
        log: Gets one record a step: step, loss, learning_rate, grad_norm, trained_tokens.
        evaluate: (step, report so far) -> what was seen; called every `eval_every` steps and at the end.
        on_step: Called after each step with the steps made since the last call, for progress.
        passes: How often this process has run a model for the training, the first evaluation included.

    Raises:
        SettingError: Started as one of several processes, or the loss is no number any more.
    """
    report = TrainingReport()
    if not any(not example.extra for example in examples) or settings.max_steps == 0:
        report.stopped_by = "nothing to train"
        return report
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingError("WORLD_SIZE is above 1; a run trains in one process: start it without a launcher")
    resume = last_checkpoint(scratch)
    if resume:
        report = TrainingReport(**read_json(resume / COMPLETE))
        on_step(report.steps)
    start, earlier = time.perf_counter() - report.seconds, report.forward_passes

    def count() -> None:
        report.seconds = time.perf_counter() - start
        report.forward_passes = earlier + passes()

    if settings.lora:
        _add_adapter(model, settings, seed)
    else:
        model.network.requires_grad_(True)
    if reads_base(method):
        model.keep_base_copy(settings.dtype)
    if resume:
        restore_method(resume, method, model)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=settings.max_steps,
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
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.checkpoint_every else "no",
        save_steps=settings.checkpoint_every or 1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=model.device.type == "cpu",
    )
    trainer = _Trainer(method, model, settings, arguments, examples, report)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Watch(trainer, settings, report, count, log, evaluate, on_step))
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if settings.lora:
        model.network = model.network.merge_and_unload()
    model.drop_base_copy()
    if isinstance(method, HasState):
        method.release()
    model.network.eval()
    count()
    return report


def _add_adapter(model: ChatModel, settings: TrainingSettings, seed: int) -> None:
    """Put LoRA adapters on the model, whose own weights stay as they are."""
    from peft import LoraConfig, get_peft_model  # heavy, and only needed here

    config = LoraConfig(
        r=settings.lora,  # type: ignore[arg-type]
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.network = get_peft_model(model.network, config)


class _Plan(Dataset[list[Example]]):
    """What the schedule gives to each step."""

    def __init__(self, planned: Sequence[Example], batch_size: int) -> None:
        self._planned, self._batch_size = planned, batch_size

    def __len__(self) -> int:
        return len(self._planned) // self._batch_size

    def __getitem__(self, step: int) -> list[Example]:
        return list(self._planned[step * self._batch_size : (step + 1) * self._batch_size])


class _Trainer(Trainer):
    """Steps in schedule order, per-token losses from the method, one way of averaging."""

    def __init__(
        self,
        method: GradientMethod,
        model: ChatModel,
        settings: TrainingSettings,
        arguments: TrainingArguments,
        examples: Sequence[Example],
        report: TrainingReport,
    ) -> None:
        plan = _Plan(schedule(examples, settings, arguments.seed), settings.batch_size)
        super().__init__(model=model.network, args=arguments, train_dataset=plan)
        self.method, self._student, self._settings, self._report = method, model, settings, report
        self._extras = [example for example in examples if example.extra]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One item a step."""
        assert self.train_dataset is not None
        return DataLoader(self.train_dataset, batch_size=1, collate_fn=lambda items: {"scheduled": items[0]})  # type: ignore[arg-type]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: a method may run the model any number of times in a step."""
        return 0

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Gradients of one optimiser step, micro-batch by micro-batch (decision 10)."""
        examples = self._choose(inputs["scheduled"])
        model.train()
        tokens = sum(example.trained_tokens for example in examples)
        self._report.trained_tokens += tokens
        size = self._settings.micro_batch_size
        if len(examples) > size:  # rows of one prompt and of like length together
            examples = sorted(examples, key=lambda e: (len(e.prompt_ids), e.prompt_ids, len(e.target_ids)))
        total = torch.zeros((), device=self._student.device)
        for start in range(0, len(examples), size):
            batch = self._student.collate(examples[start : start + size])
            if not len(batch.target_ids):
                continue
            with self._autocast():
                losses = self.method.loss(batch, self._student).total
            part = average_loss(losses, batch, self._settings.loss_average, tokens, len(examples))
            self.accelerator.backward(part)
            total += part.detach()
        return total

    def _choose(self, scheduled: Sequence[Example]) -> list[Example]:
        if not isinstance(self.method, ChoosesExamples):
            return list(scheduled)
        step = Step(self.state.global_step, scheduled, self._extras)
        self._student.network.eval()
        with self._autocast():
            chosen = self.method.step_examples(step, self._student)
        written = (len(example.target_ids) for example in chosen if set(example.provenance) == {STUDENT})
        self._report.generated_tokens += sum(written)
        return chosen

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._student.device.type, torch.bfloat16, enabled=self._settings.dtype == "bfloat16"
        )


class _Watch(TrainerCallback):
    """Writes the curve, evaluates on schedule, stops where the training should end, completes checkpoints."""

    def __init__(
        self,
        trainer: _Trainer,
        settings: TrainingSettings,
        report: TrainingReport,
        count: Callable[[], None],
        log: Callable[[dict[str, Any]], None],
        evaluate: Callable[[int, TrainingReport], Evaluation],
        on_step: Callable[[int], None],
    ) -> None:
        self._trainer, self._settings, self._report, self._count = trainer, settings, report, count
        self._log, self._evaluate, self._on_step = log, evaluate, on_step

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:
            curve = {key: float(logs[key]) for key in ("loss", "learning_rate", "grad_norm")}
            if not math.isfinite(curve["loss"]) or not math.isfinite(curve["grad_norm"]):
                raise SettingError(
                    f"the training diverged at step {state.global_step} (loss {curve['loss']}); "
                    f"lower training.learning_rate={self._settings.learning_rate}"
                )
            self._log({"step": state.global_step, **curve, "trained_tokens": self._report.trained_tokens})

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = self._report.steps = state.global_step
        self._on_step(1)
        if step % self._settings.eval_every == 0 or step == self._settings.max_steps:
            model: Any = self._trainer.model
            model.eval()
            seen = self._evaluate(step, self._report)
            self._report.recall = seen.recall
            if seen.stop:
                self._report.stopped_by = seen.stop
                control.should_training_stop = True

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._count()
        complete(
            Path(args.output_dir) / f"checkpoint-{state.global_step}",
            self._trainer.method,
            asdict(self._report),
        )
