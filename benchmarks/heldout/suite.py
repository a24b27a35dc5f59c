"""Held-out tasks through lm-eval: the forgetting axis.

A suite names tasks; `lm_eval_tasks` finds and loads them, `lm_eval_scores` scores a model on them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval.api.task import Task

from benchmarks.heldout import sandbox
from benchmarks.heldout.lm_eval_scores import Decoding, score
from benchmarks.heldout.lm_eval_tasks import (
    PROMPTS_TASK,
    contexts,
    expand,
    has_validation_file,
    is_own,
    kind,
    load_tasks,
    own_digest,
    question_set,
    read_prompts,
    reads_mathematics,
    runs_code,
)
from mixsd.core import grading
from mixsd.core.draws import shuffled
from mixsd.core.errors import SettingError, at_least
from mixsd.core.files import File, Folder
from mixsd.core.scores import GENERATED, TaskScores
from mixsd.core.store import content_hash
from mixsd.lm.chat_model import ChatModel

MATHEMATICS = ("math-verify", "latex2sympy2_extended")
"""Packages that decide whether two mathematical answers are equal."""
SET_ASIDE = 5
"""At most one in so many documents of a task is set aside for validation."""


class LmEvalSuite:
    """A list of lm-eval tasks.

    Args:
        name: The suite's name.
        tasks: Names of lm-eval tasks and groups; those that begin with `pocket_`, `paper_` or
            `reasoning_` come with this package.
        limit: Test documents per task, the first ones, for base and tuned alike (None: all).
        validation_limit: Validation documents per generated task, scored during training or at its end
            (0: none). Tasks without a validation file of their own set that many aside from their test
            documents, at most a fifth of them.
        data_root: Folder of dataset clones, `<data_root>/<hub id>` (None: the hub).
        include: Folder of further lm-eval task files, whose names may stand in `tasks` (None: none).
        prompts: File of prompts and expected answers, scored as the task `prompts` (None: none).
        temperature: Of generated answers, instead of each task's own (0: greedy; None: the task's).
        max_new_tokens: At most so many tokens an answer, whatever a task allows (None: as the task says).
        allow_code_execution: Whether generated programs may be run, in a sandbox.

    Raises:
        SettingError: A setting is out of range or a task unknown, or code may not or cannot be run.
        DataError: A folder or file is missing or broken.
    """

    def __init__(
        self,
        name: str = "held_out",
        tasks: list[str] | None = None,
        limit: int | None = None,
        validation_limit: int = 0,
        data_root: str | None = None,
        include: Folder | None = None,
        prompts: File | None = None,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        allow_code_execution: bool = False,
    ) -> None:
        self.name = name
        self.limit = None if limit is None else at_least("retention.limit", limit, 1)
        self.validation_limit = at_least("retention.validation_limit", validation_limit, 0)
        if temperature is not None:
            at_least("retention.temperature", temperature, 0)
        if max_new_tokens is not None:
            at_least("retention.max_new_tokens", max_new_tokens, 1)
        self._decoding = Decoding(temperature, max_new_tokens)
        # Absolute, because tasks are loaded with the data root as working directory.
        self._data_root = Path(data_root).expanduser().resolve() if data_root else None
        self._include = include.path.resolve() if include else None
        self._prompts = prompts.path.resolve() if prompts else None
        self._notes: tuple[str, ...] = ()
        if self._prompts:
            # Read for its errors: they should come before a model is loaded.
            _, self._notes = read_prompts(self._prompts)
        own = [PROMPTS_TASK] if prompts else []
        self.tasks = [*expand(tasks or [], self._include), *own]
        if programs := list(filter(runs_code, self.tasks)):
            _may_run_code(programs[0], allow_code_execution)

    @property
    def caveats(self) -> list[str]:
        """What a reader of these scores must know."""
        notes = [*self._notes]
        if "reasoning_mmlu" in self.tasks:
            notes.append("reasoning_mmlu: one of four letters; to guess gives 0.25")
        if self.limit is not None and self.tasks:
            notes.append(f"retention.limit={self.limit}: held-out scores are of a subset of each task")
        return notes

    @property
    def generated(self) -> list[str]:
        """Its tasks whose answers are generated: the headline goes by them."""
        return [name for name, task in self._load(self.tasks).items() if kind(task) == GENERATED]

    def fingerprint(self) -> dict[str, Any]:
        """All that moves a score beside the model: tasks, their files, documents, decoding, versions."""
        own = [name for name in self.tasks if is_own(name) or name == PROMPTS_TASK]
        return {
            "tasks": self._described,
            "limit": self.limit,
            "lm_eval": version("lm_eval"),
            "decoding": [self._decoding.temperature, self._decoding.max_new_tokens],
            "own": [own_digest(self.tasks, self._include), grading.VERSION if own else None],
            "mathematics": [version(name) for name in MATHEMATICS]
            if any(map(reads_mathematics, self.tasks))
            else None,
        }

    def turns(self, name: str) -> list[str]:
        """What a task asks in each of its test documents, before any chat template."""
        task = self._load([name])[name]
        return [str(text) for text in contexts(task, self._test_documents(name), whole=True)]

    def size(self, tasks: Sequence[str]) -> int:
        """Answers that scoring these tasks takes; a greedy one stands for all samples of a document."""
        one_each = self._decoding.temperature == 0
        return sum(
            len(self._test_documents(name)) * (1 if one_each else int(task.get_config("repeats") or 1))
            for name, task in self._load(tasks).items()
        )

    def evaluate(
        self, model: ChatModel, tasks: Sequence[str], batch_size: int, on_done: Callable[[int], None]
    ) -> dict[str, TaskScores]:
        """Score a model on the test documents of some tasks."""
        loaded = self._load(tasks)
        documents = {name: self._test_documents(name) for name in loaded}
        return score(model, loaded, documents, batch_size, self._decoding, on_done)

    def validate(self, model: ChatModel, batch_size: int) -> float | None:
        """Mean score on the validation documents of the generated tasks; None where there are none."""
        tasks, documents = self._validation
        if not tasks:
            return None
        scores = score(model, tasks, documents, batch_size, self._decoding, lambda _: None)
        return float(np.mean([task.mean for task in scores.values()]))

    @cached_property
    def _described(self) -> dict[str, dict[str, Any]]:
        """Each task: its version, how it is asked, and a hash of what is asked, from hub or clone alike."""
        return {
            name: {
                "version": task.VERSION,
                "num_fewshot": task.get_config("num_fewshot"),
                "chat_template": kind(task) == GENERATED,
                "generation": task.get_config("generation_kwargs"),
                "documents": _digest(task, self._test_documents(name)),
            }
            for name, task in self._load(self.tasks).items()
        }

    @cached_property
    def _validation(self) -> tuple[dict[str, Task], dict[str, list[int]]]:
        """The generated tasks with validation documents, and those documents."""
        if not self.validation_limit:
            return {}, {}
        generated = self._load(self.generated)
        filed = [name for name in generated if has_validation_file(name)]
        others = {n: task for n, task in generated.items() if n not in filed and self._set_aside(n)}
        tasks = self._load(filed, validation=True)
        documents = {n: list(range(min(self.validation_limit, len(t.eval_docs)))) for n, t in tasks.items()}
        return {**tasks, **others}, {**documents, **{n: self._set_aside(n) for n in others}}

    def _test_documents(self, name: str) -> list[int]:
        # Validation documents choose settings, so they are no test documents (decision 3).
        aside = set(self._set_aside(name))
        return [i for i in range(self._sizes[name]) if i not in aside][: self.limit]

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: len(task.eval_docs) for name, task in self._load(self.tasks).items()}

    def _set_aside(self, name: str) -> list[int]:
        """Validation documents taken from a task that has no file of them: the same ones in every run."""
        if has_validation_file(name) or kind(self._load(self.tasks)[name]) != GENERATED:
            return []
        n = self._sizes[name]
        # Not by the run's seed: the same documents must be scored for all seeds (decision 4). By the set of
        # questions, not by the task: one that asks them in another way must set the same ones aside.
        drawn = shuffled(
            map(str, range(n)), "validation documents", question_set(name, self._load([name])[name])
        )
        return sorted(map(int, drawn[: min(self.validation_limit, n // SET_ASIDE)]))

    def _load(self, tasks: Sequence[str], validation: bool = False) -> Mapping[str, Task]:
        return load_tasks(tuple(tasks), self._data_root, self._include, self._prompts, validation)


def _digest(task: Task, asked: Sequence[int]) -> str:
    documents = task.eval_docs  # made anew at every look
    return content_hash([[documents[i] for i in asked], contexts(task, asked)], size=8)


def _may_run_code(task: str, allowed: bool) -> None:
    if not allowed:
        raise SettingError(
            f"{task} runs generated programs; add retention.allow_code_execution=true, "
            "or leave it out of retention.tasks"
        )
    sandbox.check()
