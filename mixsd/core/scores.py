"""What one model scored: typed records of probes and of held-out items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixsd.core.questions import Outcome

GENERATED, LIKELIHOOD = "generated", "likelihood"
"""The two panels of held-out tasks."""


@dataclass(frozen=True)
class ProbeAnswer:
    """A model's reply to a probe, graded.

    Attributes:
        id: The probe.
        kind: Its class within the split.
        fact_id: The fact it asks for, or ''.
        unit: What an interval counts as one.
        prompt: What was asked.
        answers: Accepted answers.
        text: The reply.
        extracted: The answer that was read from it.
        outcome: Its grade.
        strict: Whether it is right by the stricter rule too.
        tokens: Tokens of the reply, its end included.
        prompt_tokens: Tokens of the prompt.
    """

    id: str
    kind: str
    fact_id: str
    unit: str
    prompt: str
    answers: tuple[str, ...]
    text: str
    extracted: str
    outcome: Outcome
    strict: bool
    tokens: int
    prompt_tokens: int

    @property
    def correct(self) -> bool:
        """Whether it counts as right."""
        return self.outcome is Outcome.CORRECT

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ProbeAnswer":
        """Rebuild what `dataclasses.asdict` gave."""
        typed = {"answers": tuple(record["answers"]), "outcome": Outcome(record["outcome"])}
        return cls(**{**record, **typed})


@dataclass(frozen=True)
class ItemScore:
    """A model's score on one held-out document.

    Attributes:
        doc_id: Its number in the task.
        prompt: What was asked.
        question: The question alone, where the prompt holds more, such as worked examples; else the prompt.
        answers: Accepted answers as text.
        text: The reply ('' in likelihood tasks).
        extracted: What the task's filter read as the answer (None: the whole reply is graded).
        score: From 0 to 1.
        outcome: How the reply was graded.
    """

    doc_id: int
    prompt: str
    question: str
    answers: tuple[str, ...]
    text: str
    extracted: str | None
    score: float
    outcome: Outcome

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ItemScore":
        """Rebuild what `dataclasses.asdict` gave."""
        typed = {"answers": tuple(record["answers"]), "outcome": Outcome(record["outcome"])}
        return cls(**{**record, **typed})


@dataclass(frozen=True)
class TaskScores:
    """One model's scores on one held-out task.

    Attributes:
        metric: What `score` of an item is.
        kind: `generated` or `likelihood`; the two are separate panels.
        chance: Accuracy of guessing (0 for generated tasks).
        items: One per document, in order.
        shortened: Documents whose prompt lost its beginning, because the context has no room for it.
    """

    metric: str
    kind: str
    chance: float
    items: tuple[ItemScore, ...]
    shortened: int = 0

    @property
    def mean(self) -> float:
        """Mean score."""
        return float(np.mean([item.score for item in self.items]))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TaskScores":
        """Rebuild what `dataclasses.asdict` gave."""
        return cls(**{**record, "items": tuple(map(ItemScore.from_json, record["items"]))})


@dataclass(frozen=True)
class Scores:
    """Both axes of one model: answers to probes by split, scores by held-out task."""

    probes: Mapping[str, Sequence[ProbeAnswer]]
    retention: Mapping[str, TaskScores]


def accuracy(answers: Sequence[ProbeAnswer]) -> float:
    """The share of answers that are right."""
    return sum(answer.correct for answer in answers) / len(answers)
