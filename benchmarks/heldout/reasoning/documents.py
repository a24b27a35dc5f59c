"""Documents of the tasks that ask a small model to reason: fixed parts of the paper's sets, asked greedily.

Questions and graders are those of the paper's suite. What differs is how many are asked, that MMLU has no
worked examples, and that GSM8K is also asked without the request for a box, which tells ability from format
(decision 16).
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import datasets

from benchmarks.heldout.paper.documents import (
    SOURCES,
    Doc,
    grade_choice,
    grade_mathematics,
    grade_program,
    mean,
    mmlu,
)
from mixsd.core.draws import shuffled
from mixsd.core.formats import FORMATS, without_latex

__all__ = ["grade_choice", "grade_mathematics", "grade_number", "grade_program", "load", "mean"]

ASKED = {"gsm8k": 224, "math500": 124}
"""Documents of a set that are asked; of the others all."""
PER_SUBJECT = 3
"""Documents of each of the 57 subjects of MMLU."""
_NUMBER = re.compile(
    r"(?<![\d./])(?:(?<![\w)])-)?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:/\d+)?(?![\d/])"
)


def load(name: str, boxed: bool = True, **_: Any) -> dict[str, datasets.Dataset]:
    """The test documents of one task, the same ones in every run.

    Args:
        name: The data set.
        boxed: Whether the question asks for steps and a box.
    """
    documents = _of_each_subject() if name == "mmlu" else _some(name, list(SOURCES[name]()), ASKED.get(name))
    if not boxed:
        asked = FORMATS["boxed"].without_request
        documents = [{**doc, "prompt": asked(doc["prompt"])} for doc in documents]
    return {"test": datasets.Dataset.from_list(documents)}


def grade_number(doc: Doc, results: list[Any]) -> dict[str, Any]:
    """Whether the last number that a reply names is the right one, whatever form it has."""
    named = _NUMBER.findall(without_latex(results[0]).replace("\N{MINUS SIGN}", "-"))
    return {"acc": [float(bool(named) and _value(named[-1]) == _value(doc["answers"][0]))]}


def _value(number: str) -> Fraction | None:
    """The value of a number as it is written; None for a division by zero."""
    over, _, under = number.replace(",", "").partition("/")
    return Fraction(over) / int(under or 1) if under == "" or int(under) else None


def _of_each_subject() -> list[Doc]:
    subjects: defaultdict[str, list[Doc]] = defaultdict(list)
    for doc in mmlu(worked_examples=0):
        subjects[doc["subject"]].append(doc)
    return [doc for subject, docs in subjects.items() for doc in _some(subject, docs, PER_SUBJECT)]


def _some(name: str, documents: Iterable[Doc], number: int | None) -> list[Doc]:
    """So many documents, in their own order; not the first ones, which may be alike."""
    docs = list(documents)
    drawn = shuffled(map(str, range(len(docs))), "reasoning", name)[:number]
    return [docs[place] for place in sorted(map(int, drawn))]
