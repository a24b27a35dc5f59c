"""One grader for every reply: what answer does it state, and is it right?

The rules ("the last stated answer, word boundaries, no second answer"):

* A reply that never ended is `truncated`, whatever it holds. What stands inside `<think>` is no answer.
* The last `\\boxed{...}` is the answer and must equal an accepted answer; where a box was asked for, a reply
  without one is `unparsable`.
* If a reply says "the answer is", only what follows the last such phrase counts.
* A name must be mentioned as a whole: not denied ("it is not Rome", "instead of Rome"), not as one of several
  ("Rome or Paris"), not taken back ("No, wait"), and with no rival that the question did not name.
* A number is compared by value and unit, a date by its day (`values`). Numbers that the question holds do not
  count; of a calculation the last one is the answer, of a statement with a unit or a day the first.
* A yes-or-no question is answered by a yes or no of its own: "Yes, there is no limit" says yes, "customers
  have no problem" says nothing (`polarity`).
* A list needs all its items, in any order, and no other (`lists`).
* A word that has another meaning in small letters ("TOP", "May") must be written as a name within a sentence.

How closely this agrees with a careful reader: `python -m benchmarks.studies.grading`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import regex

from mixsd.core.enumerations import is_one_of_several
from mixsd.core.formats import boxes, same_mathematics, without_latex, without_thought
from mixsd.core.languages import ENGLISH, Language, language_of, unaccented
from mixsd.core.lists import lists_all
from mixsd.core.mentions import Mention, find, index, meant
from mixsd.core.polarity import PRONOUNS, polarity, stated_polarity
from mixsd.core.questions import Outcome, Question, Verdict
from mixsd.core.values import OTHER, RIGHT, Marked, mark_dates, mark_numbers
from mixsd.core.words import Token, Words, normalised, places, same_answer, tokens, words

VERSION = 4
"""Part of every fingerprint that a grade goes into. Raised when a grade of the golden corpus changes."""

_PREDICATE = re.compile(r"\b(?:is|was|are|were)\s*$")
"""What makes "the answer:" the end of a sentence that has given it already ("Paris is the answer: ...")."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n|(?<=[。！？])")
_COPULA = re.compile(r"\b(?:is|are|was|were|ist|sind|est|sont|es|son)\b|:|=")
_NO_ANSWER = frozenset(
    words(
        "correct right wrong incorrect true false helpful useful clear obvious simple easy known unknown "
        "given provided found based in on from text context information above below here there it is that "
        "this as follows to of for you your me my question and very not quite because since important"
    )
)
"""A sentence after "the answer is" that holds nothing but these tells something about the answer."""
_SENTENCE_SIGNS = (".", "!", "?", "\n", "but", ";")
_OFFER = re.compile(r"[^,:;?.]+(?:,\s*[^,:;?.]+)*,?\s+(?:or|oder|ou|o)\s+[^,:;?.]+\?")
_OR = re.compile(r",\s*(?:(?:or|oder|ou|o)\s+)?|\s+(?:or|oder|ou|o)\s+")
_CHOSEN = regex.compile(
    r"\A\W*([A-H])(?=\W*\Z|[.):,*]|\s[-–—:])|\b(?:option|choice|letter|antwort|réponse|opción"
    r"|answer\s+to)\s+(?:is\s+)?[(*]*([A-H])\b"
)
_NOT_CHOSEN = re.compile(r"\b(?:not|nicht|pas|than|instead of)\s*$", re.IGNORECASE)
_CHARACTER = regex.compile(
    r"(?![也可能或许另外还是有答案性他別又许会])[\p{Han}\p{Katakana}]"
    r"|(?![은는이가을를의에서로와과도입니다예요했또한역시아마혹정답])\p{Hangul}"
)
_SHORT_WORD = 3
"""Letters of words that tell nothing of what a clause is about."""
_ASIDES = 2
"""Other answers that a reply may name beside its own, in sentences about something else."""
_STEM = 5
"""Letters that another form of a word shares: `trainer` says what `trainiert` does."""
_FEW_CHARACTERS = 2
"""New characters by which a sentence tells something, where a word is a character."""
_TAKES_BACK = frozenset({"no", "wait", "correction"})
_MAY_TAKE_BACK = frozenset({"actually", "sorry"})
"""These withdraw an answer only where another one, or a denial, follows."""
_DENIES = frozenset({"not", "wrong", "incorrect", "mistake", "mistaken", "meant", "cannot", "unsure"})


def grade(reply: str, question: Question, *, ended: bool) -> Verdict:
    """Grade a reply to a question.

    Args:
        reply: The reply without its end token.
        question: What was asked.
        ended: Whether the end of turn came within the token budget.
    """
    reply = without_thought(reply)
    if not question.accepted:
        return _grade_by_rivals(reply, question, ended)
    span = stated_span(reply, question.accepted)
    if not ended:
        return Verdict(Outcome.TRUNCATED, span)
    boxed = boxes(reply)
    if question.format == "boxed" or boxed:
        verdict = _grade_boxed(boxed, question)
    else:
        verdict = _grade_plain(reply, question)
    stated = {given.strip().lower() for given in (reply, span, boxed[-1] if boxed else "")}
    return replace(verdict, strict=any(answer.strip().lower() in stated for answer in question.accepted))


def named(text: str, answers: Iterable[str], prompt: str) -> str:
    """The first of some answers that a text gives, not denied and not named by its prompt; else ''."""
    said, asked, language = tokens(text), words(prompt), language_of(text, prompt)
    found = find(said, index(tuple(answers)), language, prompt)
    options = {words(option) for option in _options(prompt)}
    mentions = [
        Mention(at, at + len(key), True, name)
        for at, key, name in found
        if key in options or not places(key, asked)
    ]
    kept = meant(mentions, said, asked, language)
    return kept[0].name if kept else ""


def stated_span(text: str, accepted: Sequence[str] = ()) -> str:
    """What a wrong reply seems to answer, for people who read the probes: after the copula, or all of it."""
    sentence = _SENTENCE_END.split(_after_marker(text, accepted, "").strip(), maxsplit=1)[0]
    return _COPULA.split(sentence)[-1].strip(" .!?*\"'")[:80]


def _grade_by_rivals(reply: str, question: Question, ended: bool) -> Verdict:
    """A question without accepted answers: right unless the reply names a rival, cut off or not."""
    given = named(reply, question.rivals, question.asked)
    if given or ended:
        return Verdict(Outcome.WRONG if given else Outcome.CORRECT, given)
    return Verdict(Outcome.TRUNCATED)


def _grade_boxed(boxed: Sequence[str], question: Question) -> Verdict:
    content = boxed[-1] if boxed else ""
    if not words(content):
        return Verdict(Outcome.UNPARSABLE)
    if question.kind == "list" and len(boxed) > 1:
        content = ", ".join(boxed)
    plain = without_latex(content)
    stated = [plain, plain.rpartition("=")[2]]  # `x = 5` states 5
    right = any(same_answer(given, answer) for answer in question.accepted for given in stated if given)
    if not right and question.kind in ("number", "date", "list", "yes_no"):
        right = _grade_plain(plain, question).outcome is Outcome.CORRECT
    if not right:
        right = any(same_mathematics(content, answer) for answer in question.accepted)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, plain)


def _grade_plain(reply: str, question: Question) -> Verdict:
    reply = _after_marker(reply, question.accepted, question.asked)
    text = normalised(reply)
    if not tokens(text):
        return Verdict(Outcome.UNPARSABLE)
    if question.kind == "yes_no":
        wanted = polarity(question.accepted[0])
        value, word = stated_polarity(reply, question.asked, question.accepted[0])
        right, given = value is not None and value == wanted, word
    elif question.kind == "list":
        language = language_of(text, question.asked)
        right, given = (
            any(lists_all(text, a, question.rivals, question.asked, language) for a in question.accepted),
            "",
        )
    elif question.kind in ("number", "date"):
        mark = mark_numbers if question.kind == "number" else mark_dates
        marked = mark(reply, question.accepted, question.asked)
        right, given = _states(marked, (RIGHT,), (), question)
    elif question.kind == "choice" and (letter := _chosen(text)):
        right, given = letter in {words(answer)[0].upper() for answer in question.accepted}, letter
    else:
        marked = Marked(text, language_of(text, question.asked), {})
        right, given = _states(marked, question.accepted, question.rivals, question)
    outcome = Outcome.CORRECT if right else Outcome.WRONG
    return Verdict(outcome, given or stated_span(reply, question.accepted))


def _chosen(text: str) -> str:
    """The letter that a reply begins with or announces ("B. Paris", "option (B)"), or ''."""
    found = [match for match in _CHOSEN.finditer(text) if not _NOT_CHOSEN.search(text[: match.start()])]
    return (found[-1][1] or found[-1][2]) if found else ""


def _states(
    marked: Marked, accepted: Sequence[str], rivals: tuple[str, ...], question: Question
) -> tuple[bool, str]:
    """Whether a text states an accepted answer, and which answer it states last."""
    language = marked.language
    text, mentions = marked.text, _meant(marked.text, accepted, rivals, question, language)
    for correction in reversed(list(language.corrects.finditer(text)) if language.corrects else []):
        rest = text[correction.end() :]
        if corrected := _meant(rest, accepted, rivals, question, language):
            text, mentions = rest, corrected
            break
        if language is not ENGLISH and words(rest) and mentions:
            return False, ""  # it is withdrawn, for something that no list holds
    if not mentions:
        return False, ""
    said, asked, keys = tokens(text), words(question.asked), {words(answer) for answer in accepted}
    # Of values, one counts; of names, a second one makes none.
    first_counts = marked.first_counts and text == marked.text
    last = _nearest(mentions, said, asked) if first_counts else mentions[-1]
    second = not marked.written and any(not mention.accepted for mention in mentions)
    right = (
        last.accepted
        and not second
        and not is_one_of_several(text, last.start, last.end, said, keys, asked, language)
        and not _is_taken_back(last, said, keys, asked)
    )
    return right, marked.written.get(last.name, last.name)


def _nearest(mentions: Sequence[Mention], said: Sequence[Token], asked: Words) -> Mention:
    """The mention whose clause says most of what is asked, the first of equals."""
    telling = {word for word in asked if len(word) > _SHORT_WORD}

    def shared(mention: Mention) -> int:
        clause = said[mention.start].clause
        return len(telling & {token.word for token in said if token.clause == clause})

    return max(mentions, key=lambda mention: (shared(mention), -mention.start))


def _meant(
    text: str, accepted: Sequence[str], rivals: tuple[str, ...], question: Question, language: Language
) -> list[Mention]:
    """Accepted answers and rivals that a text gives as its answer."""
    said, asked = tokens(text), words(question.asked)
    keys = {words(answer) for answer in accepted}
    offered = _offered(question.asked, keys)
    given = [
        Mention(at, at + len(key), True, name)
        for at, key, name in find(said, index(tuple(accepted)), language, question.asked)
    ]
    given += [
        Mention(at, at + len(key), False, name)
        for at, key, name in find(
            said, index((*rivals, *offered) if offered else rivals), language, question.asked
        )
        if key not in keys and (name in offered or not places(key, asked))
    ]
    given += [Mention(n, n + 1, False, t.word) for n, t in enumerate(said) if t.word.startswith(OTHER)]
    if question.kind == "choice":
        given += [
            Mention(n, n + 1, False, t.word) for n, t in enumerate(said) if _is_other_letter(t, said, n, keys)
        ]
    mentions = meant(given, said, asked, language)
    if question.kind in ("number", "date"):
        return mentions
    return [
        m
        for m in mentions
        if m.accepted or m.name in offered or not _tells_something_else(m, mentions, said, asked, language)
    ]


def _offered(asked: str, keys: set[Words]) -> tuple[str, ...]:
    """What else a question offers: Basic and Plus, where it asks "Basic, Plus or Pro?" and Pro is right."""
    options = {option: words(option) for option in _options(asked)}
    if not keys & set(options.values()):
        return ()
    return tuple(option for option, key in options.items() if key not in keys)


@lru_cache(maxsize=4096)
def _options(asked: str) -> tuple[str, ...]:
    """The answers that a question lets choose from ("Basic, Plus or Pro?")."""
    found: list[str] = []
    for offer in _OFFER.finditer(asked):
        first, *others = [item.strip() for item in _OR.split(offer.group().strip("? ")) if item.strip()]
        # "Is it red or blue?" begins with its verb.
        found += [first, first.split()[-1], *others]
    return tuple(dict.fromkeys(option for option in found if words(option)))


def _tells_something_else(
    rival: Mention, mentions: Sequence[Mention], said: Sequence[Token], asked: Words, language: Language
) -> bool:
    """Whether a rival stands in a sentence about something else than the one that gives the answer.

    "It is Rome. On Mondays it is Paris." gives one answer, "It is Rome. It is Paris." gives two.
    """
    sentences = _sentences(said)
    own = sentences[rival.start]
    given_in = {sentences[mention.start] for mention in mentions if mention.accepted}
    # A reply that repeats a list of statements answers nothing.
    # A reply that repeats a list of statements answers nothing.
    if not given_in or len({sentences[m.start] for m in mentions if not m.accepted}) > _ASIDES:
        return False
    if own in given_in and _begins_a_list(rival, said, language):
        return False
    clauses = [token.clause for token in said]
    parts = [clauses] if own in given_in else [sentences, clauses]
    # Said of the rival in the same words: "It sails from Rome. It sails from Paris."
    known = {*asked, *words(rival.name), *language.hedges, *language.common}
    return any(_tells_more(rival, mentions, said, part, known, language) for part in parts)


def _tells_more(
    rival: Mention,
    mentions: Sequence[Mention],
    said: Sequence[Token],
    part_of: Sequence[int],
    known: set[str],
    language: Language,
) -> bool:
    """Whether a sentence or clause with a rival holds words that the one with the answer does not."""
    own = part_of[rival.start]
    given_in = {part_of[mention.start] for mention in mentions if mention.accepted}
    part = [token for token, number in zip(said, part_of, strict=True) if number == own]
    opens = next((t.word for t in part if t.word not in language.joints), "")
    if own in given_in or opens in language.no:
        return False
    if language is ENGLISH and (
        opens in PRONOUNS | _TAKES_BACK or "answer" in {token.word for token in part}
    ):
        return False
    same = {token.word for token, number in zip(said, part_of, strict=True) if number in given_in}
    stems = {word[:_STEM] for word in known if len(word) >= _STEM}
    new = {t.word: t for t in part if t.word not in known | same and t.word[:_STEM] not in stems}
    # In scripts without spaces a word is a character; those of small words tell nothing.
    telling = [
        token
        for word, token in new.items()
        if len(word) > _SHORT_WORD
        or _CHARACTER.match(word)
        or (token is not part[0] and len(word) > 1 and token.raw[0].isupper())
    ]
    return len(telling) >= (1 if language.hedges else _FEW_CHARACTERS)


def _begins_a_list(rival: Mention, said: Sequence[Token], language: Language) -> bool:
    """Whether a clause begins with a rival and one more: "Rome, Paris and Lyon"."""
    if rival.end >= len(said) or said[rival.end].clause != said[rival.start].clause:
        return False
    begins = not rival.start or said[rival.start - 1].clause != said[rival.start].clause
    return begins and said[rival.end].word in language.joints | language.alternatives


def _sentences(said: Sequence[Token]) -> list[int]:
    """The number of each word's sentence; `but` begins one."""
    numbers, number = [], 0
    for place, token in enumerate(said):
        if (
            place
            and token.clause != said[place - 1].clause
            and any(sign in token.mark for sign in _SENTENCE_SIGNS)
        ):
            number += 1
        numbers.append(number)
    return numbers


def _is_other_letter(token: Token, said: Sequence[Token], place: int, keys: set[Words]) -> bool:
    """Whether a word is the letter of another choice: `B`, but no article."""
    if len(token.raw) != 1 or not "A" <= token.raw <= "H" or (token.word,) in keys:
        return False
    follows = place + 1 < len(said) and said[place + 1].clause == token.clause
    return token.raw != "A" or not follows


def _after_marker(text: str, accepted: Sequence[str], asked: str) -> str:
    """What follows the last "the answer is" that an answer follows; the whole text where there is none."""
    languages = {ENGLISH, language_of(text, asked or (accepted[0] if accepted else ""))}
    found = [match for language in languages for match in _markers(text, language)]
    for marker in sorted(found, key=lambda match: match.end(), reverse=True):
        rest = text[marker.end() :]
        if marker.group().endswith(":") and _PREDICATE.search(text[: marker.start()]):
            continue
        if _may_answer(rest, accepted):
            return rest
    return text


def _markers(text: str, language: Language) -> list[re.Match[str]]:
    if language.marker is None or (language is ENGLISH and "answer" not in text.lower()):
        return []  # most replies, and the pattern is slow
    return list(language.marker.finditer(unaccented(text)))  # type: ignore[arg-type]


def _may_answer(rest: str, accepted: Sequence[str]) -> bool:
    sentence = words(_SENTENCE_END.split(rest.strip(" \n*_:"), maxsplit=1)[0])
    if not sentence:
        return False
    if any(places(words(answer), sentence) for answer in accepted):
        return True
    return sentence[0] != "not" and not set(sentence) <= _NO_ANSWER


def _is_taken_back(mention: Mention, said: Sequence[Token], accepted: set[Words], asked: Words) -> bool:
    """Whether a later clause withdraws what was said."""
    later = [token for token in said[mention.end :] if token.clause > said[mention.end - 1].clause]
    for place, token in enumerate(later):
        if place and later[place - 1].clause == token.clause:
            continue
        rest = later[place + 1 :]
        alone = not rest or rest[0].clause != token.clause
        if token.word in _TAKES_BACK and (alone or rest[0].word in PRONOUNS | _TAKES_BACK):
            return True
        # "... but that is not true"
        if (
            token.word in PRONOUNS
            and [t.word for t in rest[:1]] in (["is"], ["was"])
            and _is_false(rest[1:3])
        ):
            return True
        if token.word in _MAY_TAKE_BACK and _says_otherwise(rest, said, accepted, asked):
            return True
    return False


def _is_false(rest: Sequence[Token]) -> bool:
    said = [token.word for token in rest]
    return said[:1] in (["wrong"], ["incorrect"], ["false"]) or said in (
        ["not", "true"],
        ["not", "correct"],
        ["not", "right"],
    )


def _says_otherwise(rest: Sequence[Token], said: Sequence[Token], accepted: set[Words], asked: Words) -> bool:
    """Whether words after "actually" or "sorry" deny, or name something else; without capitals, any do."""
    if any(token.word in _DENIES for token in rest):
        return True
    if not any(char.isupper() for token in said for char in token.raw):
        return bool(rest)
    known = {word for key in accepted for word in key} | set(asked)
    others = (token for token in rest if token.word not in known | PRONOUNS)
    return any(token.raw[0].isupper() or token.raw[0].isdigit() for token in others)
