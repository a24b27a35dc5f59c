"""Where a reply mentions an answer and means it: not denied, not inside a longer one, no mere homograph."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mixsd.core.words import CODE, Token, Words, canonical, places, words

_DENIALS = frozenset({"not", "never", "neither", "nor", "cannot", "hardly"})
"""Words that deny what follows in their clause."""
_NOT_DENIED = frozenset({"only", "just", "merely", "simply"})
"""After `not`, these deny nothing: "it is not only Rome"."""
_DENIED_PAIRS = frozenset({("instead", "of"), ("rather", "than"), ("other", "than"), ("apart", "from")})
"""Words that deny what follows at once; so does `no`."""
_COPULAS = frozenset({"is", "was", "are", "were", "be"})
_WRONG = frozenset({"not", "wrong", "incorrect", "false"})
"""What denies an answer after a copula: `Rome is not the capital`."""
_ALSO_VERBS = frozenset({"may", "march", "will"})
"""Names that are everyday verbs in small letters."""
_PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "one", "this", "that", "there"})
_BEFORE_NAMES = frozenset(
    {"in", "of", "is", "on", "by", "until", "till", "since", "from", "to", "was", "early", "late", "mid"}
)
"""What may come before a month or name in a reply without capitals; before a verb it does not."""


@dataclass(frozen=True)
class Mention:
    """An answer in a reply.

    Attributes:
        start: The place of its first word.
        end: The place after its last word.
        accepted: Whether it is an accepted answer.
        name: The answer as it was given to the grader.
    """

    start: int
    end: int
    accepted: bool
    name: str


Index = Mapping[str, Sequence[tuple[Words, str]]]


@lru_cache(maxsize=512)
def index(names: tuple[str, ...], by_value: bool) -> Index:
    """Names by their first word, so that a reply is not searched for each of many rivals."""
    by_first: dict[str, list[tuple[Words, str]]] = defaultdict(list)
    for name in names:
        if key := canonical(words(name), by_value):
            by_first[key[0]].append((key, name))
    return by_first


def find(said: Words, names: Index) -> list[tuple[int, Words, str]]:
    """(place, words, name) of each name within what is said."""
    return [
        (place, key, name)
        for place, word in enumerate(said)
        for key, name in names.get(word, ())
        if said[place : place + len(key)] == key
    ]


def meant(mentions: Sequence[Mention], tokens: Sequence[Token], asked: Words) -> list[Mention]:
    """Mentions that are meant, in the order of their ends; `asked` are the words of the question."""
    shouted = any(char.isupper() for token in tokens for char in token.raw)
    found = [m for m in mentions if not _is_homograph(m, tokens, shouted)]
    kept = [m for m in found if not any(_is_inside(m, other) for other in found)]
    return sorted((m for m in kept if not _is_denied(m, tokens, asked)), key=lambda m: (m.end, m.start))


def _is_inside(a: Mention, b: Mention) -> bool:
    return b.start <= a.start and a.end <= b.end and (b.end - b.start) > (a.end - a.start)


def _is_denied(mention: Mention, tokens: Sequence[Token], asked: Words) -> bool:
    clause = tokens[mention.start].clause
    before = [token.word for token in tokens[: mention.start] if token.clause == clause]
    after = [token.word for token in tokens[mention.end :] if token.clause == tokens[mention.end - 1].clause]
    # A "not" of the question denies nothing: "Can't Buy Me Love was performed by ..." repeats a title.
    denied = any(
        word in _DENIALS and following not in _NOT_DENIED and not places((word, following), asked)
        for word, following in zip(before, [*before, ""][1:], strict=True)
    )
    if denied or before[-1:] == ["no"] or tuple(before[-2:]) in _DENIED_PAIRS:
        return True
    if len(after) < 2 or after[0] not in _COPULAS or after[1] not in _WRONG:
        return False
    return after[2:3] == [] or after[2] not in _NOT_DENIED


def _is_homograph(mention: Mention, tokens: Sequence[Token], shouted: bool) -> bool:
    """Whether it is another word that is written alike.

    Args:
        mention: An answer.
        tokens: The reply.
        shouted: Whether the reply uses capitals at all; one that does not tells nothing by small letters.
    """
    said = tokens[mention.start : mention.end]
    small = all(token.raw.islower() for token in said)
    if CODE.fullmatch(mention.name):
        return shouted and small
    if len(said) > 1 or said[0].word not in _ALSO_VERBS:
        return False
    before = tokens[mention.start - 1] if mention.start else None
    after = tokens[mention.end] if mention.end < len(tokens) else None
    if not small:  # "May I help you?" begins a clause with the verb
        begins = before is None or before.clause != said[0].clause
        return begins and after is not None and after.clause == said[0].clause and after.word in _PRONOUNS
    is_name = before is None or before.word in _BEFORE_NAMES or before.word[0].isdigit()
    return shouted or not is_name
