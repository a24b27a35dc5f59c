"""Whether a reply lists what is asked for: all items, in any order, and no item more."""

from collections.abc import Sequence

import regex

from mixsd.core.kinds import list_items
from mixsd.core.languages import AND_WORDS, OR_WORDS, Language
from mixsd.core.mentions import Mention, find, index, meant
from mixsd.core.words import Token, Words, length, normalised, tokens, words

_PARTS = regex.compile(
    rf"[,;\n]|、|\s/\s|(?<![\p{{L}}\p{{M}}])(?:{AND_WORDS}|{OR_WORDS})(?![\p{{L}}\p{{M}}])"
    r"|\b(?:as well as|along with|together with|plus|sowie|ainsi que|asi como|ademas de|а также)\b"
    r"|以及|[和与跟]|(?<=\p{Katakana}|\p{Han})と|및|(?<=\p{Hangul}{2})[와과]\s|และ|หรือ|\s[וو](?=\p{L}{2})",
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
_NUMBERED_INLINE = regex.compile(r"(?<=\S)[ \t]+\d{1,2}\)[ \t]+")
_OR_BEFORE = regex.compile(r"(?:或者?|还是|または|あるいは|もしくは|(?<!です)か|หรือ|또는|혹은)\s?$")
"""What offers the next item for choice, where words are not parted by spaces."""
_DENIED = regex.compile(r"\s*(?:没有|不[含是]|无|ไม่)")
_UNSURE = regex.compile(
    r"\b(?:maybe|perhaps|possibly|probably|vielleicht|eventuell|womoglich|peut-etre|quizas?|возможно|belki)\b"
    r"|可能|也许|かもしれ|たぶん|おそらく",
    regex.I,
)
_ALSO = regex.compile(
    r"\b(?:also|too|as well|additionally|auch|ausserdem|außerdem|zudem|aussi|egalement|tambien"
    r"|ademas|также|тоже|ayrica)\b"
    r"|另外|此外|还有|も(?=あり|あ[りる]|い[まる]|含|販|提供|取り)",
    regex.I,
)
"""What adds an item in a sentence of its own: "They also sell plum"."""
_SAYS_OF_ALL = regex.compile(
    r"\s*(?:it|they|these|this|all|both|sie|es|ils|elles)\s+(?:are|is|sind|ist|sont)\b", regex.I
)
_ADDS = regex.compile(
    r"\b(?:forgot|forgotten|missed|missing|add|vergessen|ergänz\w+|fehlt|oubli\w+|manque|ajout\w+|olvid\w+"
    r"|falta|añad\w+|забыл\w*)\b|忘|漏",
    regex.I,
)
"""What tells that a correction completes a list."""
_VERBS = frozenset(words("is are was were can may must ist sind war waren werden wird est sont es son están"))
"""What ends a list that is the subject of its sentence."""
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
    text = _NUMBERED_INLINE.sub("\n- ", _NUMBERED.sub("- ", _ASIDE.sub("", text)))
    text = _corrected(text, items, language)
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
    if not language.alternatives & set(question) and _offers(kept, said, language):
        return False
    if given != wanted or any(not m.accepted and not _is_asked(words(m.name), question) for m in kept):
        return False
    if language.code == "ja" and any(_goes_on(text, item, items) for item in items):
        return False
    if _adds_an_item(text, list(keys.values()), language) or _is_unsure(text, list(keys.values())):
        return False
    return not _has_other_item(text, list(keys.values()), question, language)


def _corrected(text: str, items: Sequence[str], language: Language) -> str:
    """What stands behind the last correction that lists anything, unless it only adds to what was said."""
    for correction in reversed(list(language.corrects.finditer(text)) if language.corrects else []):
        rest = text[correction.end() :]
        said = words(rest)
        short = (
            length(said) <= _LONGEST * len(items) + _LONGEST and len(_PARTS.findall(rest.strip(" ,.:"))) > 0
        )
        if short or any(_holds(said, words(item)) for item in items):
            return text if _ADDS.search(text) else rest
    return text


def _goes_on(text: str, item: str, items: Sequence[str]) -> bool:
    """Whether a Japanese list goes on behind an item with one that is not wanted."""
    behind = next(iter(regex.split(rf"{regex.escape(normalised(item))}[, ] ?", text, maxsplit=1)[1:]), "")
    begins = regex.match(r"(?!以上)[\p{Han}\p{Katakana}]", behind) is not None
    return begins and not any(behind.startswith(normalised(other)) for other in items)


def _offers(kept: Sequence[Mention], said: Sequence[Token], language: Language) -> bool:
    """Whether items are given for choice: "red or blue"."""
    return any(
        m.start and any(o.end < m.start for o in kept) and _is_offered(said[: m.start], language)
        for m in kept
    )


def _is_offered(before: Sequence[Token], language: Language) -> bool:
    """Whether an `or` stands at the end of some words."""
    own = "".join(token.raw for token in before if token.clause == before[-1].clause)
    return before[-1].word in language.alternatives or _OR_BEFORE.search(own) is not None


def _adds_an_item(text: str, items: Sequence[Words], language: Language) -> bool:
    """Whether a short sentence of its own adds an item: "They also sell plum"."""
    return any(
        _ALSO.search(sentence) is not None
        and not _SAYS_OF_ALL.match(sentence)
        and length(words(sentence)) <= 2 * _LONGEST
        and not any(_holds(words(sentence), item) for item in items)
        for sentence in _SENTENCE_END.split(text.replace(". ", ".\n\n"))
    )


def _is_unsure(text: str, items: Sequence[Words]) -> bool:
    """Whether an item is only possible: "and maybe cherry"."""
    parts = [part for part in _PARTS.split(text) if _UNSURE.search(part)]
    return any(_holds(words(part), item) for part in parts for item in items)


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
        if _goes_on_as_a_subject(given, first, last, items, set(question) | _SMALL):
            return True
        behind = [part for part in parts[last + 1 : last + 2] if length(words(part)) < _LONGEST]
        nearby = [*parts[first:last], *behind]
        known = set(question) | _SMALL
        if any(_names_one_more(part, known) for part in parts[last + 1 : last + 2] if part not in behind):
            return True
        others = [
            words(part)
            for part in nearby
            if not _DENIED.match(part) and not any(_holds(words(part), item) for item in items)
        ]
        if first and not parts[first - 1].rstrip().endswith(":"):
            # "The colours are red, green, white and black": the first item ends what comes before.
            others.append(words(parts[first - 1])[-1:])
        others = [other for other in others if other[0] not in language.denials]  # "red and white, not blue"
        if any(length(other) <= _LONGEST and not set(other) <= known for other in others):
            return True
    return False


def _goes_on_as_a_subject(
    given: Sequence[Words], first: int, last: int, items: Sequence[Words], known: set[str]
) -> bool:
    """Whether a list that is the subject of its sentence goes on: "soup, cakes and biscuits are served"."""
    if first or last + 1 >= len(given) or any(part not in items for part in given[: last + 1]):
        return False
    part = given[last + 1]
    verb = next((place for place, word in enumerate(part) if word in _VERBS), 0)
    return 0 < verb <= _LONGEST and not set(part[:verb]) <= known


def _names_one_more(part: str, known: set[str]) -> bool:
    """Whether a long part begins with a name: "and Estoric all play in the league"."""
    return part.lstrip()[:1].isupper() and words(part)[0] not in known


def _holds(part: Words, item: Words) -> bool:
    return any(part[at : at + len(item)] == item for at in range(len(part) - len(item) + 1))
