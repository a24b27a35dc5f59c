"""Numbers in text, with their units, however they are written: 1,250 or 1.250, 45 % or 9/20, drei Jahre."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import regex

from mixsd.core.languages import SPACELESS, Language
from mixsd.core.units import BEFORE, PATTERN, any_of, unit_of
from mixsd.core.words import normalised

CLOCK = "clock"
_DIGITS = (
    r"(?:\d{1,3}(?:,\d{2})+,\d{3}(?!\d)|\d{1,3}(?:[ ,.'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?|[.]\d+)"
)
_POWER = r"(?:[eE][+-]?\d+|\s?[×x*·]\s?10\s?(?:\^|\*\*)?\s?[-−]?\d+)?"
_MAGNITUDES = {
    10**3: "thousand tausend mille mil k 千 천 тыс тысяча тысячи тысяч ألف آلاف אלף bin हज़ार हजार พัน",
    10**4: "万 萬 만 หมื่น",
    10**5: "lakh लाख แสน",
    10**6: "million millions millionen mio mn millones millón миллион миллиона миллионов млн "
    "مليون ملايين מיליון milyon ล้าน",
    10**7: "crore करोड़",
    10**8: "亿 億 억",
    10**9: "billion billions milliarden milliarde mrd milliard milliards bn миллиард миллиарда "
    "миллиардов млрд مليار מיליארד milyar",
    10**12: "trillion trillions 兆",
}
_FACTOR_OF = {
    normalised(word).lower(): factor for factor, spelled in _MAGNITUDES.items() for word in spelled.split()
}
_CLOCK = regex.compile(
    r"(?<![\d.,:])(?P<h>[01]?\d|2[0-3])(?:(?P<sep>[:.h时点]|時(?!間))\s?(?P<m>[0-5]\d)?分?)?"
    r"\s?(?P<half>[ap]m\b|[ap]\.\s?m\b\.?|uhr\b|o['’]clock)?(?![\d:]|[.,]\d)",
    regex.I,
)
_LETTER = rf"\p{{L}}--[{SPACELESS}\p{{Katakana}}\p{{Hangul}}]"
_QUANTITY = regex.compile(
    rf"(?P<before>{any_of(BEFORE)})?\s?(?<![[{_LETTER}]\d.,/^])(?P<sign>-)?"
    rf"(?:(?:(?P<whole>\d+)\s)?(?P<top>\d+)\s?[/⁄]\s?(?P<bottom>\d+)(?![\d/⁄])"
    rf"|(?P<digits>{_DIGITS})(?P<power>{_POWER}))"
    rf"(?:st|nd|rd|th|ème|ª|º)?(?![\p{{Latin}}\d]*\d)"
    rf"(?:\s?(?P<magnitude>{any_of(_FACTOR_OF)}))?"
    rf"{PATTERN}",
    regex.I | regex.V1,
)


@dataclass(frozen=True)
class Quantity:
    """A number in a text.

    Attributes:
        start: Where it begins in the text that was read.
        end: Where it ends, its unit included.
        number: The number alone.
        value: Its value, in the base unit of its dimension.
        dimension: What it measures ('' for a bare number).
        raw: As it is written.
        by: What it is divided by: `time` of 30 km/h, '' for nothing.
    """

    start: int
    end: int
    number: Fraction
    value: Fraction
    dimension: str
    raw: str
    by: str = ""


def quantities(text: str, language: Language) -> Iterator[Quantity]:
    """The numbers of a text that `readable` gave, in order.

    Args:
        text: What to read.
        language: Decides whether 1.250 is a thousand two hundred and fifty.
    """
    end, last = 0, None
    while end < len(text) and (found := _next(text, end, language)):
        end = max(found.end, end + 1)
        if last and _goes_on(last, found, text):
            last = replace(
                last, end=found.end, value=last.value + found.value, raw=text[last.start : found.end].strip()
            )
            continue
        if last:
            yield last
        last = found
    if last:
        yield last


def _goes_on(first: Quantity, second: Quantity, text: str) -> bool:
    """Whether two numbers are one: 1 hour 30 minutes."""
    between = text[first.end : second.start].strip(" ,")
    same = first.dimension == second.dimension in ("time", "month", "length", "mass")
    smaller = bool(second.number) and second.value / second.number < first.value / (first.number or 1)
    return same and smaller and between in ("", "and", "und", "et", "y")


def _next(text: str, start: int, language: Language) -> Quantity | None:
    number = _QUANTITY.search(text, start)
    clock = next((c for c in _CLOCK.finditer(text, start) if _is_clock(c)), None)
    if clock and (number is None or clock.start() <= number.start("digits" if number["digits"] else "top")):
        half = (clock["half"] or "").lower()
        hour = (
            int(clock["h"]) % 12 + 12 * half.startswith("p")
            if half[:1] in ("a", "p") and half
            else int(clock["h"])
        )
        value = Fraction(hour * 60 + int(clock["m"] or 0))
        return Quantity(
            clock.start(),
            clock.end(),
            Fraction(hour) + Fraction(int(clock["m"] or 0), 100),
            value,
            CLOCK,
            clock.group().strip(),
        )
    return _quantity(number, language) if number else None


def _is_clock(found: regex.Match[str]) -> bool:
    """Whether hours are meant: 9:30, 9 am, 9h30, 9.30 Uhr, but not 9.30 or 9."""
    if found["half"]:
        return True
    return bool(found["sep"] and (found["m"] if found["sep"] in ":h" else found["sep"] in "時时点"))


def _quantity(found: regex.Match[str], language: Language) -> Quantity:
    if found["top"]:
        value = Fraction(int(found["whole"] or 0)) + Fraction(int(found["top"]), int(found["bottom"]) or 1)
    else:
        value = _digits_value(found["digits"], language, bool(found["before"]))
        if power := found["power"]:
            value *= Fraction(10) ** int(regex.search(r"[-−+]?\d+$", power).group().replace("−", "-"))  # type: ignore[union-attr]
    if found["sign"]:
        value = -value
    if found["magnitude"]:
        value *= _FACTOR_OF[found["magnitude"].lower()]
    unit = unit_of(found)
    raw = found.group().strip()
    return Quantity(found.start(), found.end(), value, value * unit.factor, unit.dimension, raw, unit.by)


def _digits_value(digits: str, language: Language, money: bool) -> Fraction:
    """The value of digits with marks, by the custom of a language."""
    digits = regex.sub(r"[ '’]", "", digits)
    marks = [char for char in digits if char in ".,"]
    if len(marks) > 1:  # the last one is the decimal mark, where there are two kinds
        digits = digits.replace(marks[0], "")
    elif marks:
        head, tail = digits.split(marks[0])
        if marks[0] == "," and len(tail) != 3 and not (language.decimal_comma or money):
            return Fraction(head)  # "1,2": the first of a list; the others are its company
        groups = len(tail) == 3 and 0 < len(head) <= 3 and head != "0"
        if groups and (marks[0] == ".") == language.decimal_comma:
            digits = head + tail
    return Fraction(digits.replace(",", ".") if not digits.startswith(".") else f"0{digits}")
