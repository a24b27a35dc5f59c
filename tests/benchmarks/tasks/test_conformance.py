"""What every task must do; a new task is found by its config file."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from mixsd.core.questions import Axis, Outcome
from mixsd.core.store import content_hash
from mixsd.run.config import compose_run
from tests.benchmarks.tasks.test_own_facts import GOOD
from tests.conftest import ROOT

GOLDENS = Path(__file__).parents[2] / "data/task_prompts.json"
NAMES = sorted(path.stem for path in (ROOT / "conf/task").glob("*.yaml"))
SHOWS_ITS_ANSWER = {"retrieval"}


def overrides(name, folder):
    """What a task needs to be built without anything outside this repository."""
    if name == "simpleqa":
        root = os.environ.get("MIXSD_DATA_ROOT") or pytest.skip("needs MIXSD_DATA_ROOT")
        return [f"data_root={root}", "task.facts=30"]
    if name == "own_facts":
        (folder / "facts.csv").write_text(GOOD)
        return [f"task.path={folder / 'facts.csv'}"]
    return ["task.path=pocket", "task.facts=20"] if name == "mquake" else []


@pytest.fixture(params=NAMES)
def task(request, tmp_path):
    more = overrides(request.param, tmp_path)
    return compose_run(["model=tiny_random", "retention=none", f"task={request.param}", *more]).task


def test_ids_are_unique_and_splits_have_an_axis(task):
    assert len({fact.id for fact in task.facts}) == len(task.facts) > 0
    assert len({probe.id for probe in task.probes}) == len(task.probes)
    facts = {fact.id for fact in task.facts}
    for probe in task.probes:
        assert task.axis(probe.split) in Axis and probe.prompt
        assert probe.answers or probe.split == "neighbors"
        assert not probe.fact_id or probe.fact_id in facts
    recall = [probe for probe in task.probes if probe.split == "recall"]
    assert [(p.fact_id, p.prompt, p.answers) for p in recall] == [
        (f.id, f.prompt, f.answers) for f in task.facts
    ]
    assert task.axis("recall") is Axis.MEMORIZATION and task.about


def test_the_grader_accepts_every_gold_text_and_no_truncated_one(task):
    for fact in task.facts:

        def grade(truncated, fact=fact):
            return task.grade(fact.gold_text, fact.answers, prompt=fact.prompt, truncated=truncated).outcome

        assert grade(False) is Outcome.CORRECT, fact.gold_text
        assert grade(True) is Outcome.TRUNCATED


def test_no_prompt_holds_its_own_answer(task):
    for item in [*task.facts, *task.probes]:
        answers = [a for a in item.answers if any(char.isalpha() for char in a)]  # numbers may coincide
        if getattr(item, "split", "") not in SHOWS_ITS_ANSWER:
            assert not any(answer in item.prompt for answer in answers), item.prompt


TEXTS = {
    "id",
    "question",
    "prompt",
    "answer",
    "gold_text",
    "category",
    "subject",
    "fact_id",
    "split",
    "kind",
    "system",
}
LISTS = {"aliases", "replaces", "answers"}
FIELDS = {
    "Fact": {"id", "question", "prompt", "answer", "gold_text", "aliases", "category", "subject", "replaces"},
    "Probe": {"id", "split", "prompt", "answers", "fact_id", "kind", "system", "earlier"},
}


def test_everything_is_json_with_known_fields(task):
    """The schema that others read: which fields there are, and of what type each is."""
    for item in [*task.facts, *task.probes]:
        record = json.loads(json.dumps(asdict(item)))
        assert set(record) == FIELDS[type(item).__name__]
        for key, value in record.items():
            if key in TEXTS:
                assert isinstance(value, str), (key, value)
            elif key in LISTS:
                assert all(isinstance(text, str) and text for text in value)
            else:
                assert key == "earlier" and all(len(turn) == 2 for turn in value)
        assert record["id"] and record["prompt"]
    assert json.loads(json.dumps(task.identity)) == task.identity


@pytest.mark.parametrize("name", ["kgfact_small", "kgfunc_pocket", "closed_book_qa_pocket", "mquake_pocket"])
def test_data_does_not_depend_on_the_hash_seed(name):
    program = (
        "from dataclasses import asdict; from mixsd.run.config import compose_run;"
        "from mixsd.core.store import content_hash;"
        f"task = compose_run(['model=tiny_random', 'retention=none', 'task={name}']).task;"
        "print(content_hash([asdict(x) for x in [*task.facts, *task.probes]]))"
    )
    task = compose_run(["model=tiny_random", "retention=none", f"task={name}"]).task
    here = content_hash([asdict(item) for item in [*task.facts, *task.probes]])
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    there = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert there.stdout.split()[-1] == here, there.stderr


def first_prompts(task):
    splits = {}
    for probe in task.probes:
        splits.setdefault(probe.split, []).append([probe.prompt, list(probe.answers)])
    return {split: rows[:2] for split, rows in splits.items()}


def test_the_first_prompts_are_the_golden_ones(task):
    golden = json.loads(GOLDENS.read_text(encoding="utf-8"))
    if task.name == "simpleqa":
        pytest.skip("its questions are not copied into this repository")
    assert first_prompts(task) == golden[task.name]


def test_the_card_of_a_task(cli, tmp_path):
    out = tmp_path / "card.md"
    done = cli(
        "-m",
        "mixsd",
        "card",
        "model=tiny_random",
        "task=mquake_pocket",
        "retention.limit=20",
        "--out",
        str(out),
    )
    assert done.returncode == 0, done.stderr
    card = out.read_text()
    assert "24 facts" in card and "| locality | retention | 44 |" in card and "Apache-2.0" in card
    assert "gives them away: pocket_knowledge" in card and "compared one by one" in card
    bad = cli("-m", "mixsd", "card", "task=kgfakt")
    assert bad.returncode == 2 and "task=kgfakt is unknown" in bad.stderr
