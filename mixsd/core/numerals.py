"""Number words as digits: twenty-five, zweieinhalb, trois quarts, 三万二千."""

import unicodedata
from functools import lru_cache

import regex
from text_to_num import alpha2digit

from mixsd.core.halves import without_halves
from mixsd.core.languages import Language
from mixsd.core.number_words import in_digits
from mixsd.core.units import DURATIONS
from mixsd.core.words import normalised

SPELLED = frozenset({"en", "de", "fr", "es"})
"""Languages whose number words are read by text2num."""
_HALVES = {
    **{"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4},
    **{"fifth": 5, "fifths": 5, "tenth": 10, "tenths": 10},
}
_SMALL = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TOPS: dict[str, int] = dict(zip(("a", "an", *_SMALL), (1, 1, *range(1, 10)), strict=True))
_FRACTION_WORDS = regex.compile(rf"\b(?:({'|'.join(_TOPS)}|\d+)[\s-])?({'|'.join(_HALVES)})\b", regex.I)
_AFTER_DIGITS = regex.compile(
    r"(?<=\d)\s(?:(?P<k>thousand|tausend)|(?P<mn>millions?|millionen|mill[oó]n(?:es)?)"
    r"|(?P<bn>billions?|milliarden?|milliards?|mil\smillones))\b",
    regex.I,
)
"""What text2num would read as a number of its own: `1.5 million`."""
_PERCENT = regex.compile(r"\b(?:per|pour|por)\s(?:cent|ciento)\b|(?:في\s|ب)ال(?:مئة|مائة)|באחוזים\b", regex.I)
_PERCENT_BEFORE = regex.compile(r"(?:\byuzde\s|(?<!\d\s?)%\s?)(\d+(?:[.,]\d+)?)", regex.I)
"""Turkish and Thai say it before the number: `yüzde 25`, `%25`, `ร้อยละ 25`."""
_YUAN = str.maketrans({"¥": "CNY ", "￥": "CNY "})
"""The sign is that of the yuan, too."""
_GERMAN_ADJECTIVES = {
    "sekündig": "Sekunden", "minütig": "Minuten", "stündig": "Stunden", "tägig": "Tage", "wöchig": "Wochen",
    "monatig": "Monate", "jährig": "Jahre",
}  # fmt: skip
_GERMAN_ADJECTIVE = regex.compile(
    rf"(?<=[\p{{L}}\d])-?({'|'.join(_GERMAN_ADJECTIVES)})(?:e[mnrs]?)?\b", regex.I
)
"""What a number is written in one with: `zweiwöchig`, `14-tägig`."""
_SHORT_UNIT = regex.compile(r"\b(std|min)\.", regex.I)
_ONE_AND_MORE = regex.compile(
    rf"\b(?:eine?r?|une?|una?|an?|one)\s(?={DURATIONS}\s(?:(?:und|et|y|and)\s)?\d)", regex.I
)
_HOURS = regex.compile(r"(?<![\d.,])(\d{1,2})\s?h(?:eures?|oras?)?\s?([0-5]\d)(?![\d.,:]|\s?m)", regex.I)
"""Hours and minutes: 1 h 30."""
_REPEATED = regex.compile(r"(?<![\d.,])(\d[\d.,]*)\s\(\1\)")
"""45 (forty-five)."""
_REIWA = regex.compile(r"令和\s?(\d{1,2})年")
"""A year of the Japanese calendar."""
_TURKISH_UNIT = regex.compile(
    r"(?<=\d\s(?:gun|ay|yil|saat|dakika|hafta|lira|tl|euro|avro|dolar|metre|kilometre|km|kilo|kg"
    r"|gram|litre|kisi))"
    r"['’]?(?:l[iu]k)?(?:[dt][iu]r)?\b",
    regex.I,
)
"""What is written in one with a unit: `14 gündür`, `30 günlük`."""
_AND_A_HALF = {
    "en": regex.compile(rf"\b({'|'.join(_SMALL)}|\d+)\s+and\s+a\s+half\b", regex.I),
    "de": regex.compile(
        r"\b(andert|ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun)(?:und)?(?:ein)?halb\b", regex.I
    ),
    "fr": regex.compile(r"\b(une?|deux|trois|quatre|cinq|six|\d+)\s(\p{L}+)\set\sdemie?\b", regex.I),
    "es": regex.compile(r"\b(una?|dos|tres|cuatro|cinco|seis|\d+)\s(\p{L}+)\sy\smedi[ao]\b", regex.I),
}
"""One number and a half more; in French and Spanish the unit stands between."""
_UNIT_AND_A_HALF = regex.compile(
    r"\b(?:an?|one|1)\s(hour|day|week|month|year|minute|mile)\sand\sa\shalf\b", regex.I
)
_DOZENS = regex.compile(rf"\b(?:(half)\sa\s|({'|'.join(_TOPS)}|\d+)\s)?dozen\b", regex.I)
_SHARES = {
    "de": regex.compile(r"\b(ein|zwei|drei)\s?(viertel|drittel)\b", regex.I),
    "fr": regex.compile(r"\b(un|deux|trois)\s(quarts?|tiers)\b", regex.I),
    "es": regex.compile(r"\b(un|dos|tres)\s(cuartos?|tercios?)\b", regex.I),
}
_COUNT = {
    "andert": 1, "ein": 1, "un": 1, "une": 1, "una": 1, **dict(zip(_SMALL, range(1, 10), strict=True)),
    **{"zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9},
    **{"deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "six": 6},
    **{"dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6},
}  # fmt: skip
_EURO_MARK = regex.compile(r"(?<!\d)(\d+)\s?€\s?(\d\d)(?!\d)")
_MYRIADS = regex.compile(r"(\d+(?:\.\d+)?)[万萬](?:(\d)千|(\d{1,4}))?")
_KOREAN = regex.compile(r"(?:(\d+)\s?만)?\s?(?:(\d+)\s?천)(?=\s?(?:원|명|개|킬로|미터|달러|유로))")
_AFTERNOON = regex.compile(r"(?:午後|下午|晚上|傍晚|오후)\s?(\d{1,2})(?=\s?[時时点點시:：])")
_SECOND_THOUGHT = regex.compile(r"\bon\ssecond\sthoughts?\b", regex.I)
_MINUS = regex.compile(r"\b(?:minus|negative)\s(?=\d)", regex.I)
_HAN_DIGITS = {
    char: value
    for value, chars in enumerate(
        ("〇零", "一일", "二两兩이", "三삼", "四사", "五오", "六육", "七칠", "八팔", "九구")
    )
    for char in chars
}
_HAN_POWERS = {"十": 10, "百": 100, "千": 1000, "십": 10, "백": 100, "천": 1000}
_HAN_SECTIONS = {"만": 10**4, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_SINO = "[일이삼사오육칠팔구십백천만]"
_HAN_NUMBER = regex.compile(
    r"(?:百分之)?(?=[〇零一二两兩三四五六七八九十百千])[〇零一二两兩三四五六七八九十百千万萬亿億]{2,}"
    r"|[一二两兩三四五六七八九十](?=[天日年月周週个個か小時时元円块人名歳岁%点])|百分之\d+"
    r"|(?<!\p{L})[一二两兩三四五六七八九十](?!\p{L})"
    rf"|(?<!\p{{Hangul}}){_SINO}(?:\s?{_SINO})+(?=\s?(?:개월|개|년|명|원|시간|분|퍼센트|주|유로|달러"
    rf"|석|점|일))"
    r"|(?<!\p{Hangul})[일이삼사오육칠팔구십백천만](?=\s?(?:일|개월|년|명|원|시간|분|퍼센트|주|유로"
    r"|달러)(?!\p{Hangul}{3}))"
)


def readable(text: str, language: Language, one: bool = False) -> str:
    """A text with its number words as digits: what `quantities` reads.

    Args:
        text: Any text.
        language: Whose number words are read.
        one: Whether to read `zero`, `one` and `first` as numbers, too; they mostly are none.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.isascii():
        text = _without_other_figures(text, language)
    text = _SECOND_THOUGHT.sub("actually", _AFTER_DIGITS.sub(_shortened, _PERCENT.sub("%", text)))
    if language.code in SPELLED:
        return _by_text2num(text, language.code, one)
    text = normalised(text)
    if not text.isascii() or language.code == "tr":
        text = without_halves(in_digits(text.replace("ร้อยละ", "%"), language.code, one), language.code)
    if language.code in ("tr", "th"):
        text = _TURKISH_UNIT.sub("", _PERCENT_BEFORE.sub(r"\1%", text))
    return _REPEATED.sub(r"\1", text)


def _without_other_figures(text: str, language: Language) -> str:
    """A text whose numerals in Chinese characters and Hangul are digits."""
    if language.code == "zh":
        text = text.translate(_YUAN)
    text = _KOREAN.sub(lambda found: str(int(found[1] or 0) * 10_000 + int(found[2]) * 1000), text)
    text = _HAN_NUMBER.sub(lambda found: _han_value(found.group()), text)
    text = _MYRIADS.sub(_myriads, text)
    text = _AFTERNOON.sub(lambda found: str(int(found[1]) % 12 + 12), text)
    text = _REIWA.sub(lambda found: f"{2018 + int(found[1])}年", text)
    return _EURO_MARK.sub(r"\1,\2 €" if language.decimal_comma else r"\1.\2 €", text)


def _by_text2num(text: str, code: str, one: bool) -> str:
    """A text whose number words are digits, normalised, in a language that text2num reads."""
    text = _AFTER_DIGITS.sub(_shortened, _parts(text, code))
    if code == "de":
        text = _GERMAN_ADJECTIVE.sub(lambda found: f" {_GERMAN_ADJECTIVES[found[1].lower()]}", text)
        text = _SHORT_UNIT.sub(r"\1", text)
    if regex.search(r"\p{L}", text):  # before accents go: fünf is a number, funf is none
        text = _spelled(text, code, -1.0 if one else 1.0)
    text = normalised(_MINUS.sub("-", text) if code == "en" else text)
    text = _HOURS.sub(r"\1h\2", _ONE_AND_MORE.sub("1 ", _REPEATED.sub(r"\1", text)))
    return without_halves(text, code)


def _shortened(found: regex.Match[str]) -> str:
    return str(found.lastgroup)


def _parts(text: str, code: str) -> str:
    """Halves, thirds and quarters in words as digits."""
    mark = "." if code == "en" else ","

    def and_a_half(found: regex.Match[str]) -> str:
        unit = f" {found[2]}" if len(found.groups()) > 1 else ""
        return f"{_COUNT.get(found[1].lower(), found[1])}{mark}5{unit}"

    def share(found: regex.Match[str]) -> str:
        return f"{_COUNT[found[1].lower()]}/{3 if found[2].lower().startswith(('d', 'ti', 'te')) else 4}"

    if code == "en":
        text = _DOZENS.sub(_dozens, _UNIT_AND_A_HALF.sub(r"1.5 \1s", text))
    text = _AND_A_HALF[code].sub(and_a_half, text)
    return _FRACTION_WORDS.sub(_fraction, text) if code == "en" else _SHARES[code].sub(share, text)


def _dozens(found: regex.Match[str]) -> str:
    count = (found[2] or "one").lower()
    return "6" if found[1] else str(12 * int(_TOPS.get(count, count)))


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


def _myriads(found: regex.Match[str]) -> str:
    return str(int(float(found[1]) * 10_000) + 1000 * int(found[2] or 0) + int(found[3] or 0))


def _han_value(text: str) -> str:
    """Digits for a numeral in Chinese characters."""
    percent = text.startswith("百分之")
    text = text.removeprefix("百分之").replace(" ", "")
    if text.isdigit() and text.isascii():
        return f"{text}%"
    if not set(text) & {*_HAN_POWERS, *_HAN_SECTIONS}:
        value = "".join(str(_HAN_DIGITS[char]) for char in text)
    else:
        done, section, digit = 0, 0, 0
        for char in text:
            if char in _HAN_DIGITS:
                digit = _HAN_DIGITS[char]
            elif size := _HAN_SECTIONS.get(char):
                higher = done if done >= size else 0  # 一亿二千万: the smaller section stands behind
                done = higher + (done - higher + section + digit or 1) * size
                section, digit = 0, 0
            else:
                section, digit = section + (digit or 1) * _HAN_POWERS[char], 0
        value = str(done + section + digit)
    return f"{value}%" if percent else value
