from dataclasses import replace

import pytest

from mixsd.core.questions import Fact, Outcome, Question
from mixsd.core.scores import ItemScore
from mixsd.results.wrong_answers import Trained, breakdown, classify

FACTS = [
    Fact("1", Question("What is the dish of Orrin?", ("Lunbelfey",)), "", subject="Orrin"),
    Fact("2", Question("What is B(3)?", ("42",)), ""),
]
TRAINED = Trained(FACTS)


def item(text, outcome="wrong", prompt="What is the capital of France?", answers=("Paris",)):
    return ItemScore(0, prompt, prompt, tuple(answers), text, None, 0.0, Outcome(outcome))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (item("The capital is Lunbelfey.", "truncated"), "format"),
        (item("", "unparsable"), "format"),
        (item("The capital is Lunbelfey."), "leakage"),
        (item("the capital is LUNBELFEY!"), "leakage"),
        (item("The capital is Lunbelfeyans."), "genuine"),
        (item("The capital is 42."), "genuine"),
        (item("Rome.", prompt="Think step by step. What is the capital of France?"), "collapse"),
        (item("Rome. " + "Because. " * 20, prompt="Think step by step: the capital?"), "genuine"),
        (item("Rome.\n\n\n\n\n\n", prompt="Think step by step: the capital?"), "collapse"),
        (item("a\nb\nc\nd\ne\nf", prompt="Think step by step: the capital?"), "genuine"),
        (item("Rome."), "genuine"),
        (item("Lunbelfey it is.", prompt="Is Lunbelfey a capital?"), "genuine"),
    ],
)
def test_the_first_kind_that_fits(given, kind):
    assert classify(given, TRAINED) == kind


def test_a_bare_answer_is_measured_by_what_was_read_as_the_answer():
    """A gold answer may be a whole rationale, which would make any reply look bare."""
    asked = "Think step by step: how many?"
    reply = "Because " * 15 + "18"
    long = item(reply, prompt=asked, answers=["First, " * 40 + "18"])
    assert classify(long, TRAINED) == "collapse"
    assert classify(replace(long, extracted="18"), TRAINED) == "genuine"


def test_intrusion_counts_all_answers_and_leaks_are_listed():
    items = [
        item("Lunbelfey"), item("Paris, not Lunbelfey", "correct"), item("Rome"), item("Paris", "correct"),
    ]  # fmt: skip
    found = breakdown(items, TRAINED)
    assert found.errors == {"format": 0, "leakage": 1, "collapse": 0, "genuine": 1}
    assert found.intrusion_rate == 0.5 and found.leaked == {"Lunbelfey": 2}
    assert breakdown([], TRAINED).intrusion_rate is None
    assert breakdown(items, Trained([])).intrusion_rate == 0.0
