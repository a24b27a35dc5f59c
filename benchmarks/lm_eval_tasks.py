"""Finding and loading lm-eval tasks: those that come with this package, lm-eval's own, and the user's."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager

from benchmarks.files import as_list, as_text, check_columns, read_frame
from benchmarks.pocket import pocket
from mixsd.errors import DataError, SettingError
from mixsd.retention import GENERATED, LIKELIHOOD

OWN = {"pocket_": Path(__file__).parent / "pocket", "paper_": Path(__file__).parent / "paper"}
"""Folders of the tasks that come with this package, by what their names begin with."""
PROMPTS_TASK = "prompts"
"""The task of a user's file of prompts."""
PROMPTS_BUDGET = 128
FEWSHOT_SEED = 1234
"""Draws few-shot examples; lm-eval's own default."""
SCORED = ("loglikelihood", "multiple_choice", "generate_until")
"""Kinds of tasks whose items have a score in [0, 1]; perplexity has none."""
UNUSED_SPLITS: Mapping[str, Mapping[str, None]] = {
    "arc_easy": {"training_split": None, "validation_split": None},
    "arc_challenge": {"training_split": None, "validation_split": None},
    "piqa": {"training_split": None},
    "winogrande": {"training_split": None},
}
"""Splits that scoring never needs, and that a local clone may lack; lm-eval would read them eagerly."""


def is_own(name: str) -> bool:
    """Whether a task comes with this package."""
    return name.startswith(tuple(OWN))


def has_validation_file(name: str) -> bool:
    """Whether a task has a file of validation documents; others set some of their test ones aside."""
    return name.startswith("pocket_")


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
        leaves |= dict.fromkeys(_leaves(name, _manager_of(names, include), include))
    return list(leaves)


def own_digest(names: Sequence[str], include: Path | None) -> str:
    """A hash of the files that define tasks outside lm-eval."""
    used = [folder for prefix, folder in OWN.items() if any(name.startswith(prefix) for name in names)]
    return "-".join(_folder_digest(folder) for folder in [*used, *([include] if include else [])])


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
    listed = [name for name in names if name != PROMPTS_TASK]
    children = [{"task": name, **UNUSED_SPLITS.get(name, {}), **splits} for name in listed]
    asked: list[dict[str, Any]] = [{"group": "retention", "task": children}] if children else []
    if prompts and PROMPTS_TASK in names:
        asked.append(_prompts_task(prompts))
    try:
        with contextlib.chdir(data_root or Path.cwd()), quiet():
            loaded = _manager_of(listed, include).load(asked)["tasks"]
    except (OSError, ValueError) as error:
        where = data_root or "the hub"
        raise DataError(
            f"retention tasks {', '.join(names)}: data not found at {where} ({str(error).splitlines()[0]}); "
            "set data_root to a folder of clones, or use retention=pocket"
        ) from error
    for name, task in loaded.items():
        _check(name, task)
        task.set_fewshot_seed(FEWSHOT_SEED)
        if task.get_config("num_fewshot") is None:
            task.set_config("num_fewshot", 0)
    return {name: loaded[name] for name in names}


def _check(name: str, task: Task) -> None:
    if task.OUTPUT_TYPE not in SCORED:
        raise SettingError(
            f"retention.tasks: {name} has no score per item ({task.OUTPUT_TYPE}); "
            f"allowed: tasks of type {', '.join(SCORED)}"
        )
    if getattr(task, "UNSAFE_CODE", False) and not is_own(name):
        raise SettingError(
            f"retention.tasks: {name} runs generated code without a sandbox; use paper_humaneval instead"
        )


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The documents of a user's file of prompts.

    Args:
        path: Columns `prompt` and `expected`, which may hold several accepted answers (`a|b`).

    Raises:
        DataError: The file or a row is broken; lines are named.
    """
    frame = read_frame("retention.prompts", path)
    check_columns(path, frame, ("prompt", "expected"), ())
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    documents = []
    for line, row in enumerate(rows, start=2 if path.suffix.lower() == ".csv" else 1):
        try:
            document = {"prompt": as_text(row["prompt"]), "answers": list(as_list(row["expected"]))}
        except TypeError as error:
            raise DataError(f"{path}: line {line} is not text; mend the file") from error
        if not document["prompt"] or not document["answers"]:
            raise DataError(f"{path}: line {line} lacks prompt or expected; mend the file")
        documents.append(document)
    return documents


def _prompts_task(path: Path) -> dict[str, Any]:
    """A task of a user's prompts, answered shortly and graded as the pocket tasks are."""
    import datasets

    documents = read_prompts(path)
    return {
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


def _manager_of(names: Sequence[str], include: Path | None) -> TaskManager:
    """Indexing lm-eval's own tasks takes seconds, so it is done only where one is asked for."""
    small = _manager(False, include)
    return small if set(names) <= set(small.all_tasks) else _manager(True, include)


@cache
def _manager(with_defaults: bool, include: Path | None) -> TaskManager:
    folders = [str(folder) for folder in [*OWN.values(), *([include] if include else [])]]
    with quiet():
        return TaskManager(include_path=folders, include_defaults=with_defaults)  # type: ignore[arg-type]


def _leaves(name: str, manager: TaskManager, include: Path | None) -> list[str]:
    entry = manager.task_index.get(name)
    if entry is None:
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
    return [leaf for member in plain for leaf in _leaves(member, manager, include)]


def _is_bare(member: Any) -> bool:
    return isinstance(member, dict) and set(member) == {"task"} and isinstance(member["task"], str)


@cache
def _folder_digest(folder: Path) -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".yaml", ".jsonl", ".py", ".csv"}:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


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
