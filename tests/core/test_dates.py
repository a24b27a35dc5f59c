import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.dates import dates, only_date
from mixsd.core.languages import ENGLISH, LANGUAGES
from mixsd.core.quantities import readable


def parts(text, code="en"):
    return [date.parts for date in dates(readable(text, LANGUAGES[code]), LANGUAGES[code])]


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("2027-06-12", "en", (2027, 6, 12)),
        ("June 12th, 2027", "en", (2027, 6, 12)),
        ("the twelfth of June 2027", "en", (2027, 6, 12)),
        ("12. Juni 2027", "de", (2027, 6, 12)),
        ("12.06.2027", "de", (2027, 6, 12)),
        ("le 1er mai 2020", "fr", (2020, 5, 1)),
        ("12 de junio de 2027", "es", (2027, 6, 12)),
        ("2027年6月12日", "ja", (2027, 6, 12)),
        ("12 июня 2027", "ru", (2027, 6, 12)),
        ("25/06/2027", "en", (2027, 6, 25)),
        ("06/25/2027", "en", (2027, 6, 25)),
        ("July 4", "en", (0, 7, 4)),
        ("June 2027", "en", (2027, 6, 0)),
    ],
)
def test_a_day_however_it_is_written(text, code, expected):
    assert parts(text, code) == [expected]


@pytest.mark.parametrize("text", ["12/06/2027", "30 February 2020", "It may be 5", "March on", "2027"])
def test_what_is_no_day_or_two(text):
    assert parts(text) == []


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(9999, 12, 31)))
def test_the_same_day_in_every_order(day):
    given = day.year, day.month, day.day
    written = [
        (day.isoformat(), "en"),
        (f"{day:%B} {day.day}, {day.year:04}", "en"),
        (f"{day.day} {day:%B} {day.year:04}", "en"),
        (f"{day.day}.{day.month}.{day.year:04}", "de"),
        (f"{day.year:04}年{day.month}月{day.day}日", "ja"),
    ]
    assert [parts(text, code) for text, code in written] == [[given]] * 5


def test_a_day_lacks_only_what_the_question_gives():
    whole, bare = only_date("12 June 2027", ENGLISH), only_date("12 June", ENGLISH)
    assert whole.says(bare) and not bare.says(whole)
    assert bare.says(whole, frozenset({2027}))
    assert not only_date("13 June", ENGLISH).says(bare)
    assert only_date("in June 2027", ENGLISH) is None
