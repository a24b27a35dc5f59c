"""Answer formats: how a question asks for its answer, how a gold reply gives it, and what a box holds."""

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


def without_latex(content: str) -> str:
    """What a box says, without the markup around it: fonts, spaces, currency and thousands marks."""
    before = ""
    while before != content:  # fonts may be nested
        before, content = content, _LATEX_FONT.sub(r"\1", content)
    content = _LATEX_FRACTION.sub(r"\1\3/\2\4", content)
    return _LATEX_MARK.sub(" ", _LATEX_THOUSANDS.sub("", content)).strip()
