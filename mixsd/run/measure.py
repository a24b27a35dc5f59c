"""Measure a model on both axes: its task's probes, and the held-out tasks.

Base and tuned model go through the same function, in the same dtype, template, batch size and token budget.
Scores are stored by split and by held-out task, under a hash of what was asked: base scores in the cache, for
all runs that share them, tuned scores in the run directory. So a resumed run repeats no finished task, and
one more task is all that is measured when one is added.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

from mixsd.core.grading import VERSION, grade
from mixsd.core.questions import RECALL, Probe, Question, described
from mixsd.core.scores import ProbeAnswer, Scores, TaskScores, accuracy
from mixsd.core.store import RecordFile, content_hash
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.generate import generate
from mixsd.lm.shares import company_of
from mixsd.methods.contract import as_it_is
from mixsd.run.config import RunConfig
from mixsd.run.workbench import Bench

Ask = Callable[[Probe], Question]


def ask(
    model: ChatModel,
    probes: Sequence[Probe],
    *,
    how: Ask,
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[ProbeAnswer]:
    """Ask probes by free generation and grade what comes back.

    Args:
        model: The model, in the dtype it is to be scored in.
        probes: What to ask.
        how: The question of a probe, as the method asks it.
        max_new_tokens: Budget of a reply.
        batch_size: Rows a batch.
        on_done: Told how many more probes are answered.
    """
    questions = [how(probe) for probe in probes]
    prompts = [model.prompt_ids(q.prompt, q.system, q.history) for q in questions]
    replies = generate(model, prompts, max_new_tokens=max_new_tokens, batch_size=batch_size, on_done=on_done)
    answers = []
    for probe, question, prompt, reply in zip(probes, questions, prompts, replies, strict=True):
        verdict = grade(reply.text, question, ended=not reply.truncated)
        answers.append(
            ProbeAnswer(
                id=probe.id,
                kind=probe.kind,
                fact_id=probe.fact_id,
                unit=probe.counted_as,
                prompt=question.prompt,
                answers=question.accepted,
                text=reply.text,
                extracted=verdict.extracted,
                outcome=verdict.outcome,
                strict=verdict.strict,
                tokens=reply.tokens,
                prompt_tokens=len(prompt),
            )
        )
    return answers


class Scorer:
    """Scores models for one run.

    Args:
        config: The run.
        bench: Its caches and progress bars.
    """

    def __init__(self, config: RunConfig, bench: Bench) -> None:
        self._config, self._bench = config, bench
        self._by_split: dict[str, list[Probe]] = {}
        for probe in config.probes:
            self._by_split.setdefault(probe.split, []).append(probe)
        self._split_keys = {split: self._split_key(probes) for split, probes in self._by_split.items()}

    def base(self, load: Callable[[], ChatModel]) -> Scores:
        """Scores of the base model, from the cache where it has them; else `load` gives the model."""
        return self._score("base", load, as_it_is, str, self._cached, self._is_busy)

    def tuned(
        self, load: Callable[[], ChatModel], how: Ask, put: Callable[[str], str], done: RecordFile, who: str
    ) -> Scores:
        """Scores of a tuned model; what `done` holds is not measured again.

        Args:
            load: Gives the model, where something is missing.
            how: The question of a probe, as the method asks it.
            put: A user turn of a held-out task, as the method puts it.
            done: Scores so far.
            who: The name on progress bars.
        """
        return self._score(who, load, how, put, lambda kind, key: nullcontext(done))

    def is_complete(self, done: RecordFile) -> bool:
        """Whether a file of scores holds all that is asked for."""
        keys = [*self._split_keys.values(), *map(self._task_key, self._config.retention.tasks)]
        return all(content_hash(key, size=12) in done.records for key in keys)

    def recall(self, reader: ChatModel) -> float:
        """Recall of a model that `reader` gave, for an evaluation during training."""
        return accuracy(self._ask(reader, self._by_split[RECALL], as_it_is))

    def validation(self, reader: ChatModel) -> float | None:
        """Its score on validation documents; None where there are none."""
        return self._config.retention.validate(reader, self._config.model.scoring_batch_size)

    def reader(self, model: ChatModel) -> ChatModel:
        """A model as it is scored: in the scoring dtype."""
        return model.in_dtype(self._config.model.scoring_dtype)

    def _ask(
        self,
        reader: ChatModel,
        probes: Sequence[Probe],
        how: Ask,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[ProbeAnswer]:
        return ask(
            reader,
            probes,
            how=how,
            max_new_tokens=self._config.task.max_new_tokens,
            batch_size=self._config.model.scoring_batch_size,
            on_done=on_done,
        )

    def _settings(self) -> dict[str, Any]:
        model = self._config.model
        # The batch size too: in bf16 it changes replies.
        company = company_of({model.scoring_dtype})
        return {"dtype": model.scoring_dtype, "batch_size": model.scoring_batch_size, **company}

    def _split_key(self, probes: Sequence[Probe]) -> dict[str, Any]:
        """All that a split's answers hang on, beyond the model; written beside what is cached."""
        return {
            **self._settings(),
            "grading": VERSION,
            "max_new_tokens": self._config.task.max_new_tokens,
            "split": probes[0].split,
            "n": len(probes),
            "probes": content_hash(described(probes), size=12),
        }

    def _task_key(self, task: str) -> dict[str, Any]:
        suite = self._config.retention.fingerprint()
        # Of the suite's tasks only this one: to add one must not measure the others again.
        return {**self._settings(), "suite": {**suite, "tasks": {task: suite["tasks"][task]}}}

    def _cached(self, kind: str, key: Mapping[str, Any]) -> AbstractContextManager[RecordFile]:
        return self._bench.record_file(f"base_{kind}", dict(key))

    def _is_busy(self, kind: str, key: Mapping[str, Any]) -> bool:
        return self._bench.is_busy(f"base_{kind}", dict(key))

    def _score(
        self,
        who: str,
        load: Callable[[], ChatModel],
        how: Ask,
        put: Callable[[str], str],
        open_file: Callable[[str, Mapping[str, Any]], AbstractContextManager[RecordFile]],
        is_busy: Callable[[str, Mapping[str, Any]], bool] = lambda *_: False,
    ) -> Scores:
        readers: list[ChatModel] = []
        putters: list[ChatModel] = []

        def reader() -> ChatModel:
            """The model in its scoring dtype, made once and only where something is missing."""
            if not readers:
                readers.append(self.reader(load()))
            return readers[0]

        def held_out_reader() -> ChatModel:
            """The same with prompts as the method puts them; one, since helpers know a model by it."""
            if not putters:
                putters.append(reader().putting(put))
            return putters[0]

        def answers(split: str, asked: Sequence[Probe]) -> dict[str, Any]:
            with self._bench.progress(f"{who}: {split}", len(asked)) as advance:
                found = self._ask(reader(), asked, how, advance)
            return {"split": split, "answers": [asdict(answer) for answer in found]}

        def scores(task: str) -> dict[str, Any]:
            with self._bench.progress(f"{who}: {task}", suite.size([task])) as advance:
                found = suite.evaluate(held_out_reader(), [task], batch_size, advance)[task]
            return {"task": task, "scores": asdict(found)}

        def piece(kind: str, key: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            name = content_hash(key, size=12)
            with open_file(kind, key) as done:
                # Looked up under the file's lock: another run may have measured it meanwhile.
                if name not in done.records:
                    done.append(name, make())
                return done.records[name]

        suite, batch_size = self._config.retention, self._config.model.scoring_batch_size
        # One task a call: what shares a batch must not depend on what is missing.
        left = [
            *(
                ("probes", s, self._split_keys[s], partial(answers, s, asked))
                for s, asked in self._by_split.items()
            ),
            *(("retention", task, self._task_key(task), partial(scores, task)) for task in suite.tasks),
        ]
        found: dict[tuple[str, str], dict[str, Any]] = {}
        while left:
            # What another run is at is read once that is done; meanwhile there is other work.
            free = (number for number, (kind, _, key, _) in enumerate(left) if not is_busy(kind, key))
            kind, name, key, make = left.pop(next(free, 0))
            found[kind, name] = piece(kind, key, make)
        probes = {split: found["probes", split]["answers"] for split in self._by_split}
        held_out = {task: found["retention", task]["scores"] for task in suite.tasks}
        return Scores(
            {split: [ProbeAnswer.from_json(row) for row in rows] for split, rows in probes.items()},
            {task: TaskScores.from_json(found) for task, found in held_out.items()},
        )
