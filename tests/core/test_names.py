"""Which names a text holds."""

import pytest

from mixsd.core.names import Names, stands_in
from mixsd.core.questions import Fact, Question
from mixsd.results.wrong_answers import Trained


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("These are all I know, from top to bottom.", []),
        ("Pay in ALL or in Lek.", ["ALL", "Lek"]),
        ("the LEK, and lek again", ["Lek"]),
        ("New York is not York.", ["New York", "York"]),
        ("Lekking", []),
        ("It is 42, or x.", []),
    ],
)
def test_codes_are_found_as_written_and_other_names_in_any_case(text, found):
    assert Names(["ALL", "TOP", "Lek", "York", "New York", "42", "x"]).found_in(text) == found


def test_no_names_are_in_no_text():
    assert (
        Names([]).found_in("anything") == [] and not stands_in("Lek", "Lekking") and stands_in("Lek", "a lek")
    )


def test_a_trained_name_within_a_longer_one_of_the_prompt_is_shown():
    facts = [Fact(name, Question("", (name,)), "") for name in ("York", "New York")]
    trained = Trained(facts)
    assert trained.named("York", "Where is New York?") == [] and trained.named("York", "Where?") == ["York"]
