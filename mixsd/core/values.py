"""Numbers and days of a reply, held against the ones that are accepted.

A value that counts becomes the word `RIGHT` and any other one a word that begins with `OTHER`, so that the
same rules of denial, lists and corrections read values and names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from mixsd.core.dates import PartialDate, dates, only_date
from mixsd.core.languages import LANGUAGES, OTHER_LANGUAGE, Language, language_of
from mixsd.core.numerals import readable
from mixsd.core.quantities import CLOCK, Quantity, quantities
from mixsd.core.units import CURRENCIES, PERCENT, Units, units_named
from mixsd.core.words import NUMBER

RIGHT, OTHER = "0right", "0other"
_ENUMERATED = regex.compile(r"(?m)^[ \t]*\d{1,2}[.)][ \t]+(?=\S)")
_BOUNDS = regex.compile(
    r"\s+or\s+(?:longer|shorter|more|less|fewer|later|earlier|so|older|younger|above|below|under"
    r"|over|higher|lower)\b",
    regex.I,
)
"""What makes a bound of a value and no second one: `24 months or longer`."""
_RANGE = regex.compile(r"\s*(?:[-–—~]|to|or|bis|oder|à|ou|a|o|至|到|から|до)\s*", regex.I)
_WORKING = regex.compile(
    r"[=+×*]|\b(?:so|therefore|thus|hence|total|equals?|step|minus|plus|multiply|add|subtract|divide)\b",
    regex.I,
)
"""What tells a calculation, whose last number is its result, from a statement."""
_HOW_MANY = regex.compile(r"\b(?:how many|wie viele|combien d[e'’]|cuánt[oa]s)\s?(\p{L}+)", regex.I)
_ENDS = regex.compile(
    r"(?:\b(?:until|till|to|through|ends?(?:\s+on)?|bis(?:\s+zum)?|jusqu['’]au|hasta(?:\s+el)?"
    r"|al)|[-–—~]|から)\s*$",
    regex.I,
)
"""What makes a day the end of a time, which the first day of it is not taken back by."""
_ASKS_END = regex.compile(
    r"\b(?:ends?|close[sd]?|until|last|deadline|expires?|endet|fin|termine|finaliza)\b|结束|終わ", regex.I
)


@dataclass(frozen=True)
class Marked:
    """A text with its values as words.

    Attributes:
        text: The text.
        language: Its language, which the words for values hide.
        written: Each word's value as it was written.
        first_counts: Whether the first value is the answer; of a calculation it is the last.
    """

    text: str
    language: Language
    written: Mapping[str, str]
    first_counts: bool = False


def is_value(word: str) -> bool:
    """Whether a word is a number, or stands for a value."""
    return word.startswith((RIGHT, OTHER)) or NUMBER.fullmatch(word) is not None


@lru_cache(maxsize=4096)
def as_quantity(answer: str, code: str = "") -> Quantity | None:
    """The number that an answer is, where it is nothing else but its unit.

    Args:
        answer: An accepted answer.
        code: The language of its question ('' reads the answer's own).
    """
    language = LANGUAGES.get(code, OTHER_LANGUAGE) if code else language_of(answer)
    text = readable(answer, language, one=True).strip().rstrip(" .")
    found = list(quantities(text, language))
    if len(found) != 1 or regex.match(r"-?0\d", text):  # leading zeros make a code: 007
        return None
    rest = text.replace(found[0].raw, "", 1).strip(" .-")
    # One small word more is what is counted: "1,250 employees".
    counted = (
        regex.fullmatch(r"(?![A-Z])[\p{L}\p{M}]+", rest)
        and not found[0].dimension
        and text.startswith(found[0].raw)
    )
    return found[0] if not rest or counted else None


def mark_numbers(text: str, accepted: Sequence[str], asked: str) -> Marked:
    """A text with its numbers marked.

    Args:
        text: A reply.
        accepted: Accepted answers, each a number with or without a unit.
        asked: The question; what it names is no answer, and a unit that it names need not be repeated.
    """
    asks_in = language_of(asked, accepted[0])
    wanted = [w for answer in accepted if (w := as_quantity(answer, asks_in.code))]
    says_in = language_of(text, asked)
    original, units = text, units_named(asked)
    # "How many are in a dozen?" is answered by twelve.
    named = asked.replace("dozen", "")
    known = {(q.value, q.dimension) for q in quantities(readable(named, asks_in), asks_in)}
    # "How do you write thirty in digits?" is not answered by the word.
    spells = says_in if not any((w.value, w.dimension) in known for w in wanted) else OTHER_LANGUAGE
    text = readable(_without_counting(text), spells, one=any(w.number in (0, 1) for w in wanted))
    found = list(quantities(text, says_in))
    right = {q.start for q in found if any(_equal(q, w, units) for w in wanted)}
    dimensions = {w.dimension for w in wanted if w.dimension}
    exact = any(q.start in right and q.dimension in dimensions for q in found)
    corrected = says_in.corrects and says_in.corrects.search(text)
    counted = "" if corrected else _counted(asked, text, [q for q in found if q.start in right])

    starts = {q.start for q in found}

    def tells_something_else(q: Quantity) -> bool:
        if dimensions and not q.dimension and _begins_a_range(text, q, starts):
            return False
        if dimensions:
            # Where days are asked for, euros are no second answer; nor is a bare number beside days.
            other = q.dimension not in dimensions and (bool(q.dimension) or exact)
        else:
            other = bool(right) and q.dimension in (PERCENT, *CURRENCIES) and (PERCENT, 1) not in units
        if counted:  # how many rooms: "64 rooms on 5 floors"
            other = other or not text[q.end :].lower().lstrip(" )*-").startswith(counted)
        spelled_one = q.number == 1 and not regex.search(r"(?<!\d)1(?!\d)", original)
        return q.start not in right and (other or spelled_one or (q.value, q.dimension) in known)

    kept = [q for q in found if not tells_something_else(q)]
    in_unit = bool(dimensions) or any(q.dimension for q in found if q.start in right)
    return _marked(text, says_in, kept, right, in_unit and not _WORKING.search(original))


def _begins_a_range(text: str, first: Quantity, starts: set[int]) -> bool:
    """Whether a bare number has the unit of the next one: "30 to 45 days"."""
    found = _RANGE.match(text, first.end)
    return found is not None and found.end() in starts


def _counted(asked: str, text: str, right: Sequence[Quantity]) -> str:
    """What a question counts ("how many rooms"), where a right number of the reply counts the same."""
    found = _HOW_MANY.search(asked)
    noun = found[1].lower() if found else ""
    said = (text[q.end :].lower().lstrip(" )*-") for q in right)
    return noun if noun and any(rest.startswith(noun) for rest in said) else ""


def mark_dates(text: str, accepted: Sequence[str], asked: str) -> Marked:
    """The same for days."""
    asks_in = language_of(asked, accepted[0])
    wanted = [w for answer in accepted if (w := only_date(answer, asks_in))]
    says_in = language_of(text, asked)
    text = readable(text, says_in)
    in_question = readable(asked, asks_in)
    given = frozenset(
        {int(number) for number in regex.findall(r"\d+", in_question)}
        | {part for date in dates(in_question, asks_in) for part in date.parts}
    )
    known = {date.parts for date in dates(in_question, asks_in)}
    found = list(dates(text, says_in))
    right = {date.start for date in found if any(date.says(w, given) for w in wanted)}
    asks_end = _ASKS_END.search(asked) is not None
    others = [d for d in found if d.parts not in known and (asks_end or not _ENDS.search(text[: d.start]))]
    kept = [d for d in found if d.start in right or d in others]
    return _marked(text, says_in, kept, right, not asks_end)


def _without_counting(text: str) -> str:
    """Without the numbers of an enumeration's lines, and without bounds."""
    text = _BOUNDS.sub("", text)
    return _ENUMERATED.sub("", text) if len(_ENUMERATED.findall(text)) > 1 else text


def _equal(given: Quantity, wanted: Quantity, units: Units) -> bool:
    asked_in = [factor for dimension, factor in units if dimension == given.dimension]
    if not wanted.dimension and asked_in:  # "How many days?": 4 weeks are 28, 28 weeks are not
        return any(given.value == wanted.number * factor for factor in asked_in)
    if not wanted.dimension:
        percent = given.dimension == PERCENT and given.number != wanted.number
        same = given.number / 100 == wanted.number if percent else given.number == wanted.number
        return same and (percent or given.dimension not in (PERCENT, CLOCK) or (PERCENT, 1) in units)
    if given.by and wanted.by and given.by != wanted.by:
        return False
    if given.dimension == wanted.dimension:
        if given.by == wanted.by:
            return given.value == wanted.value
        # "$5" answers what costs $5 per month; no other unit may be left half said.
        return given.number == wanted.number and (not wanted.by or wanted.dimension in CURRENCIES)
    if given.dimension == CLOCK and "h" in given.raw.lower():  # 1h30 is a time of day, and how long it takes
        return wanted.dimension == "time" and given.value * 60 == wanted.value
    if given.dimension:
        return False
    if wanted.dimension == PERCENT and given.number.denominator > 1 and given.number * 100 == wanted.number:
        return True
    return any(dim == wanted.dimension and given.number * factor == wanted.value for dim, factor in units)


def _marked(
    text: str,
    language: Language,
    found: Sequence[Quantity | PartialDate],
    right: set[int],
    first_counts: bool,
) -> Marked:
    parts, written, end = [], {}, 0
    for number, value in enumerate(found):
        # Equal values are one word, so that a repeated answer is one answer.
        word = RIGHT if value.start in right else f"{OTHER}{number}"
        written.setdefault(word, value.raw.strip())
        parts += [text[end : value.start], f" {word} "]
        end = value.end
    return Marked("".join([*parts, text[end:]]), language, written, first_counts)
