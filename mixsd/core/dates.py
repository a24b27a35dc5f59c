"""Days in text, whole or in part: 2027-06-12, June 12th, 12. Juni 2027, 25/06/2027 (but no 12/06/2027)."""

from collections.abc import Iterator
from dataclasses import dataclass

import regex
from dateutil import parser

from mixsd.core.languages import SPACELESS, Language
from mixsd.core.words import normalised

_MONTHS = (
    "january jan januar janvier enero ocak января январь يناير มกราคม ינואר जनवरी كانون_الثاني",
    "february feb februar février fevrier febrero şubat subat февраля февраль فبراير شباط "
    "กุมภาพันธ์ פברואר फरवरी फ़रवरी",
    "march mar märz marz mars marzo mart марта март مارس มีนาคม מרץ מרס मार्च آذار",
    "april apr avril abril nisan апреля апрель أبريل เมษายน אפריל अप्रैल إبريل نيسان",
    "may mai mayo mayıs mayis мая май مايو พฤษภาคม מאי मई أيار",
    "june jun juni juin junio haziran июня июнь يونيو มิถุนายน יוני जून حزيران",
    "july jul juli juillet julio temmuz июля июль يوليو กรกฎาคม יולי जुलाई تموز",
    "august aug août aout agosto ağustos agustos августа август أغسطس สิงหาคม אוגוסט अगस्त آب",
    "september sep sept septembre septiembre eylül eylul сентября сентябрь سبتمبر กันยายน ספטמבר "
    "सितंबर सितम्बर أيلول",
    "october oct oktober octobre octubre ekim октября октябрь أكتوبر ตุลาคม אוקטובר अक्टूबर अक्तूबर تشرين_الأول",
    "november nov novembre noviembre kasım kasim ноября ноябрь نوفمبر พฤศจิกายน נובמבר नवंबर "
    "नवम्बर تشرين_الثاني",
    "december dec dezember décembre decembre diciembre aralık aralik декабря декабрь ديسمبر "
    "ธันวาคม דצמבר दिसंबर दिसम्बर كانون_الأول",
)
_NUMBER_OF = {
    normalised(name).replace("_", " "): number
    for number, names in enumerate(_MONTHS, 1)
    for name in names.split()
}
_NAME = "|".join(sorted(map(regex.escape, _NUMBER_OF), key=len, reverse=True))
_MONTH = rf"(?:ב(?=\p{{Hebrew}}))?(?:{_NAME})(?![\p{{L}}\p{{M}}])\.?"  # Hebrew writes `in` in one with it
_FIRST = r"first|premier|primero|erste[rn]?"
"""What text2num reads as no number."""
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th|er|[-\s]?го|\.?[ºo]|\.)?)"
_OF = r"(?:of\s|de\s|del\s|del?\sano\s|พ\.?ศ\.?\s|ค\.?ศ\.?\s|सन\s|לשנת\s|عام\s|سنة\s)?"
_YEAR_WORD = r"(?:\s(?:года?|году|г(?!\p{L})\.?)|['’]?[dt][ae](?!\p{L})|م(?!\p{L}))?"
"""What follows a year and is part of it: `2027 года`, `2027'de`."""
_BUDDHIST = 543
"""Years that the calendar of Thailand is ahead."""
_DAY_FIRST = frozenset({"ar", "he", "hi", "th"})
"""Languages that write days first, though a point is their decimal mark."""
_LETTER = rf"\p{{L}}--[{SPACELESS}\p{{Katakana}}\p{{Hangul}}]"
_DATE = regex.compile(
    rf"(?<![[{_LETTER}]\d/.-])(?:"
    rf"(?P<y1>\d{{4}})[-/.年년]\s?(?P<m1>\d{{1,2}})(?:[-/.月월]\s?(?:(?P<d1>\d{{1,2}})[日일]?)?)(?![\d-])"
    rf"|(?P<m2>\d{{1,2}})[月월]\s?(?P<d2>\d{{1,2}})[日일]"
    rf"|(?P<a>\d{{1,2}})(?P<sep>[./-])\s?(?P<b>\d{{1,2}})(?P=sep)\s?(?P<y3>\d{{4}}|\d{{2}})(?!\d)"
    rf"|(?P<d4>{_DAY}|{_FIRST})\s(?:of\s"
    rf"|de\s)?(?P<n4>{_MONTH})(?:,?\s{_OF}(?P<y4>\d{{4}})(?!\d){_YEAR_WORD})?"
    rf"|(?P<n5>{_MONTH})\s(?:the\s)?(?P<d5>{_DAY})(?!\d)(?:,?\s(?P<y5>\d{{4}})(?!\d))?"
    rf"|(?:(?P<y7>\d{{4}}),?\s)?(?P<n7>{_MONTH})\s(?P<d7>{_DAY})(?!\d)"
    rf"|(?P<n6>{_MONTH}),?\s{_OF}(?P<y6>\d{{4}})(?!\d){_YEAR_WORD})",
    regex.I | regex.V1,
)


@dataclass(frozen=True)
class PartialDate:
    """A day in a text; a part that is not given is 0.

    Attributes:
        start: Where it begins in the text that was read.
        end: Where it ends.
        year: The year.
        month: The month, from 1.
        day: The day of the month, from 1.
        raw: As it is written.
    """

    start: int
    end: int
    year: int
    month: int
    day: int
    raw: str

    @property
    def parts(self) -> tuple[int, int, int]:
        """(year, month, day), 0 where not given."""
        return self.year, self.month, self.day

    def says(self, wanted: "PartialDate", given: frozenset[int] = frozenset()) -> bool:
        """Whether it names a day: equal in all that both give, lacking nothing but what the question holds.

        Args:
            wanted: The day that is asked for.
            given: Numbers of the question.
        """
        pairs = list(zip(self.parts, wanted.parts, strict=True))
        return all(mine == other or not (mine and other) for mine, other in pairs) and all(
            mine or not other or other in given for mine, other in pairs
        )


def dates(text: str, language: Language) -> Iterator[PartialDate]:
    """The days that a text names, in order; those that can be read in two ways are left out.

    Args:
        text: What to read, in the form that `normalised` gives.
        language: Whether 03/04 is the third of April; in English it may be either.
    """
    for found in _DATE.finditer(text):
        if date := _date(found, language):
            yield date


def only_date(text: str, language: Language) -> PartialDate | None:
    """The day that a text is, where it is nothing else."""
    text = normalised(text).strip(" .")
    found = list(dates(text, language))
    return found[0] if len(found) == 1 and found[0].raw.strip(" .") == text else None


def _date(found: regex.Match[str], language: Language) -> PartialDate | None:
    named = {key: value for key, value in found.groupdict().items() if value}
    if "sep" in named:
        year, month, day = _by_order(named, language)
    else:
        year = int(next((v for k, v in named.items() if k[0] == "y"), 0))
        month = next((int(v) for k, v in named.items() if k[0] == "m"), 0)
        names = (_month(v.lower()) for k, v in named.items() if k[0] == "n")
        month = month or next(names, 0)  # a month of 0 is refused below
        said = next((v for k, v in named.items() if k[0] == "d"), "0")
        day = int(digits.group()) if (digits := regex.match(r"\d+", said)) else 1
    if language.code == "th" and year > _BUDDHIST:
        year -= _BUDDHIST
    if not _exists(year, month, day):
        return None
    return PartialDate(found.start(), found.end(), year, month, day, found.group())


def _month(name: str) -> int:
    name = name.rstrip(".")
    return _NUMBER_OF.get(name) or _NUMBER_OF[name.removeprefix("ב")]


def _by_order(named: dict[str, str], language: Language) -> tuple[int, int, int]:
    """(year, month, day) of figures alone; month 0 where both orders are possible."""
    first, second, year = int(named["a"]), int(named["b"]), int(named["y3"])
    year += 2000 * (year < 70) + 1900 * (70 <= year < 100)
    by_custom = language.decimal_comma or language.code in _DAY_FIRST or named["sep"] == "."
    day_first = first > 12 or first == second or by_custom
    if day_first:
        return year, second, first
    return (year, first, second) if second > 12 else (0, 0, 0)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        parser.isoparse(f"{year or 2000:04}-{month:02}-{day or 1:02}")
    except ValueError:
        return False
    return True
