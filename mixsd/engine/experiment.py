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

from mixsd.engine import models
from mixsd.engine.bench import Bench, Meter, console, device_name, software
from mixsd.engine.config import RunConfig
from mixsd.engine.preparation import read_examples, report, write_examples
from mixsd.engine.probing import accuracy
from mixsd.engine.results import build_results, contaminated, item_records
from mixsd.engine.scoring import Scorer, Scores
from mixsd.engine.store import (
    Records,
    append_jsonl,
    atomic_folder,
    read_json,
    write_json,
    write_jsonl,
    write_text,
)
from mixsd.engine.training import Evaluation, train
from mixsd.method import Example, Student
from mixsd.tracking import METRICS, TRAJECTORY, mirror

DONE, STATUS = "DONE", "status.json"
TUNED = "tuned.jsonl"
"""Tuned scores so far; the per-item files replace it."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: `done`, or `skipped` because it had been done before."""

    run_id: str
    state: str


def run_experiment(config: RunConfig) -> RunOutcome:
    """Run all stages, or nothing if the run is done already.

    `status.json` says which stage runs, and after a failure why it failed (`error.txt` has the traceback).
    """
    config.run_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(config.run_dir / ".lock"):
        if (config.run_dir / DONE).exists():
            return RunOutcome(config.run_id, "skipped")
        try:
            _Run(config).run()
        except BaseException as error:
            write_text(config.run_dir / "error.txt", traceback.format_exc())
            _write_status(config, "failed", error=f"{type(error).__name__}: {error}")
            raise
        (config.run_dir / "error.txt").unlink(missing_ok=True)
        _write_status(config, "done")
        write_text(config.run_dir / DONE, "")
    return RunOutcome(config.run_id, "done")


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

        _write_status(config, "running", stage="base scores")
        base_model = models.load(config.model, config.cache_dir)
        with Meter() as meter:
            base = self.scorer.base(base_model)
        self._write_cost("base_scores", meter)

        _write_status(config, "running", stage="examples")
        examples = self._examples(base_model)

        _write_status(config, "running", stage="training")
        tuned_model = self._trained(base_model, examples, base)

        _write_status(config, "running", stage="tuned scores")
        tuned = self._tuned_scores(tuned_model)

        _write_status(config, "running", stage="results")
        for path, records in item_records(base, tuned, contaminated(config, base)):
            write_jsonl(self.dir / path, records)
        write_json(self.dir / "results.json", build_results(config, base, tuned, self._reports()))
        mirror(self.dir, config.tracking)
        (self.dir / TUNED).unlink(missing_ok=True)
        if not config.training.save_model:
            shutil.rmtree(self.dir / "model", ignore_errors=True)

    def _examples(self, student: Student) -> list[Example]:
        """Prepare what is trained on, or read what an interrupted run had prepared."""
        listed = self.dir / "examples.jsonl"
        if not (self.dir / "preparation.json").exists():
            with Meter() as meter:
                made = self.config.method.prepare(self.config.task, student, self.bench)
            numbers = report(made, self.config.task, student, self.config.model.scoring_batch_size)
            write_examples(listed, made.examples, student)
            self._write_cost("examples", meter, generated_tokens=made.generated_tokens)
            write_json(self.dir / "preparation.json", {"report": numbers, "dropped": made.dropped})
        return read_examples(listed)

    def _trained(self, student: Student, examples: list[Example], base: Scores) -> Student:
        """Train the model, or load what an interrupted run had trained."""
        folder, report_file = self.dir / "model", self.dir / "training.json"
        if not (report_file.exists() and folder.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            (self.dir / TUNED).unlink(missing_ok=True)
            for name in (METRICS, TRAJECTORY):
                write_text(self.dir / name, "")
            with Meter() as meter:
                trained = self._train(student, examples, accuracy(base.probes["recall"]))
            with atomic_folder(folder) as target:
                student.model.save_pretrained(target)
                student.tokenizer.save_pretrained(target)
            self._write_cost("training", meter, trained_tokens=trained["trained_tokens"])
            write_json(report_file, trained)
            return student
        return models.load_folder(folder, self.config.model)

    def _train(self, student: Student, examples: list[Example], base_recall: float) -> dict[str, Any]:
        config = self.config
        goal = config.training.until_recall
        generated = read_json(self.dir / "cost.json")["examples"]["generated_tokens"]

        def write_point(step: int, trained_tokens: int, recall: float) -> None:
            point = {
                "step": step,
                "trained_tokens": trained_tokens,
                "generated_tokens": generated,
                "recall": recall,
                "retention_validation": self.scorer.validation(student),
            }
            append_jsonl(self.dir / TRAJECTORY, point)

        def evaluate(step: int, trained_tokens: int) -> Evaluation:
            recall = accuracy(self.scorer.recall(student))
            write_point(step, trained_tokens, recall)
            return Evaluation(recall, stop=goal is not None and recall >= goal)

        write_point(0, 0, base_recall)
        with self.bench.progress(f"training ({config.method.name})", config.training.max_steps) as advance:
            trained = train(
                config.method,
                student,
                examples,
                config.training,
                seed=config.seed,
                scratch=self.dir / "trainer",
                log=lambda record: append_jsonl(self.dir / METRICS, record),
                evaluate=evaluate,
                on_step=lambda: advance(1),
            )
        shutil.rmtree(self.dir / "trainer", ignore_errors=True)
        return asdict(trained)

    def _tuned_scores(self, student: Student) -> Scores:
        records = Records(self.dir / TUNED)
        with Meter() as meter:
            tuned = self.scorer.tuned(student, records, records)
        self._write_cost("tuned_scores", meter)
        return tuned

    def _write_cost(
        self, stage: str, meter: Meter, trained_tokens: int = 0, generated_tokens: int = 0
    ) -> None:
        path = self.dir / "cost.json"
        costs = read_json(path) if path.exists() else {}
        costs[stage] = {
            "seconds": round(meter.seconds, 3),
            "trained_tokens": trained_tokens,
            "generated_tokens": generated_tokens,
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
        }


def _environment() -> dict[str, Any]:
    """What can move a last bit, recorded with every run."""
    return {
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": device_name(),
        **software(),
    }
