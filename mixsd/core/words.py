"""Text as normalised words: no case, accents, punctuation, articles or thousands marks; numbers whole."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

Words = tuple[str, ...]

CODE = re.compile(r"[A-Z]{2,5}")
"""A name in capitals, such as a currency code: the same word in small letters is another ("TOP")."""
NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)")
_ARTICLES = frozenset({"a", "an", "the"})
_TOKEN = re.compile(r"(?<![\w.])-?(?:\d+(?:\.\d+)?|\.\d+)(?!\w)|\w+(?:[+#]+(?!\w))?")
_CLAUSE_END = re.compile(r"([.!?;:,](?=\s|$)|\n|\bbut\b)", re.IGNORECASE)
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}")
_SUPERSCRIPT = re.compile(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MONTH = "(january|february|march|april|may|june|july|august|september|october|november|december)"
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b(?!,\d)", re.IGNORECASE
)
_ORDINAL_DAY = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}\b", re.IGNORECASE)
_CONTRACTED_NOT = re.compile(r"n['’]t\b")


@dataclass(frozen=True)
class Token:
    """A word of a text.

    Attributes:
        word: As it is compared.
        raw: As it is written.
        clause: The number of its clause.
        mark: What parts its clause from the one before: punctuation, a line break, `but` ('' in the first).
    """

    word: str
    raw: str
    clause: int
    mark: str


@lru_cache(maxsize=65536)
def words(text: str) -> Words:
    """The normalised words of a text."""
    return tuple(token.word for token in tokens(text))


@lru_cache(maxsize=65536)
def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text with their clauses."""
    text = _SUPERSCRIPT.sub(r" ^\1", text.replace("\u2212", "-"))  # 10² is not 102
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if not unicodedata.combining(char))
    text = _INITIALS.sub(lambda initials: initials.group().replace(".", ""), text)
    # One order for dates: day, month, year.
    text = _MONTH_FIRST.sub(lambda date: f"{date[2]} {date[1]} {date[3] or ''}", text)
    text = _ORDINAL_DAY.sub(r"\1 \2", text)
    text = _CONTRACTED_NOT.sub(" not", _THOUSANDS.sub("", text)).replace("_", " ")
    found: list[Token] = []
    mark = ""
    for number, part in enumerate(_CLAUSE_END.split(text)):
        if number % 2:  # what was split at
            mark += part.lower()
        elif raws := _TOKEN.findall(part):
            found += [Token(raw.casefold(), raw, number // 2, mark) for raw in raws]
            mark = ""
    kept = [token for place, token in enumerate(found) if not _is_article(place, found)]
    return tuple(kept or found)


def _is_article(place: int, found: Sequence[Token]) -> bool:
    """Whether a word only introduces the next; a capital A within a clause is a name ("Plan A")."""
    token = found[place]
    if token.word not in _ARTICLES or place + 1 == len(found):
        return False
    return token.raw != "A" or place == 0 or found[place - 1].clause != token.clause


def same_answer(given: str, answer: str) -> bool:
    """Whether two short answers are equal after normalisation, with lone numbers compared by value."""
    by_value = len(words(answer)) == 1
    return canonical(words(given), by_value) == canonical(words(answer), by_value) != ()


def canonical(text: Words, by_value: bool) -> Words:
    """Words as they are compared: numbers as their value is written shortest where `by_value`."""
    return tuple(map(_value, text)) if by_value else text


def _value(token: str) -> str:
    # Leading zeros of a whole number count: 007 is not 7.
    if not NUMBER.fullmatch(token) or re.fullmatch(r"-?0\d+", token):
        return token
    return format(Decimal(token).normalize() + 0, "f")


def is_number(text: Words) -> bool:
    """Whether words are one number."""
    return len(text) == 1 and NUMBER.fullmatch(text[0]) is not None


def places(needle: Words, hay: Words) -> list[int]:
    """Where some words begin within others."""
    size = len(needle)
    return [i for i in range(len(hay) - size + 1) if size and hay[i : i + size] == needle]
