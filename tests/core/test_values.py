from fractions import Fraction

import pytest

from mixsd.core.values import OTHER, RIGHT, as_quantity, is_value, mark_dates, mark_numbers


def marks(text, accepted, asked, mark=mark_numbers):
    return [
        word for word in mark(text, (accepted,), asked).text.split() if word.startswith(("0right", "0other"))
    ]


@pytest.mark.parametrize(
    ("text", "accepted", "asked", "right"),
    [
        ("45", "45 days", "How long?", False),
        ("45", "45 days", "How many days?", True),
        ("45 days", "45", "How many?", True),
        ("$45", "€45", "What does it cost?", False),
        ("6 weeks", "42 days", "How long?", True),
        ("45%", "0.45", "What share?", True),
        ("0.45", "45%", "What share?", True),
        ("45", "45%", "What percentage?", True),
        ("45%", "45", "How many are left?", False),
        ("9:00 am", "9 a.m.", "When?", True),
        ("15:00", "3 pm", "When?", True),
        ("3", "3 pm", "When?", False),
        ("25%", "1/4", "What share?", True),
        ("1/4", "25%", "What share?", True),
        ("24 months", "2 years", "How long?", True),
        ("45 days", "45 hours", "How long?", False),
        ("3 km", "3000 m", "How far?", True),
        ("3 miles", "3 km", "How far?", False),
        ("1 kg", "1000 g", "How heavy?", True),
        ("45 dollars", "$45", "What does it cost?", True),
        ("1.250", "1250", "Wie viele Menschen wohnen dort?", True),
        ("1.250", "1250", "How many people live there?", False),
        ("45日", "45 days", "How long?", True),
        ("forty-five days", "45 days", "How long?", True),
        ("seventh", "7", "Which place?", True),
        ("5", "-5", "What is it?", False),
    ],
)
def test_units_count_where_they_are_given(text, accepted, asked, right):
    assert (marks(text, accepted, asked) == [RIGHT]) is right


def test_what_else_a_reply_counts_is_no_second_answer():
    assert marks("It has 64 rooms on 5 floors.", "64", "How many rooms are there?") == [RIGHT]
    assert marks("You have 45 days and pay $5.", "45 days", "How long?") == [RIGHT]
    assert marks("14 of the 20 are red.", "14", "How many of the 20 are red?") == [RIGHT]
    assert marks("It is 45 days. No, 30 days.", "45 days", "How long?") == [RIGHT, f"{OTHER}1"]


def test_a_bound_is_no_second_value():
    assert mark_numbers("24 months or longer", ("24 months",), "How long?").text.strip() == RIGHT


def test_a_statement_begins_with_its_answer_and_a_calculation_ends_with_it():
    assert mark_numbers("60 days. After 90 days you pay.", ("60 days",), "How many days?").first_counts
    assert not mark_numbers("30 days + 30 days = 60 days", ("60 days",), "How many days?").first_counts


def test_days_are_compared_in_parts():
    assert marks("On 12 June.", "12 June 2027", "When in 2027?", mark_dates) == [RIGHT]
    assert marks("On 12 June.", "12 June 2027", "When?", mark_dates) == [f"{OTHER}0"]
    assert marks("From 12 June 2027 to 20 June 2027.", "12 June 2027", "When does it start?", mark_dates) == [
        RIGHT
    ]


def test_the_words_of_a_value_are_kept():
    assert mark_numbers("It is forty-five.", ("45",), "").written == {RIGHT: "45"}
    assert as_quantity("007") is None


@pytest.mark.parametrize(
    ("reply", "accepted", "asked", "right"),
    [
        ("12.06.2027", "12 June 2027", "Wann ist es?", True),
        ("2027年6月12日", "12 June 2027", "When?", True),
        ("Saturday, 12 June 2027", "12 June 2027", "When?", True),
        ("12 June 2027", "12 June", "On which day?", True),
        ("03/04/2027", "3 April 2027", "Wann ist das?", True),
        ("03/04/2027", "3 April 2027", "When?", False),
        ("June 2027", "12 June 2027", "When?", False),
        ("12 June 2028", "12 June 2027", "When?", False),
    ],
)
def test_a_day_counts_however_it_is_written(reply, accepted, asked, right):
    assert (marks(reply, accepted, asked, mark_dates) == [RIGHT]) is right


def test_the_end_of_a_time_counts_where_it_is_asked_for():
    ends = mark_dates("June 12 to June 20", ("20 June",), "When does it end?")
    assert ends.text.split()[-1] == RIGHT and not ends.first_counts
    assert mark_dates("June 12 to June 20", ("12 June",), "When does it start?").first_counts


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("1,250 employees", 1250), ("three", 3), ("-5", -5), ("1/4", Fraction(1, 4)), ("45 %", 45),
        ("007", None), ("Route 66", None), ("7 of 9", None), ("3 big dogs", None), ("12 June", None), ("", None),
    ],
)  # fmt: skip
def test_an_answer_that_is_a_number(answer, number):
    found = as_quantity(answer)
    assert (found and found.number) == number


@pytest.mark.parametrize(
    ("word", "value"), [(RIGHT, True), (f"{OTHER}3", True), ("-4.5", True), ("four", False), ("4x", False)]
)
def test_words_that_stand_for_values(word, value):
    assert is_value(word) is value
