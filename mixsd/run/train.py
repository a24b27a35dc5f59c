"""One trainer for every method, on `transformers.Trainer`.

Weights stay in float32; the forward pass runs under autocast when `training.dtype` is bfloat16. Batches
come from a schedule fixed in advance, so the same facts come in the same order for every method. A training
that was interrupted resumes from its last complete checkpoint, to the same weights bit for bit on a CPU.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from mixsd.core.draws import shuffled
from mixsd.core.errors import Diverged
from mixsd.core.store import read_json
from mixsd.lm.batches import STUDENT, Batch, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import ChoosesExamples, GradientMethod, HasState, Step, reads_base
from mixsd.results.schema import TrainingReport
from mixsd.run import signals
from mixsd.run.adapters import add_adapters
from mixsd.run.checkpoints import COMPLETE, complete, last_checkpoint, restore_method
from mixsd.run.penalty import ElasticWeights
from mixsd.run.settings import EWC, TrainingSettings
from mixsd.run.trainable import named

MAX_STEPS, NOTHING = "max_steps", "nothing to train"
"""What ends a training, beside the reasons that an evaluation gives."""


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation during training saw.

    Attributes:
        recall: Over all facts.
        stop: Why the training ends here, or ''.
    """

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


def warmed_up(step: int, warmup_steps: int) -> float:
    """The share of the learning rate at a step (from 0): linear, and above 0 from the first step on."""
    return min(1.0, (step + 1) / (warmup_steps + 1))


def average_loss(losses: Tensor, batch: Batch, how: str, tokens: int, sequences: int) -> Tensor:
    """A micro-batch's share of the loss of the whole batch; the shares add up to the mean.

    Args:
        losses: (N,) loss per target token.
        batch: The micro-batch.
        how: `token` or `sequence`.
        tokens: Trained target tokens of the whole batch.
        sequences: Examples of the whole batch.
    """
    if how == "token":
        return losses.sum() / max(tokens, 1)  # every token of a step may be masked
    # Examples weigh alike here, however long they are (decision 10).
    lengths = batch.is_predictor.sum(dim=1)
    return (losses / lengths[batch.target_rows]).sum() / sequences


def nothing_to_train(examples: Sequence[Example], settings: TrainingSettings) -> bool:
    """Whether a training would end before its first step: no fact among the examples, or no steps."""
    return all(example.extra for example in examples) or settings.max_steps == 0


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
    fisher: Callable[[], Mapping[str, Tensor]] = dict,
    start: Callable[[], None] = lambda: None,
) -> TrainingReport:
    """Train a model in place, from the last complete checkpoint in `scratch` if there is one.

    Args:
        method: Gives the loss of each target token.
        model: Must hold the base weights, also when resuming: the checkpoint is loaded on top. LoRA adapters
            are merged into it at the end.
        examples: What to train on; with no fact among them, or with no steps, nothing happens.
        settings: Shared by all methods.
        seed: Draws the order, and LoRA's first weights.
        scratch: A folder the trainer may write to.
        log: Gets one record a step: step, loss, loss_<part>, learning_rate, grad_norm, trained_tokens.
        evaluate: (step, report so far) -> what was seen; called every `eval_every` steps and at the end.
            The model is in eval mode; `ChatModel.in_dtype` gives it with its adapters merged.
        on_step: Called after each step with the steps made since the last call, for progress.
        passes: Forward passes in this process so far. The report counts those made in here, the ones
            within `evaluate` apart.
        fisher: Fisher information of the base model by weight, asked for where `training.penalty` needs it.
        start: Changes the base model's weights before the first step, when resuming too.

    Raises:
        Diverged: The loss is no finite number any more.
    """
    if nothing_to_train(examples, settings):
        return TrainingReport(stopped_by=NOTHING)
    resume, report = last_checkpoint(scratch), TrainingReport()
    if resume:
        report = TrainingReport(**read_json(resume / COMPLETE))
        on_step(report.steps)
    if report.stopped_by:
        # An evaluation had ended the training before the process was killed: load its weights, train no more.
        settings = replace(settings, max_steps=report.steps)
    clock = _Clock(report, passes)
    information = fisher() if settings.penalty == EWC else {}
    # When resuming too: the checkpoint is loaded later, the model is still the base. With an adapter, that is
    # at hand without a copy.
    if reads_base(method) and not settings.lora:
        model.keep_base_copy(settings.dtype)
    start()
    if settings.lora:
        add_adapters(model, settings, seed)
    else:
        trained = set(named((name for name, _ in model.network.named_parameters()), settings.only))
        for name, weight in model.network.named_parameters():
            weight.requires_grad_(name in trained)
    if settings.gradient_checkpointing:
        model.network.activation_checkpointing_enable({"use_reentrant": False})
    if resume:
        restore_method(resume, method, model)
    # The pull is towards where the training starts, when resuming too.
    penalty = ElasticWeights(model.network, information, settings.penalty_weight) if information else None

    arguments = _arguments(settings, model, scratch, seed)
    trainer = _Trainer(method, model, settings, arguments, examples, report, penalty)
    # With its bars off, transformers prints every log record instead.
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Watch(trainer, settings, report, clock, log, evaluate, on_step))
    with signals.postponed():
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    report.stopped_by = report.stopped_by or MAX_STEPS
    trainer.accelerator.free_memory()
    del trainer

    if settings.lora:
        model.network = model.network.merge_and_unload()
    model.network.activation_checkpointing_disable()
    model.drop_base_copy()
    if isinstance(method, HasState):
        method.release()
    # Gradients take as much memory as the weights, and scoring comes next.
    model.network.zero_grad(set_to_none=True)
    model.network.eval()
    # Trainer, callbacks and optimiser refer to each other in circles. Until they are collected, they hold
    # twice the weights in moments, while the tuned model is scored.
    gc.collect()
    clock.charge_training()
    return report


def _arguments(settings: TrainingSettings, model: ChatModel, scratch: Path, seed: int) -> TrainingArguments:
    """Our settings in the words of transformers. What it would do unasked is switched off."""
    # No `bf16=True`: the model would stay in autocast, and be scored in other arithmetic than the base.
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        max_grad_norm=settings.clip,
        # On a CPU several times faster than the default.
        optim="adamw_torch_fused",
        seed=seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen, to end the training
        save_strategy="steps" if settings.checkpoint_every else "no",
        save_steps=settings.checkpoint_every or 1,
        # Trackers are fed by `log`; these integrations would open runs of their own.
        report_to=[],
        disable_tqdm=True,
        use_cpu=model.device.type == "cpu",
    )


class _Clock:
    """Charges seconds and forward passes to the training or to its evaluations, added to what is there."""

    def __init__(self, report: TrainingReport, passes: Callable[[], int]) -> None:
        self._report, self._passes = report, passes
        self._last = time.perf_counter(), passes()

    def charge_training(self) -> None:
        """What was taken since the last call is the training's."""
        seconds, passes = self._lap()
        self._report.seconds += seconds
        self._report.forward_passes += passes

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """What the block takes is the evaluations': a slow learner is not charged for being looked at."""
        self.charge_training()
        yield
        seconds, passes = self._lap()
        self._report.evaluation_seconds += seconds
        self._report.evaluation_passes += passes

    def _lap(self) -> tuple[float, int]:
        before, self._last = self._last, (time.perf_counter(), self._passes())
        return self._last[0] - before[0], self._last[1] - before[1]


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
        penalty: ElasticWeights | None,
    ) -> None:
        plan = _Plan(schedule(examples, settings, arguments.seed), settings.batch_size)
        super().__init__(model=model.network, args=arguments, train_dataset=plan)
        self.method, self._chat_model, self._settings, self._report = method, model, settings, report
        self._extras, self._penalty = [example for example in examples if example.extra], penalty
        self.parts: Mapping[str, Tensor] = {}
        """The named parts of the last step's loss, averaged as the loss is."""

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LRScheduler:
        """Linear warm-up, then constant; the schedules of transformers begin at 0, where a step is lost."""
        warmup = self._settings.warmup_steps
        chosen: Any = optimizer or self.optimizer
        self.lr_scheduler = LambdaLR(chosen, lambda step: warmed_up(step, warmup))
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One item a step."""
        assert self.train_dataset is not None
        # To the Trainer a step is one item: it neither accumulates gradients nor rescales losses.
        return DataLoader(self.train_dataset, batch_size=1, collate_fn=lambda items: {"scheduled": items[0]})  # type: ignore[arg-type]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: a method may run the model any number of times in a step."""
        return 0

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Gradients of one optimiser step, micro-batch by micro-batch (decision 10)."""
        examples = self._choose(inputs["scheduled"])
        # At every step: rollouts and evaluations leave the model in eval mode.
        model.train()
        tokens = sum(example.trained_tokens for example in examples)
        self._report.trained_tokens += tokens
        how = self._settings.loss_average, tokens, len(examples)
        size = self._settings.micro_batch_size
        if len(examples) > size:  # rows of one prompt and of like length together
            examples = sorted(examples, key=lambda e: (len(e.prompt_ids), e.prompt_ids, len(e.target_ids)))
        total, parts = torch.zeros((), device=self._chat_model.device), {}
        for start in range(0, len(examples), size):
            batch = self._chat_model.collate(examples[start : start + size])
            if not len(batch.target_ids):
                continue  # every token of these examples is masked
            # Around the loss: the Trainer's own autocast covers `model.forward` alone, not the decoder.
            with self._autocast():
                loss = self.method.loss(batch, self._chat_model)

            share = average_loss(loss.total, batch, *how)
            self.accelerator.backward(share)
            total += share.detach()
            for name, values in loss.parts.items():
                parts[name] = parts.get(name, 0) + average_loss(values.detach(), batch, *how)
        if self._penalty:
            parts["penalty"] = self._penalty.add()
            total += parts["penalty"]
        self.parts = parts
        return total

    def _choose(self, scheduled: Sequence[Example]) -> list[Example]:
        if not isinstance(self.method, ChoosesExamples):
            return list(scheduled)
        step = Step(self.state.global_step, scheduled, self._extras)
        self._chat_model.network.eval()
        # Outside autocast: what a method decodes is decoded in the dtype that it names.
        chosen = self.method.step_examples(step, self._chat_model)
        # Replayed answers were counted when they were prepared.
        written = (len(example.target_ids) for example in chosen if set(example.provenance) == {STUDENT})
        self._report.generated_tokens += sum(written)
        return chosen

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._chat_model.device.type, torch.bfloat16, enabled=self._settings.dtype == "bfloat16"
        )


class _Watch(TrainerCallback):
    """Writes the curve, evaluates on schedule, stops where the training should end, completes checkpoints."""

    def __init__(
        self,
        trainer: _Trainer,
        settings: TrainingSettings,
        report: TrainingReport,
        clock: _Clock,
        log: Callable[[dict[str, Any]], None],
        evaluate: Callable[[int, TrainingReport], Evaluation],
        on_step: Callable[[int], None],
    ) -> None:
        self._trainer, self._settings, self._report, self._clock = trainer, settings, report, clock
        self._log, self._evaluate, self._on_step = log, evaluate, on_step

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        # The summary at the end of a training is logged too; it has no `loss`.
        if "loss" in logs:
            curve = {key: float(logs[key]) for key in ("loss", "learning_rate", "grad_norm")}
            if not math.isfinite(curve["loss"]) or not math.isfinite(curve["grad_norm"]):
                raise Diverged(
                    f"the training diverged at step {state.global_step} (loss {curve['loss']}); "
                    f"lower training.learning_rate={self._settings.learning_rate}"
                )
            parts = {f"loss_{name}": float(value) for name, value in self._trainer.parts.items()}
            tokens = self._report.trained_tokens
            self._log({"step": state.global_step, **curve, **parts, "trained_tokens": tokens})

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = self._report.steps = state.global_step
        self._on_step(1)
        if step % self._settings.eval_every == 0 or step == self._settings.max_steps:
            model: Any = self._trainer.model
            model.eval()
            with self._clock.evaluating():
                seen = self._evaluate(step, self._report)
            self._report.recall = seen.recall
            if seen.stop:
                # In the report, so that a checkpoint made now says that the training had ended.
                self._report.stopped_by = seen.stop
                control.should_training_stop = True
        if signals.is_asked():
            if not self._settings.checkpoint_every:
                signals.end_if_asked()
            control.should_save = True

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._clock.charge_training()
        complete(
            Path(args.output_dir) / f"checkpoint-{state.global_step}",
            self._trainer.method,
            asdict(self._report),
        )
        signals.end_if_asked()
