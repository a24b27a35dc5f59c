from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.errors import SettingError
from mixsd.core.grading import FORMATS, find_format, last_boxed, same_answer, words
from mixsd.core.questions import Outcome

CORRECT, WRONG, UNPARSABLE, TRUNCATED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSABLE, Outcome.TRUNCATED
plain, boxed = FORMATS["plain"], FORMATS["boxed"]
name = st.from_regex(r"[A-Z][a-z]{3,9}", fullmatch=True).filter(
    lambda s: s.casefold() not in {"answer", "never"}
)


@pytest.mark.parametrize(
    ("text", "answers", "prompt", "rivals", "outcome"),
    [
        ("The capital of France is Paris.", ["Paris"], "", [], CORRECT),
        ("paris", ["Paris"], "", [], CORRECT),
        ('It is called "Tolgrave".', ["Tolgrave"], "", [], CORRECT),
        ("Málaga", ["Malaga"], "", [], CORRECT),
        ("It is the Netherlands.", ["Netherlands"], "", [], CORRECT),
        ("It is not Paris.", ["Paris"], "", [], WRONG),
        ("It isn't Paris.", ["Paris"], "", [], WRONG),
        ("Parisian food.", ["Paris"], "", [], WRONG),
        ("Rome or Paris.", ["Paris"], "", [], WRONG),
        ("Paris or Rome.", ["Paris"], "", [], WRONG),
        ("Rome is not the capital. Paris is.", ["Paris"], "", ["Rome"], CORRECT),
        ("It is Brenport. It is Tolgrave.", ["Tolgrave"], "", ["Brenport"], WRONG),
        ("I thought Brenport, but the answer is Tolgrave.", ["Tolgrave"], "", ["Brenport"], CORRECT),
        ("The answer is Tolgrave. No, the answer is Brenport.", ["Tolgrave"], "", ["Brenport"], WRONG),
        ("The dish of Brenport is Brostina.", ["Brostina"], "dish of Brenport?", ["Brenport"], CORRECT),
        ("It is New Tolgrave.", ["Tolgrave"], "", ["New Tolgrave"], WRONG),
        ("It is New Tolgrave.", ["New Tolgrave"], "", ["Tolgrave"], CORRECT),
        ("3 plus 4 is 7.", ["7", "seven"], "What is 3 plus 4?", [], CORRECT),
        ("The sum is seven.", ["7", "seven"], "What is 3 plus 4?", [], CORRECT),
        ("3 plus 4 is 12.", ["7", "seven"], "What is 3 plus 4?", [], WRONG),
        ("First 5, then 7.", ["7"], "", [], CORRECT),
        ("First 7, then 5.", ["7"], "", [], WRONG),
        ("1,000 people", ["1000"], "", [], CORRECT),
        ("7.0", ["7"], "", [], CORRECT),
        ("7.5", ["7"], "", [], WRONG),
        ("It is -5.", ["-5"], "", [], CORRECT),
        ("It is -5.", ["5"], "", [], WRONG),
        ("", ["Paris"], "", [], UNPARSABLE),
        (" ... ", ["Paris"], "", [], UNPARSABLE),
        ("It is not called Tolgrave.", ["Tolgrave"], "", [], WRONG),
        ("It is not in Paris.", ["Paris"], "", [], WRONG),
        ("It cannot be Paris.", ["Paris"], "", [], WRONG),
        ("It is neither Paris nor Rome.", ["Paris"], "", [], WRONG),
        ("It isn't really Paris.", ["Paris"], "", [], WRONG),
        ("I don't think it is Paris.", ["Paris"], "", [], WRONG),
        ("I do not know, but I think it is Paris.", ["Paris"], "", [], CORRECT),
        ("Lyon is not the capital.", ["Lyon"], "", [], WRONG),
        ("Lyon is wrong, Paris.", ["Lyon"], "", [], WRONG),
        ("Lyon is not the capital of France; it is Paris.", ["Paris"], "", ["Lyon"], CORRECT),
        ("Instead of Paris, Rome.", ["Paris"], "", [], WRONG),
        ("Instead of Rome, Paris.", ["Paris"], "", ["Rome"], CORRECT),
        ("The answer is Paris. Actually, it is Rome.", ["Paris"], "", [], WRONG),
        ("No, Paris.", ["Paris"], "", [], CORRECT),
        ("No. Paris is the capital.", ["Paris"], "", [], CORRECT),
        ("No. 7", ["7"], "", [], CORRECT),
        ("9780306406158", ["9780306406157"], "", [], WRONG),
        ("9780306406157", ["9780306406157"], "", [], CORRECT),
        ("Python 3.1", ["Python 3.10"], "", [], WRONG),
        ("It needs Python 3.10.", ["Python 3.10"], "", [], CORRECT),
        ("3.10", ["3.1"], "", [], CORRECT),
        ("7", ["007"], "", [], WRONG),
        ("The code is 007.", ["007"], "", [], CORRECT),
        ("It is \u22125.", ["5"], "", [], WRONG),
        ("It is \u22125.", ["-5"], "", [], CORRECT),
        ("It is .5.", ["5"], "", [], WRONG),
        ("It is 0.5.", [".5"], "", [], CORRECT),
        ("10\u00b2", ["102"], "", [], WRONG),
        ("You want Plan C.", ["Plan A"], "", [], WRONG),
        ("You want Plan A.", ["Plan A"], "", [], CORRECT),
        ("plan a", ["Plan A"], "", [], CORRECT),
        ("A dog is a pet.", ["dog"], "", [], CORRECT),
        ("C# it is.", ["C++"], "", [], WRONG),
        ("It is written in C++.", ["C++"], "", [], CORRECT),
        ("First of all, I do not know.", ["ALL"], "", [], WRONG),
        ("It is the ALL.", ["ALL"], "", [], CORRECT),
        ("it is usd", ["USD"], "", [], CORRECT),
        ("The U.S.A. did.", ["USA"], "", [], CORRECT),
        ("July 4", ["4 July"], "", [], CORRECT),
    ],
)
def test_plain(text, answers, prompt, rivals, outcome):
    assert plain.grade(text, answers, prompt=prompt, rivals=rivals).outcome is outcome


@pytest.mark.parametrize(
    ("text", "outcome", "extracted"),
    [
        (r"so \boxed{Tolgrave}", CORRECT, "Tolgrave"),
        (r"\boxed{Brenport} no, \boxed{Tolgrave}", CORRECT, "Tolgrave"),
        (r"\boxed{Tolgrave} no, \boxed{Brenport}", WRONG, "Brenport"),
        (r"\boxed{\text{Tolgrave}}", CORRECT, "Tolgrave"),
        (r"\boxed{Tolgrave or Brenport}", WRONG, "Tolgrave or Brenport"),
        (r"Tolgrave", UNPARSABLE, ""),
        (r"\boxed{}", UNPARSABLE, ""),
        (r"\boxed{Tolgrave", UNPARSABLE, ""),
        (r"\boxed {Tolgrave}", CORRECT, "Tolgrave"),
    ],
)
def test_boxed(text, outcome, extracted):
    verdict = boxed.grade(text, ["Tolgrave"])
    assert (verdict.outcome, verdict.extracted) == (outcome, extracted)


def test_last_boxed_balances_braces():
    assert last_boxed(r"a \boxed{1} b \boxed{\frac{1}{2}} c") == r"\frac{1}{2}"
    assert last_boxed(r"\boxed{1} \boxed{2") == "1"
    assert last_boxed("none") is None


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@given(answer=name, sentence=name)
def test_gold_text_round_trips(form, answer, sentence):
    gold = form.gold_text(f"The {sentence} is called {answer}.", answer)
    assert form.grade(gold, [answer]).outcome is CORRECT


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@given(text=st.text(max_size=80), answer=name)
def test_truncated_never_passes_and_nothing_crashes(form, text, answer):
    gold = form.gold_text(f"It is {answer}.", answer)
    assert form.grade(gold, [answer], truncated=True).outcome is TRUNCATED
    assert form.grade(text, [answer]).outcome in set(Outcome)


@given(answer=name, rival=name)
def test_a_second_answer_never_passes(answer, rival):
    if same_answer(answer, rival):
        return
    for text in (f"It is {answer}, or {rival}.", f"{rival}. {answer}.", f"{answer}. {rival}."):
        assert plain.grade(text, [answer], rivals=[rival, answer]).outcome is WRONG


@given(answer=name)
def test_word_boundaries(answer):
    assert plain.grade(f"It is {answer}x.", [answer]).outcome is WRONG
    assert plain.grade(f"It is x{answer}.", [answer]).outcome is WRONG
    assert plain.grade(f"It is ({answer})!", [answer]).outcome is CORRECT


@given(st.text(max_size=60))
def test_words_are_idempotent(text):
    once = words(text)
    assert words(" ".join(once)) in (once, tuple(w for w in once if w not in {"a", "an", "the"}))


def test_unknown_format_names_the_allowed():
    with pytest.raises(SettingError, match="did you mean plain"):
        find_format("plian")


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (r"\text{Tolgrave}", "Tolgrave"),
        (r"\textbf{\text{Tolgrave}}", "Tolgrave"),
        (r"\mathrm{ Tolgrave }", "Tolgrave"),
        (r"1{,}234", "1234"),
        (r"1\,234", "1234"),
        (r"\$1,234.50", "1234.5"),
        (r"$42$", "42"),
        (r"\frac{1}{2}", "1/2"),
        (r"\dfrac{3}{4}", "3/4"),
        (r"\left( 5 \right)", "5"),
        (r"50\%", "50%"),
        (r"f\{a\}", "f{a}"),
        (r"\textrm{\mathit{Tolgrave}}", "Tolgrave"),
        (r"\frac12", "1/2"),
        (r"x = 5", "5"),
        (r"1\ 234", "1234"),
        (r"100^\circ", "100"),
    ],
)
def test_latex_in_a_box(content, answer):
    assert boxed.grade(rf"So \boxed{{{content}}}.", [answer]).outcome is CORRECT
    assert boxed.grade(rf"So \boxed{{{content}}}.", [answer + "1"]).outcome is WRONG


@given(st.integers(-(10**9), 10**9))
def test_numbers_are_equal_however_they_are_written(number):
    for text in (f"{number}", f"{number:,}", f"{number}.0", f"It is {number:,}."):
        assert plain.grade(text, [str(number)]).outcome is CORRECT
        assert plain.grade(text, [str(number + 1)]).outcome is WRONG
    latex = f"{number:,}".replace(",", "{,}")
    assert boxed.grade(rf"\boxed{{{latex}}}", [str(number)]).outcome is CORRECT


@given(
    answer=name,
    negation=st.sampled_from(
        ["not {}", "never {}", "isn't {}", "no {}", "not really called {}", "neither {} nor x"]
    ),
)
def test_a_negated_answer_is_none(answer, negation):
    assert plain.grade(f"It is {negation.format(answer)}.", [answer]).outcome is WRONG


@given(depth=st.integers(0, 6), answer=name)
def test_nested_braces_are_balanced(depth, answer):
    content = "\\text{" * depth + answer + "}" * depth
    assert boxed.grade(rf"\boxed{{{content}}} and more", [answer]).outcome is CORRECT
    assert boxed.grade(rf"\boxed{{{content}", [answer]).outcome is UNPARSABLE


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_date_is_the_same_in_either_order(day):
    months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
    month = months[day.month - 1]
    first, second = f"{month} {day.day}, {day.year}", f"{day.day} {month} {day.year}"
    assert same_answer(first, second)
    assert not same_answer(first, f"{day.day} {month} {day.year + 1}")


def test_a_space_between_digits_is_no_thousands_mark():
    assert boxed.grade(r"\boxed{1\,2}", ["12"]).outcome is WRONG


@given(st.integers(10**12, 10**20))
def test_long_numbers_are_compared_to_the_last_digit(number):
    assert plain.grade(f"It is {number}.", [str(number)]).outcome is CORRECT
    assert plain.grade(f"It is {number + 1}.", [str(number)]).outcome is WRONG


def test_strict_equality_is_reported_beside_the_normalised_grade():
    grade = lambda text: plain.grade(text, ["The Hague"], with_strict=True)
    assert grade("the hague").strict and grade("It is The Hague.").outcome is CORRECT
    assert grade("Hague").outcome is CORRECT and not grade("Hague").strict
    assert plain.grade("The Hague", ["The Hague"]).strict is None
