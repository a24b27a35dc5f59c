import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tasks.mquake.cases import read_cases
from benchmarks.tasks.mquake.task import POCKET_FILE, MQuAKE
from mixsd.core.errors import DataError, SettingError
from mixsd.core.files import File
from mixsd.core.grading import grade
from mixsd.core.questions import Axis, Outcome
from mixsd.run.config import compose_run


def make(path=None, facts=None, locality=50):
    return MQuAKE("mquake", path and File("task.path", Path(path)), facts, locality, "plain", 32)


def hop(question, answer, aliases=()):
    return {"question": question, "cloze": question, "answer": answer, "answer_alias": list(aliases)}


def edit(subject, new, old="Old", relation="P1"):
    return {
        "prompt": "The capital of {} is", "relation_id": relation, "subject": subject,
        "question": f"What is the capital of {subject}?",
        "target_new": {"str": new, "id": "Q1"}, "target_true": {"str": old, "id": "Q2"},
    }  # fmt: skip


def case(number, edits, hops, answer="New", aliases=()):
    new = [hop(e["question"], e["target_new"]["str"], ["Alias of " + e["target_new"]["str"]]) for e in edits]
    return {
        "case_id": number, "requested_rewrite": edits, "questions": [f"Chain {number} {i}?" for i in range(3)],
        "answer": "Old", "answer_alias": [], "new_answer": answer, "new_answer_alias": list(aliases),
        "single_hops": [hop(e["question"], "Old", ["Elder"]) for e in edits] + hops, "new_single_hops": new + hops,
    }  # fmt: skip


CASES = [
    case(1, [edit("A", "New A")], [hop("Where is X?", "A")], aliases=["Newer"]),
    case(2, [edit("B", "New B"), edit("C", "New C")], [hop("Where is Y?", "B")]),
    case(3, [edit("A", "Other A")], [hop("Where is Z?", "A")]),  # contradicts case 1
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(CASES))
    return path


def test_two_and_three_hops_edited_and_unedited_apart(file):
    task = make(file)
    assert {fact.id: fact.answer for fact in task.facts} == {
        "A / P1": "New A", "B / P1": "New B", "C / P1": "New C",
    }  # fmt: skip
    kinds = Counter(p.kind for p in task.probes if p.split == "multi_hop")
    assert kinds == {"2 hops, 1 edited": 3, "3 hops, 2 edited": 3}, "the contradicting case is not asked"
    assert task.conflicts == {"A / P1"} and "1 of them had a contradiction" in task.about
    fact = task.facts[0]
    assert (
        fact.replaces == ("Old", "Elder")
        and fact.gold_text == f"The capital of {fact.subject} is {fact.answer}."
    )
    asked = {p.question.prompt: p.question.accepted for p in task.probes if p.split == "locality"}
    assert asked == {f"Where is {x}?": (y,) for x, y in (("X", "A"), ("Y", "B"), ("Z", "A"))}
    assert task.axes["locality"] is Axis.RETENTION and task.axes["multi_hop"] is Axis.GENERALIZATION


def test_aliases_count(file):
    task = make(file)
    probe = next(p for p in task.probes if p.split == "multi_hop" and p.id.startswith("case 1"))
    for text in ("It is New.", "It is Newer."):
        verdict = grade(text, probe.question, ended=True)
        assert verdict.outcome is Outcome.CORRECT


def test_the_answer_before_the_edit_is_a_second_answer():
    task = make(facts=24)
    fact = task.facts[0]
    old, new = fact.replaces[0], fact.answer

    def outcome(text, answers):
        others = tuple({*fact.answers, *fact.replaces} - set(answers))
        return grade(text, replace(fact.question, accepted=answers, rivals=others), ended=True).outcome

    assert set(fact.replaces) <= set(fact.question.rivals)

    for text in (f"It is {old}. Others are {new} and more.", f"It is {new}. It was {old}."):
        assert outcome(text, fact.answers) is Outcome.WRONG and outcome(text, fact.replaces) is Outcome.WRONG
    denied = f"{new} is not the one; it is {old}."
    assert (
        outcome(denied, fact.answers) is Outcome.WRONG and outcome(denied, fact.replaces) is Outcome.CORRECT
    )
    assert outcome(f"It is {new}.", fact.answers) is Outcome.CORRECT


def test_a_name_that_is_too_long():
    with pytest.raises(DataError, match="File name too long"):
        make("x" * 5000)


def test_a_file_below_the_data_root_is_found(tmp_path):
    (tmp_path / "clones").mkdir()
    (tmp_path / "clones/cases.json").write_text(json.dumps(CASES))
    overrides = ["task=mquake", "task.path=cases.json", "task.facts=null", f"data_root={tmp_path}/clones"]
    assert len(compose_run(["model=tiny_random", "retention=none", *overrides]).task.facts) == 3


def test_questions_over_one_chain_count_as_one(file):
    hops = [probe for probe in make(file).probes if probe.split == "multi_hop"]
    assert len(hops) == 6 and {probe.counted_as for probe in hops} == {"case 1", "case 2"}


def test_multi_hop_only_where_all_edits_are_trained(file):
    task = make(file, facts=1)
    assert len(task.facts) == 1
    hops = {p.id.split(" / ")[0] for p in task.probes if p.split == "multi_hop"}
    assert hops <= {"case 1"} and (hops or task.facts[0].id != "A / P1")


def test_pocket_set_follows_the_schema():
    cases = read_cases(POCKET_FILE)
    assert len(cases) == 34 and all(len(c.edits) == 1 and len(c.hops) == 2 for c in cases.values())
    task = make(facts=24)
    assert len(task.facts) == 24 and not task.conflicts
    counts = Counter(p.split for p in task.probes)
    assert counts["multi_hop"] == 72 and counts["locality"] == 44
    for fact in task.facts:
        assert fact.answer not in fact.replaces and fact.answer not in fact.prompt
        verdict = grade(fact.gold_text, fact.question, ended=True)
        assert verdict.outcome is Outcome.CORRECT


@pytest.mark.real_data
def test_the_published_file():
    root = os.environ.get("MIXSD_DATA_ROOT") or pytest.skip("needs MIXSD_DATA_ROOT")
    hard = Path(root) / "princeton-nlp/MQuAKE/MQuAKE-hard.json"
    task = make(hard)
    assert len(task.facts) == 767 and len(task.conflicts) == 2
    assert {p.kind for p in task.probes if p.split == "multi_hop"} == {"4 hops, 4 edited"}
    with pytest.raises(SettingError, match="1 to 767 edits"):
        make(hard, facts=800)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[", "is not JSON"),
        (b"{}", "holds no list of cases"),
        (b"[]", "holds no list of cases"),
        (b"[1]", "case 0 does not follow the schema"),
        (json.dumps([{**CASES[0], "new_answer": None}]).encode(), "case 0 does not follow the schema"),
        (
            json.dumps([CASES[0], {"case_id": 2}]).encode(),
            "case 1 does not follow the schema of MQuAKE-CF .KeyError",
        ),
        (json.dumps([{**CASES[0], "questions": []}]).encode(), "case 0 has no edit or no question"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON that can be read"),
        (b"[" + b"1" * 5000 + b"]", "is not JSON that can be read"),
        (json.dumps([{**CASES[0], "questions": "What?"}]).encode(), "case 0 does not follow the schema"),
        (
            json.dumps([{**CASES[0], "new_answer_alias": "Newer"}]).encode(),
            "case 0 does not follow the schema",
        ),
        (json.dumps([{**CASES[0], "new_answer": " "}]).encode(), "case 0 does not follow the schema"),
        (json.dumps([CASES[0], CASES[0]]).encode(), "stands more than once"),
    ],
)
def test_broken_files_are_one_line(tmp_path, content, message):
    path = tmp_path / "cases.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        make(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="task.path=.*none.json does not exist; give a file"):
        make(tmp_path / "none.json")
