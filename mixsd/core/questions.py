"""The nouns everybody speaks: questions, facts, probes, and the task that brings them.

A question is data: it carries what is accepted, what is not, and how the reply is to be read. So tasks have
no grader of their own; `grading.grade` reads every reply, to a probe, a mixed target or a pocket task alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable


class Axis(StrEnum):
    """What a split of probes measures."""

    MEMORIZATION = "memorization"
    GENERALIZATION = "generalization"
    RETENTION = "retention"


RECALL, PARAPHRASE, NEIGHBORS, PREVIOUSLY_TAUGHT = "recall", "paraphrase", "neighbors", "previously_taught"
"""Splits that runs and reports know: the trained questions, other wordings of them, the same questions about
something else, and what an earlier run taught the model."""

Kind = Literal["name", "number", "date", "yes_no", "choice", "list"]
Format = Literal["plain", "boxed"]


class Outcome(StrEnum):
    """How a reply was graded. Only `CORRECT` counts as right."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"


@dataclass(frozen=True)
class Verdict:
    """The grade of one reply and the answer that was read from it.

    `strict` says whether it also is right by a stricter rule: equal in lower case to an accepted answer.
    """

    outcome: Outcome
    extracted: str = ""
    strict: bool = False


@dataclass(frozen=True)
class Question:
    """What is asked, and what a right reply is.

    Attributes:
        prompt: The user turn, with the request for an answer format where there is one.
        accepted: Accepted answers, the canonical one first. Without any, a reply is right as long as it
            names no rival.
        rivals: Other answers of the same task; naming one is a second answer. Share one tuple among
            questions that have the same rivals.
        asks: The part of the prompt that asks; what it names is no rival ('' is the whole prompt).
        kind: What sort of answer is wanted, which decides how a reply is read.
        format: How the reply should give its answer.
        system: A system prompt instead of the template's own ('' leaves that).
        history: (user, assistant) turns before this one.
    """

    prompt: str
    accepted: tuple[str, ...]
    rivals: tuple[str, ...] = ()
    asks: str = ""
    kind: Kind = "name"
    format: Format = "plain"
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> str:
        """The part of the prompt that asks."""
        return self.asks or self.prompt

    def about(self, prompt: str, asks: str = "", **changes: Any) -> "Question":
        """The same answers, asked for by another prompt."""
        return replace(self, prompt=prompt, asks=asks, **changes)


@dataclass(frozen=True)
class Fact:
    """One piece of knowledge to inject.

    Attributes:
        id: Stable name; coins and orders derive from it.
        question: As it is trained, and as a target for it is verified.
        gold_text: The full gold reply (the paper's y*), which ends with the answer.
        category: The kind of fact, for break-downs.
        subject: What it is about; a held-out question about it is contaminated ('' where unknown).
        replaces: Accepted answers that it replaces, where it is an edit.
    """

    id: str
    question: Question
    gold_text: str
    category: str = ""
    subject: str = ""
    replaces: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The user turn that is trained on."""
        return self.question.prompt

    @property
    def answer(self) -> str:
        """The short gold answer."""
        return self.question.accepted[0]

    @property
    def answers(self) -> tuple[str, ...]:
        """All accepted answers, the canonical one first."""
        return self.question.accepted


@dataclass(frozen=True)
class Probe:
    """A question asked before and after training.

    Attributes:
        id: Unique within the task.
        split: The split it belongs to, such as `recall`.
        question: What is asked.
        fact_id: The fact it asks for ('' when it asks for none).
        unit: What an interval counts as one, such as the fact, case or function that answers hang together
            by ('' means the fact, or the probe itself where it asks for none).
        kind: A finer class within the split, such as `reworded` or `prefixed`.
    """

    id: str
    split: str
    question: Question
    fact_id: str = ""
    unit: str = ""
    kind: str = ""

    @property
    def counted_as(self) -> str:
        """The unit, spelt out."""
        return self.unit or self.fact_id or self.id


@runtime_checkable
class Task(Protocol):
    """What a run asks of a task. A new task is one class with these members and one YAML."""

    name: str
    about: str
    """Where its data comes from and under what licence, for its card."""
    max_new_tokens: int
    """Token budget of a reply, for probes and for mixed targets alike."""
    facts: Sequence[Fact]
    """The facts to inject, in the order every method sees them."""
    probes: Sequence[Probe]
    """The probes of all splits."""
    axes: Mapping[str, Axis]
    """What each split measures."""


def notes_of(task: Task) -> tuple[str, ...]:
    """What a task tells its user of how its data was read; a task may have `notes`."""
    return tuple(getattr(task, "notes", ()))


def described(items: Sequence[Fact | Probe]) -> dict[str, Any]:
    """Facts or probes as JSON, for hashes and cache keys.

    Questions that share one tuple of rivals name it by number: written out with each question, the rivals of
    n facts would take n squared.
    """
    numbers: dict[int, int] = {}  # by object first: to hash a long tuple for each item takes n squared too
    distinct: dict[tuple[str, ...], int] = {}
    rows = []
    for item in items:
        rivals = item.question.rivals
        if id(rivals) not in numbers:
            numbers[id(rivals)] = distinct.setdefault(rivals, len(distinct))
        bare = replace(item, question=replace(item.question, rivals=()))
        rows.append({**asdict(bare), "rivals": numbers[id(rivals)]})
    return {"rivals": list(distinct), "items": rows}
