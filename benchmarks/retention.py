"""Held-out tasks through lm-eval: the forgetting axis.

lm-eval reseeds the global generators, does not see truncated answers, and has one chat-template switch
a call; this bridge keeps the generators, generates with the same function as the probes, and makes one
call for generated tasks (chat template on) and one for likelihood tasks (off).
"""

import contextlib
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval.api.task import Task
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from benchmarks.answers import GRADER_DIGEST
from mixsd.engine.generation import generate
from mixsd.errors import DataError, SettingError, at_least
from mixsd.knowledge import Outcome
from mixsd.method import Student
from mixsd.mixing.decoding import Sampling
from mixsd.retention import GENERATED, LIKELIHOOD, TaskScores

POCKET = Path(__file__).parent / "pocket"
PREFIX = "pocket_"

FEWSHOT_SEED = 1234
"""Draws few-shot examples; lm-eval's own default."""
METRICS: Mapping[str, str] = {"gsm8k": "exact_match"}
"""The metric of tasks that have no `acc`."""
FILTERS: Mapping[str, str] = {"gsm8k": "flexible-extract"}
"""The answer filter of tasks that have several."""
UNUSED_SPLITS: Mapping[str, Mapping[str, None]] = {
    "arc_easy": {"training_split": None, "validation_split": None},
    "arc_challenge": {"training_split": None, "validation_split": None},
    "piqa": {"training_split": None},
    "winogrande": {"training_split": None},
}
"""Splits that scoring never needs, and that a local clone may lack; lm-eval would read them eagerly."""


class LmEvalSuite:
    """A list of lm-eval tasks.

    Args:
        name: The suite's name.
        tasks: Names of lm-eval tasks (leaves, not groups); those that begin with `pocket_` come with
            this package.
        limit: Documents per task, the first ones, for base and tuned alike (None: all).
        validation_limit: Validation documents per generated pocket task at each evaluation during
            training (0: none).
        data_root: Folder of dataset clones, `<data_root>/<hub id>` (None: the hub).
    """

    def __init__(
        self,
        name: str,
        tasks: list[str],
        limit: int | None,
        validation_limit: int,
        data_root: str | None,
    ) -> None:
        self.name, self.tasks = name, tasks
        self.limit = None if limit is None else at_least("retention.limit", limit, 1)
        self.validation_limit = at_least("retention.validation_limit", validation_limit, 0)
        self._data_root = Path(data_root).expanduser() if data_root else None
        unknown = [task for task in tasks if _is_pocket(task) and not (POCKET / f"{task}.yaml").exists()]
        if unknown:
            known = ", ".join(sorted(path.stem for path in POCKET.glob(f"{PREFIX}*.yaml")))
            raise SettingError(f"retention.tasks: {', '.join(unknown)} unknown; pocket tasks: {known}")

    def fingerprint(self) -> dict[str, Any]:
        """Tasks, limit, lm-eval version, and the content of the pocket files."""
        pocket = any(_is_pocket(task) for task in self.tasks)
        return {
            "tasks": self.tasks,
            "limit": self.limit,
            "lm_eval": version("lm_eval"),
            "pocket": [_folder_digest(POCKET), GRADER_DIGEST] if pocket else None,
        }

    def size(self, tasks: Sequence[str]) -> int:
        """Documents that scoring these tasks goes through."""
        loaded = self._load(tasks)
        return sum(min(len(task.eval_docs), self.limit or len(task.eval_docs)) for task in loaded.values())

    def evaluate(
        self, student: Student, tasks: Sequence[str], batch_size: int, on_done: Callable[[int], None]
    ) -> dict[str, TaskScores]:
        """Score a model on the test documents of some tasks."""
        return _score(student, self._load(tasks), self.limit, batch_size, on_done)

    def validate(self, student: Student, batch_size: int) -> float | None:
        """Mean score on the first validation documents of the generated pocket tasks."""
        if not self.validation_limit:
            return None
        pocket = [name for name in self.tasks if _is_pocket(name)]
        tasks = self._load(pocket, validation=True)
        loaded = {name: task for name, task in tasks.items() if _kind(task) == GENERATED}
        if not loaded:
            return None
        scores = _score(student, loaded, self.validation_limit, batch_size, lambda _: None)
        return float(np.mean([task.mean for task in scores.values()]))

    def _load(self, tasks: Sequence[str], validation: bool = False) -> dict[str, Task]:
        return _load_tasks(tuple(tasks), self._data_root, validation)


@cache
def _task_manager(with_defaults: bool) -> TaskManager:
    """Indexing lm-eval's own tasks takes seconds, so it is done once, and only where one is asked for."""
    return TaskManager(include_path=str(POCKET), include_defaults=with_defaults)


@cache
def _load_tasks(names: tuple[str, ...], data_root: Path | None, validation: bool) -> dict[str, Task]:
    """Load tasks, with the data root as working directory so that hub ids resolve to their clones.

    Raises:
        DataError: A task's data is neither under the data root nor to be had from the hub.
        SettingError: A name is unknown, or names a group.
    """
    if not names:
        return {}
    manager = _task_manager(not all(map(_is_pocket, names)))
    unknown = [name for name in names if name not in manager.all_subtasks]
    if unknown:
        raise SettingError(
            f"retention.tasks: {', '.join(unknown)} is no lm-eval task (groups: list the tasks)"
        )
    splits: Mapping[str, None] = {"test_split": None} if validation else {}
    children = [{"task": name, **UNUSED_SPLITS.get(name, {}), **splits} for name in names]
    group = {"group": "retention", "task": children}
    try:
        with contextlib.chdir(data_root or Path.cwd()), _quiet():
            loaded = manager.load([group])["tasks"]
    except (OSError, ValueError) as error:
        where = data_root or "the hub"
        raise DataError(
            f"retention tasks {', '.join(names)}: data not found at {where} ({str(error).splitlines()[0]}); "
            "set data_root to a folder of clones, or use retention=pocket"
        ) from error
    for task in loaded.values():
        task.set_fewshot_seed(FEWSHOT_SEED)
        if task.get_config("num_fewshot") is None:
            task.set_config("num_fewshot", 0)
    return {name: loaded[name] for name in names}


_Base: Any = HFLM  # its decorator hides the constructor from type checkers


class _Reader(_Base):
    """lm-eval's model, generating as the probes do and remembering which replies never ended."""

    def __init__(self, student: Student, batch_size: int, on_done: Callable[[int], None]) -> None:
        super().__init__(
            pretrained=student.model,
            tokenizer=student.tokenizer,
            batch_size=batch_size,
            chat_template_args=student.template_options,
        )
        self._student, self._on_done = student, on_done
        self.truncated: set[tuple[str, int]] = set()

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        replies: dict[int, str] = {}
        by_settings: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            by_settings.setdefault(repr(request.args[1]), []).append(index)
        for rows in by_settings.values():
            settings = dict(requests[rows[0]].args[1])
            until = settings.get("until") or []
            budget = int(settings.get("max_gen_toks", self.max_gen_toks))
            room = max(
                1, int(self.max_length) - budget
            )  # a longer context loses its beginning, as in lm-eval
            completions = generate(
                self._student,
                [self._prompt_ids(requests[row].args[0])[-room:] for row in rows],
                max_new_tokens=budget,
                batch_size=int(self.batch_size),
                on_done=self._on_done,
                stop=[until] if isinstance(until, str) else until,
                sampling=_sampling(settings),
            )
            for row, completion in zip(rows, completions, strict=True):
                replies[row] = completion.text
                if completion.truncated:
                    self.truncated.add((str(requests[row].task_name), int(requests[row].doc_id or 0)))
        return [replies[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return super().loglikelihood(requests, disable_tqdm=True)

    def _prompt_ids(self, context: str) -> list[int]:
        """The context is rendered by the chat template already, special tokens included."""
        return self.tokenizer(context, add_special_tokens=False)["input_ids"]


def _sampling(settings: Mapping[str, Any]) -> Sampling:
    """How a task wants its tokens picked.

    Raises:
        SettingError: It wants nucleus sampling, which is not offered.
    """
    if not settings.get("do_sample"):
        return Sampling()
    if settings.get("top_p", 1) != 1:
        raise SettingError(f"generation_kwargs.top_p={settings['top_p']} is not offered; allowed: 1")
    return Sampling(float(settings.get("temperature", 1)), settings.get("top_k"))


def _score(
    student: Student,
    tasks: Mapping[str, Task],
    limit: int | None,
    batch_size: int,
    on_done: Callable[[int], None],
) -> dict[str, TaskScores]:
    scores: dict[str, TaskScores] = {}
    for kind in (GENERATED, LIKELIHOOD):
        chosen = {name: task for name, task in tasks.items() if _kind(task) == kind}
        if not chosen:
            continue
        with _undisturbed(student.model), _quiet():
            reader = _Reader(student, batch_size, on_done)
            results: Any = evaluate(
                reader,
                {"tasks": chosen, "groups": {}, "group_map": {}},
                limit=limit,
                bootstrap_iters=0,
                apply_chat_template=kind == GENERATED,
            )
        for name, task in chosen.items():
            scores[name] = _task_scores(name, task, results["samples"][name], reader.truncated)
            if kind == LIKELIHOOD:
                on_done(len(scores[name].items))
    return {name: scores[name] for name in tasks}


def _task_scores(
    name: str, task: Task, samples: list[dict[str, Any]], truncated: set[tuple[str, int]]
) -> TaskScores:
    metric = METRICS.get(name, "acc")
    wanted = FILTERS.get(name)
    rows = [sample for sample in samples if wanted in (None, sample["filter"])]
    kind = _kind(task)
    items = []
    for row in sorted(rows, key=lambda row: row["doc_id"]):
        cut = (name, row["doc_id"]) in truncated
        score = 0.0 if cut else float(row[metric])
        text = str(row["filtered_resps"][0]) if kind == GENERATED else ""
        items.append(
            {
                "doc_id": row["doc_id"],
                "prompt": _prompt(row["doc"], kind),
                "answers": _answers(row),
                "text": text,
                "score": score,
                "outcome": _outcome(score, cut, text, kind).value,
            }
        )
    return TaskScores(metric, kind, _chance(task, rows), items)


def _prompt(doc: Mapping[str, Any], kind: str) -> str:
    keys = ("prompt", "question", "goal", "text", "good", "sentence")
    return next((str(doc[key]) for key in keys if key in doc), "")


def _answers(row: Mapping[str, Any]) -> list[str]:
    listed = row["doc"].get("answers")
    return [str(answer) for answer in listed] if listed else [str(row["target"])]


def _outcome(score: float, cut: bool, text: str, kind: str) -> Outcome:
    if score == 1:
        return Outcome.CORRECT
    if cut:
        return Outcome.TRUNCATED
    return Outcome.UNPARSABLE if kind == GENERATED and not text.strip() else Outcome.WRONG


def _chance(task: Task, rows: Sequence[Mapping[str, Any]]) -> float:
    """Accuracy of guessing: one over the number of choices; 0 where the answer is generated or a word."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return 0.0
    return float(np.mean([1 / len(row["resps"]) for row in rows]))


def _kind(task: Task) -> str:
    return GENERATED if task.OUTPUT_TYPE == "generate_until" else LIKELIHOOD


def _is_pocket(name: str) -> bool:
    return name.startswith(PREFIX)


@cache
def _folder_digest(folder: Path) -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(folder.iterdir()):
        if path.suffix in {".yaml", ".jsonl", ".py"}:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Put back what lm-eval changes globally: three random generators and the training mode."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    training = model.training
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        model.train(training)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval logs a page a call, and draws bars of its own inside ours."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "lm-eval")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
