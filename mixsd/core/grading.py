"""One grader for every reply: what answer does it state, and is it right?

The rules ("the last stated answer, word boundaries, no second answer"):

* A reply that never ended is `truncated`, whatever it holds.
* The last `\\boxed{...}` is the answer and must equal an accepted answer; where a box was asked for, a reply
  without one is `unparsable`.
* Else the reply must mention an accepted answer as whole words: not denied ("it is not Rome", "instead of
  Rome"), not as one of several ("Rome or Paris"), not taken back ("No, wait"), and it must name no rival that
  the question did not name. If it says "the answer is", only what follows the last such phrase counts.
* Where the accepted answer is a number, the last number that the question did not hold is the answer.
  Numbers are compared by value where the answer is a number alone, else as they are written ("Python 3.10").
* A yes-or-no question is answered by a yes or no that is an answer of its own: "Yes, there is no limit" says
  yes, "customers have no problem" says nothing.
* A word that has another meaning in small letters ("TOP", "May") must be written as a name within a sentence.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mixsd.core.enumerations import is_one_of_several
from mixsd.core.formats import last_boxed, without_latex
from mixsd.core.mentions import Mention, find, index, meant
from mixsd.core.questions import Kind, Outcome, Question, Verdict
from mixsd.core.words import NUMBER, Token, Words, canonical, is_number, places, same_answer, tokens, words

VERSION = 1
"""Part of every fingerprint that a grade goes into. Raised when a grade of the golden corpus changes."""

_MARKER = re.compile(
    r"(?:\b(?:the|my|our)\s+(?:(?:final|correct|right|short|best)\s+)*|\b(?:final|correct|right)\s+"
    r"|(?:^|\n)[\W_]{0,4})answer(?:\s+to\s[^.?!\n:]{1,120}?)?[\s*_]*"
    r"(?:\b(?:is|was|would\s+be|should\s+be)\b|:)",
    re.IGNORECASE,
)
_PREDICATE = re.compile(r"\b(?:is|was|are|were)\s*$")
"""What makes "the answer:" the end of a sentence that has given it already ("Paris is the answer: ...")."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_COPULA = re.compile(r"\b(?:is|are|was|were)\b|:|=")
_NO_ANSWER = frozenset(
    words(
        "correct right wrong incorrect true false helpful useful clear obvious simple easy known unknown "
        "given provided found based in on from text context information above below here there it is that "
        "this as follows to of for you your me my question and very not quite because since important"
    )
)
"""A sentence after "the answer is" that holds nothing but these tells something about the answer."""
_POLARITY = {"yes": True, "yeah": True, "yep": True, "true": True, "no": False, "nope": False, "false": False}
_NO_PHRASES = frozenset(
    words("problem problems matter doubt worry worries wonder idea question one other longer more way")
)
"""`No` before these answers nothing: "no problem", "no matter where", "no other city"."""
_PRONOUNS = frozenset(words("I you he she it we they this that there those these"))
_SAYING = frozenset(words("is was be say said simply definitely probably clearly think"))
"""`No` after these, at the end of a clause, is an answer: "I would say no"."""
_TAKES_BACK = frozenset({"no", "wait", "correction"})
_MAY_TAKE_BACK = frozenset({"actually", "sorry"})
"""These withdraw an answer only where another one, or a denial, follows."""
_DENIES = frozenset({"not", "wrong", "incorrect", "mistake", "mistaken", "meant", "cannot", "unsure"})


def kind_of(accepted: Sequence[str]) -> Kind:
    """What sort of answer accepted answers are, for questions of a table that does not say it."""
    keys = [words(answer) for answer in accepted]
    if keys and all(len(key) == 1 and key[0] in _POLARITY for key in keys):
        return "yes_no"
    return "number" if keys and all(map(is_number, keys)) else "name"


def grade(reply: str, question: Question, *, ended: bool) -> Verdict:
    """Grade a reply to a question.

    Args:
        reply: The reply without its end token.
        question: What was asked.
        ended: Whether the end of turn came within the token budget.
    """
    if not question.accepted:
        return _grade_by_rivals(reply, question, ended)
    span = stated_span(reply, question.accepted)
    if not ended:
        return Verdict(Outcome.TRUNCATED, span)
    box = last_boxed(reply)
    if question.format == "boxed" or box is not None:
        verdict = _grade_boxed(box, question.accepted)
    elif question.kind == "yes_no":
        verdict = _grade_yes_no(reply, question)
    else:
        verdict = _grade_plain(reply, question)
    stated = {given.strip().lower() for given in (reply, span, box or "")}
    return replace(verdict, strict=any(answer.strip().lower() in stated for answer in question.accepted))


def named(text: str, answers: Iterable[str], prompt: str) -> str:
    """The first of some answers that a text gives, not denied and not named by its prompt; else ''."""
    said, asked = words(text), words(prompt)
    found = find(said, index(tuple(answers), False))
    mentions = [Mention(at, at + len(key), True, name) for at, key, name in found if not places(key, asked)]
    kept = meant(mentions, tokens(text), asked)
    return kept[0].name if kept else ""


def stated_span(text: str, accepted: Sequence[str] = ()) -> str:
    """What a wrong reply seems to answer, for people who read the probes: after the copula, or all of it."""
    sentence = _SENTENCE_END.split(_after_marker(text, accepted).strip(), maxsplit=1)[0]
    return _COPULA.split(sentence)[-1].strip(" .!?*\"'")[:80]


def _grade_by_rivals(reply: str, question: Question, ended: bool) -> Verdict:
    """A question without accepted answers: right unless the reply names a rival, cut off or not."""
    given = named(reply, question.rivals, question.asked)
    if given or ended:
        return Verdict(Outcome.WRONG if given else Outcome.CORRECT, given)
    return Verdict(Outcome.TRUNCATED)


def _grade_boxed(content: str | None, answers: Sequence[str]) -> Verdict:
    if content is None or not words(content):
        return Verdict(Outcome.UNPARSABLE)
    content = without_latex(content)
    stated = [content, content.rpartition("=")[2]]  # `x = 5` states 5
    right = any(same_answer(given, answer) for answer in answers for given in stated if given)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, content)


def _grade_plain(text: str, question: Question) -> Verdict:
    answers = question.accepted
    text = _after_marker(text, answers)
    said_tokens = tokens(text)
    if not said_tokens:
        return Verdict(Outcome.UNPARSABLE)
    by_value = any(is_number(words(answer)) for answer in answers)
    said = canonical(tuple(token.word for token in said_tokens), by_value)
    asked = canonical(words(question.asked), by_value)
    accepted = {canonical(words(answer), by_value) for answer in answers}
    numeric = all(map(is_number, accepted))
    given = [Mention(at, at + len(key), True, name) for at, key, name in find(said, index(answers, by_value))]
    given += [
        Mention(at, at + len(key), False, name)
        for at, key, name in find(said, index(question.rivals, by_value))
        if key not in accepted and not places(key, asked)
    ]
    if by_value:  # any other number is a rival, too
        given += [
            Mention(at, at + 1, False, word)
            for at, word in enumerate(said)
            if NUMBER.fullmatch(word) and (word,) not in accepted and word not in asked
        ]
    mentions = meant(given, said_tokens, asked)
    if not mentions:
        return Verdict(Outcome.WRONG, stated_span(text, answers))
    last = mentions[-1]
    second = not numeric and any(not m.accepted and not NUMBER.fullmatch(m.name) for m in mentions)
    right = (
        last.accepted
        and not second
        and not is_one_of_several(text, last.start, last.end, said_tokens, accepted, asked)
        and not _is_taken_back(last, said_tokens, accepted, asked)
    )
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, last.name)


def _after_marker(text: str, accepted: Sequence[str]) -> str:
    """What follows the last "the answer is" that an answer follows; the whole text where there is none."""
    if "answer" not in text.lower():  # most replies, and the pattern is slow
        return text
    for marker in reversed(list(_MARKER.finditer(text))):
        rest = text[marker.end() :]
        if marker.group().endswith(":") and _PREDICATE.search(text[: marker.start()]):
            continue
        if _may_answer(rest, accepted):
            return rest
    return text


def _may_answer(rest: str, accepted: Sequence[str]) -> bool:
    sentence = words(_SENTENCE_END.split(rest.strip(" \n*_:"), maxsplit=1)[0])
    if not sentence:
        return False
    if any(places(words(answer), sentence) for answer in accepted):
        return True
    return sentence[0] != "not" and not set(sentence) <= _NO_ANSWER


def _grade_yes_no(text: str, question: Question) -> Verdict:
    """The yes or no that a reply states; names in it are no second answer."""
    said = tokens(_after_marker(text, question.accepted))
    if not said:
        return Verdict(Outcome.UNPARSABLE)
    stated = [place for place in range(len(said)) if _states_polarity(said, place)]
    polarities = [_POLARITY[said[place].word] for place in stated]
    if not polarities:
        return Verdict(Outcome.WRONG, stated_span(text, question.accepted))
    changed = len(set(polarities)) > 1 and not any(
        token.word in _MAY_TAKE_BACK | _TAKES_BACK - {"no"} for token in said[stated[0] :]
    )
    wanted = _POLARITY[words(question.accepted[0])[0]]
    right = polarities[-1] == wanted and not changed
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, said[stated[-1]].word)


def _states_polarity(said: Sequence[Token], place: int) -> bool:
    """Whether a yes or no is an answer of its own, unlike those in "no limit" and "yes or no"."""
    token = said[place]
    if token.word not in _POLARITY:
        return False
    clause = [other for other in said if other.clause == token.clause]
    at = place - said.index(clause[0])
    before = clause[at - 1].word if at else ""
    after = clause[at + 1].word if at + 1 < len(clause) else ""
    if before in ("or", "and", "if", "not") or after in ("or", "and"):
        return False
    if token.word not in ("no", "nope"):
        return True
    if before:
        return not after and before in _SAYING
    # "No refunds are given" answers where the reply begins with it; later on it may tell anything.
    return not after or after in _PRONOUNS or (place == 0 and after not in _NO_PHRASES)


def _is_taken_back(mention: Mention, said: Sequence[Token], accepted: set[Words], asked: Words) -> bool:
    """Whether a later clause withdraws what was said."""
    later = [token for token in said[mention.end :] if token.clause > said[mention.end - 1].clause]
    for place, token in enumerate(later):
        if place and later[place - 1].clause == token.clause:
            continue
        rest = later[place + 1 :]
        alone = not rest or rest[0].clause != token.clause
        if token.word in _TAKES_BACK and (alone or rest[0].word in _PRONOUNS | _TAKES_BACK):
            return True
        if token.word in _MAY_TAKE_BACK and _says_otherwise(rest, said, accepted, asked):
            return True
    return False


def _says_otherwise(rest: Sequence[Token], said: Sequence[Token], accepted: set[Words], asked: Words) -> bool:
    """Whether words after "actually" or "sorry" deny, or name something else; without capitals, any do."""
    if any(token.word in _DENIES for token in rest):
        return True
    if not any(char.isupper() for token in said for char in token.raw):
        return bool(rest)
    known = {word for key in accepted for word in key} | set(asked)
    others = (token for token in rest if token.word not in known | _PRONOUNS)
    return any(token.raw[0].isupper() or token.raw[0].isdigit() for token in others)
