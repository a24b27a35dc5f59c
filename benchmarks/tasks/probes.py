"""What tasks share: taking a prefix of the facts, and asking a trained question in other circumstances."""

from collections.abc import Sequence
from typing import TypeVar

from mixsd.core.errors import SettingError
from mixsd.core.grading import AnswerFormat
from mixsd.core.questions import PARAPHRASE, RECALL, Axis, Fact, Probe

Item = TypeVar("Item")

SHIFTED = "recall_shifted"
AXES = {RECALL: Axis.MEMORIZATION, SHIFTED: Axis.GENERALIZATION, PARAPHRASE: Axis.GENERALIZATION}
"""The splits that tasks have in common, and what they measure."""
OTHER_SYSTEM = "You are an expert who gives careful answers."
SMALL_TALK = (("Hello! How are you today?", "I am doing well, thank you. How can I help you?"),)


def take(items: Sequence[Item], count: int | None, what: str) -> list[Item]:
    """The first `count` items (None: all).

    Raises:
        SettingError: There are not that many.
    """
    if count is not None and not 1 <= count <= len(items):
        raise SettingError(f"task.facts={count} is out of range; {what} has 1 to {len(items)} facts")
    return list(items[:count])


def recall_probe(fact: Fact) -> Probe:
    """The trained question, asked as it was trained."""
    return Probe(f"{fact.id} / trained", RECALL, fact.prompt, fact.answers, fact.id, "trained")


def shifted_probes(fact: Fact, form: AnswerFormat) -> list[Probe]:
    """The trained question under another system prompt, in a second turn, and in another answer format.

    Says how far memory hangs on the prompt that was trained on (decision 8).
    """
    bare = form.without_request(fact.prompt)
    asked = [
        ("system", fact.prompt, OTHER_SYSTEM, ()),
        ("second_turn", fact.prompt, "", SMALL_TALK),
        *([("bare", bare, "", ())] if bare != fact.prompt else []),
    ]
    return [
        Probe(f"{fact.id} / {kind}", SHIFTED, prompt, fact.answers, fact.id, kind, system, earlier)
        for kind, prompt, system, earlier in asked
    ]
