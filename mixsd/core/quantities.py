"""Numbers in text, with their units, however they are written: 1,250 or 1.250, 45 % or 9/20, drei Jahre."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import regex
from text_to_num import alpha2digit

from mixsd.core.languages import SPACELESS, Language, plain
from mixsd.core.words import normalised

Units = frozenset[tuple[str, Fraction]]
CURRENCIES = ("€", "$", "£", "¥", "cny", "chf", "₽", "₹", "won")
CLOCK, PERCENT = "clock", "percent"
SPELLED = frozenset({"en", "de", "fr", "es"})
"""Languages whose number words are read by text2num."""
_DIGITS = (
    r"(?:\d{1,3}(?:,\d{2})+,\d{3}(?!\d)|\d{1,3}(?:[ ,.'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?|[.]\d+)"
)
_POWER = r"(?:[eE][+-]?\d+|\s?[×x*·]\s?10\s?(?:\^|\*\*)?\s?[-−]?\d+)?"
_MAGNITUDES = {
    10**3: "thousand tausend mille mil k 千",
    10**4: "万 萬 만",
    10**6: "million millions millionen mio mn millones millón",
    10**8: "亿 億 억",
    10**9: "billion billions milliarden milliarde mrd milliard milliards bn",
    10**12: "trillion trillions 兆",
}
_UNITS = """
percent     1         % percent percentage prozent パーセント процент процента процентов
€           1         € eur euro euros ユーロ 欧元 евро
$           1         $ usd dollar dollars dólar dólares ドル 美元
£           1         £ gbp pound pounds sterling
¥           1         ¥ jpy yen 円 日元
cny         1         元 cny yuan rmb 人民币
chf         1         chf franken
₽           1         ₽ рубль рубля рублей
₹           1         ₹ inr rupee rupees रुपये
won         1         ₩ krw won 원
time        1         s sec second seconds sekunde sekunden seconde secondes segundo segundos 秒 秒钟
time        60        min mins minute minutes minuten minuto minutos 分 分钟 分間
time        3600      h hr hrs hour hours stunde stunden heure heures hora horas 小时 時間 saat
time        86400     day days tag tage tagen jour jours día días dia dias 天 日 日間 일 gün
time        86400     день дня дней يوم ימים दिन วัน
time        604800    week weeks woche wochen semaine semaines semana semanas 周 週間 недели недель hafta
month       1         month months monat monate monaten mois mes meses 个月 ヶ月 か月 месяцев месяца ay
month       12        year years jahr jahre jahren an ans année années año años 年 年間 лет года yıl
length      1         m meter meters metre metres mètre mètres metro metros 米 メートル
length      1000      km kilometer kilometers kilometre kilometres kilómetros 公里 キロメートル
length      0.01      cm centimeter centimeters centimetre centimetres zentimeter 厘米 センチ
length      0.001     mm millimeter millimeters millimetre millimetres 毫米
length      0.0254    inch inches
length      0.3048    ft foot feet
length      1609.344  mi mile miles meile meilen
mass        1         g gram grams gramm grammes gramos 克 グラム
mass        1000      kg kilogram kilograms kilo kilos kilogramm kilogrammes kilogramos 公斤 キロ
mass        1000000   t ton tons tonne tonnes tonnen toneladas 吨 トン
volume      1         l litre litres liter liters litro litros 升 リットル
celsius     1         °c celsius 摄氏度
fahrenheit  1         °f fahrenheit
"""
"""A unit a line: what it measures, its factor, its spellings. Currencies are dimensions of their own."""
_BEFORE: dict[str, str] = {
    "€": "€",
    "$": "$",
    "£": "£",
    "¥": "¥",
    "₹": "₹",
    "₩": "won",
    "us$": "$",
    "eur": "€",
    "usd": "$",
    "chf": "chf",
}
_UNIT_OF: dict[str, tuple[str, Fraction]] = {
    plain(word): (dimension, Fraction(factor))
    for dimension, factor, *spelled in map(str.split, _UNITS.strip().splitlines())
    for word in spelled
}
_FACTOR_OF = {plain(word): factor for factor, spelled in _MAGNITUDES.items() for word in spelled.split()}


def _any(options: object) -> str:
    """An alternation, longest first; a word of letters ends where its letters end."""
    listed = sorted(options, key=len, reverse=True)  # type: ignore[call-overload]
    # Scripts without spaces go on at once.
    letters = r"[\p{Latin}\p{Cyrillic}]"
    return "|".join(
        regex.escape(o) + (f"(?!{letters})" if regex.match(f"{letters}+$", o) else "") for o in listed
    )


_CLOCK = regex.compile(
    r"(?<![\d.,:])(?P<h>[01]?\d|2[0-3])(?:(?P<sep>[:.h時时点])\s?(?P<m>[0-5]\d)?分?)?"
    r"\s?(?P<half>[ap]m\b|[ap]\.\s?m\b\.?|uhr\b|o['’]clock)?(?![\d:]|[.,]\d)",
    regex.I,
)
_LETTER = rf"\p{{L}}--[{SPACELESS}\p{{Katakana}}\p{{Hangul}}]"
_QUANTITY = regex.compile(
    rf"(?P<before>{_any(_BEFORE)})?\s?(?<![{_LETTER}\d.,/^])(?P<sign>-)?"
    rf"(?:(?:(?P<whole>\d+)\s)?(?P<top>\d+)\s?[/⁄]\s?(?P<bottom>\d+)(?![\d/⁄])|(?P<digits>{_DIGITS})(?P<power>{_POWER}))"
    rf"(?:st|nd|rd|th|ème|ª|º)?(?![\p{{Latin}}\d]*\d)"
    rf"(?:\s?(?P<magnitude>{_any(_FACTOR_OF)}))?"
    rf"(?:[\s-]?(?:(?:of\s)?an?\s)?(?P<unit>{_any(_UNIT_OF)}|per\scent\b|pour\scent\b|por\sciento\b|degr[a-z]*\s(?:celsius|fahrenheit)))?",
    regex.I | regex.V1,
)
_UNIT_WORD = regex.compile(rf"(?<![\p{{Latin}}\d])(?:{_any(_UNIT_OF)})", regex.I)
_ASKS_PERCENT = regex.compile(r"percent|per cent|prozent|pour cent|por ciento|百分之几|パーセント")
_HALVES = {
    **{"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4},
    **{"fifth": 5, "fifths": 5, "tenth": 10, "tenths": 10},
}
_SMALL = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TOPS: dict[str, int] = dict(zip(("a", "an", *_SMALL), (1, 1, *range(1, 10)), strict=True))
_FRACTION_WORDS = regex.compile(rf"\b(?:({'|'.join(_TOPS)}|\d+)[\s-])?({'|'.join(_HALVES)})\b", regex.I)
_SHORT = {"tho": "k", "tau": "k", "mil": "mn", "bil": "bn"}
_AFTER_DIGITS = regex.compile(r"(?<=\d)\s(thousand|tausend|millions?|millionen|billions?)\b", regex.I)
"""What text2num would read as a number of its own: `1.5 million`."""
_AND_A_HALF = regex.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|\d+)\s+and\s+a\s+half\b", regex.I
)
_EURO_MARK = regex.compile(r"(?<!\d)(\d+)\s?€\s?(\d\d)(?!\d)")
_MYRIADS = regex.compile(r"(\d+(?:\.\d+)?)[万萬](?:(\d)千|(\d{1,4}))?")
_MINUS = regex.compile(r"\b(?:minus|negative)\s(?=\d)", regex.I)
_HAN_DIGITS = {
    char: value
    for value, chars in enumerate(
        ("〇零", "一일", "二两兩이", "三삼", "四사", "五오", "六육", "七칠", "八팔", "九구")
    )
    for char in chars
}
_HAN_POWERS = {"十": 10, "百": 100, "千": 1000, "십": 10, "백": 100, "천": 1000}
_HAN_NUMBER = regex.compile(
    r"(?:百分之)?[〇零一二两兩三四五六七八九十百千]{2,}|[一二两兩三四五六七八九十](?=[天日年月周週个個か小時时元円人名歳岁%点])|百分之\d+"
    r"|(?<!\p{Hangul})[일이삼사오육칠팔구십백천]+(?=\s?(?:일|개월|년|명|원|시간|퍼센트|주)(?!\p{Hangul}{3}))"
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
    """

    start: int
    end: int
    number: Fraction
    value: Fraction
    dimension: str
    raw: str


def readable(text: str, language: Language, one: bool = False) -> str:
    """A text with its number words as digits: what `quantities` reads.

    Args:
        text: Any text.
        language: Whose number words are read.
        one: Whether to read `one` and `first` as numbers, too; they mostly are none.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.isascii():
        text = _HAN_NUMBER.sub(lambda found: _han_value(found.group()), text)
        text = _MYRIADS.sub(_myriads, text)
        text = _EURO_MARK.sub(r"\1,\2 €" if language.decimal_comma else r"\1.\2 €", text)
    text = _AFTER_DIGITS.sub(lambda found: _SHORT[found[1][:3].lower()], text)
    if language.code == "en":
        text = _AND_A_HALF.sub(lambda found: f"{_TOPS.get(found[1].lower(), found[1])}.5", text)
        text = _FRACTION_WORDS.sub(_fraction, text)
        text = _AFTER_DIGITS.sub(lambda found: _SHORT[found[1][:3].lower()], text)
    code = language.code if language.code in SPELLED else ""
    if code and regex.search(r"\p{L}", text):  # before accents go: fünf is a number, funf is none
        text = _spelled(text, code, 0.0 if one else 1.0)
    text = _MINUS.sub("-", text) if language.code == "en" else text
    return normalised(text)


def _myriads(found: regex.Match[str]) -> str:
    return str(int(float(found[1]) * 10_000) + 1000 * int(found[2] or 0) + int(found[3] or 0))


def _fraction(found: regex.Match[str]) -> str:
    top, part = (found[1] or "").lower(), found[2].lower()
    # "third" and "quarter" alone are a place and a time of year; "a fifth" and "half" are shares.
    if not top and part != "half":
        return found.group()
    return f"{_TOPS.get(top, top) or 1}/{_HALVES[part]}"


@lru_cache(maxsize=16384)
def _spelled(text: str, code: str, threshold: float) -> str:
    # It joins lines otherwise.
    lines = text.split("\n")
    return "\n".join(
        alpha2digit(line, code, threshold) if regex.search(r"\p{L}{2}", line) else line for line in lines
    )


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


def units_named(text: str) -> Units:
    """(dimension, factor) of the units that a question names, so that a bare number answers it."""
    said = normalised(text).lower()
    found = {_UNIT_OF[unit.lower()] for unit in _UNIT_WORD.findall(said)}
    return frozenset(found | ({(PERCENT, Fraction(1))} if _ASKS_PERCENT.search(said) else set()))


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
    dimension, factor = _unit(found)
    return Quantity(found.start(), found.end(), value, value * factor, dimension, found.group().strip())


def _unit(found: regex.Match[str]) -> tuple[str, Fraction]:
    if found["before"]:
        return _BEFORE[found["before"].lower()], Fraction(1)
    unit = (found["unit"] or "").lower()
    if not unit:
        return "", Fraction(1)
    if " " in unit:
        unit = unit.split()[1] if unit.startswith("degr") else "%"
    return _UNIT_OF.get(unit, ("", Fraction(1)))


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


def _han_value(text: str) -> str:
    """Digits for a numeral in Chinese characters."""
    percent = text.startswith("百分之")
    text = text.removeprefix("百分之")
    if text.isdigit() and text.isascii():
        return f"{text}%"
    if not set(text) & set(_HAN_POWERS):
        value = "".join(str(_HAN_DIGITS[char]) for char in text)
    else:
        total, digit = 0, 0
        for char in text:
            if char in _HAN_DIGITS:
                digit = _HAN_DIGITS[char]
            else:
                total, digit = total + (digit or 1) * _HAN_POWERS[char], 0
        value = str(total + digit)
    return f"{value}%" if percent else value
