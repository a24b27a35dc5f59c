"""How answers are asked for and what a box holds."""

import pytest

from mixsd.core.errors import SettingError
from mixsd.core.formats import FORMATS, find_format, last_boxed


def test_last_boxed_balances_braces():
    assert last_boxed(r"a \boxed{1} b \boxed{\frac{1}{2}} c") == r"\frac{1}{2}"
    assert last_boxed(r"\boxed{1} \boxed{2") == "1"
    assert last_boxed("none") is None


def test_unknown_format_names_the_allowed():
    with pytest.raises(SettingError, match="did you mean plain"):
        find_format("plian")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_is_asked_stands_before_the_request(form):
    question = form.question("Who?", ("Ann",), kind="name")
    assert (question.asked, question.format, question.prompt) == ("Who?", form.name, form.prompt("Who?"))
    assert form.without_request(question.prompt) == "Who?"
