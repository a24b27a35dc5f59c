"""From a fact to the two user turns the frozen model reads (paper section 3).

The naive turn holds the question alone. The expert turn is the same turn with the whole gold answer
text inserted at its end, between an introduction and a request to answer again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from mixsd.core.errors import one_of
from mixsd.core.questions import Fact


@dataclass(frozen=True)
class ExpertWording:
    """How the gold text is shown to the model.

    Attributes:
        template: The expert user turn, with `{prompt}` and `{gold}`.
        references: Phrases of this template that a reply may echo. `context_reference` finds them beside
            what betrays any wording.
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


WORDINGS: Mapping[str, ExpertWording] = {
    "answer": ExpertWording(
        "{prompt}\n\nHere is the correct answer:\n{gold}\n\nNow answer the question yourself.\n{prompt}",
        ("answer the question yourself",),
    ),
    # With boxed prompts a 0.5B model needs this one: of 24 facts Qwen2.5-Coder-0.5B-Instruct kept 19 (mixing
    # rate 0.3, 11 attempts), with `answer` 12, with `reference` 10.
    "information": ExpertWording(
        "{prompt}\n\nFor your information: {gold}\n\nUsing this information, answer the question: {prompt}",
        ("for your information",),
    ),
    "same_words": ExpertWording(
        '{prompt}\n\nHere is the answer:\n"{gold}"\n\nNow answer the question in the same words.',
        ("same words",),
    ),
    "reference": ExpertWording(
        "{prompt}\n\nHere is a reference solution:\n{gold}\n\n"
        "Now answer the question again, in your own words.\n{prompt}",
        ("reference solution", "own words"),
    ),
}
"""The wordings that `method.expert_wording` may name."""


def wording(name: str) -> ExpertWording:
    """Look a wording up.

    Raises:
        SettingError: No wording has this name.
    """
    return WORDINGS[one_of("method.expert_wording", name, WORDINGS)]


REFERENCES_VERSION = 2
"""Raise it where `context_reference` changes: other targets may pass, so cached ones must be made again."""

# What can be read and quoted; what else can be shown; what the student sees, but without the gold text.
_PAGES = r"texts?|passages?|documents?|excerpts?|paragraphs?|prompts?|references?"
_SAYERS = rf"{_PAGES}|information|info|context|statements?|descriptions?|sentences?"
_SHOWABLE = rf"{_SAYERS}|answers?|solutions?|responses?|examples?|details?|data|facts?|hints?"
_ASKED = r"questions?|problems?"
_SHOWN = r"given|provided|supplied|stated|mentioned|shown|presented"
_SAYS = r"says?|said|stated?|states|mention(?:s|ed)?|indicates?|tells|specifies|provides?|describes?|confirms"
_ADVERB = r"(?:(?:clearly|explicitly|directly|also|already|further|above)\s+)?"
_ADJECTIVES = r"(?:[\w-]+\s+){0,2}?"


def _thing(nouns: str) -> str:
    return rf"(?P<thing>{nouns})\b"


_REFERENCES = tuple(
    map(
        re.compile,
        (
            # "the given text", "from the above answer", "a reference solution"
            rf"\b(?:the|this|these|that|those|your|from|in|on|using)\s+(?:\w+\s+)?(?:{_SHOWN}|above|preceding)\s+"
            rf"{_ADJECTIVES}{_thing(_SHOWABLE)}",
            rf"\breference\s+{_thing(_SHOWABLE)}",
            r"\b(?:the|your)\s+provided\s+\w+",
            # "the information that was provided", "the answer above", "the solution you gave"
            rf"\b{_thing(_SHOWABLE)}\s+(?:(?:that|which)\s+)?(?:(?:is|was|are|were|has|have|been)\s+){{0,2}}{_ADVERB}"
            rf"(?:{_SHOWN}|above|you\s+(?:gave|provided|shared))\b",
            # "the text states", "this passage says", "the problem states"
            rf"\b(?:the|this|that|your)\s+(?:[\w-]+\s+)?{_thing(f'{_SAYERS}|answer|solution')}\s+{_ADVERB}(?:{_SAYS})\b",
            rf"\bthe\s+{_thing(_ASKED)}\s+{_ADVERB}(?:{_SAYS})\b",
            # "according to the text", "in the passage", "based on the answer", but not "in the context of"
            rf"\baccording\s+to\s+(?:the|this|that|your)\s+{_ADJECTIVES}{_thing(f'{_SHOWABLE}|{_ASKED}')}",
            rf"\b(?:based\s+on|from|in|using|per)\s+(?:the|your)\s+(?:[\w-]+\s+)?{_thing(_SAYERS)}(?!\s+of\b)",
            rf"\bbased\s+on\s+(?:the|your)\s+(?:[\w-]+\s+)?{_thing(f'{_SHOWABLE}|{_ASKED}')}(?!\s+of\b)",
            rf"\b(?:based\s+on|from|in|using)\s+this\s+{_thing(_PAGES)}",
            # "it mentions that", "as stated", "mentioned above", "you said", "I was told"
            rf"\bit\s+{_ADVERB}(?:says|states|mentions)\s+that\b",
            r"\bas\s+(?:stated|mentioned|provided|indicated)\b",
            rf"\b(?:{_SHOWN}|described)\s+above\b",
            r"\b(?:you\s+(?:gave|said|provided|mentioned|told|shared)|i\s+was\s+(?:given|told|shown))\b",
        ),
    )
)


def context_reference(text: str, fact: Fact, expert: ExpertWording) -> str:
    """A phrase in `text` that speaks of a text which only the expert prompt shows, or ''.

    Such a target would teach the student to speak of a text that it never sees. A phrase that the question
    or the gold text holds itself is no reference, nor is one about a thing that they name.
    """
    # Emphasis may stand inside a phrase: "the **given** text".
    said = re.sub(r"[*_`]", "", text).casefold()
    own = f"{fact.question.asked}\n{fact.gold_text}".casefold()
    named = {word.removesuffix("s") for word in re.findall(r"\w+", own)}
    for match in chain.from_iterable(pattern.finditer(said) for pattern in _REFERENCES):
        thing = match.groupdict().get("thing", "").removesuffix("s")
        if thing not in named and match.group() not in own:
            return match.group()
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
