"""The yes or no that a reply states: "Yes, without limit" says yes, "they have no problem" says nothing."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import regex

from mixsd.core.languages import ENGLISH, LANGUAGES, Language, language_of, unaccented
from mixsd.core.words import Token, normalised, tokens, words

PRONOUNS = frozenset(words("I you he she it we they this that there those these"))
_SAYING = frozenset(words("is was be say said simply definitely probably clearly think"))
"""`No` after these, at the end of a clause, is an answer: "I would say no"."""
_CONDITIONS = frozenset(
    words("for if unless when during in on für wenn falls bei pour si dans para por cuando для если")
)
"""`No` before these at the start of a clause answers for some cases: "yes for adults, no for children"."""
_CORRECTS = frozenset(words("actually sorry wait correction rather"))
_CLAUSES = regex.compile(r"[,.!;:\n]+")
_REPEATED = regex.compile(r"\A[^?]{1,60}(?:吗|か)?\?(?=\s*\S)")
"""A question that a reply begins with, before its answer."""
_UNSAID = frozenset(words("if whether not wish why warum ob pourquoi neither"))
"""A yes or no behind these in a clause is not stated."""
_SPANISH_ACCENTS = regex.compile(r"\bno (?:lo )?sé\b|\bsi\b(?=\s+\p{L})", regex.I)
"""`I do not know` and `if`, which the accent alone tells from `it is not` and `yes`."""
_LATIN = tuple(language for language in LANGUAGES.values() if language.yes)


def polarity(answer: str) -> bool | None:
    """Whether an accepted answer is a yes (True) or a no (False), in any language, or neither (None)."""
    key = words(answer)
    if key == ("si",) and answer.isascii():
        return None  # silicon; the Spanish yes has an accent
    if len(key) == 1:
        for value, said in ((True, "yes"), (False, "no")):
            if any(key[0] in _plain_words(getattr(language, said)) for language in _LATIN):
                return value
    text = normalised(answer).strip(" .!。")
    for language in LANGUAGES.values():
        for value, opens in ((True, language.opens_yes), (False, language.opens_no)):
            if opens and (found := opens.match(text)) and len(text) - found.end() <= 2 and len(text) <= 5:
                return value
    return None


@lru_cache(maxsize=64)
def _plain_words(listed: frozenset[str]) -> frozenset[str]:
    return frozenset(word for entry in listed for word in words(entry))


def stated_polarity(text: str, asked: str, answer: str = "") -> tuple[bool | None, str]:
    """The yes or no that a reply states, and the word that does; (None, '') where it states none or both.

    Args:
        text: A reply.
        asked: The question, whose language decides where the reply tells nothing.
        answer: The accepted answer: its language's yes and no count too ("The answer is Nein.").
    """
    language = language_of(text, asked)
    if language.code == "es":
        text = _SPANISH_ACCENTS.sub("", unicodedata.normalize("NFC", text))
    text = normalised(text)
    if language.opens_yes and language.opens_no:
        return _opening(text, language)
    said, own = tokens(text), words(answer)[:1]
    spoken = {
        language,
        ENGLISH,
        *(known for known in _LATIN if set(own) & _plain_words(known.yes | known.no)),
    }
    found = [(p, linked, at) for at in range(len(said)) for p, linked in _said(said, at, language, spoken)]
    stated = [(value, at) for value, linked, at in found if not linked]
    if not stated:
        return None, ""
    both = len({value for value, _, _ in found}) > 1
    value, at = stated[-1]
    return (
        (None, "") if both and not _corrects(said, stated[0][1], text, language) else (value, said[at].word)
    )


def _corrects(said: Sequence[Token], first: int, text: str, language: Language) -> bool:
    """Whether what follows the first yes or no takes it back."""
    if any(token.word in _CORRECTS for token in said[first + 1 :]):
        return True
    return bool(language is not ENGLISH and language.corrects and language.corrects.search(text))


def _opening(text: str, language: Language) -> tuple[bool | None, str]:
    """Where words are not parted by spaces, a reply says yes or no by how it begins."""
    assert language.opens_yes and language.opens_no
    # What stands behind a correction counts.
    for correction in reversed(list(language.corrects.finditer(text)) if language.corrects else []):
        if (later := _opening(text[correction.end() :].lstrip(" .,"), replace(language, corrects=None)))[1]:
            return later
    text = text.strip(" *:\"'「“")
    first, *others = [part for part in _CLAUSES.split(_REPEATED.sub("", text)) if part.strip()] or [""]
    value, word = _opens(first, language)
    # A later clause counts where it is nothing else: `もちろん、はい`.
    for part in others:
        later, said = _opens(part.strip(), language)
        if said and said == part.strip():
            if word and later is not value:
                return None, ""
            value, word = later, said
    return value, word


def _opens(text: str, language: Language) -> tuple[bool | None, str]:
    """What a clause says by how it begins."""
    assert language.opens_yes and language.opens_no
    if not (language.answers_nothing and language.answers_nothing.match(text)):
        for value, opens in ((False, language.opens_no), (True, language.opens_yes)):
            if found := opens.match(text):
                return value, found.group()
    return None, ""


def _said(
    said: Sequence[Token], place: int, language: Language, spoken: Collection[Language]
) -> Iterator[tuple[bool, bool]]:
    """What a word answers, unlike that in "no limit", and whether it is one of two ("yes or no")."""
    token = said[place]
    value = True if any(token.word in _plain_words(known.yes) for known in spoken) else None
    value = False if any(token.word in _plain_words(known.no) for known in spoken) else value
    if value is None:
        # "Yes-and-no" is written in one in Arabic and Hebrew.
        if token.word[:1] in language.joints and token.word[1:] in language.yes | language.no:
            yield token.word[1:] in language.yes, True
        return
    clause = [other for other in said if other.clause == token.clause]
    at = place - said.index(clause[0])
    before = clause[at - 1].word if at else ""
    after = clause[at + 1].word if at + 1 < len(clause) else ""
    nothing = language.answers_nothing
    from_here = (
        " ".join(unaccented(other.raw) for other in clause[start:]) for start in {at, max(at - 1, 0)}
    )
    if nothing and any(map(nothing.match, from_here)):
        return
    links = language.alternatives | language.joints | ENGLISH.alternatives | ENGLISH.joints
    unsaid = _UNSAID | (language.denials - language.yes - language.no)
    if unsaid & {other.word for other in clause[:at]}:
        return
    # "Yes and no", not "and no fee is due".
    linked = after in links or (before in links and not after)
    if before in links and not linked:
        return
    if (
        linked
        or (language is ENGLISH and token.word not in ("no", "nope"))
        or _is_answer(before, after, place, language)
    ):
        yield value, linked


def _is_answer(before: str, after: str, place: int, language: Language) -> bool:
    """Whether a yes or no stands as an answer of its own."""
    if before:
        return not after and (before in _SAYING or language is not ENGLISH)
    # "No refunds are given" answers where the reply begins with it; later on it may tell anything.
    return not after or after in PRONOUNS | _CONDITIONS or place == 0
