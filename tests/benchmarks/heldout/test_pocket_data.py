import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.heldout.pocket.documents import FOLDER, grade_answer, grade_pattern
from mixsd.core.grading import grade
from mixsd.core.questions import Outcome, Question
from mixsd.core.words import words

TASKS = ("knowledge", "arithmetic", "instructions", "grammar")


def documents(task, split):
    return [json.loads(line) for line in (Path(FOLDER) / f"{task}.{split}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("task", TASKS)
def test_sizes_splits_and_balance(task):
    validation, test = documents(task, "validation"), documents(task, "test")
    both = validation + test
    assert len(both) >= 300 and len(test) >= 200
    assert len({doc["id"] for doc in both}) == len(both)
    key = "good" if task == "grammar" else "prompt"
    assert len({" ".join(words(doc[key])) for doc in both}) == len(both), "no document twice, in either split"
    shares = [Counter(doc["category"] for doc in docs) for docs in (validation, test)]
    assert set(shares[0]) == set(shares[1])
    for category in shares[0]:
        share = shares[0][category] / (shares[0][category] + shares[1][category])
        assert 0.2 <= share <= 0.45, f"{category} is not balanced"


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("task", TASKS)
def test_a_prefix_mixes_categories(task, split):
    prefix = documents(task, split)[:40]
    assert max(Counter(doc["category"] for doc in prefix).values()) <= 14


@pytest.mark.parametrize("task", ["knowledge", "arithmetic"])
def test_answers_pass_and_are_not_in_their_question(task):
    for doc in documents(task, "validation") + documents(task, "test"):
        for answer in doc["answers"]:
            assert grade_answer(doc, [f"It is {answer}."])["acc"] == 1, doc
        told = grade(doc["prompt"], Question("", tuple(doc["answers"])), ended=True).outcome
        assert told is not Outcome.CORRECT, doc


def test_instructions_are_neither_impossible_nor_trivial():
    for doc in documents("instructions", "validation") + documents("instructions", "test"):
        assert grade_pattern(doc, [doc["example"]])["acc"] == 1, doc
        assert not all(re.fullmatch(doc["pattern"], text, re.DOTALL) for text in ("Yes.", "Paris", "1")), doc


def test_grammar_pairs_are_minimal():
    for doc in documents("grammar", "validation") + documents("grammar", "test"):
        good, bad = doc["good"].split(), doc["bad"].split()
        assert doc["good"] != doc["bad"] and len(good) == len(bad)
        assert sum(a != b for a, b in zip(good, bad, strict=True)) <= 3
