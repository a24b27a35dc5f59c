"""Whether a reply lists what is asked for: all items, in any order, and no item more."""

from collections.abc import Sequence

import regex

from mixsd.core.kinds import list_items
from mixsd.core.languages import Language
from mixsd.core.mentions import Mention, find, index, meant
from mixsd.core.words import Token, Words, length, normalised, tokens, words

_PARTS = regex.compile(
    r"[,;\n]|、|\s/\s|\b(?:and|or|und|oder|et|ou|y|e|и|или)\b|[和与跟]|(?<=\p{Katakana}|\p{Han})と|및",
    regex.I,
)
_BULLET = regex.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_SENTENCE_END = regex.compile(r"(?<=[.!?])\s|[。！？]|\n\n")
_SMALL = frozenset(
    words(
        "the a an all are is also as well both in of by to it they these those it's listed include includes "
        "and three two four following respectively which that on finally lastly then plus only namely "
        "sind ist auch alle die der das sont est aussi les son es también los las"
    )
)
_ASIDE = regex.compile(r",?\s*\b(?:last but not least|nicht zuletzt|sin olvidar)\b,?", regex.I)
_NUMBERED = regex.compile(r"(?m)^[ \t]*\d{1,2}[.)][ \t]+")
"""Their full stop would end a sentence."""
_LONGEST = 3


def lists_all(text: str, answer: str, rivals: tuple[str, ...], asked: str, language: Language) -> bool:
    """Whether a reply gives every item of a list and no other.

    Args:
        text: A reply, normalised.
        answer: The list that is accepted.
        rivals: Answers of other questions; naming one adds a false item.
        asked: The question; what it names is no item.
        language: Of the reply.
    """
    items = list_items(answer)
    text = _NUMBERED.sub("- ", _ASIDE.sub("", text))
    said = tokens(text)
    question = words(asked)
    keys = {item: words(item) for item in items}
    found = [
        Mention(at, at + len(key), True, name)
        for at, key, name in find(said, index(tuple(items)), language, asked)
    ]
    wanted = set(keys.values())
    foreign = tuple(r for r in rivals if not _is_part(words(r), wanted) and words(r) != words(answer))
    found += [Mention(at, at + len(k), False, n) for at, k, n in find(said, index(foreign), language, asked)]
    kept = meant(found, said, question, language)
    given = {words(mention.name) for mention in kept if mention.accepted}
    if language.alternatives - set(question) and _offers(kept, said, language):
        return False
    if given != wanted or any(not m.accepted and not _is_asked(words(m.name), question) for m in kept):
        return False
    if language.code == "ja" and any(_goes_on(text, item, items) for item in items):
        return False
    return not _has_other_item(text, list(keys.values()), question, language)


def _goes_on(text: str, item: str, items: Sequence[str]) -> bool:
    """Whether a Japanese list goes on behind an item with one that is not wanted."""
    behind = text.partition(f"{normalised(item)}, ")[2]
    begins = regex.match(r"(?!以上)[\p{Han}\p{Katakana}]", behind) is not None
    return begins and not any(behind.startswith(normalised(other)) for other in items)


def _offers(kept: Sequence[Mention], said: Sequence[Token], language: Language) -> bool:
    """Whether items are given for choice: "red or blue"."""
    return any(
        m.start and said[m.start - 1].word in language.alternatives and any(o.end < m.start for o in kept)
        for m in kept
    )


def _is_part(key: Words, wanted: set[Words]) -> bool:
    return any(key == other or set(key) <= set(other) for other in wanted)


def _is_asked(key: Words, question: Words) -> bool:
    return set(key) <= set(question)


def _has_other_item(text: str, items: Sequence[Words], question: Words, language: Language) -> bool:
    """Whether a short part between or beside the listed items is none of them."""
    for sentence in _SENTENCE_END.split(text):
        parts = [_BULLET.sub("", part) for part in _PARTS.split(sentence) if words(part)]
        given = [words(part) for part in parts]
        holds = [any(_holds(part, item) for item in items) for part in given]
        for place, part in enumerate(given):
            # "Large" and then "Extra large"
            longer = {item for item in items if _holds(part, item) and part != item and item in given[:place]}
            if (
                longer
                and length(part) <= _LONGEST
                and not set(part) <= {*question, *_SMALL, *max(longer, key=len)}
            ):
                return True
        if sum(holds) < 2:
            continue
        first, last = holds.index(True), len(holds) - 1 - holds[::-1].index(True)
        behind = [part for part in parts[last + 1 : last + 2] if length(words(part)) < _LONGEST]
        nearby = [*parts[first:last], *behind]
        known = set(question) | _SMALL
        if any(_names_one_more(part, known) for part in parts[last + 1 : last + 2] if part not in behind):
            return True
        others = [words(part) for part in nearby if not any(_holds(words(part), item) for item in items)]
        if first and not parts[first - 1].rstrip().endswith(":"):
            # "The colours are red, green, white and black": the first item ends what comes before.
            others.append(words(parts[first - 1])[-1:])
        others = [other for other in others if other[0] not in language.denials]  # "red and white, not blue"
        if any(length(other) <= _LONGEST and not set(other) <= known for other in others):
            return True
    return False


def _names_one_more(part: str, known: set[str]) -> bool:
    """Whether a long part begins with a name: "and Estoric all play in the league"."""
    return part.lstrip()[:1].isupper() and words(part)[0] not in known


def _holds(part: Words, item: Words) -> bool:
    return any(part[at : at + len(item)] == item for at in range(len(part) - len(item) + 1))
