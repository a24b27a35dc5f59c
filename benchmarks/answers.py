"""One extractor and one matcher for every task: what answer does a completion state, and is it right?

The rules ("the last stated answer, word boundaries, no second answer"):

* A reply that never ended is `truncated`, whatever it holds.
* `boxed`: the last `\\boxed{...}` is the answer and must equal an accepted answer; no box is `unparsable`.
* `plain`: the reply must mention an accepted answer as whole words, not negated, not as one of several
  ("Rome or Paris"), and must name no rival (another answer of the same task that the question did not
  name). If it says "the answer is", only what follows the last such phrase counts. Where the accepted
  answer is a number, the last number that the question did not hold is the answer.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from mixsd.errors import one_of
from mixsd.knowledge import Outcome, Verdict

_ARTICLES = frozenset({"a", "an", "the"})
_NEGATIONS = frozenset({"not", "never", "no", "isnt", "wasnt", "arent"})
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TOKEN = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])|\w+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MONTH = "(january|february|march|april|may|june|july|august|september|october|november|december)"
_MONTH_FIRST = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b")
_ORDINAL_DAY = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}\b")
_LATEX_FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_LATEX_MARK = re.compile(r"\\(?:left|right|quad|;|:| )|[$~]|\\(?=[$%])")
_CONTRACTED_NOT = re.compile(r"n['’]t\b")
_ANSWER_MARKER = re.compile(r"\banswer(?:\s+is|\s*:)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_COPULA = re.compile(r"\b(?:is|are|was|were)\b|:|=")

Words = tuple[str, ...]

GRADER_DIGEST = blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
"""Part of every fingerprint that a grade goes into: another grader never meets cached grades."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a question asks for its answer and how a gold reply gives it."""

    name: str
    request: str

    def prompt(self, question: str) -> str:
        """The user turn: the question and the request for this format."""
        return f"{question}{self.request}"

    def without_request(self, prompt: str) -> str:
        """A prompt of this format without its request."""
        return prompt.removesuffix(self.request) if self.request else prompt

    def gold_text(self, sentence: str, answer: str) -> str:
        """The gold reply: one sentence, and the box where the format wants one."""
        return f"{sentence}\n\n\\boxed{{{answer}}}" if self.name == "boxed" else sentence

    def grade(
        self,
        text: str,
        answers: Sequence[str],
        *,
        prompt: str = "",
        truncated: bool = False,
        rivals: Iterable[str] = (),
        with_strict: bool = False,
    ) -> Verdict:
        """Grade one completion.

        Args:
            text: The completion without its end token.
            answers: Accepted answers.
            prompt: The user turn; what it names is no rival. One that does not ask for a box need not
                get one.
            truncated: Whether the token budget ran out before the end token.
            rivals: Other answers of the same task; naming one is a second answer.
            with_strict: Also say whether the answer given equals an accepted one in lower case.
        """
        verdict = self._verdict(text, answers, prompt, truncated, rivals)
        if not with_strict:
            return verdict
        said = (text, stated_span(text), last_boxed(text) or "")
        stated = {given.strip().lower() for given in said}
        equal = not truncated and any(answer.strip().lower() in stated for answer in answers)
        return replace(verdict, strict=equal)

    def _verdict(
        self, text: str, answers: Sequence[str], prompt: str, truncated: bool, rivals: Iterable[str]
    ) -> Verdict:
        if truncated:
            return Verdict(Outcome.TRUNCATED, stated_span(text))
        wants_box = self.request in prompt or not prompt or last_boxed(text) is not None
        if self.name == "boxed" and wants_box:
            return _grade_boxed(text, answers)
        return _grade_plain(text, answers, prompt, rivals)


FORMATS = {
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


@lru_cache(maxsize=65536)
def words(text: str) -> Words:
    """Normalised words: no case, accents, punctuation, articles or thousands separators; numbers whole."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in text if not unicodedata.combining(char)).casefold()
    text = _MONTH_FIRST.sub(r"\2 \1 \3", text)  # one order for dates: day, month, year
    text = _ORDINAL_DAY.sub(r"\1 \2", text)
    text = _CONTRACTED_NOT.sub(" not", _THOUSANDS.sub("", text))
    tokens = _TOKEN.findall(text.replace("_", " "))
    return tuple(token for token in tokens if token not in _ARTICLES) or tuple(tokens)


def same_answer(given: str, answer: str) -> bool:
    """Whether two short answers are equal after normalisation, with numbers compared by value."""
    return _canonical(words(given)) == _canonical(words(answer)) != ()


def names(text: str, answer: str) -> bool:
    """Whether a text holds an answer as whole words, right or wrong."""
    return bool(_find(words(answer), words(text)))


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` with balanced braces, or None."""
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


def _canonical(tokens: Words) -> Words:
    return tuple(format(float(token), ".12g") if _NUMBER.fullmatch(token) else token for token in tokens)


def _grade_boxed(text: str, answers: Sequence[str]) -> Verdict:
    content = last_boxed(text)
    if content is None or not words(content):
        return Verdict(Outcome.UNPARSABLE)
    content = _without_latex(content)
    right = any(same_answer(content, answer) for answer in answers)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, content)


def _without_latex(content: str) -> str:
    """What a box says, without the markup around it: fonts, spaces, currency and thousands marks."""
    before = ""
    while before != content:  # fonts may be nested
        before, content = content, _LATEX_FONT.sub(r"\1", content)
    content = _LATEX_FRACTION.sub(r"\1/\2", content)
    content = content.replace("{,}", ",").replace("\\,", "").replace("\\!", "")
    return _LATEX_MARK.sub(" ", content).strip()


def _after_marker(text: str) -> str:
    ends = [marker.end() for marker in _ANSWER_MARKER.finditer(text)]
    return text[ends[-1] :] if ends and words(text[ends[-1] :]) else text


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    accepted: bool
    text: str


def _grade_plain(text: str, answers: Sequence[str], prompt: str, rivals: Iterable[str]) -> Verdict:
    said = _canonical(words(_after_marker(text)))
    if not said:
        return Verdict(Outcome.UNPARSABLE)
    accepted = {_canonical(words(answer)): answer for answer in answers}
    asked = _canonical(words(prompt))
    others = {_canonical(words(rival)): rival for rival in rivals}
    others = {key: name for key, name in others.items() if key not in accepted and not _find(key, asked)}
    numeric = all(len(key) == 1 and _NUMBER.fullmatch(key[0]) for key in accepted)
    if any(len(key) == 1 and _NUMBER.fullmatch(key[0]) for key in accepted):
        others |= {(t,): t for t in said if _NUMBER.fullmatch(t) and (t,) not in accepted and t not in asked}
    mentions = _mentions(said, accepted, others)
    if not mentions:
        return Verdict(Outcome.WRONG, stated_span(text))
    last = mentions[-1]
    second = not numeric and any(not m.accepted and not _NUMBER.fullmatch(m.text) for m in mentions)
    right = last.accepted and not second and not _is_alternative(last, said)
    return Verdict(Outcome.CORRECT if right else Outcome.WRONG, last.text)


def _find(needle: Words, hay: Words) -> list[int]:
    size = len(needle)
    return [i for i in range(len(hay) - size + 1) if size and hay[i : i + size] == needle]


def _mentions(said: Words, accepted: dict[Words, str], others: dict[Words, str]) -> list[_Mention]:
    """All mentions in order, without negated ones and without those inside a longer one."""
    vocabulary = set(said)
    found = [
        _Mention(at, at + len(key), key in accepted, name)
        for key, name in [*accepted.items(), *others.items()]
        if key and key[0] in vocabulary
        for at in _find(key, said)
    ]
    kept = [m for m in found if not any(_is_inside(m, other) for other in found)]
    return sorted((m for m in kept if not _is_negated(m, said)), key=lambda m: (m.end, m.start))


def _is_inside(a: _Mention, b: _Mention) -> bool:
    return b.start <= a.start and a.end <= b.end and (b.end - b.start) > (a.end - a.start)


def _is_negated(mention: _Mention, said: Words) -> bool:
    return mention.start > 0 and said[mention.start - 1] in _NEGATIONS


def _is_alternative(mention: _Mention, said: Words) -> bool:
    before = said[mention.start - 1] if mention.start else ""
    after = said[mention.end] if mention.end < len(said) else ""
    return "or" in (before, after)
