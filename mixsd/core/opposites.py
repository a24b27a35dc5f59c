"""Opposites: what is not open is closed, and who asks for one is answered by the other, denied."""

from functools import lru_cache

import regex

from mixsd.core.languages import plain

_PAIRS = (
    ("open", "closed|shut"),
    ("included", "excluded"),
    ("compulsory|mandatory|obligatory|required", "optional|voluntary|elective"),
    ("allowed|permitted", "forbidden|prohibited|banned"),
    ("geöffnet|offen", "geschlossen"),
    ("verpflichtend|pflicht", "freiwillig|optional"),
    ("erlaubt|gestattet", "verboten|untersagt"),
    ("ouverte?s?", "fermée?s?"),
    ("obligatoires?", "facultati(?:fs?|ves?)|optionnel(?:le)?s?"),
    ("autorisée?s?|permise?s?|admise?s?", "interdite?s?|exclue?s?"),
    ("abiert[oa]s?", "cerrad[oa]s?"),
    ("obligatori[oa]s?", "opcional(?:es)?|optativ[oa]s?|voluntari[oa]s?"),
    ("permitid[oa]s?", "prohibid[oa]s?"),
    ("открыт[аоы]?|работает", "закрыт[аоы]?"),
    ("обязательн[а-я]+", "необязательн[а-я]+|факультативн[а-я]+"),
    ("açık", "kapalı"),
    ("مفتوح", "مغلق"),
    ("פתוח(?:ה|ים)?", "סגור(?:ה|ים)?"),
)
_COMPILED = tuple(
    tuple(
        regex.compile(rf"(?<![\p{{L}}\p{{M}}])(?:{plain(side)})(?![\p{{L}}\p{{M}}])", regex.I)
        for side in pair
    )
    for pair in _PAIRS
)
_ENDS = regex.compile(r"\b(?:until|till|bis|jusqu|hasta|до)\b")
"""A state ends where its opposite begins: what is open until May closes then."""


def says_the_opposite(clause: str, asked: str) -> bool:
    """Whether a clause tells of the opposite: "it is open on Monday", where it is asked for a closed day.

    Args:
        clause: Words of a reply, in small letters and without accents.
        asked: Those of the question.
    """
    pairs = _asked_for(asked)
    if not pairs or _ENDS.search(clause):
        return False
    return any(other.search(clause) and not wanted.search(clause) for wanted, other in pairs)


@lru_cache(maxsize=4096)
def _asked_for(asked: str) -> tuple[tuple[regex.Pattern[str], regex.Pattern[str]], ...]:
    """(what is asked for, its opposite) of each pair of which a question names one."""
    return tuple(
        (wanted, other)
        for first, second in _COMPILED
        for wanted, other in ((first, second), (second, first))
        if wanted.search(asked) and not other.search(asked)
    )
