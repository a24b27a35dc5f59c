import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.dates import dates, only_date
from mixsd.core.languages import ENGLISH, LANGUAGES
from mixsd.core.numerals import readable

MONTHS = {
    "de": [
        "Januar", "Februar", "März", "April", "Mai", "Juni",
        "Juli", "August", "September", "Oktober", "November", "Dezember",
    ],
    "fr": [
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ],
    "es": [
        "enero", "febrero", "marzo", "abril", "mayo", "junio",
        "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
    ],
    "ru": [
        "января", "февраля", "марта", "апреля", "мая", "июня",
        "июля", "августа", "сентября", "октября", "ноября", "декабря",
    ],
}  # fmt: skip


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
        ("2027/06/12", "en", (2027, 6, 12)),
        ("12.6.27", "de", (2027, 6, 12)),
        ("12.06.85", "de", (1985, 6, 12)),
        ("03/04/2027", "fr", (2027, 4, 3)),
        ("05/05/2027", "en", (2027, 5, 5)),
        ("２０２７年６月１２日", "ja", (2027, 6, 12)),
        ("二〇二七年六月十二日", "zh", (2027, 6, 12)),
        ("6月12日", "ja", (0, 6, 12)),
        ("12 de junio del 2027", "es", (2027, 6, 12)),
        ("15 août 1914", "fr", (1914, 8, 15)),
        ("1 MAYIS 2020", "tr", (2020, 5, 1)),
        ("12 ИЮНЯ 2027", "ru", (2027, 6, 12)),
        ("Sept. 3, 2027", "en", (2027, 9, 3)),
        ("Monday, 4 July, 1776", "en", (1776, 7, 4)),
        ("Fourth of July", "en", (0, 7, 4)),
        ("2027-06-12T10:00", "en", (2027, 6, 12)),
        ("29 February 2024", "en", (2024, 2, 29)),
    ],
)
def test_a_day_however_it_is_written(text, code, expected):
    assert parts(text, code) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "12/06/2027", "30 February 2020", "It may be 5", "March on", "2027", "29 February 2023", "31 April 2020",
        "13/13/2020", "2027-13-01", "v1.2.2020", "may", "",
    ],
)  # fmt: skip
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
        (f"{day.day}. {MONTHS['de'][day.month - 1]} {day.year:04}", "de"),
        (f"{day.day} {MONTHS['fr'][day.month - 1]} {day.year:04}", "fr"),
        (f"{day.day} de {MONTHS['es'][day.month - 1]} de {day.year:04}", "es"),
        (f"{day.day} {MONTHS['ru'][day.month - 1]} {day.year:04}", "ru"),
    ]
    assert [parts(text, code) for text, code in written] == [[given]] * 9


def test_a_day_lacks_only_what_the_question_gives():
    whole, bare = only_date("12 June 2027", ENGLISH), only_date("12 June", ENGLISH)
    assert whole.says(bare) and not bare.says(whole)
    assert bare.says(whole, frozenset({2027}))
    assert not only_date("13 June", ENGLISH).says(bare)
    assert only_date("in June 2027", ENGLISH) is None


@pytest.mark.parametrize(("text", "code"), [("2027년 6월 12일", "ko"), ("12 يونيو 2027", "ar")])
def test_days_in_korean_and_arabic(text, code):
    assert parts(text, code) == [(2027, 6, 12)]


def test_several_days_are_told_in_order():
    assert parts("From 12 June 2027 to 3 July 2027.") == [(2027, 6, 12), (2027, 7, 3)]
    assert only_date("12 June 2027 and 13 June 2027", ENGLISH) is None
    assert only_date("12 June 2027.", ENGLISH).parts == (2027, 6, 12)


@pytest.mark.parametrize(("said", "right"), [("12 June 2027", True), ("13 June 2027", False), ("12 July 2027", False),
                                             ("12 June 2028", False), ("June 2027", False)])  # fmt: skip
def test_every_part_of_a_day_counts(said, right):
    assert only_date(said, ENGLISH).says(only_date("12 June 2027", ENGLISH)) is right


@pytest.mark.parametrize("text", ["2027-00-12", "2027年0月12日"])
def test_a_day_of_no_month_is_none(text):
    assert parts(text) == []


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("15 мая 2027 года", "ru", (2027, 5, 15)),
        ("двенадцатого июня 2027 г.", "ru", (2027, 6, 12)),
        ("12 ביוני 2027", "he", (2027, 6, 12)),
        ("12/06/2027", "he", (2027, 6, 12)),
        ("12 जून 2027", "hi", (2027, 6, 12)),
        ("4 كانون الثاني 2027", "ar", (2027, 1, 4)),
        ("12/06/2027", "ar", (2027, 6, 12)),
        ("12 มิถุนายน 2570", "th", (2027, 6, 12)),
        ("12 มิถุนายน พ.ศ. 2570", "th", (2027, 6, 12)),
        ("12 Haziran 2027'de", "tr", (2027, 6, 12)),
        ("令和9年6月12日", "ja", (2027, 6, 12)),
        ("primero de mayo de 2027", "es", (2027, 5, 1)),
        ("12 de junio del año 2027", "es", (2027, 6, 12)),
        ("am ersten Mai 2027", "de", (2027, 5, 1)),
        ("le premier mai 2027", "fr", (2027, 5, 1)),
        ("the first of May 2027", "en", (2027, 5, 1)),
    ],
)
def test_days_of_other_customs(text, code, expected):
    assert parts(text, code) == [expected]


def test_a_year_word_is_part_of_the_date():
    assert only_date("15 мая 2027 года", LANGUAGES["ru"]) is not None
    assert only_date("12/06/2027", LANGUAGES["en"]) is None
