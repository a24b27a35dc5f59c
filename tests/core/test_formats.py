"""How answers are asked for and what a box holds."""

import pytest

from mixsd.core.errors import SettingError
from mixsd.core.formats import (
    FORMATS,
    boxes,
    find_format,
    last_boxed,
    same_mathematics,
    without_latex,
    without_thought,
)


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


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("a<think>b", "a"),
        ("<think>a</think>", ""),
        ("<think>", ""),
        ("x<think>a</think>y<think>b</think>z", "z"),
        ("<think>a</think>b<think>c", "b"),
        ("<think>a\nb</think>\n\nc", "\n\nc"),
        ("I think>that", "I think>that"),
        ("no thought", "no thought"),
    ],
)
def test_what_a_reply_thinks_is_left_out(reply, left):
    assert without_thought(reply) == left


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (r"\boxed{a} and \boxed{b}", ["a", "b"]),
        (r"\boxed{a \boxed{b}}", [r"a \boxed{b}", "b"]),
        (r"\boxed{{a}{b}}", ["{a}{b}"]),
        ("\\boxed\n{a}", ["a"]),
        (r"\boxed{}", [""]),
        (r"\boxed{a}} \boxed{b", ["a"]),
        (r"\fbox{a}", []),
        ("", []),
    ],
)
def test_the_boxes_of_a_reply(text, held):
    assert boxes(text) == held
    assert last_boxed(text) == (held[-1] if held else None)


@pytest.mark.parametrize(
    ("given", "answer", "same"),
    [
        (r"\frac{1}{2}", "0.5", True),
        ("0.5", r"\dfrac12", True),
        ("1/3", r"\frac{2}{6}", True),
        ("1/3", "0.33", False),
        ("x+1", "1+x", True),
        ("x+1", "x+2", False),
        ("x^2-1", "(x-1)*(x+1)", True),
        (r"2\pi", r"\pi\cdot 2", True),
        (r"\sqrt{2}", "1.41", False),
        ("Paris", "Rome", False),
        ("Paris", "Paris", False),
    ],
)
def test_mathematics_is_compared_by_value(given, answer, same):
    assert same_mathematics(given, answer) is same


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (r"\textbf{\text{Ann}}", "Ann"),
        (r"\dfrac{3}{4}", "3/4"),
        (r"1{,}234", "1234"),
        (r"\left( 5 \right)", "( 5  )"),
        ("plain", "plain"),
    ],
)
def test_what_a_box_says_without_its_markup(content, said):
    assert without_latex(content) == said
