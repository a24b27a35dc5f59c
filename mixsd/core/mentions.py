"""Where a reply mentions an answer and means it: not denied, not inside a longer one, no mere homograph."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import regex

from mixsd.core.languages import ENGLISH, LANGUAGES, Language
from mixsd.core.opposites import says_the_opposite
from mixsd.core.words import CODE, Token, Words, places, words

_COMPARES = frozenset({"than", "unlike", "compared", "besides"})
"""What follows these in a clause is compared with the answer, and is none."""
_COPULAS = frozenset({"is", "was", "are", "were", "be"})
_FALLACY = frozenset({"misconception", "myth", "mistake", "mistaken", "irrtum", "falsch", "неверно"})
_AUXILIARIES = frozenset({"did", "does", "do", "has", "had", "have"})
_WRONG = frozenset({"not", "wrong", "incorrect", "false"})
"""What denies an answer after a copula: `Rome is not the capital`."""
_GERMAN = LANGUAGES["de"]
_RELATIVE = frozenset(
    {"who", "which", "that", "whose", "if", "when", "unless", "while", "although", "because", "where"}
)
"""What opens a part of a clause whose `not` ends with it: "Guests who are not members have 14 days"."""
_RELATIVE_PART = 4
"""Words of a denied relative clause, at least."""
_GOES_ON = frozenset(
    words(
        "is are was were has have had get gets may must can could should shall will would pay pays need "
        "needs do does"
    )
)
_PARTICLES = regex.compile(
    r"(?:이|가|은|는|을|를|의|에|에서|로|으로|와|과|도|만|부터|까지|이라고|라고|이고|이며|이랑|씨|님)*"
    r"(?:입니다|이에요|예요|이다|이었습니다|였습니다|입니까|인데요|합니다|됩니다|이)?(?:이|가|은|는|을|를|의"
    r"|에|로|도)?"
)
_PREFIXES = {"ar": ("و", "ف", "ب", "ل", "ك"), "he": tuple("הבלמושכ")}
_NAME_BEGINS = frozenset(
    words(
        "new upper lower saint san mount port fort lake great little old bad neu alt "
        "groß klein sankt nueva nuevo santa grand nouveau nouvelle"
    )
)
_PLACE_NAMES_GO_ON = frozenset(
    words("on upon by sur sous les am an im de du des la le en aux ost west nord süd mitte")
)
"""What goes on a name behind a hyphen: "Saint-Martin-de-Ré"."""
_OF_PLACES = {"es": frozenset({"de", "del"}), "fr": frozenset({"de", "du"})}
"""What goes on the name of a place, before another name: "Santiago del Estero"."""
_NO_NAMES = frozenset(words("i is was in of and or"))
_LONGER = {
    "zh": (
        frozenset("东西南北新旧大小前后副"),
        regex.compile("大学|省|[东西南北中]?[路街]|站|机场|银行|公司|队|语|话|菜|湾|学院|医院"),
    ),
    "ja": (
        frozenset("東西南北新旧大小前後副"),
        regex.compile(r"[\p{Katakana}]|大学|駅|空港|銀行|会社|人(?![でだは])|語|市場|学院|病院"),
    ),
}
"""What makes a longer name of an answer in Chinese characters: before it, and behind it."""
_TITLES = regex.compile("様|氏|君|殿|先生|館長|社長|教授|博士|市|県|都|府|区|町|村|島|国|州|年")
VALUE_SIGN = "0"
"""How the words begin that stand for values."""
_SHORT = 3
"""Letters of words that tell nothing of what is asked."""
_REFUTED_WITHIN = 14
"""Words behind an answer within which it is refuted."""
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


Index = Mapping[tuple[str, ...], Sequence[tuple[Words, str]]]
"""Names by their first one or two words."""
_INDEXES: dict[int, tuple[tuple[str, ...], Index]] = {}
_MOST_INDEXES = 256


def index(names: tuple[str, ...]) -> Index:
    """Names by their first words, so that a reply is not searched for each of many rivals.

    Kept by the tuple itself, not by what it holds: to hash ten thousand rivals takes as long as a grade.
    """
    kept = _INDEXES.get(id(names))
    if kept is None or kept[0] is not names:
        if len(_INDEXES) >= _MOST_INDEXES:
            _INDEXES.clear()
        kept = _INDEXES[id(names)] = names, _indexed(names)
    return kept[1]


@lru_cache(maxsize=512)
def _indexed(names: tuple[str, ...]) -> Index:
    by_first: dict[tuple[str, ...], list[tuple[Words, str]]] = defaultdict(list)
    for name in names:
        if key := words(name):
            by_first[key[:2]].append((key, name))
    return by_first


def find(
    said: Sequence[Token], names: Index, language: Language, asked: str = ""
) -> list[tuple[int, Words, str]]:
    """(place, words, name) of each name within what is said, unless it is part of a longer word.

    Args:
        said: The words of a reply.
        names: What to find.
        language: Of the reply: how its words are bounded.
        asked: The question; what stands in it does not make a longer name.
    """
    plain = tuple(token.word for token in said)
    return [
        (place, key, name)
        for place, word in enumerate(plain)
        for start in _starts(word, language)
        for begins in dict.fromkeys([(start,), (start, *plain[place + 1 : place + 2])])
        for key, name in names.get(begins, ())
        if plain[place + 1 : place + len(key)] == key[1:]
        and _is_bounded(said, place, place + len(key), language, asked)
    ]


def _starts(word: str, language: Language, shortest: int = 3) -> list[str]:
    """A word, and what is left without a particle that is written in one with it."""
    found = [word]
    for prefix in _PREFIXES.get(language.code, ()):
        if word.startswith(prefix) and len(word) > shortest:
            rest = word[1:]
            found.append(rest.removeprefix("ال") if language.code == "ar" else rest)
            if language.code == "ar" and prefix == "ل" and rest.startswith("ل"):
                found.append(rest[1:])  # to the: two letters in one
    return found


def _is_bounded(said: Sequence[Token], start: int, end: int, language: Language, asked: str) -> bool:
    """Whether words are whole where nothing parts them from what stands beside them."""
    follows = said[end] if end < len(said) else None
    # "Jan Verhoeven-Smit" is another name than "Jan Verhoeven", Southend-on-Sea than Southend.
    goes_on = (
        follows
        and follows.hyphened
        and ((follows.raw[0].isupper() and end - start > 1) or follows.word in _PLACE_NAMES_GO_ON)
    )
    if (
        goes_on
        or _ends_a_name(said, start)
        or _goes_on_as_a_name(said, start, end, asked, language)
        or _goes_on_as_a_place(said, start, end, language, asked)
    ):
        return False
    if not said[start].joined and not (follows and follows.joined):
        return True
    before, after = _joined_text(said, start, -1), _joined_text(said, end, 1)
    if _is_hangul(said[end - 1].raw) and not _PARTICLES.fullmatch(after):
        return False
    if _is_hangul(said[start].raw) and before:
        return False
    first, last = said[start].raw, said[end - 1].raw
    if regex.search(r"\p{Katakana}$", last) and regex.match(r"[\p{Katakana}ー]", after):
        return False
    prefixes, suffixes = _LONGER.get(language.code, (frozenset(), None))
    if regex.match(r"\p{Han}", first) and before[-1:] in prefixes and before[-1:] not in asked:
        return False
    if language.code == "ja" and regex.match(r"[\p{Han}\p{Katakana}]", first):
        # Particles are written in Hiragana: characters before a name belong to it, or are of the question.
        run = regex.search(r"[\p{Han}\p{Katakana}]+$", before)
        if run and run.group() not in asked:
            return False
        behind = regex.match(r"\p{Han}+", after)
        if behind and not (_TITLES.fullmatch(behind.group()) or behind.group() in asked):
            return False
    longer = suffixes.match(after) if suffixes and regex.search(r"[\p{Han}\p{Katakana}]$", last) else None
    return longer is None or longer.group() in asked


def _goes_on_as_a_name(said: Sequence[Token], start: int, end: int, asked: str, language: Language) -> bool:
    """Whether words with capitals make a longer name: "Mount Ostrel", "Paris Hilton"."""
    if not said[start].raw[0].isupper() or not said[end - 1].raw[0].isupper():
        return False
    in_question = words(asked)
    before = said[start - 1] if start else None
    if (
        before
        and before.clause == said[start].clause
        and before.raw[0].isupper()
        and before.word in _NAME_BEGINS
    ):
        return before.word not in in_question
    after = said[end] if end < len(said) else None
    if (
        after is None
        or language is _GERMAN  # whose nouns are capitals, too
        or after.clause != said[end - 1].clause
        or not after.raw[0].isupper()
        or not after.spaced
    ):
        return False
    return after.word not in in_question and after.word not in _NO_NAMES and len(after.raw) > 1


def _goes_on_as_a_place(said: Sequence[Token], start: int, end: int, language: Language, asked: str) -> bool:
    """Whether a name of one word goes on with another: "Santiago del Estero"."""
    of = _OF_PLACES.get(language.code)
    if of is None or end - start > 1 or end + 1 >= len(said) or said[end].word not in of:
        return False
    after = (
        said[end + 1 + (said[end + 1].word in ("la", "los", "las"))] if end + 2 < len(said) else said[end + 1]
    )
    same_clause = said[start].clause == said[end].clause == after.clause
    return (
        same_clause
        and said[start].raw[0].isupper()
        and after.raw[0].isupper()
        and after.word not in words(asked)
    )


def _ends_a_name(said: Sequence[Token], start: int) -> bool:
    return (
        start > 0
        and said[start].hyphened
        and (said[start - 1].raw[0].isupper() or said[start - 1].word in _PLACE_NAMES_GO_ON)
        and said[start].raw[0].isupper()
    )


def _is_hangul(raw: str) -> bool:
    return regex.match(r"\p{Hangul}", raw) is not None


def _joined_text(said: Sequence[Token], place: int, step: int) -> str:
    """What is written in one with the word at a place: before it (step -1) or from it on (1)."""
    found: list[str] = []
    if step > 0:
        while place < len(said) and said[place].joined:
            found.append(said[place].raw)
            place += 1
        return "".join(found)
    while place > 0 and said[place].joined:
        place -= 1
        found.insert(0, said[place].raw)
    return "".join(found)


def meant(
    mentions: Sequence[Mention], tokens: Sequence[Token], asked: Words, language: Language = ENGLISH
) -> list[Mention]:
    """Mentions that are meant, in the order of their ends; `asked` are the words of the question."""
    shouted = any(char.isupper() for token in tokens for char in token.raw)
    found = [m for m in mentions if not _is_homograph(m, tokens, shouted)]
    kept = [m for m in found if not any(_is_inside(m, other) for other in found)]
    kept = [m for m in kept if not _is_conceded(m, tokens, language)] or kept
    starts = sorted(mention.start for mention in kept)
    return sorted(
        (
            m
            for m in kept
            if _is_denied(m, tokens, asked, language) is _is_opposite(m, tokens, asked)
            and not _is_refuted(m, tokens, next((s for s in starts if s >= m.end), len(tokens)), language)
        ),
        key=lambda m: (m.end, m.start),
    )


def _is_conceded(mention: Mention, tokens: Sequence[Token], language: Language) -> bool:
    """Whether a clause states no answer: "although Rome is larger"."""
    if language.concedes is None:
        return False
    clause = tokens[mention.start].clause
    before = [token for token in tokens[: mention.start] if token.clause == clause]
    return language.concedes.match(_written(before)) is not None


def _is_opposite(mention: Mention, tokens: Sequence[Token], asked: Words) -> bool:
    """Whether its clause tells the opposite of what is asked, so that a denial affirms it; of names alone."""
    if mention.name.startswith(VALUE_SIGN):
        return False
    clause = tokens[mention.start].clause
    # The answer may be the opposite itself: "It is closed", where it is asked for that of open.
    around = [*tokens[: mention.start], *tokens[mention.end :]]
    return says_the_opposite(
        " ".join(token.word for token in around if token.clause == clause), " ".join(asked)
    )


def _is_inside(a: Mention, b: Mention) -> bool:
    return b.start <= a.start and a.end <= b.end and (b.end - b.start) > (a.end - a.start)


def _is_denied(mention: Mention, tokens: Sequence[Token], asked: Words, language: Language) -> bool:
    clause = tokens[mention.start].clause
    before = [token for token in tokens[: mention.start] if token.clause == clause]
    after = [token for token in tokens[mention.end :] if token.clause == tokens[mention.end - 1].clause]
    if _denies_before([token.word for token in before], asked, language):
        return True
    behind = _behind_contrast([token.word for token in before], language)
    for pattern, part in ((language.denied_before, before), (language.misbelief, before[behind:])):
        if pattern and pattern.search(_written(part)):
            return True
    if _denies_across(mention, tokens, language) or _is_asked_and_denied(mention, tokens, language):
        return True
    said = [*before, *tokens[mention.start : mention.end], *after]
    if _is_former(said, asked, language) or _denies_a_noun(said, asked, language):
        return True
    if language is not ENGLISH:
        return bool(language.denied_after and language.denied_after.match(_written(after)))
    follows = [token.word for token in after]
    if follows[:3] == ["used", "to", "be"]:
        return True
    if len(follows) > 1 and follows[0] in _AUXILIARIES and follows[1] == "not":
        return _denies_what_is_asked(follows[2:], asked)
    if len(follows) < 2 or follows[0] not in _COPULAS:
        return False
    if follows[1:3] == ["no", "longer"] or _FALLACY & set(follows[1:5]):
        return True
    if follows[1] not in _WRONG:
        return False
    return follows[2:3] == [] or follows[2] not in language.denies_nothing


def _denies_what_is_asked(denied: Sequence[str], asked: Words) -> bool:
    """ "Agnes did not found it", where it is asked who founded it; "Agnes did not win the race" of a race."""
    if not denied or any(word[:4] == denied[0][:4] for word in asked):
        return True
    if denied[0] == "have" and {"has", "have", "had"} & set(asked):
        return True
    # The verb may be irregular: nothing but words of the question follows it.
    return set(denied[1:]) <= {*asked, "it", "them", "that"}


def _is_refuted(mention: Mention, tokens: Sequence[Token], until: int, language: Language) -> bool:
    """Whether what follows an answer, before the next one, tells that it is none."""
    if language.refutes is None:
        return False
    after = tokens[mention.end : min(until, mention.end + _REFUTED_WITHIN)]
    clauses = [list(part) for _, part in groupby(after, key=lambda token: token.clause)]
    return language.refutes.search(" | ".join([*map(_written, clauses), ""]).lstrip(" |")) is not None


def _is_former(said: Sequence[Token], asked: Words, language: Language) -> bool:
    """Whether a clause tells of the past, which was not asked for: "it was in Rome until 1990"."""
    if language.former is None or language.former.search(" ".join(asked)):
        return False
    return language.former.search(_written(said)) is not None


def _denies_a_noun(said: Sequence[Token], asked: Words, language: Language) -> bool:
    """ "There is no museum in Rome", where it is asked for a museum."""
    told = [token.word for token in said]
    return "other" not in told and any(
        word in language.denies_nouns
        and {*told[place + 1 : place + 3]} & {w for w in asked if len(w) > _SHORT}
        for place, word in enumerate(told)
    )


def _is_asked_and_denied(mention: Mention, tokens: Sequence[Token], language: Language) -> bool:
    """`Rome? No.`"""
    if mention.end >= len(tokens):
        return False
    follows = tokens[mention.end]
    if "?" not in follows.mark:
        return False
    said = "".join(token.raw for token in tokens[mention.end :] if token.clause == follows.clause)
    return follows.word in language.no | {"not"} or bool(language.opens_no and language.opens_no.match(said))


def _denies_before(before: Sequence[str], asked: Words, language: Language) -> bool:
    """Whether a word before an answer denies it."""
    if language is ENGLISH and before[-1:] == ["no"]:
        return True
    if _is_bound(before, asked, language):
        return False
    if language is ENGLISH and any(_is_compared(before, place) for place in range(len(before))):
        return True
    before = before[_behind_contrast(before, language) :]
    for place, (word, following) in enumerate(zip(before, [*before, ""][1:], strict=True)):
        # A "not" of the question denies nothing: "Can't Buy Me Love was performed by ..." repeats a title.
        if (
            not language.denials & set(_starts(word, language, shortest=2))
            or following in language.denies_nothing
            or places((word, following), asked)
        ):
            continue
        opens = set(before[max(0, place - 4) : place])
        relatives = _RELATIVE if language is ENGLISH else language.relatives
        ends = relatives & opens and (
            len(before) - place >= _RELATIVE_PART or _GOES_ON & set(before[place + 1 :])
        )
        if not ends:
            return True
    return False


def _is_bound(before: Sequence[str], asked: Words, language: Language) -> bool:
    """Whether "not more than" or "not before" states the bound behind it; the latter of what is asked."""
    found = language.bounds and language.bounds.search(" ".join(before))
    if not found:
        return False
    return not found["until"] or any(len(word) > _SHORT and word in asked for word in before)


def _denies_across(mention: Mention, tokens: Sequence[Token], language: Language) -> bool:
    """Whether a denial reaches over an insertion: "It is not, as is often said, Rome"."""
    start = mention.start
    while start and tokens[start - 1].clause == tokens[mention.start].clause:
        start -= 1
    inner = start - 1
    while inner > 0 and tokens[inner - 1].clause == tokens[start - 1].clause:
        inner -= 1
    if (
        start
        and tokens[start].word in language.subordinates
        and any(token.word in language.denials | _FALLACY for token in tokens[inner:start])
    ):
        return True  # "Ich glaube nicht, dass es Rom ist"
    if inner <= 0 or tokens[start].mark != "," or tokens[inner].mark != ",":
        return False
    return tokens[inner - 1].word in language.denials - language.yes - language.no


def _is_compared(before: Sequence[str], place: int) -> bool:
    """Whether a word compares what follows: "longer than Ostrel", but not "no town other than Brenport"."""
    if before[place : place + 1] == ["as"] == before[-1:] and place < len(before) - 1 and "not" in before:
        return True  # "not as heavy as oak"
    if before[place] not in _COMPARES:
        return False
    return not (before[place - 1 : place] == ["other"] and {"no", "none", "nobody"} & set(before[:place]))


def _behind_contrast(before: Sequence[str], language: Language) -> int:
    places_of = [place + 1 for place, word in enumerate(before) if word in language.contrasts]
    return max(places_of, default=0)


def _written(tokens: Sequence[Token]) -> str:
    """Words as they stand in the text, without its signs."""
    return "".join(token.raw if token.joined or not n else f" {token.raw}" for n, token in enumerate(tokens))


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
