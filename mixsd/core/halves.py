"""Halves beside a unit of time, as digits: 一个半小时, ساعة ونصف, полтора года, bir buçuk saat, שעתיים."""

from dataclasses import dataclass
from functools import cache

import regex

from mixsd.core.units import DURATIONS, SPACED
from mixsd.core.words import normalised


@dataclass(frozen=True)
class Custom:
    """How a language halves what it counts.

    Attributes:
        half: Its word.
        joint: What may stand between a number, or a unit, and that word.
        before: What may stand between the word and a unit.
        refuses: What makes the word part of a longer one, behind a place before it.
        one: Whether a unit without a number is one (`ساعة ونصف`).
        duals: Words that hold both two and what is counted.
    """

    half: str
    joint: str = r"\s?"
    before: str = r"\s?"
    refuses: str = r"[\p{L}\p{M}]"
    one: bool = True
    duals: tuple[tuple[str, str], ...] = ()


def _pairs(listed: str) -> tuple[tuple[str, str], ...]:
    words = normalised(listed).split()
    return tuple((dual, unit) for *duals, unit in (entry.split("/") for entry in words) for dual in duals)


_NEVER = "(?!)"
_CUSTOMS = {
    "de": Custom(r"(?:ein\p{L}*\s)?halb(?:e[nrs]?)?", _NEVER, r"\s"),
    "fr": Custom(r"(?:une?\s)?demie?", _NEVER, r"[\s-]"),
    "es": Custom(r"(?:una?\s)?medi[oa]", r"\sy\s", r"\s"),
    "zh": Custom("半", "个?", "个?", "[上下前后多]", one=False),
    "ja": Custom("半", "", "", "[上下前後大]", one=False),
    "ko": Custom("반", r"\s?", r"\s?", r"\p{Hangul}", one=False),
    "ru": Custom("половин(?:[аыу]|ой)|пол", r"\sс\s", r"\s?"),
    "ar": Custom(
        "نصف",
        r"\sو",
        r"\s",
        duals=_pairs(
            "ثانيتان/ثانيتين/ثانية دقيقتان/دقيقتين/دقيقة ساعتان/ساعتين/ساعة يومان/يومين/يوم "
            "أسبوعان/أسبوعين/أسبوع "
            "شهران/شهرين/شهر سنتان/سنتين/سنة عامان/عامين/عام متران/مترين/متر دولاران/دولارين/دولار"
        ),
    ),
    "he": Custom(
        "חצי", r"\sו", r"\s", duals=_pairs("שעתיים/שעה יומיים/יום שבועיים/שבוע חודשיים/חודש שנתיים/שנה")
    ),
    "hi": Custom("आधा|आधे|आधी", r"\s", r"\s"),
    "tr": Custom("yarim|bucuk", r"\s", r"\s"),
    "th": Custom("ครึ่ง", r"\s?", r"\s?", "$."),
}
_HINDI_PARTS = regex.compile(r"(?<![\p{L}\p{M}])(साढ़े|सवा|पौने)\s(\d+)")
_HINDI_PART = {normalised("साढ़े"): 0.5, "सवा": 0.25, "पौने": -0.25}


def without_halves(text: str, code: str) -> str:
    """A text whose halves of units are decimal fractions.

    Args:
        text: What to read, normalised, its number words as digits.
        code: The language.
    """
    if (custom := _CUSTOMS.get(code)) is None:
        return text
    for dual, unit in custom.duals:
        if dual in text:
            text = regex.sub(rf"(?<!\p{{L}})([وبلכ]?){dual}(?!\p{{L}})", rf"\1 2 {unit}", text)
    if code == "hi":
        text = _HINDI_PARTS.sub(lambda found: f"{int(found[2]) + _HINDI_PART[found[1]]:g}", text)
    if not regex.search(custom.half, text):
        return text
    behind_unit, before_unit, alone = _patterns(code)
    text = behind_unit.sub(lambda found: f"{found['n'] or 1}.5 {found['unit']}", text)
    return alone.sub("0.5 ", before_unit.sub(r"\1.5 ", text))


@cache
def _patterns(code: str) -> tuple[regex.Pattern[str], ...]:
    """How a half is written: 2年半, 1个半小时, 半小时."""
    custom = _CUSTOMS[code]
    half, number = rf"(?:{custom.half})", r"(?<!\d)(?P<n>\d+)\s?"
    counted = rf"(?:{number})?" if custom.one else number
    return (
        regex.compile(rf"{counted}(?P<unit>{DURATIONS}){custom.joint}{half}(?!{SPACED})", regex.I),
        regex.compile(rf"{number}{custom.joint}{half}{custom.before}(?={DURATIONS})", regex.I),
        regex.compile(rf"(?<!{custom.refuses}|\d){half}{custom.before}(?={DURATIONS})", regex.I),
    )
