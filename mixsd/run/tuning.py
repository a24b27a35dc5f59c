"""From the base model to the tuned one: examples and training, or an edit.

A model is loaded only where work is missing. A run that only reads its files loads none.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mixsd.core.errors import DataError
from mixsd.core.questions import RECALL, Fact, Probe, Question
from mixsd.core.scores import Scores, accuracy
from mixsd.core.store import append_jsonl, atomic_folder, discard, read_json, write_json, write_text
from mixsd.lm import load as models
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Edited, Editor, EditsToo, GradientMethod, Preparation, as_it_is
from mixsd.results.build import unknown_to_base
from mixsd.results.schema import Cost, TrainingReport
from mixsd.run import layers as files
from mixsd.run.check import prompt_problems
from mixsd.run.checkpoints import checkpoint_step, last_checkpoint
from mixsd.run.config import RunConfig
from mixsd.run.drift import base_answers, distance, general_fisher
from mixsd.run.ledger import Ledger
from mixsd.run.measure import Scorer
from mixsd.run.meter import Meter
from mixsd.run.mirror import log_kept, log_record
from mixsd.run.preparation import read_examples, target_report, write_examples
from mixsd.run.settings import EACH
from mixsd.run.train import NOTHING, Evaluation, nothing_to_train, train
from mixsd.run.trajectory import Trajectory, keep_until
from mixsd.run.workbench import Bench
from mixsd.trackers.tracker import Tracker


class Tuning:
    """Makes the tuned model of a run, and holds its base.

    Args:
        config: The run.
        bench: Its caches and progress bars.
        ledger: Meters its stages.
        scorer: Measures models for it.
        tracker: Shows the training.
    """

    def __init__(
        self, config: RunConfig, bench: Bench, ledger: Ledger, scorer: Scorer, tracker: Tracker
    ) -> None:
        self.config, self.dir = config, config.run_dir
        self._bench, self._ledger, self._scorer, self._tracker = bench, ledger, scorer, tracker
        self._base: ChatModel | None = None
        self._tuned: ChatModel | None = None
        self._taught_facts: list[Fact] = []

    def base_model(self) -> ChatModel:
        """The base model, loaded at the first call; its prompts are measured before anything is scored.

        Raises:
            DataError: A prompt leaves no room for a reply in the model's context.
        """
        if self._base is None:
            self._base = models.load(self.config.model, self.config.cache_dir)
            if problems := prompt_problems(self.config, self._base):
                raise DataError(" | ".join(problems))
        return self._ledger.watch(self._base)

    def tuned_model(self) -> ChatModel:
        """The tuned model: as it was trained or edited just now, or from its saved weights."""
        if self._tuned is None and isinstance(self.config.method, Editor):
            return self._edited.model
        if self._tuned is None:
            self._tuned = models.load_folder(self.dir / files.WEIGHTS, self.config.model.rendering)
        return self._ledger.watch(self._tuned)

    def ask(self, probe: Probe) -> Question:
        """The question of a probe, as the method asks it."""
        return self._edited.ask(probe) if isinstance(self.config.method, Editor) else as_it_is(probe)

    @property
    def put(self) -> Callable[[str], str]:
        """How a user turn of a held-out task is put."""
        return self._edited.put if isinstance(self.config.method, Editor) else str

    @property
    def changed(self) -> bool:
        """Whether the tuned weights differ from those of the base model."""
        return read_json(self.dir / files.TRAINING).get("changed", True)

    def make(self, base: Scores) -> None:
        """Train or edit, as far as an interrupted run has not."""
        self._taught_facts = self._taught(base)
        if isinstance(self.config.method, Editor):
            self._edit()
        else:
            self._train(self.config.method, self._examples(self.config.method), base)

    def save(self, folder: Path) -> None:
        """Write the tuned model, with its tokenizer, as a folder that transformers loads."""
        tuned = self.tuned_model()
        with atomic_folder(folder) as target:
            tuned.network.save_pretrained(target)
            tuned.tokenizer.save_pretrained(target)

    # Examples

    def _taught(self, base: Scores) -> list[Fact]:
        """The facts that may be taught, by `task.only_facts_of` and `task.only_missed`."""
        config, unknown = self.config, unknown_to_base(base)
        return [
            fact
            for fact in config.task.facts
            if (config.only_facts is None or fact.id in config.only_facts)
            and (not config.only_missed or fact.id in unknown)
        ]

    def _examples(self, method: GradientMethod) -> list[Example]:
        """Prepare what is trained on, or read what an interrupted run had prepared."""
        if not (self.dir / files.PREPARATION).exists():
            model = self.base_model()
            with self._ledger.stage("examples", model) as meter:
                made = method.prepare(self._taught_facts, model, self._bench)
            cost = self._ledger.cost(meter, generated_tokens=made.generated_tokens)
            self._ledger.write("examples", cost)
            # Before the report, whose file marks the examples as complete.
            write_examples(self.dir / files.EXAMPLES, made.examples, model)
            self._write_preparation(made, model)
        return read_examples(self.dir / files.EXAMPLES)

    def _write_preparation(self, made: Preparation, model: ChatModel) -> None:
        facts, taught = self.config.task.facts, self._taught_facts
        ids = {fact.id for fact in taught}
        left_out = [fact.id for fact in facts if fact.id not in ids]
        report = target_report(made, facts, left_out, model, self.config.model.scoring_batch_size)
        trained = [fact.id for fact in taught if fact.id not in made.dropped]
        write_json(
            self.dir / files.PREPARATION,
            {"report": asdict(report), "dropped": made.dropped, "left_out": left_out, "trained": trained},
        )

    # Training

    def _train(self, method: GradientMethod, examples: list[Example], base: Scores) -> None:
        """Train the model, unless an interrupted run had trained it."""
        if (self.dir / files.TRAINING).exists():
            discard(self.dir / files.SCRATCH)  # a process that was killed may have left it
            log_kept(self._tracker, self.dir)
            return
        discard(self.dir / files.WEIGHTS)  # of a training that was cut off before its report
        model = self.base_model()
        with self._ledger.stage("training", model) as meter:
            report = self._trained(method, model, examples, base, meter)
            started, before = time.perf_counter(), meter.forward_passes
            if report.stopped_by == NOTHING:
                self._start(model)
            if isinstance(method, EditsToo):
                self._add_numbers(method.finish(self._taught_facts, model, self._bench))
                report.seconds += time.perf_counter() - started
                report.forward_passes += meter.forward_passes - before
        if report.stopped_by == NOTHING and not isinstance(method, EditsToo):
            dropped = Counter(read_json(self.dir / files.PREPARATION)["dropped"].values())
            why = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
            self._bench.say(
                f"nothing was trained: every fact was dropped ({why or 'none'}) or left out; what is scored "
                "is the base model",
                "yellow",
            )
        # The base model's weights are the tuned ones now.
        self._base, self._tuned = None, model
        self.save(self.dir / files.WEIGHTS)
        spent = Cost(
            seconds=round(report.seconds, 3),
            trained_tokens=report.trained_tokens,
            generated_tokens=report.generated_tokens,
            forward_passes=report.forward_passes,
            peak_memory_bytes=meter.peak_memory_bytes,
        )
        self._ledger.write("training", spent)
        looked = Cost(round(report.evaluation_seconds, 3), forward_passes=report.evaluation_passes)
        self._ledger.write("evaluations", looked, add=True)
        # After the weights: this file marks the training as done.
        write_json(self.dir / files.TRAINING, asdict(report))
        # Only now: without the mark above, a resume needs the checkpoints.
        discard(self.dir / files.SCRATCH)

    def _trained(
        self, method: GradientMethod, model: ChatModel, examples: list[Example], base: Scores, meter: Meter
    ) -> TrainingReport:
        config, scratch = self.config, self.dir / files.SCRATCH
        checkpoint = last_checkpoint(scratch)
        # Steps after the checkpoint are made again; their records must not stand twice.
        for name in (files.METRICS, files.TRAJECTORY):
            keep_until(self.dir / name, checkpoint_step(checkpoint) if checkpoint else -1)
        log_kept(self._tracker, self.dir)
        look = self._look(model, nothing_to_train(examples, config.training))
        if not checkpoint:
            start, before = time.perf_counter(), meter.forward_passes
            look(0, TrainingReport(), accuracy(base.probes[RECALL]))
            first = round(time.perf_counter() - start, 3)
            # Written at once: a training that goes on from a checkpoint does not look at the base again.
            self._ledger.write("evaluations", Cost(first, forward_passes=meter.forward_passes - before))

        def log(record: dict[str, Any]) -> None:
            append_jsonl(self.dir / files.METRICS, record)
            log_record(self._tracker, "train", record)

        with self._bench.progress(f"training ({method.name})", config.training.max_steps) as advance:
            return train(
                method,
                model,
                examples,
                config.training,
                seed=config.seed,
                scratch=scratch,
                log=log,
                evaluate=look,
                on_step=advance,
                passes=lambda: meter.forward_passes,
                fisher=lambda: general_fisher(model, self._bench),
                start=lambda: self._start(model),
            )

    def _start(self, model: ChatModel) -> None:
        """What a method changes before its training."""
        method: Any = self.config.method
        if isinstance(method, EditsToo):
            self._add_numbers(method.start(self._taught_facts, model, self._bench))

    def _add_numbers(self, numbers: Mapping[str, Any]) -> None:
        """Report what a method tells after its examples were made."""
        if numbers:
            path = self.dir / files.PREPARATION
            found = read_json(path)
            found["report"]["numbers"] |= numbers
            write_json(path, found)

    def _look(self, model: ChatModel, nothing_follows: bool) -> Callable[..., Evaluation]:
        """What an evaluation does: recall, validation score and drift become a point of the trajectory."""
        prepared = self._ledger.read()["examples"].generated_tokens
        frozen = model.copy("float32") if self.config.drift.curve else None
        answers = base_answers(frozen, self._bench) if frozen else []
        trajectory = Trajectory(self.dir / files.TRAJECTORY)

        settings, scorer = self.config.training, self._scorer

        def look(step: int, so_far: TrainingReport, known_recall: float | None = None) -> Evaluation:
            reader = cache(lambda: scorer.reader(model))  # one copy for all that is asked, if anything is
            recall = scorer.recall(reader()) if known_recall is None else known_recall
            point = {
                "step": step,
                "trained_tokens": so_far.trained_tokens,
                "generated_tokens": prepared + so_far.generated_tokens,
                "seconds": round(so_far.seconds, 3),
                "recall": recall,
            }
            stop = trajectory.stop(settings, point)
            # At step 0 no rule ends a training; it is the last point where there is none.
            last = nothing_follows if step == 0 else stop or step == settings.max_steps
            wanted = settings.validate == EACH or last
            point["retention_validation"] = scorer.validation(reader()) if wanted else None
            point |= distance(frozen, model, answers) if frozen else {}
            trajectory.add(point)
            log_record(self._tracker, "trajectory", point)
            return Evaluation(recall, stop)

        return look

    # Editing

    @cached_property
    def _edited(self) -> Edited:
        """What an editor leaves of the base model; edited once a process."""
        method = self.config.method
        assert isinstance(method, Editor)
        edited = method.edit(self._taught_facts, self.base_model(), self._bench)
        if edited.changed:
            self._base = None  # its weights may have been changed in place
        self._tuned = self._ledger.watch(edited.model)
        return edited

    def _edit(self) -> None:
        """Edit the model, unless an interrupted run did: then it is edited again only where it is asked."""
        if (self.dir / files.TRAINING).exists():
            return
        self.base_model()  # loading it is no part of what the edit takes
        with self._ledger.stage("edit", self._base) as meter:
            edited = self._edited
        cost = self._ledger.cost(meter, generated_tokens=edited.generated_tokens)
        self._ledger.write("training", cost)
        made = Preparation([], edited.dropped, edited.report)
        self._write_preparation(made, self.base_model())
        # Empty files, so that readers need not ask what kind of method it was.
        for name in (files.EXAMPLES, files.METRICS, files.TRAJECTORY):
            write_text(self.dir / name, "")
        report = TrainingReport(stopped_by="no training")
        write_json(self.dir / files.TRAINING, {**asdict(report), "changed": edited.changed})
