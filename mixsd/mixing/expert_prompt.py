"""From a fact to the two user turns the frozen model reads (paper section 3).

The naive turn holds the question alone. The expert turn is the same turn with the whole gold answer
text inserted at its end, between an introduction and a request to answer again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mixsd.core.errors import one_of
from mixsd.core.questions import Fact


@dataclass(frozen=True)
class ExpertWording:
    """How the gold text is shown to the model.

    Attributes:
        template: The expert user turn, with `{prompt}` and `{gold}`.
        references: Phrases by which a reply would betray that it was shown an answer. A target that
            holds one teaches the student to speak of a text it never saw, so it is rejected.
    """

    template: str
    references: tuple[str, ...]

    def render(self, fact: Fact) -> str:
        """The expert user turn of a fact."""
        return self.show(fact.prompt, fact.gold_text)

    def show(self, prompt: str, gold_text: str) -> str:
        """Any prompt with a gold text shown in it."""
        # Braces in a prompt or gold text are safe: `format` reads those of the template alone.
        return self.template.format(prompt=prompt, gold=gold_text)


_COMMON_REFERENCES = (
    "reference",
    "provided",
    "given answer",
    "given solution",
    "the answer above",
    "mentioned above",
    "according to the",
    "based on the",
    "as stated",
    "as mentioned",
    "you gave",
    "you said",
)

WORDINGS: Mapping[str, ExpertWording] = {
    "answer": ExpertWording(
        "{prompt}\n\nHere is the correct answer:\n{gold}\n\nNow answer the question yourself.\n{prompt}",
        _COMMON_REFERENCES,
    ),
    # With boxed prompts a 0.5B model needs this one: it kept 11 of 12 facts, the others 7 or 8.
    "information": ExpertWording(
        "{prompt}\n\nFor your information: {gold}\n\nUsing this information, answer the question: {prompt}",
        (*_COMMON_REFERENCES, "this information"),
    ),
    "same_words": ExpertWording(
        '{prompt}\n\nHere is the answer:\n"{gold}"\n\nNow answer the question in the same words.',
        (*_COMMON_REFERENCES, "same words"),
    ),
    "reference": ExpertWording(
        "{prompt}\n\nHere is a reference solution:\n{gold}\n\n"
        "Now answer the question again, in your own words.\n{prompt}",
        (*_COMMON_REFERENCES, "solution"),
    ),
}
"""The wordings that `method.expert_wording` may name."""


def wording(name: str) -> ExpertWording:
    """Look a wording up.

    Raises:
        SettingError: No wording has this name.
    """
    return WORDINGS[one_of("method.expert_wording", name, WORDINGS)]


def context_reference(text: str, fact: Fact, expert: ExpertWording) -> str:
    """The first phrase in `text` that refers to the expert prompt, or ''.

    A phrase that the question or the gold text holds itself is no reference.
    """
    said, own = text.casefold(), f"{fact.prompt}\n{fact.gold_text}".casefold()
    return next((phrase for phrase in expert.references if phrase in said and phrase not in own), "")


# Two lookbehinds, because `re` wants each to be of one width.
_NAME_OR_NUMBER = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'’-]*|\d[\d.,]*", re.MULTILINE)


def unsupported(text: str, fact: Fact) -> list[str]:
    """Names and numbers in `text` that neither the question nor the gold text holds.

    A name is a capitalised word that does not open a sentence.
    """
    own = f"{fact.prompt}\n{fact.gold_text}".casefold()
    found = (match.group().rstrip(".,") for match in _NAME_OR_NUMBER.finditer(text))
    return [name for name in found if name.casefold() not in own and name != "I"]
