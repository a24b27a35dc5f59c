"""The stages of a run, in order: base scores, examples, training, tuned scores, results.

Every stage writes its product into the run directory before the next begins; `DONE` comes last. A run
that was interrupted goes on after its last finished stage.
"""

import datetime
import platform
import shutil
import traceback
from dataclasses import asdict, dataclass
from typing import Any

import torch
import yaml
from filelock import FileLock

from mixsd.core.errors import TrackingError
from mixsd.core.questions import RECALL, TaskView
from mixsd.core.store import (
    Records,
    append_jsonl,
    atomic_folder,
    read_json,
    write_json,
    write_jsonl,
    write_text,
)
from mixsd.lm import load as models
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Editor, Method, Preparation
from mixsd.results.build import build_results, item_records, missed, overlap
from mixsd.results.gate import misses
from mixsd.results.model_card import model_card
from mixsd.run.checkpoints import checkpoint_step, last_checkpoint
from mixsd.run.config import RunConfig
from mixsd.run.drift import base_answers, cached_fisher, displacement, distance, same_shape
from mixsd.run.interpolate import interpolate
from mixsd.run.measure import Scorer, Scores
from mixsd.run.preparation import read_examples, report, write_examples
from mixsd.run.probing import accuracy
from mixsd.run.train import Evaluation, TrainingReport, train
from mixsd.run.trajectory import Trajectory, keep_until
from mixsd.run.workbench import Bench, Meter, console, device_name, software
from mixsd.trackers.wandb import METRICS, TRAJECTORY, mirror

DONE, STATUS = "DONE", "status.json"
TUNED = "tuned.jsonl"
"""Tuned scores so far; the per-item files replace it."""
SCRATCH = "trainer"
"""Checkpoints of a training that is not finished."""
NOT_KEPT = "left out by task.only_facts_of or task.only_missed"


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: `done`, or `skipped` because it was done before; and what it misses of its gate."""

    run_id: str
    state: str
    missed: list[str]


def run_experiment(config: RunConfig) -> RunOutcome:
    """Run all stages, or nothing if the run is done already.

    `status.json` says which stage runs, and after a failure why it failed (`error.txt` has the traceback).
    """
    config.run_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(config.run_dir / ".lock"):
        if (config.run_dir / DONE).exists():
            return _outcome(config, "skipped")
        try:
            _Run(config).run()
        except BaseException as error:
            write_text(config.run_dir / "error.txt", traceback.format_exc())
            _write_status(config, "failed", error=f"{type(error).__name__}: {error}")
            raise
        (config.run_dir / "error.txt").unlink(missing_ok=True)
        _write_status(config, "done")
        write_text(config.run_dir / DONE, "")
    return _outcome(config, "done")


def _outcome(config: RunConfig, state: str) -> RunOutcome:
    return RunOutcome(config.run_id, state, misses(read_json(config.run_dir / "results.json"), config.gate))


def _write_status(config: RunConfig, state: str, **more: str) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(config.run_dir / STATUS, {"run_id": config.run_id, "state": state, "time": now, **more})


class _Run:
    """One run: its config, its directory, and the stages."""

    def __init__(self, config: RunConfig) -> None:
        self.config, self.dir = config, config.run_dir
        self.bench = Bench(config)
        self.scorer = Scorer(config, self.bench)

    def run(self) -> None:
        """All stages in order."""
        config = self.config
        write_text(self.dir / "config.yaml", yaml.safe_dump(config.resolved, sort_keys=False))
        write_json(self.dir / "environment.json", _environment())
        console.rule(config.run_id, style="dim")
        for caveat in config.retention.caveats:
            console.print(caveat, style="yellow")

        _write_status(config, "running", stage="base scores")
        model = models.load(config.model, config.cache_dir)
        with Meter(model.network) as meter:
            base = self.scorer.base(model)
        self._write_cost("base_scores", meter)

        if isinstance(config.method, Editor):
            _write_status(config, "running", stage="edit")
            tuned_model = self._edited(config.method, model)
        else:
            _write_status(config, "running", stage="examples")
            examples = self._examples(config.method, model, base)
            _write_status(config, "running", stage="training")
            tuned_model = self._trained(config.method, model, examples, base)

        _write_status(config, "running", stage="tuned scores")
        tuned = self._tuned_scores(tuned_model)

        is_base = isinstance(config.method, Editor) and tuned_model is model
        _write_status(config, "running", stage="drift")
        self._measure_drift(tuned_model, is_base)

        _write_status(config, "running", stage="interpolation")
        between = self._interpolated(tuned_model, tuned, is_base)

        _write_status(config, "running", stage="results")
        self._write_items("", base, tuned)
        for alpha, scores in between.items():
            self._write_items(f"interpolation/{alpha}/", base, scores)
        write_json(self.dir / "results.json", build_results(config, base, tuned, between, self._reports()))
        try:
            mirror(self.dir, config.tracking)
        except TrackingError as error:  # only a mirror: the run is whole without it
            console.print(str(error), style="yellow", markup=False, highlight=False)
        for leftover in (TUNED, *(_between_file(alpha) for alpha in between)):
            (self.dir / leftover).unlink(missing_ok=True)
        self._keep_or_drop_model(tuned_model, is_base)

    def _keep_or_drop_model(self, tuned: ChatModel, is_base: bool) -> None:
        """The trained model stays, with its card, where that is asked for and the gate is met."""
        folder, results = self.dir / "model", read_json(self.dir / "results.json")
        missed_gate = misses(results, self.config.gate)
        if is_base or missed_gate or not self.config.training.save_model:
            shutil.rmtree(folder, ignore_errors=True)
            return
        if not folder.exists():  # an editor's model
            with atomic_folder(folder) as target:
                tuned.network.save_pretrained(target)
                tuned.tokenizer.save_pretrained(target)
        write_text(folder / "README.md", model_card(self.config, results, missed_gate))

    def _write_items(self, folder: str, base: Scores, tuned: Scores) -> None:
        for path, records in item_records(base, tuned, overlap(self.config, base)):
            write_jsonl(self.dir / f"{folder}{path}", records)

    def _edited(self, method: Editor, model: ChatModel) -> ChatModel:
        """What a method without training gives."""
        with Meter(model.network) as meter:
            edited = method.edit(self.config.task, model, self.bench)
        self._write_cost("training", meter)
        numbers = report(Preparation([]), self.config.task, model, self.config.model.scoring_batch_size)
        write_json(self.dir / "preparation.json", {"report": numbers, "dropped": {}})
        write_json(self.dir / "training.json", asdict(TrainingReport(stopped_by="no training")))
        for name in ("examples.jsonl", METRICS, TRAJECTORY):
            write_text(self.dir / name, "")
        return edited

    def _examples(self, method: Method, model: ChatModel, base: Scores) -> list[Example]:
        """Prepare what is trained on, or read what an interrupted run had prepared."""
        listed = self.dir / "examples.jsonl"
        if not (self.dir / "preparation.json").exists():
            task, kept = self.config.task, self._kept_facts(base)
            with Meter(model.network) as meter:
                made = method.prepare(TaskView(task, kept), model, self.bench)
            made.dropped |= {fact.id: NOT_KEPT for fact in task.facts if fact.id not in kept}
            numbers = report(made, task, model, self.config.model.scoring_batch_size)
            write_examples(listed, made.examples, model)
            self._write_cost("examples", meter, generated_tokens=made.generated_tokens)
            write_json(self.dir / "preparation.json", {"report": numbers, "dropped": made.dropped})
        return read_examples(listed)

    def _kept_facts(self, base: Scores) -> set[str]:
        """Ids of the facts that may be trained on, by `task.only_facts_of` and `task.only_missed`."""
        kept = {fact.id for fact in self.config.task.facts}
        if self.config.only_facts is not None:
            kept &= self.config.only_facts
        if self.config.only_missed:
            kept &= missed(base)
        return kept

    def _trained(self, method: Method, model: ChatModel, examples: list[Example], base: Scores) -> ChatModel:
        """Train the model, or load what an interrupted run had trained."""
        folder, report_file = self.dir / "model", self.dir / "training.json"
        if report_file.exists() and folder.exists():
            return models.load_folder(folder, self.config.model.template_options)
        shutil.rmtree(folder, ignore_errors=True)
        for stale in (TUNED, "drift.json", *map(_between_file, self.config.training.interpolate)):
            (self.dir / stale).unlink(missing_ok=True)
        with Meter(model.network) as meter:
            trained = self._train(method, model, examples, accuracy(base.probes[RECALL]), meter)
        with atomic_folder(folder) as target:
            model.network.save_pretrained(target)
            model.tokenizer.save_pretrained(target)
        over_all_parts = ("trained_tokens", "generated_tokens", "forward_passes", "seconds")
        self._write_cost("training", meter, **{key: trained[key] for key in over_all_parts})
        write_json(report_file, trained)
        shutil.rmtree(self.dir / SCRATCH, ignore_errors=True)
        return model

    def _train(
        self, method: Method, model: ChatModel, examples: list[Example], base_recall: float, meter: Meter
    ) -> dict[str, Any]:
        config, scratch = self.config, self.dir / SCRATCH
        checkpoint = last_checkpoint(scratch)
        for name in (METRICS, TRAJECTORY):
            keep_until(self.dir / name, checkpoint_step(checkpoint) if checkpoint else -1)
        trajectory = Trajectory(self.dir / TRAJECTORY)
        prepared = read_json(self.dir / "cost.json")["examples"]["generated_tokens"]
        frozen = model.copy("float32") if config.drift.curve else None
        answers = base_answers(frozen, self.bench) if frozen else []

        def add_point(step: int, so_far: TrainingReport, recall: float) -> None:
            drift = distance(frozen, model, answers) if frozen else {}
            trajectory.add(
                {
                    "step": step,
                    "trained_tokens": so_far.trained_tokens,
                    "generated_tokens": prepared + so_far.generated_tokens,
                    "recall": recall,
                    "retention_validation": self.scorer.validation(model),
                    **drift,
                }
            )

        def evaluate(step: int, so_far: TrainingReport) -> Evaluation:
            recall = accuracy(self.scorer.recall(model))
            add_point(step, so_far, recall)
            return Evaluation(recall, trajectory.stop(config.training))

        if not checkpoint:
            add_point(0, TrainingReport(), base_recall)
        with self.bench.progress(f"training ({method.name})", config.training.max_steps) as advance:
            trained = train(
                method,
                model,
                examples,
                config.training,
                seed=config.seed,
                scratch=scratch,
                log=lambda record: append_jsonl(self.dir / METRICS, record),
                evaluate=evaluate,
                on_step=advance,
                passes=lambda: meter.forward_passes,
            )
        return asdict(trained)

    def _tuned_scores(self, model: ChatModel) -> Scores:
        records = Records(self.dir / TUNED)
        with Meter(model.network) as meter:
            tuned = self.scorer.tuned(model, records, "tuned")
        self._write_cost("tuned_scores", meter)
        return tuned

    def _measure_drift(self, tuned: ChatModel, is_base: bool) -> None:
        """Write how far the tuned model is from its base; nothing where it is the base."""
        config, path = self.config, self.dir / "drift.json"
        if is_base or not config.drift.measure or path.exists():
            return
        base = models.load(config.model, config.cache_dir)
        with Meter(base.network) as meter:
            answers = base_answers(base, self.bench)
            found: dict[str, Any] = distance(base, tuned, answers)
            if same_shape(base, tuned):
                seen = {"answers": [(answer.prompt_ids, answer.target_ids) for answer in answers]}
                weights = cached_fisher(self.bench.file("fisher", seen, ".safetensors"), base, answers)
                found |= displacement(base, tuned, weights)
        self._write_cost("drift", meter)
        write_json(path, found)

    def _interpolated(self, tuned: ChatModel, at_one: Scores, is_base: bool) -> dict[float, Scores]:
        """Scores between base and tuned, by alpha; nothing where the tuned model is the base model."""
        config = self.config
        alphas = sorted(config.training.interpolate)
        if not alphas or is_base:
            return {}
        base = models.load(config.model, config.cache_dir)
        found = {}
        with Meter(base.network) as meter:
            for alpha in alphas:
                model = interpolate(base, tuned, alpha)
                records = Records(self.dir / _between_file(alpha))
                found[alpha] = at_one if alpha == 1 else self.scorer.tuned(model, records, f"alpha={alpha}")
        self._write_cost("interpolation", meter)
        return found

    def _write_cost(
        self,
        stage: str,
        meter: Meter,
        trained_tokens: int = 0,
        generated_tokens: int = 0,
        seconds: float | None = None,
        forward_passes: int | None = None,
    ) -> None:
        path = self.dir / "cost.json"
        costs = read_json(path) if path.exists() else {}
        costs[stage] = {
            "seconds": round(meter.seconds if seconds is None else seconds, 3),
            "trained_tokens": trained_tokens,
            "generated_tokens": generated_tokens,
            "forward_passes": meter.forward_passes if forward_passes is None else forward_passes,
            "peak_memory_bytes": meter.peak_memory_bytes,
        }
        write_json(path, costs)

    def _reports(self) -> dict[str, Any]:
        preparation = read_json(self.dir / "preparation.json")
        return {
            "targets": preparation["report"],
            "dropped": preparation["dropped"],
            "training": read_json(self.dir / "training.json"),
            "cost": read_json(self.dir / "cost.json"),
            "drift": read_json(self.dir / "drift.json") if (self.dir / "drift.json").exists() else {},
        }


def _between_file(alpha: float) -> str:
    return f"interpolation-{alpha}.jsonl"


def _environment() -> dict[str, Any]:
    """What can move a last bit, recorded with every run."""
    return {
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": device_name(),
        **software(),
    }
