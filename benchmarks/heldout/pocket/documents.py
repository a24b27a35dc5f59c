"""Documents and graders of the pocket tasks, named by their YAML files."""

import re
from pathlib import Path
from typing import Any

import datasets

from mixsd.core.grading import grade
from mixsd.core.kinds import kind_of
from mixsd.core.questions import Outcome, Question
from mixsd.core.store import read_jsonl

FOLDER = Path(__file__).parent
SPLITS = ("validation", "test")


def load(name: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The documents of one task by split."""
    # Not by the reader of the library: it copies what it reads into a cache below HOME.
    return {
        split: datasets.Dataset.from_list(read_jsonl(FOLDER / f"{name}.{split}.jsonl")) for split in SPLITS
    }


def grade_answer(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """The grader of probes, on a short answer."""
    answers = tuple(doc["answers"])
    question = Question(doc["prompt"], answers, kind=kind_of(answers))
    # Cut replies score nothing whatever they say; the suite sees to it.
    return {"acc": float(grade(results[0], question, ended=True).outcome is Outcome.CORRECT)}


def grade_pattern(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the whole reply has the form that was asked for."""
    return {"acc": float(re.fullmatch(doc["pattern"], results[0].strip(), re.DOTALL) is not None)}
