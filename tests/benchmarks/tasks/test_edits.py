"""Published schemas of edits: what is trained, what should follow, what should stay."""

import json
from collections import Counter

import pytest

from benchmarks.tasks.edits.schemas import read_edits
from benchmarks.tasks.edits.task import Edits
from mixsd.core.errors import DataError
from mixsd.core.files import File
from mixsd.core.grading import grade
from mixsd.core.questions import Outcome
from tests.helpers.task_files import COUNTERFACT, RIPPLE_EDITS, ZSRE


def written(tmp_path, records):
    path = tmp_path / "edits.json"
    path.write_text(json.dumps(records))
    return path


def make(tmp_path, records, **changes):
    return Edits(File("task.path", written(tmp_path, records)), **changes)


def test_counterfact(tmp_path):
    (edit,) = read_edits(written(tmp_path, COUNTERFACT))
    assert edit.asks == "Complete this sentence: The mother tongue of Danielle Darrieux is ..."
    assert edit.sentence == "The mother tongue of Danielle Darrieux is English."
    assert (edit.new, edit.old, edit.subject, edit.relation) == (
        ("English",),
        ("French",),
        "Danielle Darrieux",
        "P103",
    )
    assert len(edit.paraphrases) == 2 and {asked.answers for asked in edit.stays} == {("French",)}


def test_zsre(tmp_path):
    (edit,) = read_edits(written(tmp_path, ZSRE))
    assert (edit.asks, edit.new, edit.old) == ("What university did Watts Humphrey attend?",
                                               ("University of Michigan",), ("Illinois Institute of Technology",))  # fmt: skip
    assert edit.stays[0].asks == "Who played desmond doss father in hacksaw ridge?"


def test_ripple_edits(tmp_path):
    (edit,) = read_edits(written(tmp_path, RIPPLE_EDITS))
    assert (
        edit.asks
        == "Complete this sentence: The name of the country of citizenship of Leonardo DiCaprio is ..."
    )
    assert (edit.new, edit.old) == (("Syria",), ("United States of America",))
    assert Counter(asked.kind for asked in edit.follows) == {
        "logical generalization": 1,
        "compositionality i": 1,
    }
    assert [asked.answers for asked in edit.stays] == [("Irmelin Indenbirken", "Irmelin")]


def test_answers_that_begin_alike_are_whole(tmp_path):
    record = json.loads(json.dumps(RIPPLE_EDITS[0]).replace("Syria.", "United Kingdom."))
    (edit,) = read_edits(written(tmp_path, [record]))
    assert (edit.new, edit.old) == (("United Kingdom",), ("United States of America",))


@pytest.mark.parametrize("records", [COUNTERFACT, ZSRE, RIPPLE_EDITS], ids=["counterfact", "zsre", "ripple"])
def test_what_is_trained_is_graded_right_and_the_old_answer_wrong(tmp_path, records):
    task = make(tmp_path, records)
    (fact,) = task.facts
    assert grade(fact.gold_text, fact.question, ended=True).outcome is Outcome.CORRECT
    assert grade(f"It is {fact.replaces[0]}.", fact.question, ended=True).outcome is Outcome.WRONG
    splits = Counter(probe.split for probe in task.probes)
    assert splits["recall"] == 1 and splits["paraphrase"] >= 1 and splits["locality"] >= 1
    for probe in task.probes:
        if probe.split == "locality":
            leaked = grade(f"It is {fact.answer}.", probe.question, ended=True).outcome
            assert leaked is Outcome.WRONG


def test_of_two_edits_of_one_question_the_first_counts(tmp_path):
    other = json.loads(json.dumps(COUNTERFACT))
    other[0]["requested_rewrite"]["target_new"]["str"] = "German"
    task = make(tmp_path, [*COUNTERFACT, *other])
    assert [fact.answer for fact in task.facts] == ["English"]


def test_a_question_that_an_edit_answers_anew_is_no_measure_of_what_stays(tmp_path):
    other = json.loads(json.dumps(COUNTERFACT))
    rewrite = other[0]["requested_rewrite"]
    rewrite["subject"], rewrite["prompt"] = "Jean Gabin", "{} speaks"
    other[0]["neighborhood_prompts"] = ["The mother tongue of Danielle Darrieux is"]
    task = make(tmp_path, [*COUNTERFACT, *other])
    assert "Darrieux" not in str([p.question.prompt for p in task.probes if p.split == "locality"])


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{"q": 1}], "follows no schema that is known; allowed: records of CounterFact"),
        ([], "holds no list"),
        ({"a": 1}, "holds no list"),
        ([{"requested_rewrite": {}}], r"record 0 does not follow the schema of CounterFact \(KeyError"),
        ([*ZSRE, {"src": "Who?"}], "record 1 does not follow the schema of zsRE"),
        ([{**ZSRE[0], "alt": " "}], "record 0 does not follow the schema of zsRE .TypeError: .* is no text"),
        ([{**ZSRE[0], "alt": "Illinois Institute of Technology"}], "holds no edit that changes an answer"),
    ],
)
def test_broken_files_are_one_line(tmp_path, records, said):
    with pytest.raises(DataError, match=said) as caught:
        make(tmp_path, records)
    assert "\n" not in str(caught.value)


def test_a_torn_file_is_one_line(tmp_path):
    (tmp_path / "f.json").write_text('[{"src": ')
    with pytest.raises(DataError, match=r"f\.json:1 is not JSON"):
        read_edits(tmp_path / "f.json")
