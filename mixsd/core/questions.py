"""The nouns everybody speaks: facts, probes, verdicts, and the task that brings them."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Axis(StrEnum):
    """What a split of probes measures."""

    MEMORIZATION = "memorization"
    GENERALIZATION = "generalization"
    RETENTION = "retention"


CODE = re.compile(r"[A-Z]{2,5}")
"""A name in capitals, such as a currency code: the same word in small letters is another ("TOP")."""
RECALL, PARAPHRASE, NEIGHBORS, EARLIER = "recall", "paraphrase", "neighbors", "earlier"
"""Splits that the engine knows: the trained questions, other wordings of them, the same questions about
something else, and what an earlier run taught the model."""


class Outcome(StrEnum):
    """How a completion was graded. Only `CORRECT` counts as right."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"


@dataclass(frozen=True)
class Verdict:
    """The grade of one completion and the answer that was read from it.

    `strict` says whether it also is right by a stricter rule, where the task has one.
    """

    outcome: Outcome
    extracted: str = ""
    strict: bool | None = None


@dataclass(frozen=True)
class Fact:
    """One piece of knowledge to inject.

    Attributes:
        id: Stable name; coins and orders derive from it.
        question: The bare question.
        prompt: The user turn that is trained on: the question with the request for an answer format.
        answer: The short gold answer.
        gold_text: The full gold reply (the paper's y*), which ends with the answer.
        aliases: Other spellings accepted as the answer.
        category: The kind of fact, for break-downs.
        subject: What it is about; a held-out question about it is contaminated ('' where unknown).
        replaces: Accepted answers that it replaces, where it is an edit.
    """

    id: str
    question: str
    prompt: str
    answer: str
    gold_text: str
    aliases: tuple[str, ...] = ()
    category: str = ""
    subject: str = ""
    replaces: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """All accepted answers, the canonical one first."""
        return (self.answer, *self.aliases)


@dataclass(frozen=True)
class Probe:
    """One question asked before and after training.

    Attributes:
        id: Unique within the task.
        split: The split it belongs to, such as `recall`.
        prompt: The user turn.
        answers: Accepted answers.
        fact_id: The fact it asks for ('' when it asks for none).
        kind: A finer class within the split, such as `reworded` or `prefixed`.
        system: A system prompt instead of the template's own ('' leaves that).
        earlier: (user, assistant) turns before this one.
    """

    id: str
    split: str
    prompt: str
    answers: tuple[str, ...]
    fact_id: str = ""
    kind: str = ""
    system: str = ""
    earlier: tuple[tuple[str, str], ...] = ()


class Task(Protocol):
    """What the engine asks of a benchmark. A new task is one class with these members and one YAML."""

    name: str
    max_new_tokens: int
    """Token budget of a reply, for probes and for mixed targets alike."""

    about: str
    """Where its data comes from and under what licence, for its card."""
    identity: dict[str, Any]
    """What changes its grades or data beyond settings, facts and probes, such as the grader's version."""
    facts: list[Fact]
    """The facts to inject, in the order every method sees them."""
    probes: list[Probe]
    """The probes of all splits."""

    def axis(self, split: str) -> Axis:
        """What the split measures."""
        ...

    def grade(self, text: str, answers: Sequence[str], *, prompt: str, truncated: bool) -> Verdict:
        """Grade one completion. The same grader verifies mixed targets."""
        ...


class TaskView:
    """A task seen in another way: with some of its facts, or with questions that an earlier run left.

    Args:
        task: The whole task.
        kept: Ids of the facts to keep (None: all): what a method may train on, where that is less than what
            is asked.
        earlier: Probes of what the model was taught before; what they ask is to be retained.
    """

    def __init__(self, task: Task, kept: Container[str] | None = None, earlier: Sequence[Probe] = ()) -> None:
        self.name, self.about, self.identity = task.name, task.about, task.identity
        self.max_new_tokens = task.max_new_tokens
        self.facts = [fact for fact in task.facts if kept is None or fact.id in kept]
        self.probes = [*task.probes, *earlier]
        self.grade, self._axis = task.grade, task.axis

    def axis(self, split: str) -> Axis:
        """The task's own axis; `earlier` is retention."""
        return Axis.RETENTION if split == EARLIER else self._axis(split)
