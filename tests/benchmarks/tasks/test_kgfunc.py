from collections import Counter

import pytest

from benchmarks.tasks.kgfunc import EASY, FUNCTIONS, SHOWN, KGFunc, digits
from mixsd.core.errors import SettingError
from mixsd.core.grading import grade
from mixsd.core.questions import Axis, Outcome

# Worked out by hand.
TABLE = {
    #         B   C   D   E    F   G   H
    328: (37, 69, 21, 52, 14, 45, 283),
    41: (9, 15, 5, 8, 8, 11, 14),
    2679: (90, 64, 68, 120, 24, 97, 2679),
    90210: (86, 84, 14, 4, 45, 49, 2109),
    1: (0, 1, 1, 1, 1, 1, 1),
    0: (0, 0, 0, 0, 0, 0, 0),
}
EASY_328 = dict(
    zip(EASY, (13, 48, 3, 8, 2, 3, 8, 6, 823, 11, 2, 1, 3, 4, 77, 238, 832, 0, 26, 24), strict=True)
)


def make(**changes):
    values = dict(
        name="kgfunc", functions="BCDEFGH", max_input=99999, facts=40, test=25, chains=5, unseen=3,
        answer_format="plain", max_new_tokens=64, seed=0,
    )  # fmt: skip
    return KGFunc(**{**values, **changes})


@pytest.mark.parametrize(("place", "letter"), list(enumerate("BCDEFGH")))
def test_functions_by_hand(place, letter):
    assert {number: FUNCTIONS[letter](number) for number in TABLE} == {
        n: row[place] for n, row in TABLE.items()
    }


def test_easy_functions_by_hand():
    assert {name: value(digits(328)) for name, value in EASY.items()} == EASY_328
    assert EASY["count of zeros"](digits(1020)) == 2 and EASY["digital root"](digits(99999)) == 9
    assert EASY["reversed integer"](digits(120)) == 21 and EASY["product of the non-zero digits"]([0, 3]) == 3


@pytest.mark.parametrize("form", ["plain", "boxed"])
def test_gold_texts_work_the_value_out_and_pass_the_grader(form):
    task = make(answer_format=form, facts=200)
    for fact in task.facts:
        letter, number = fact.category, int(fact.id[2:-1])
        assert fact.answer == str(FUNCTIONS[letter](number))
        verdict = grade(fact.gold_text, fact.question, ended=True)
        assert verdict.outcome is Outcome.CORRECT, fact.gold_text
        off = fact.gold_text.replace(f"answer is {fact.answer}.", f"answer is {int(fact.answer) + 1}.")
        off = off.replace(f"{{{fact.answer}}}", f"{{{int(fact.answer) + 1}}}")
        assert grade(off, fact.question, ended=True).outcome is Outcome.WRONG


def test_a_number_of_the_prompt_is_no_excuse():
    task = make()
    fact = task.facts[0]
    shown = fact.prompt.splitlines()[0].split(" = ")[1]
    reply = f"It has to do with {fact.answer}. The answer is {shown}."
    if shown != fact.answer:
        assert grade(reply, fact.question, ended=True).outcome is Outcome.WRONG


def test_splits_are_disjoint_and_sized():
    task = make(facts=None, max_input=999, test=25, chains=7, unseen=2)
    counts = Counter(probe.split for probe in task.probes)
    free = 1000 - sum(number <= 999 for number in SHOWN)
    assert len(task.facts) == 7 * (free - 25)
    assert counts == {
        "recall": len(task.facts), "test": 175, "chain_same": 49, "chain_mixed": 7, "unseen_functions": 40,
        "recall_shifted": 200,
    }  # fmt: skip
    trained = {fact.id for fact in task.facts}
    tested = {probe.id.removesuffix(" / test") for probe in task.probes if probe.split == "test"}
    assert not trained & tested
    shown = {f"{letter}({number})" for letter in FUNCTIONS for number in SHOWN}
    assert not shown & (trained | tested), "what a prompt solves is neither trained nor tested"
    assert task.axes["test"] is Axis.GENERALIZATION and task.axes["unseen_functions"] is Axis.RETENTION


def test_chains_end_at_the_second_function_of_the_offset_value():
    for probe in make(chains=30).probes:
        if not probe.split.startswith("chain"):
            continue
        question = probe.question.prompt.splitlines()[-1]
        equation, asked = question.removeprefix("Let y = ").split(". What is ")
        first, number = equation[0], int(equation[2:].split(")")[0])
        offset = int(equation.split(") ")[1].replace(" ", ""))
        assert probe.question.accepted == (str(FUNCTIONS[asked[0]](FUNCTIONS[first](number) + offset)),)
        assert (first == asked[0]) == (probe.split == "chain_same")


def test_the_default_is_the_papers_size():
    task = make(facts=1600, chains=200, unseen=25)
    assert len(task.facts) == 1600 and task.facts[:40] == make().facts
    counts = Counter(probe.split for probe in task.probes)
    assert (counts["test"], counts["chain_same"], counts["chain_mixed"]) == (175, 1400, 200)
    assert counts["unseen_functions"] == 500
    assert task.facts[0].prompt.count(" = ") == 10


def test_an_unseen_function_counts_as_one_however_many_inputs_are_asked():
    unseen = [probe for probe in make(unseen=25).probes if probe.split == "unseen_functions"]
    assert len(unseen) == 500 and len({probe.counted_as for probe in unseen}) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"functions": "BX"}, "task.functions=BX is unknown; allowed: letters of BCDEFGH"),
        ({"functions": "BB"}, "each once"),
        ({"max_input": 3}, "task.max_input=3"),
        ({"max_input": 9, "test": 50}, "task.test=50"),
        ({"max_input": 9, "test": 2, "facts": 500}, "task.facts=500"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(SettingError, match=message):
        make(**changes)
