"""Whether an answer is given as one of several: a list of guesses states none of them."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from mixsd.core.languages import AND_WORDS, ENGLISH, OR_WORDS, Language
from mixsd.core.values import is_value
from mixsd.core.words import Token, Words, length, places, words

_HEDGES = frozenset({"perhaps", "maybe", "possibly", "probably", "even", "also", "else", "either", "both"})
"""What may stand between a comma or an `or` and the next item."""
_NEW_CLAUSE = frozenset({"is", "was", "has", "had"})
"""After `and X`, these make X the subject of another clause."""
_NO_NAMES = frozenset(
    words(
        "I it he she we you they this that these those there here yes no well so sure ok okay oh hello hi "
        "please thanks sorry in on at by for from with as if when while which who where what how because "
        "then also and or but not of to is was are its his her their my our your all both"
    )
)
"""Words that are no names even with a capital, which begins a sentence."""
_ITEM_END = re.compile(rf"[,;\n]|\s?/\s?|\b(?:{AND_WORDS}|{OR_WORDS})\b", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_LONGEST_ITEM = 3
_BARE, _WITHIN_SENTENCE = 2, 3
"""Other items that make a list without `and` or `or`: of a reply that is nothing but a list; of a sentence,
where a place or a person is often followed by what it belongs to ("Springfield, Illinois, USA")."""


def is_one_of_several(
    text: str,
    start: int,
    end: int,
    tokens: Sequence[Token],
    accepted: Collection[Words],
    asked: Words,
    language: Language = ENGLISH,
) -> bool:
    """Whether an answer stands in a list of answers.

    Args:
        text: The reply.
        start: The place of the answer's first word.
        end: The place after its last word.
        tokens: The words of the reply.
        accepted: The accepted answers; another name of the same is no second answer.
        asked: The words of the question; what it names is none either.
        language: Of the reply: its words for `and` and `or`.
    """

    def is_other(item: Words) -> bool:
        return item not in accepted and not places(item, asked)

    if language.alternatives & {_word(tokens, start - 1), _word(tokens, end)}:
        return True
    if language.beside and _stands_beside(tokens, start, end, language):
        return True
    if language is not ENGLISH:
        return _is_bare_list(text, accepted, is_other, language)
    found = [*_items_before(tokens, start), *_items_after(tokens, end)]
    others = [joint for item, joint in found if is_other(item)]
    if "or" in others or "and" in others or len(others) >= _WITHIN_SENTENCE:
        return True
    return _is_bare_list(text, accepted, is_other, language)


def _stands_beside(tokens: Sequence[Token], start: int, end: int, language: Language) -> bool:
    """Whether an answer is joined to another, where words are not parted by spaces."""
    assert language.beside
    clause = tokens[start].clause
    before = "".join(token.raw for token in tokens[:start] if token.clause == clause)
    after = "".join(token.raw for token in tokens[end:] if token.clause == tokens[end - 1].clause)
    return bool(language.beside[0].search(before) or language.beside[1].match(after))


def _word(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].word if 0 <= place < len(tokens) else ""


def _is_name(token: Token) -> bool:
    return (token.raw[0].isupper() or token.raw[0].isdigit()) and token.word not in _NO_NAMES


def _items_before(tokens: Sequence[Token], start: int) -> Iterator[tuple[Words, str]]:
    """(words, what joins it) of each item of the list that ends with the answer, the nearest first."""
    place = start
    while place > 0:
        last, joint = place - 1, ""
        while last >= 0 and tokens[last].word in _HEDGES:
            last -= 1
        if last >= 0 and tokens[last].word in ("and", "or"):
            joint, last = tokens[last].word, last - 1
        elif last >= 0 and tokens[last].clause != tokens[last + 1].clause and tokens[last + 1].mark == ",":
            joint = ","
        first = last
        while first >= 0 and tokens[first].clause == tokens[last].clause and _is_name(tokens[first]):
            first -= 1
        if not joint or first == last:
            return
        yield tuple(token.word for token in tokens[first + 1 : last + 1]), joint
        place = first + 1


def _items_after(tokens: Sequence[Token], end: int) -> Iterator[tuple[Words, str]]:
    """The same for the list that begins with the answer."""
    place = end
    while 0 < place < len(tokens):
        first, joint = place, ""
        if tokens[first].clause != tokens[first - 1].clause:
            if tokens[first].mark != ",":
                return
            joint = ","
        if tokens[first].word in ("and", "or"):
            joint, first = tokens[first].word, first + 1
        while _word(tokens, first) in _HEDGES:
            first += 1
        last = first
        while last < len(tokens) and tokens[last].clause == tokens[first].clause and _is_name(tokens[last]):
            last += 1
        if not joint or last == first:
            return
        goes_on = last < len(tokens) and tokens[last].clause == tokens[last - 1].clause
        follows = tokens[last].word if goes_on else ""
        # "Paris, France has ..." and "Paris, and Macron is ..." begin another clause.
        if (joint == "," and follows not in ("", "and", "or")) or (joint == "and" and follows in _NEW_CLAUSE):
            return
        yield tuple(token.word for token in tokens[first:last]), joint
        place = last


def _is_bare_list(
    text: str, accepted: Collection[Words], is_other: Callable[[Words], bool], language: Language
) -> bool:
    """Whether a reply is nothing but a list of short items, one of which is an accepted answer."""
    parts = [_BULLET.sub("", part) for part in _ITEM_END.split(text) if part.strip()]
    # Most replies end here, before their words are normalised: an item has at most so many with an article.
    if len(parts) <= _BARE or max(len(part.split()) for part in parts) > 2 * _LONGEST_ITEM:
        return False
    items = [item for item in map(words, parts) if item]
    if not any(item in accepted for item in items) or max(map(length, items)) > _LONGEST_ITEM:
        return False
    numeric = any(is_value(item[0]) for item in items if item in accepted and len(item) == 1)
    others = [item for item in items if is_other(item) and not set(item) <= _NO_NAMES]
    # "Monday, 4 July, 1776" is one date and no list of years.
    return len(others) >= _BARE and (not numeric or all(is_value(item[0]) for item in others))
