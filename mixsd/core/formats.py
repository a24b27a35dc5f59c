"""Answer formats: how a question asks for its answer, how a gold reply gives it, and what a box holds."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixsd.core.errors import one_of
from mixsd.core.questions import Format, Question

_LATEX_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf)?|math(?:rm|bf|it|sf|tt)|emph|mbox|operatorname)\s*\{([^{}]*)\}"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)(\d))")
_LATEX_THOUSANDS = re.compile(r"(?<=\d)(?:\\[,! ]|\{,\})(?=\d{3}(?!\d))")
_LATEX_MARK = re.compile(r"\\(?:left|right|quad|circ|[;:,! ])|\^\s*(?=\\circ)|\{,\}|[$~]|\\(?=[$%])")
_BOX = "\\boxed{"
_THOUGHT = re.compile(r"<think>.*", re.DOTALL)
_MATHEMATICS = re.compile(r"\\(?:d?frac|sqrt|pi|cdot|times|pm|infty)|[\d)a-z]\s*[\^*/+]\s*[\d(a-z]")
_BOXED_SPACE = re.compile(r"\\boxed\s+\{")


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


def without_thought(reply: str) -> str:
    """A reply without what it thought: what follows the last `</think>`, nothing of an open thought."""
    if "think>" not in reply:
        return reply
    return _THOUGHT.sub("", reply.rpartition("</think>")[2])


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` with balanced braces, or None."""
    found = boxes(text)
    return found[-1] if found else None


def boxes(text: str) -> list[str]:
    """The contents of all `\\boxed{...}` with balanced braces, in order."""
    text = _BOXED_SPACE.sub(r"\\boxed{", text)
    found, start = [], text.find(_BOX)
    while start >= 0:
        depth, after = 0, start + len(_BOX)
        for end in range(after - 1, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                found.append(text[after:end])
                break
        start = text.find(_BOX, after)
    return found


def same_mathematics(given: str, answer: str) -> bool:
    """Whether two boxes hold equal mathematics, by `math-verify`; False where neither looks like any."""
    if not (_MATHEMATICS.search(given) or _MATHEMATICS.search(answer)):
        return False
    from math_verify import parse, verify  # imports sympy, which takes a second

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of the missing limits at each call
    # Without time limits: they need signals, which other threads have not.
    gold, stated = (parse(f"\\boxed{{{text}}}", parsing_timeout=0) for text in (answer, given))
    return bool(gold and stated and verify(gold, stated, timeout_seconds=0))


def without_latex(content: str) -> str:
    """What a box says, without the markup around it: fonts, spaces, currency and thousands marks."""
    before = ""
    while before != content:  # fonts may be nested
        before, content = content, _LATEX_FONT.sub(r"\1", content)
    content = _LATEX_FRACTION.sub(r"\1\3/\2\4", content)
    return _LATEX_MARK.sub(" ", _LATEX_THOUSANDS.sub("", content)).strip()
