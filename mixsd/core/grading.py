"""One extractor and one matcher for every task: what answer does a completion state, and is it right?

The rules ("the last stated answer, word boundaries, no second answer"):

* A reply that never ended is `truncated`, whatever it holds.
* The last `\\boxed{...}` is the answer and must equal an accepted answer; where a box was asked for, a reply
  without one is `unparsable`.
* Else the reply must mention an accepted answer as whole words, not denied ("it is not Rome", "Rome is
  wrong", "instead of Rome"), not as one of several ("Rome or Paris"), not taken back ("actually, ..."), and
  must name no rival (another answer of the same task that the question did not name). If it says "the answer
  is", only what follows the last such phrase counts. Where the accepted answer is a number, the last number
  that the question did not hold is the answer.
* Numbers are compared by value, exactly, where the answer is a number alone; within a longer answer ("Python
  3.10") as they are written. Leading zeros count ("007"). A short answer in capitals ("TOP") is not met by
  the same word in small letters within a sentence.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from mixsd.core.errors import one_of
from mixsd.core.questions import Format, Kind, Outcome, Question, Verdict

_ARTICLES = frozenset({"a", "an", "the"})
_DENIALS = frozenset({"not", "never", "neither", "nor", "cannot", "hardly"})
"""Words that deny what follows in their clause."""
_DENIED_PAIRS = frozenset({("instead", "of"), ("rather", "than"), ("other", "than"), ("apart", "from")})
"""Words that deny what follows at once; so does `no`."""
_COPULAS = frozenset({"is", "was", "are", "were", "be"})
_WRONG = frozenset({"not", "wrong", "incorrect", "false"})
"""What denies an answer after a copula: `Rome is not the capital`."""
_TAKES_BACK = frozenset({"actually", "wait", "correction", "sorry", "no"})
"""Beginnings of a clause after the answer that withdraw it."""
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)")
_TOKEN = re.compile(r"(?<![\w.])-?(?:\d+(?:\.\d+)?|\.\d+)(?!\w)|\w+(?:[+#]+(?!\w))?")
_CLAUSE_END = re.compile(r"[.!?;:,](?=\s|$)|\n|\bbut\b", re.IGNORECASE)
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}")
_SUPERSCRIPT = re.compile(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MONTH = "(january|february|march|april|may|june|july|august|september|october|november|december)"
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b(?!,\d)", re.IGNORECASE
)
_ORDINAL_DAY = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}\b", re.IGNORECASE)
_LATEX_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf)?|math(?:rm|bf|it|sf|tt)|emph|mbox|operatorname)\s*\{([^{}]*)\}"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)(\d))")
_LATEX_THOUSANDS = re.compile(r"(?<=\d)(?:\\[,! ]|\{,\})(?=\d{3}(?!\d))")
_LATEX_MARK = re.compile(r"\\(?:left|right|quad|circ|[;:,! ])|\^\s*(?=\\circ)|\{,\}|[$~]|\\(?=[$%])")
_CONTRACTED_NOT = re.compile(r"n['’]t\b")
_BOXED_SPACE = re.compile(r"\\boxed\s+\{")
_ANSWER_MARKER = re.compile(r"\banswer(?:\s+is|\s*:)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_COPULA = re.compile(r"\b(?:is|are|was|were)\b|:|=")

_POLARITY = {"yes": True, "true": True, "no": False, "false": False}
"""Answers to yes-or-no questions, and which of the two each is."""

Words = tuple[str, ...]

VERSION = 1
"""Part of every fingerprint that a grade goes into. Raised when a grade of the golden corpus changes."""
CODE = re.compile(r"[A-Z]{2,5}")
"""A name in capitals, such as a currency code: the same word in small letters is another ("TOP")."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a question asks for its answer and how a gold reply gives it."""

    name: Format
    request: str

    def question(self, asks: str, accepted: tuple[str, ...], **more: Any) -> Question:
        """A question in this format; what it asks stands before the request."""
        return Question(f"{asks}{self.request}", accepted, asks=asks, format=self.name, **more)

    def prompt(self, asks: str) -> str:
        """The user turn: what is asked and the request for this format."""
        return f"{asks}{self.request}"

    def without_request(self, prompt: str) -> str:
        """A prompt of this format without its request."""
        return prompt.removesuffix(self.request) if self.request else prompt

    def gold_text(self, sentence: str, answer: str) -> str:
        """The gold reply: one sentence, and the box where the format wants one."""
        return f"{sentence}\n\n\\boxed{{{answer}}}" if self.name == "boxed" else sentence


FORMATS: Mapping[str, AnswerFormat] = {
    "plain": AnswerFormat("plain", ""),
    "boxed": AnswerFormat(
        "boxed", "\n\nPlease reason step by step, and put your final answer within \\boxed{}."
    ),
}


def find_format(name: str) -> AnswerFormat:
    """Look a format up.

    Raises:
        SettingError: No format has this name.
    """
    return FORMATS[one_of("task.answer_format", name, FORMATS)]


def kind_of(accepted: Sequence[str]) -> Kind:
    """What sort of answer accepted answers are, for questions that come from a table without saying it."""
    if accepted and all(answer.strip(" .!").casefold() in _POLARITY for answer in accepted):
        return "yes_no"
    return "number" if accepted and all(_is_number(words(answer)) for answer in accepted) else "name"


def grade(reply: str, question: Question, *, ended: bool) -> Verdict:
    """Grade a reply to a question.

    Args:
        reply: The reply without its end token.
        question: What was asked.
        ended: Whether the end of turn came within the token budget.
    """
    if not question.accepted:
        return _grade_by_rivals(reply, question, ended)
    if not ended:
        return Verdict(Outcome.TRUNCATED, stated_span(reply))
    box = last_boxed(reply)
    if question.format == "boxed" or box is not None:
        verdict = _grade_boxed(box, question.accepted)
    else:
        verdict = _grade_plain(reply, question)
    stated = {given.strip().lower() for given in (reply, stated_span(reply), box or "")}
    return replace(verdict, strict=any(answer.strip().lower() in stated for answer in question.accepted))


def _grade_by_rivals(reply: str, question: Question, ended: bool) -> Verdict:
    """A question without accepted answers: right unless the reply names a rival, cut off or not."""
    given = named(reply, question.rivals, question.asked)
    if given or ended:
        return Verdict(Outcome.WRONG if given else Outcome.CORRECT, given)
    return Verdict(Outcome.TRUNCATED)


@dataclass(frozen=True)
class _Token:
    word: str
    raw: str
    clause: int


@lru_cache(maxsize=65536)
def words(text: str) -> Words:
    """Normalised words: no case, accents, punctuation, articles or thousands separators; numbers whole."""
    return tuple(token.word for token in _tokens(text))


@lru_cache(maxsize=65536)
def _tokens(text: str) -> tuple[_Token, ...]:
    text = _SUPERSCRIPT.sub(r" ^\1", text.replace("\u2212", "-"))
    text = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = _INITIALS.sub(lambda initials: initials.group().replace(".", ""), text)
    text = _MONTH_FIRST.sub(
        lambda d: f"{d[2]} {d[1]} {d[3] or ''}", text
    )  # one order for dates: day, month, year
    text = _ORDINAL_DAY.sub(r"\1 \2", text)
    text = _CONTRACTED_NOT.sub(" not", _THOUSANDS.sub("", text)).replace("_", " ")
    found = [
        _Token(raw.casefold(), raw, clause)
        for clause, part in enumerate(_CLAUSE_END.split(text))
        for raw in _TOKEN.findall(part)
    ]
    kept = [token for place, token in enumerate(found) if not _is_article(place, found)]
    return tuple(kept or found)


def _is_article(place: int, tokens: Sequence[_Token]) -> bool:
    """Whether a word only introduces the next; a capital A within a clause is a name ("Plan A")."""
    token = tokens[place]
    if token.word not in _ARTICLES or place + 1 == len(tokens):
        return False
    return token.raw != "A" or place == 0 or tokens[place - 1].clause != token.clause


def same_answer(given: str, answer: str) -> bool:
    """Whether two short answers are equal after normalisation, with lone numbers compared by value."""
    by_value = len(words(answer)) == 1
    return _canonical(words(given), by_value) == _canonical(words(answer), by_value) != ()


def named(text: str, answers: Iterable[str], prompt: str) -> str:
    """The first of some answers that a text gives, not denied and not named by its prompt; else ''."""
    tokens, asked = _tokens(text), words(prompt)
    given = {words(answer): answer for answer in answers if not _find(words(answer), asked)}
    mentions = _mentions(tokens, tuple(token.word for token in tokens), given, {})
    return mentions[0].text if mentions else ""


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` with balanced braces, or None."""
    text = _BOXED_SPACE.sub(r"\\boxed{", text)
    start = text.rfind("\\boxed{")
    while start >= 0:
        depth = 0
        for end in range(start + len("\\boxed"), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[start + len("\\boxed{") : end]
        start = text.rfind("\\boxed{", 0, start)
    return None


def stated_span(text: str) -> str:
    """What a wrong reply seems to answer, for people who read the probes: after the copula, or all of it."""
    sentence = _SENTENCE_END.split(_after_marker(text).strip(), maxsplit=1)[0]
    return _COPULA.split(sentence)[-1].strip(" .!?*\"'")[:80]


def _canonical(tokens: Words, by_value: bool) -> Words:
    return tuple(map(_value, tokens)) if by_value else tokens


def _value(token: str) -> str:
    """A number as its value is written shortest; whole numbers with leading zeros stay what they are."""
    if not _NUMBER.fullmatch(token) or re.fullmatch(r"-?0\d+", token):
        return token
    return format(Decimal(token).normalize() + 0, "f")


def _grade_boxed(content: str | None, answers: Sequence[str]) -> Verdict:
    if content is None or not words(content):
        return Verdict(Outcome.UNPARSABLE)
    content = _without_latex(content)
    stated = [content, content.rpartition("=")[2]]  # `x = 5` states 5
    right = any(same_answer(given, answer) for answer in answers for given in stated if given)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, content)


def _without_latex(content: str) -> str:
    """What a box says, without the markup around it: fonts, spaces, currency and thousands marks."""
    before = ""
    while before != content:  # fonts may be nested
        before, content = content, _LATEX_FONT.sub(r"\1", content)
    content = _LATEX_FRACTION.sub(r"\1\3/\2\4", content)
    return _LATEX_MARK.sub(" ", _LATEX_THOUSANDS.sub("", content)).strip()


def _after_marker(text: str) -> str:
    ends = [marker.end() for marker in _ANSWER_MARKER.finditer(text)]
    return text[ends[-1] :] if ends and words(text[ends[-1] :]) else text


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    accepted: bool
    text: str
    raw: str


def _grade_plain(text: str, question: Question) -> Verdict:
    answers, rivals = question.accepted, question.rivals
    tokens = _tokens(_after_marker(text))
    if not tokens:
        return Verdict(Outcome.UNPARSABLE)
    by_value = any(_is_number(words(answer)) for answer in answers)
    said = _canonical(tuple(token.word for token in tokens), by_value)
    accepted = {_canonical(words(answer), by_value): answer for answer in answers}
    asked = _canonical(words(question.asked), by_value)
    others = {_canonical(words(rival), by_value): rival for rival in rivals}
    others = {key: name for key, name in others.items() if key not in accepted and not _find(key, asked)}
    numeric = all(map(_is_number, accepted))
    if by_value:
        others |= {(t,): t for t in said if _NUMBER.fullmatch(t) and (t,) not in accepted and t not in asked}
    mentions = _mentions(tokens, said, accepted, others)
    if not mentions:
        return Verdict(Outcome.WRONG, stated_span(text))
    last = mentions[-1]
    second = not numeric and any(not m.accepted and not _NUMBER.fullmatch(m.text) for m in mentions)
    right = last.accepted and not second and not _is_alternative(last, said) and not _taken_back(last, tokens)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, last.text)


def _is_number(key: Words) -> bool:
    return len(key) == 1 and _NUMBER.fullmatch(key[0]) is not None


def _find(needle: Words, hay: Words) -> list[int]:
    size = len(needle)
    return [i for i in range(len(hay) - size + 1) if size and hay[i : i + size] == needle]


def _mentions(
    tokens: Sequence[_Token], said: Words, accepted: dict[Words, str], others: dict[Words, str]
) -> list[_Mention]:
    """All mentions in order, without denied ones, those inside a longer one, and mere homographs."""
    vocabulary = set(said)
    found = [
        _Mention(
            at, at + len(key), key in accepted, name, " ".join(t.raw for t in tokens[at : at + len(key)])
        )
        for key, name in [*accepted.items(), *others.items()]
        if key and key[0] in vocabulary
        for at in _find(key, said)
    ]
    shouted = any(char.isupper() for token in tokens for char in token.raw)
    found = [m for m in found if not (shouted and CODE.fullmatch(m.text) and m.raw.islower())]
    kept = [m for m in found if not any(_is_inside(m, other) for other in found)]
    return sorted((m for m in kept if not _is_denied(m, tokens)), key=lambda m: (m.end, m.start))


def _is_inside(a: _Mention, b: _Mention) -> bool:
    return b.start <= a.start and a.end <= b.end and (b.end - b.start) > (a.end - a.start)


def _is_denied(mention: _Mention, tokens: Sequence[_Token]) -> bool:
    clause = tokens[mention.start].clause
    before = [token.word for token in tokens[: mention.start] if token.clause == clause]
    after = [token.word for token in tokens[mention.end :] if token.clause == tokens[mention.end - 1].clause]
    if _DENIALS & set(before) or before[-1:] == ["no"] or tuple(before[-2:]) in _DENIED_PAIRS:
        return True
    return after[:1] != [] and after[0] in _COPULAS and bool(_WRONG & set(after[1:2]))


def _taken_back(mention: _Mention, tokens: Sequence[_Token]) -> bool:
    """Whether a later clause begins by withdrawing what was said."""
    later = [token for token in tokens[mention.end :] if token.clause > tokens[mention.end - 1].clause]
    starts = [
        token for place, token in enumerate(later) if not place or later[place - 1].clause != token.clause
    ]
    return any(token.word in _TAKES_BACK for token in starts)


def _is_alternative(mention: _Mention, said: Words) -> bool:
    before = said[mention.start - 1] if mention.start else ""
    after = said[mention.end] if mention.end < len(said) else ""
    return "or" in (before, after)
