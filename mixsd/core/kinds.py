"""What kind of answer a question wants: given by a table, or guessed from its accepted answers."""

from collections.abc import Sequence

import regex

from mixsd.core.dates import only_date
from mixsd.core.languages import AND_WORDS, language_of
from mixsd.core.numerals import SPELLED
from mixsd.core.polarity import polarity
from mixsd.core.questions import Kind
from mixsd.core.values import as_quantity
from mixsd.core.words import normalised, words

_SEPARATOR = regex.compile(
    rf"\s*[;|\n]\s*|\s*[,،]\s+(?:(?:{AND_WORDS})\s+|[وו](?=\p{{L}}{{2}}))?|\s+(?:{AND_WORDS}|&)\s+"
    r"|\s*(?:、|，|以及|和|与|と|및|และ)\s*|(?<=\p{Hangul}{2})[와과]\s|\s+[وו](?=\p{L}{2})"
)
_LONGEST_QUANTITY = 80
"""Characters; the longest numbers in words are shorter."""
_JOINED = regex.compile(rf"[;|\n]|\s(?:{AND_WORDS}|&)\s|、|[,،]\s.*[,،]\s|,\s.*\sו")
"""What tells a list from a name with a comma ("Springfield, Illinois")."""


def kind_of(accepted: Sequence[str]) -> Kind:
    """Guess what kind accepted answers are; `name` where nothing tells."""
    if not accepted:
        return "name"
    for kind in ("yes_no", "date", "number", "list"):
        if not misfit(kind, accepted) and (kind != "list" or all(map(_JOINED.search, accepted))):
            return kind
    return "name"


def misfit(kind: Kind, accepted: Sequence[str]) -> str:
    """Why accepted answers are not of a kind, as a short clause; '' if they are."""
    tells = {
        "yes_no": (lambda a: polarity(a) is not None, "is neither yes nor no"),
        "number": (_is_quantity, "is no single number with or without a unit"),
        "date": (
            _is_date,
            "is no date, or one that can be read in two ways (write 2027-06-12 or 12 June 2027)",
        ),
        "list": (
            lambda a: len(list_items(a)) > 1,
            "lists no two items (parted by commas, semicolons or `and`)",
        ),
        "choice": (
            lambda a: bool(regex.match(r"\(?[A-Za-z]\b", a.strip())),
            "does not begin with a letter of a choice",
        ),
        "name": (lambda a: bool(words(a)), "has no letter or digit"),
    }
    fits, complaint = tells[kind]
    return next((f"{answer[:40]!r} {complaint}" for answer in accepted if not fits(answer)), "")


def list_items(answer: str) -> list[str]:
    """The items of an answer that is a list."""
    return [item for item in _SEPARATOR.split(answer.strip(" .")) if words(item)]


def _is_quantity(answer: str) -> bool:
    if len(answer) > _LONGEST_QUANTITY:  # reading one takes a while, and most answers are names
        return False
    return any(as_quantity(answer, code) for code in {language_of(answer).code, *SPELLED})


def _is_date(answer: str) -> bool:
    return only_date(normalised(answer), language_of(answer)) is not None
