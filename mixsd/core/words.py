"""Text as normalised words: no case, punctuation, articles or thousands marks; numbers whole.

Accents fall away in the Latin and Greek scripts alone: elsewhere the mark is a letter (a vowel sign of
Hindi, the voicing of kana). Scripts that part no words by spaces give a word for each character, so that an
answer is found within a sentence.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import regex

from mixsd.core.languages import SPACELESS

Words = tuple[str, ...]

CODE = regex.compile(r"[A-Z]{2,5}")
"""A name in capitals, such as a currency code: the same word in small letters is another ("TOP")."""
NUMBER = regex.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)")
_ARTICLES = frozenset({"a", "an", "the"})
_TOKEN = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{N}}.])-?(?:\d+(?:\.\d+)?|\.\d+)(?![\p{{L}}\p{{M}}\p{{N}}--[{SPACELESS}]])"
    rf"|[{SPACELESS}]\p{{M}}*"
    r"|[\p{Katakana}ー]+|\p{Hangul}"
    rf"|[\p{{L}}\p{{M}}\p{{N}}--[{SPACELESS}\p{{Katakana}}\p{{Hangul}}]]+(?:[+#]+(?![\p{{L}}\p{{N}}]))?"
    r"|\p{Regional_Indicator}{2}|[\p{Extended_Pictographic}--[©®™]]",
    regex.V1,
)
_SINGLE = regex.compile(rf"[{SPACELESS}\p{{Hangul}}]")
_CLAUSE_END = regex.compile(r"([.!?;:,](?=\s|$)|\n|\bbut\b)", regex.IGNORECASE)
_INITIALS = regex.compile(r"\b(?:[A-Za-z]\.){2,}")
_SUPERSCRIPT = regex.compile(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_THOUSANDS = regex.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ANYTHING_BUT = regex.compile(
    r"\b(?:(?:any|every)(?:thing|one|body|where|\s+\w+)|all)\s+but\b", regex.IGNORECASE
)
_CONTRACTED_NOT = regex.compile(r"n['’]t\b")
_CLOSING = regex.compile(r"(?:[\s.?。؟।…]|(?<![\d)])!)+$")
"""What may end a question or an answer without a meaning of its own; `5!` is not 5."""
_ACCENTS = regex.compile(r"(?<=[\p{Latin}\p{Greek}])\p{Mn}+")
# Vowel points and stress marks, which texts leave out at will.
_POINTS = regex.compile(
    r"[\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640]|(?<=\p{Cyrillic})\u0301"
)
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("。．｡", ". "), **dict.fromkeys("，、､،", ", "), "；": "; ", "؛": "; ", "：": ": ",
        "！": "! ", "？": "? ", "؟": "? ", "।": ". ", "・": " ", "\u2212": "-", "ı": "i", "ё": "е", "Ё": "Е",
        "״": '"', "׳": "'",
        **dict.fromkeys("أإآ", "ا"), "ى": "ي",
        "\u200b": None, "\ufeff": None, "\u200e": None, "\u200f": None, "\ufe0f": None,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Token:
    """A word of a text.

    Attributes:
        word: As it is compared.
        raw: As it is written.
        clause: The number of its clause.
        mark: What parts its clause from the one before: punctuation, a line break, `but` ('' in the first).
        joined: Whether it follows the word before it without a space or sign between.
        hyphened: Whether only a hyphen stands between.
        spaced: Whether only spaces stand between.
    """

    word: str
    raw: str
    clause: int
    mark: str
    joined: bool = False
    hyphened: bool = False
    spaced: bool = False


@lru_cache(maxsize=65536)
def words(text: str) -> Words:
    """The normalised words of a text."""
    return tuple(token.word for token in tokens(text))


@lru_cache(maxsize=65536)
def normalised(text: str) -> str:
    """A text with one form for each letter and sign; case and line breaks stay."""
    text = _SUPERSCRIPT.sub(r" ^\1", text)  # before NFKC: 10² is not 102
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    text = _POINTS.sub("", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    return "".join(_digit(char) for char in unicodedata.normalize("NFC", text))


def _digit(char: str) -> str:
    """An ASCII digit for a digit of any script."""
    return str(unicodedata.digit(char)) if char.isdecimal() and not char.isascii() else char


@lru_cache(maxsize=65536)
def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text with their clauses."""
    text = _INITIALS.sub(lambda initials: initials.group().replace(".", ""), normalised(text))
    text = _CONTRACTED_NOT.sub(" not", _ANYTHING_BUT.sub("not", _THOUSANDS.sub("", text))).replace("_", " ")
    found: list[Token] = []
    mark = ""
    for number, part in enumerate(_CLAUSE_END.split(text)):
        if number % 2:  # what was split at
            mark += part.lower()
            continue
        end = -1
        for match in _TOKEN.finditer(part):
            raw = match.group()
            hyphened = match.start() == end + 1 and part[end] == "-"
            spaced = end >= 0 and part[end : match.start()].isspace()
            found.append(Token(_folded(raw), raw, number // 2, mark, match.start() == end, hyphened, spaced))
            end = match.end()
        mark = "" if end >= 0 else mark
    kept = [token for place, token in enumerate(found) if not _is_article(place, found)]
    return tuple(kept or found)


def question_key(text: str) -> str:
    """What tells one question, or one answer, from another: all of its letters and signs.

    Case, white space, width and closing punctuation make no other question. Words alone would merge `2 + 2`
    with `2 * 2`.
    """
    wide = unicodedata.normalize("NFKC", _SUPERSCRIPT.sub(r"^\1", text))
    return _CLOSING.sub("", " ".join(wide.casefold().split()))


def _folded(raw: str) -> str:
    folded = raw.casefold()
    if folded.startswith("ال") and len(folded) > 4:  # the Arabic article is written in one with its word
        return folded[2:]
    return folded


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
    if not NUMBER.fullmatch(token) or regex.fullmatch(r"-?0\d+", token):
        return token
    return format(Decimal(token).normalize() + 0, "f")


def is_number(text: Words) -> bool:
    """Whether words are one number."""
    return len(text) == 1 and NUMBER.fullmatch(text[0]) is not None


def length(text: Words) -> int:
    """How many words there are; a few characters of a script without spaces are one."""
    single = sum(bool(_SINGLE.match(word)) for word in text)
    return len(text) - single + (single + 3) // 4


def places(needle: Words, hay: Words) -> list[int]:
    """Where some words begin within others."""
    size = len(needle)
    return [i for i in range(len(hay) - size + 1) if size and hay[i : i + size] == needle]
