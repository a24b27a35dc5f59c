"""Finding and loading lm-eval tasks: those that come with this package, lm-eval's own, and the user's."""

import contextlib
import errno
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import yaml
from jinja2 import TemplateError
from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager

from benchmarks.heldout.pocket import documents as pocket
from benchmarks.user_tables import as_list, as_text, read_table
from mixsd.core.errors import DataError, SettingError
from mixsd.core.files import folder_digest
from mixsd.core.scores import GENERATED, LIKELIHOOD

_HERE = Path(__file__).parent
OWN = {
    "pocket_": (_HERE / "pocket",),
    "paper_": (_HERE / "paper",),
    "reasoning_": (_HERE / "reasoning", _HERE / "paper"),
}
"""Folders of the tasks that come with this package, by what their names begin with: their own one, and those
that it takes from."""
PROMPTS_TASK = "prompts"
"""The task of a user's file of prompts."""
PROMPTS_BUDGET = 128
FEWSHOT_SEED = 1234
"""Draws few-shot examples; lm-eval's own default."""
RENDERED = 100
"""Prompts of a task that are hashed as they are asked; of the other documents the content."""
UNUSED_SPLITS: Mapping[str, Mapping[str, None]] = {
    "arc_easy": {"training_split": None, "validation_split": None},
    "arc_challenge": {"training_split": None, "validation_split": None},
    "piqa": {"training_split": None},
    "winogrande": {"training_split": None},
}
"""Splits that scoring never needs, and that a local clone may lack; lm-eval would read them eagerly."""


def is_own(name: str) -> bool:
    """Whether a task comes with this package."""
    return any((folders[0] / f"{name}.yaml").exists() for folders in OWN.values())


def question_set(name: str, task: Task) -> str:
    """What a task takes its documents from: tasks of this package that share it ask the same questions."""
    return (task.get_config("dataset_kwargs") or {}).get("name", name) if is_own(name) else name


def has_validation_file(name: str) -> bool:
    """Whether a task has a file of validation documents; others set some of their test ones aside."""
    return is_own(name) and name.startswith("pocket_")


def kind(task: Task) -> str:
    """`generated` or `likelihood`."""
    return GENERATED if task.OUTPUT_TYPE == "generate_until" else LIKELIHOOD


def expand(names: Sequence[str], include: Path | None) -> list[str]:
    """Task names, with groups and tags replaced by the tasks they hold.

    Raises:
        SettingError: A name is unknown, or a group changes its tasks in place (they must be named then).
    """
    if not names:
        return []
    leaves: dict[str, None] = {}
    for name in names:
        leaves |= dict.fromkeys(_leaves(name, include))
    return list(leaves)


def own_digest(names: Sequence[str], include: Path | None) -> str:
    """A hash of the files that define tasks outside lm-eval."""
    used = [OWN[prefix] for prefix in OWN if any(name.startswith(prefix) for name in names)]
    folders = dict.fromkeys(folder for of_one in used for folder in of_one)
    return "-".join(_digest_once(folder) for folder in [*folders, *([include] if include else [])])


def runs_code(name: str) -> bool:
    """Whether a task of this package runs what the model wrote."""
    return is_own(name) and name.endswith("_humaneval")


def reads_mathematics(name: str) -> bool:
    """Whether a task's answers may be compared as mathematics."""
    return is_own(name) and name.startswith(("paper_", "reasoning_"))


@cache
def load_tasks(
    names: tuple[str, ...],
    data_root: Path | None,
    include: Path | None,
    prompts: Path | None,
    validation: bool,
) -> dict[str, Task]:
    """Load tasks, with the data root as working directory so that hub ids resolve to their clones.

    Args:
        names: Names of single tasks, as `expand` gives them, and `prompts`.
        data_root: Folder of dataset clones (None: the hub).
        include: A user's folder of task files.
        prompts: The file behind `prompts`.
        validation: Load validation documents instead of test documents.

    Raises:
        DataError: A task's data is neither under the data root nor to be had from the hub.
        SettingError: A task cannot be scored item by item.
    """
    if not names:
        return {}
    splits: Mapping[str, None] = {"test_split": None} if validation else {}
    with contextlib.chdir(data_root or Path.cwd()), quiet():
        loaded = {
            name: _prompts_task(prompts)
            if prompts and name == PROMPTS_TASK
            else _load(name, {**UNUSED_SPLITS.get(name, {}), **splits}, include, data_root)
            for name in names
        }
    for name, task in loaded.items():
        _check(name, task)
        if task.get_config("num_fewshot") is None:
            task.set_config("num_fewshot", 0)
    return loaded


def draw_examples_anew(task: Task) -> None:
    """Few-shot examples are drawn from one stream a task; before each use it begins again, so that base and
    tuned model are shown the same."""
    task.set_fewshot_seed(FEWSHOT_SEED)


def contexts(task: Task, documents: Sequence[int], whole: bool = False) -> list[Any]:
    """What a task asks of its documents, few-shot examples included, before any chat template.

    Args:
        task: A loaded task.
        documents: Their indices.
        whole: Of all of them, not of the first ones alone, by which a task is known.

    Raises:
        DataError: It cannot ask them.
    """
    draw_examples_anew(task)
    docs, shown = task.eval_docs, int(task.get_config("num_fewshot"))
    try:
        return [task.fewshot_context(docs[i], shown) for i in (documents if whole else documents[:RENDERED])]
    except (TemplateError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"retention.tasks: {task.get_config('task')} cannot ask its documents ({type(error).__name__}: "
            f"{_first_words(error)}) with num_fewshot={shown}; mend doc_to_text, doc_to_target or "
            f"num_fewshot in "
            "its file, or leave it out"
        ) from error


def metric_of(task: Task) -> str | None:
    """The metric whose mean over items is the score, `acc` where it can be; None for perplexity or F1."""
    means = [metric for metric, fold in _folds(task).items() if getattr(fold, "__name__", "") == "mean"]
    return "acc" if "acc" in means else next(iter(means), None)


def _folds(task: Task) -> dict[str, Any]:
    """How each metric of a task makes one number of its items'."""
    return task.aggregation() or {}  # type: ignore[func-returns-value]


def _load(name: str, changes: Mapping[str, None], include: Path | None, data_root: Path | None) -> Task:
    """One task with settings changed; only inside a group does it keep those that are not named."""
    group = {"group": "retention", "task": [{"task": name, **changes}]}
    try:
        return _manager_of(name, include).load([group])["tasks"][name]
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DataError(
                f"retention task {name}: {error.filename} cannot be written ({error.strerror}); set HF_HOME "
                "to a folder that can, or use retention=pocket"
            ) from error
        raise DataError(
            f"retention task {name}: data not found at {data_root or 'the hub'} ({_first_words(error)}); "
            "set data_root to a folder of clones, or use retention=pocket"
        ) from error
    except (
        ImportError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        TemplateError,
    ) as error:
        raise DataError(
            f"retention task {name} cannot be loaded ({type(error).__name__}: {_first_words(error)}); "
            "install what it needs or mend its file, or leave it out"
        ) from error


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _check(name: str, task: Task) -> None:
    if metric_of(task) is None:
        raise SettingError(
            f"retention.tasks: {name} has no score per item ({', '.join(_folds(task))}); "
            "allowed: tasks with a metric whose mean is the score"
        )
    if getattr(task, "UNSAFE_CODE", False) and not is_own(name):
        raise SettingError(
            f"retention.tasks: {name} runs generated code without a sandbox; use paper_humaneval instead"
        )


def read_prompts(path: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The documents of a user's file of prompts, and what the user is told of how it was read.

    Args:
        path: Columns `prompt` and `expected`, which may hold several accepted answers (`a|b`).

    Raises:
        DataError: The file or a row is broken; lines are named.
    """
    documents = []
    table = read_table("retention.prompts", path, ("prompt", "expected"), ())
    for line, row in table.rows:
        try:
            document = {"prompt": as_text(row["prompt"]), "answers": list(as_list(row["expected"]))}
        except TypeError as error:
            raise DataError(f"{path}: line {line} is not text; mend the file") from error
        if not document["prompt"] or not document["answers"]:
            raise DataError(f"{path}: line {line} lacks prompt or expected; mend the file")
        documents.append(document)
    return documents, table.notes


def _prompts_task(path: Path) -> Task:
    """A task of a user's prompts, answered shortly and graded as the pocket tasks are."""
    documents, _ = read_prompts(path)
    config = {
        "task": PROMPTS_TASK,
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(documents)},
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answers[0]}}",
        "process_results": pocket.grade_answer,
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": PROMPTS_BUDGET},
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "num_fewshot": 0,
        "metadata": {"version": 1.0},
    }
    return _manager(False, None).load([config])["tasks"][PROMPTS_TASK]


def _manager_of(name: str, include: Path | None) -> TaskManager:
    """Indexing lm-eval's own tasks takes seconds, so it is done only where one is asked for."""
    small = _manager(False, include)
    return small if name in small.all_tasks else _manager(True, include)


@cache
def _manager(with_defaults: bool, include: Path | None) -> TaskManager:
    folders = [str(folder) for folder in [*(own[0] for own in OWN.values()), *([include] if include else [])]]
    with quiet():
        return TaskManager(include_path=folders, include_defaults=with_defaults)  # type: ignore[arg-type]


def _leaves(name: str, include: Path | None) -> list[str]:
    manager = _manager_of(name, include)
    entry = manager.task_index.get(name)
    if entry is None:
        _see_that_files_parse(include)
        at_hand = ", ".join(_manager(False, include).all_subtasks)
        raise SettingError(
            f"retention.tasks: {name} is no task or group of lm-eval or retention.include; at hand: {at_hand}"
        )
    if name in manager.all_tags:
        return sorted(entry.tags)
    if name not in manager.all_groups:
        return [name]
    members: list[Any] = (entry.cfg or {}).get("task") or []
    plain = [member["task"] if _is_bare(member) else member for member in members]
    if not all(isinstance(member, str) for member in plain):
        raise SettingError(
            f"retention.tasks: group {name} changes its tasks in place; name the tasks instead: "
            f"{', '.join(str(m.get('task', m.get('group'))) if isinstance(m, dict) else m for m in members)}"
        )
    # Down to the leaves: lm-eval would make one wrong task of a group's name.
    return [leaf for member in plain for leaf in _leaves(member, include)]


def _see_that_files_parse(include: Path | None) -> None:
    """lm-eval passes over task files that it cannot read; say which one.

    Raises:
        DataError: A file of the user's folder is no YAML mapping, or includes a file that is not there.
    """
    for path in sorted(include.rglob("*.yaml")) if include else ():
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"))  # functions stay unread
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is no YAML ({_first_words(error)})") from error
        if not isinstance(node, yaml.MappingNode):
            raise DataError(f"{path} holds no task: give settings, `task: name` among them")
        for value in (value for key, value in node.value if key.value == "include"):
            listed = value.value if isinstance(value, yaml.SequenceNode) else [value]
            missing = [n.value for n in listed if not (path.parent / str(n.value)).exists()]
            if missing:
                raise DataError(f"{path} includes {missing[0]}, which is not there")


def _is_bare(member: Any) -> bool:
    return isinstance(member, dict) and set(member) == {"task"} and isinstance(member["task"], str)


@cache
def _digest_once(folder: Path) -> str:
    return folder_digest(folder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """lm-eval logs a page a call."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "lm-eval", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
