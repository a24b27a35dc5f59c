"""Score a model on both axes: its task's probes, and the held-out tasks.

Base and tuned model go through the same function, in the same dtype, template, batch size and token
budget. Base scores live in the cache, keyed by content, and are measured once for all runs that share
them; tuned scores live in the run directory. Either way what was measured survives an interruption.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from mixsd.core.questions import RECALL, Probe
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Editor, RecordFile
from mixsd.results.aggregate import TaskScores
from mixsd.run import probing
from mixsd.run.config import RunConfig
from mixsd.run.workbench import Bench


@dataclass(frozen=True)
class Scores:
    """What one model scored: probe records by split, held-out scores by task."""

    probes: dict[str, list[probing.Record]]
    retention: dict[str, TaskScores]


class Scorer:
    """Scores models for one run.

    Args:
        config: The run.
        bench: Its caches and progress bars.
    """

    def __init__(self, config: RunConfig, bench: Bench) -> None:
        self._config, self._bench = config, bench
        self._by_split: dict[str, list[Probe]] = {}
        for probe in config.task.probes:
            self._by_split.setdefault(probe.split, []).append(probe)

    def base(self, model: ChatModel) -> Scores:
        """Scores of the base model, from the cache where it has them."""
        scoring = self._scoring_settings()
        probes = {"probes": [asdict(probe) for probe in self._config.task.probes]}
        budget = {"max_new_tokens": self._config.task.max_new_tokens, **self._config.task.identity}
        suite = self._config.retention.fingerprint()
        return self._score(
            model,
            self._bench.record_file("base_probes", {**scoring, **budget, **probes}),
            self._bench.record_file("base_retention", {**scoring, "suite": suite}),
            "base",
            self._by_split,
        )

    def tuned(self, model: ChatModel, done: RecordFile, who: str) -> Scores:
        """Scores of a tuned model, asked as the method asks; what `done` holds is not measured again."""
        method, task = self._config.method, self._config.task
        by_split = self._by_split
        if isinstance(method, Editor):
            by_split = {s: [method.asked(probe, task) for probe in p] for s, p in by_split.items()}
        return self._score(model, nullcontext(done), nullcontext(done), who, by_split)

    def recall(self, model: ChatModel) -> list[probing.Record]:
        """Ask the recall probes of all facts, for an evaluation during training."""
        return self._ask(self._reader(model), self._by_split[RECALL], lambda _: None)

    def validation(self, model: ChatModel) -> float | None:
        """Mean score on the suite's validation documents, or None when that is switched off."""
        return self._config.retention.validate(self._reader(model), self._config.model.scoring_batch_size)

    def _reader(self, model: ChatModel) -> ChatModel:
        return model.in_dtype(self._config.model.scoring_dtype)

    def _scoring_settings(self) -> dict[str, Any]:
        model = self._config.model
        return {"dtype": model.scoring_dtype, "batch_size": model.scoring_batch_size}

    def _ask(
        self, reader: ChatModel, probes: Sequence[Probe], on_done: Callable[[int], None]
    ) -> list[probing.Record]:
        return probing.ask(reader, self._config.task, probes, self._config.model.scoring_batch_size, on_done)

    def _score(
        self,
        model: ChatModel,
        probe_file: AbstractContextManager[RecordFile],
        retention_file: AbstractContextManager[RecordFile],
        who: str,
        by_split: Mapping[str, Sequence[Probe]],
    ) -> Scores:
        suite, batch_size = self._config.retention, self._config.model.scoring_batch_size
        reader = self._reader(model)
        with probe_file as done:
            missing = {s: p for s, p in by_split.items() if s not in done.records}
            if missing:
                with self._bench.progress(f"{who}: probes", sum(map(len, missing.values()))) as advance:
                    for split, probes in missing.items():
                        done.append(split, {"records": self._ask(reader, probes, advance)})
            probe_scores = {split: done.records[split]["records"] for split in by_split}
        with retention_file as done:
            absent = [task for task in suite.tasks if task not in done.records]
            if absent:
                with self._bench.progress(f"{who}: held-out tasks", suite.size(absent)) as advance:
                    for task in absent:  # one by one: what shares a batch must not depend on what is missing
                        scores = suite.evaluate(reader, [task], batch_size, advance)[task]
                        done.append(task, asdict(scores))
            held_out = {task: TaskScores(**done.records[task]) for task in suite.tasks}
        return Scores(probe_scores, held_out)
