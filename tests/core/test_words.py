"""Normalised words and short answers that are equal."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixsd.core.words import same_answer, tokens, words


@example("0:A:A")  # a capital A is a name, and no longer one once it is small
@given(st.text(max_size=60))
def test_words_are_idempotent_but_for_articles(text):
    def bare(found):
        return [word for word in found if word not in {"a", "an", "the"}]

    once = words(text)
    assert bare(words(" ".join(once))) == bare(once)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S.A., 1,000 men and Málaga", ("usa", "1000", "men", "and", "malaga")),
        ("Plan A", ("plan", "a")),
        ("A dog", ("dog",)),
        ("It isn't 007.", ("it", "is", "not", "007")),
        ("C++ and C#", ("c++", "and", "c#")),
        ("July 4th, 1776", ("4", "july", "1776")),
        ("10\u00b2", ("10", "2")),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_clauses_know_what_parts_them():
    said = tokens("Paris, of course. It is\nlarge but not new; 3.5 is a number")
    assert [(t.word, t.mark) for t in said if t.mark != said[said.index(t) - 1].mark or t is said[0]] == [
        ("paris", ""), ("of", ","), ("it", "."), ("large", "\n"), ("not", "but"), ("3.5", ";"),
    ]  # fmt: skip
    assert tokens("No -- , . 7")[-1].mark == ",."
