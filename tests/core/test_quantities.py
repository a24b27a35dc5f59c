from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.languages import LANGUAGES, language_of
from mixsd.core.quantities import quantities, readable

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
