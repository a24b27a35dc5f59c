import pytest

from mixsd.core.values import OTHER, RIGHT, as_quantity, mark_dates, mark_numbers


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
