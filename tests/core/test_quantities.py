from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.languages import LANGUAGES, language_of
from mixsd.core.numerals import readable
from mixsd.core.quantities import quantities
from mixsd.core.units import units_named

DAY = 86_400


def read(text, code=""):
    language = LANGUAGES[code] if code else language_of(text)
    return [(q.value, q.dimension) for q in quantities(readable(text, language), language)]


@pytest.mark.parametrize(
    ("text", "code", "value", "dimension"),
    [
        ("1,250 employees", "en", 1250, ""),
        ("1.250 Menschen", "de", 1250, ""),
        ("1.250", "en", Fraction("1.25"), ""),
        ("1 250 personnes", "fr", 1250, ""),
        ("1'250", "en", 1250, ""),
        ("1.250,50", "de", Fraction("1250.5"), ""),
        ("1,25,000", "en", 125_000, ""),
        ("1.25e3", "en", 1250, ""),
        ("1.25 × 10^3", "en", 1250, ""),
        ("1.5 million", "en", 1_500_000, ""),
        ("two and a half million", "en", 2_500_000, ""),
        ("one thousand two hundred and fifty", "en", 1250, ""),
        ("fünfundvierzig Tage", "de", 45 * DAY, "time"),
        ("quarante-cinq jours", "fr", 45 * DAY, "time"),
        ("cuarenta y cinco días", "es", 45 * DAY, "time"),
        ("三百二十円", "ja", 320, "¥"),
        ("1万2500人", "ja", 12_500, ""),
        ("百分之二十五", "zh", 25, "percent"),
        ("삼 일", "ko", 3 * DAY, "time"),
        ("४५", "hi", 45, ""),
        ("４５", "ja", 45, ""),
        ("$45.50", "en", Fraction("45.5"), "$"),
        ("4€50", "fr", Fraction("4.5"), "€"),
        ("45 per cent", "en", 45, "percent"),
        ("2 weeks", "en", 14 * DAY, "time"),
        ("1 hour 30 minutes", "en", 5400, "time"),
        ("half an hour", "en", 1800, "time"),
        ("2 years", "en", 24, "month"),
        ("3.5 km", "en", 3500, "length"),
        ("a quarter", "en", Fraction(1, 4), ""),
        ("two thirds", "en", Fraction(2, 3), ""),
        ("1/4", "en", Fraction(1, 4), ""),
        ("½", "en", Fraction(1, 2), ""),
        ("9am", "en", 540, "clock"),
        ("9:30 p.m.", "en", 1290, "clock"),
        ("9.30 Uhr", "de", 570, "clock"),
        ("9h30", "fr", 570, "clock"),
        ("minus five", "en", -5, ""),
        ("the 12th", "en", 12, ""),
        ("twenty-first", "en", 21, ""),
        ("\u22125", "en", -5, ""),
        ("quatre-vingt-dix-sept", "fr", 97, ""),
        ("mil doscientos cincuenta", "es", 1250, ""),
        ("eintausendzweihundertfünfzig", "de", 1250, ""),
        ("1,5 Millionen", "de", 1_500_000, ""),
        ("1.5 Mio. €", "de", 1_500_000, ""),
        ("2,5 kg", "de", 2500, "mass"),
        ("2,5", "fr", Fraction(5, 2), ""),
        ("2,5", "en", 2, ""),
        ("CHF 12", "de", 12, "chf"),
        ("US$5", "en", 5, "$"),
        ("-3 °C", "en", -3, "celsius"),
        ("4\u202f500 €", "fr", 4500, "€"),
        ("25 Prozent", "de", 25, "percent"),
        ("一千二百五十", "zh", 1250, ""),
        ("二〇二七", "zh", 2027, ""),
        ("二十一万", "zh", 210_000, ""),
        ("两天", "zh", 2 * DAY, "time"),
        ("٤٥", "ar", 45, ""),
        ("1 1/2", "en", Fraction(3, 2), ""),
        ("2 ½", "en", Fraction(5, 2), ""),
        ("12 am", "en", 0, "clock"),
        ("12 pm", "en", 720, "clock"),
        ("1 year and 6 months", "en", 18, "month"),
        ("45-day", "en", 45 * DAY, "time"),
    ],
)
def test_a_number_however_it_is_written(text, code, value, dimension):
    assert read(text, code) == [(value, dimension)]


@pytest.mark.parametrize("text", ["Route66", "Python3", "no number", "v1.2.3x", ""])
def test_no_number_is_read_out_of_a_name(text):
    assert all(value not in (66, 3) for value, _ in read(text, "en"))


@given(st.integers(0, 10**9))
def test_thousands_marks_of_every_custom(number):
    marked = f"{number:,}"
    for mark, code in ((",", "en"), (".", "de"), (" ", "fr"), ("'", "de")):
        assert read(marked.replace(",", mark), code) == [(number, "")]


SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_english(number):
    if number < 20:
        return SMALL[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f"-{SMALL[number % 10]}" if number % 10 else "")
    for size, word in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {in_english(number % size)}" if number % size else ""
            return f"{in_english(number // size)} {word}{rest}"
    raise AssertionError(number)


def in_chinese(number):
    """A numeral below ten thousand."""
    found, skipped = "", False
    for size, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // size % 10
        if digit:
            found += ("零" if found and skipped else "") + "零一二三四五六七八九"[digit] + sign
        skipped = not digit
    return found


def test_the_numerals_of_these_tests():
    assert in_english(1_200_045) == "one million two hundred thousand forty-five"
    assert [in_chinese(n) for n in (1250, 1005, 40)] == ["一千二百五十", "一千零五", "四十"]


@given(st.integers(2, 10**8))
def test_english_words_are_the_same_number(number):
    assert read(in_english(number), "en") == [(number, "")]


@given(st.integers(10, 9999))
def test_chinese_numerals_are_the_same_number(number):
    assert read(in_chinese(number), "zh") == [(number, "")]


@given(st.integers(-(10**6), 10**6), st.sampled_from(["", " kg", " %", " days"]))
def test_a_sign_and_a_unit_leave_the_number(number, unit):
    text = f"It is {number}{unit}."
    found = list(quantities(readable(text, LANGUAGES["en"]), LANGUAGES["en"]))
    assert [(q.number, bool(q.dimension)) for q in found] == [(number, bool(unit))]


@pytest.mark.parametrize(
    ("text", "code", "values"),
    [
        ("10 and 20", "en", [10, 20]),
        ("3 days and 5 euros", "en", [3 * DAY, 5]),
        ("1.250 und 2,5", "de", [1250, Fraction(5, 2)]),
        ("5 metres, 20 euros", "en", [5, 20]),
    ],
)
def test_numbers_that_are_several(text, code, values):
    assert [value for value, _ in read(text, code)] == values


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("三万二千", "zh", [(32_000, "")]),
        ("三万", "ja", [(30_000, "")]),
        ("一亿二千万", "zh", [(120_000_000, "")]),
        ("十", "zh", [(10, "")]),
        ("a dozen", "en", [(12, "")]),
        ("half a dozen eggs", "en", [(6, "")]),
        ("two dozen", "en", [(24, "")]),
        ("an hour and a half", "en", [(5400, "time")]),
        ("8만 5천 원", "ko", [(85_000, "won")]),
        ("on second thought", "en", []),
        ("25 pour cent", "fr", [(25, "percent")]),
        ("vingt-cinq pour cent", "fr", [(25, "percent")]),
        ("25 por ciento", "es", [(25, "percent")]),
        ("5 Milliarden", "de", [(5 * 10**9, "")]),
        ("10-20", "en", [(10, ""), (20, "")]),
        ("午後9時", "ja", [(1260, "clock")]),
        ("trois quarts", "fr", [(Fraction(3, 4), "")]),
        ("dos tercios", "es", [(Fraction(2, 3), "")]),
        ("anderthalb Stunden", "de", [(5400, "time")]),
        ("zweieinhalb Tage", "de", [(Fraction(5, 2) * DAY, "time")]),
        ("une heure et demie", "fr", [(5400, "time")]),
        ("una hora y media", "es", [(5400, "time")]),
    ],
)
def test_numbers_of_other_customs(text, code, expected):
    assert read(text, code) == expected


def test_small_number_words_are_numbers_where_one_is_asked_for():
    english = LANGUAGES["en"]
    read_all = [readable(text, english, one=True) for text in ("zero", "one")]
    assert read_all == ["0", "1"] and readable("zero", english) == "zero"


@pytest.mark.parametrize(
    ("text", "code", "value", "dimension", "by"),
    [
        ("10 m²", "en", 10, "length^2", ""),
        ("10 m2", "en", 10, "length^2", ""),
        ("3 km²", "fr", 3_000_000, "length^2", ""),
        ("trois kilomètres carrés", "fr", 3_000_000, "length^2", ""),
        ("20 Quadratmeter", "de", 20, "length^2", ""),
        ("3平方公里", "zh", 3_000_000, "length^2", ""),
        ("2 hectares", "en", 20_000, "length^2", ""),
        ("2 litres", "en", Fraction(2, 1000), "length^3", ""),
        ("36 km/h", "en", 10, "length", "time"),
        ("36 kilometres per hour", "en", 10, "length", "time"),
        ("36 kph", "en", 10, "length", "time"),
        ("$4 per kg", "en", Fraction(4, 1000), "$", "mass"),
        ("5 € je Monat", "de", 5, "€", "month"),
        ("512 KB", "en", 512_000, "data", ""),
        ("1500 mV", "en", Fraction(3, 2), "voltage", ""),
        ("a quarter of an hour", "en", 900, "time", ""),
    ],
)
def test_units_of_units(text, code, value, dimension, by):
    language = LANGUAGES[code]
    found = list(quantities(readable(text, language), language))
    assert [(q.value, q.dimension, q.by) for q in found] == [(value, dimension, by)]


@pytest.mark.parametrize(
    ("asked", "unit"),
    [
        ("How many days is it?", ("time", DAY)),
        ("Wie viele Wochen dauert es?", ("time", 7 * DAY)),
        ("What percentage is it?", ("percent", 1)),
        ("Combien d'euros ?", ("€", 1)),
        ("几天？", ("time", DAY)),
    ],
)
def test_the_unit_that_a_question_names(asked, unit):
    assert unit in units_named(asked)
    assert units_named("How long is it?") == frozenset()
