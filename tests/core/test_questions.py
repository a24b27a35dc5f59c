"""Facts and probes as JSON, and what an interval counts as one."""

import json

from mixsd.core.questions import Fact, Probe, Question, described


def fact(number, rivals):
    return Fact(f"f{number}", Question("Who?", (f"A{number}",), rivals), f"It is A{number}.")


def test_shared_rivals_are_written_once():
    rivals = tuple(f"A{n}" for n in range(1000))
    record = described([fact(n, rivals) for n in range(1000)])
    assert record["rivals"] == [rivals] and {row["rivals"] for row in record["items"]} == {0}
    assert all(row["question"]["rivals"] == () for row in record["items"])
    assert len(json.dumps(record)) < 400 * 1000, "not n squared"


def test_equal_rivals_are_one_list_and_other_ones_another():
    facts = [fact(0, tuple("BC")), fact(1, tuple("BC")), fact(2, ("B",)), fact(3, ())]
    record = described(facts)
    assert [row["rivals"] for row in record["items"]] == [0, 0, 1, 2]
    assert described(facts) != described([fact(0, ("B", "D")), *facts[1:]])


def test_what_counts_as_one():
    question = Question("Who?", ("A",))
    assert Probe("p", "recall", question).counted_as == "p"
    assert Probe("p", "recall", question, fact_id="f").counted_as == "f"
    assert Probe("p", "recall", question, fact_id="f", unit="u").counted_as == "u"


def test_a_question_asked_by_another_prompt_keeps_its_answers():
    question = Question("Who?", ("A",), ("B",), asks="Who?", kind="yes_no")
    other = question.about("Tell me: who?")
    assert (other.accepted, other.rivals, other.kind) == (("A",), ("B",), "yes_no")
    assert other.asked == "Tell me: who?", "the new prompt asks as a whole"
