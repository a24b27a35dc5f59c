"""What a method is: the contracts between methods and the stages of a run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from mixsd.core.questions import Fact, Probe, Question
from mixsd.core.store import RecordFile
from mixsd.lm.batches import GOLD, Batch, Example
from mixsd.lm.chat_model import ChatModel


@dataclass
class Preparation:
    """What a method trains on, and what is worth reporting about how it came to be.

    Attributes:
        examples: One per kept fact, in the order of the facts; then those of no fact.
        dropped: Fact id -> reason, for facts that nothing is trained for.
        report: Flat numbers for `results.json` under `targets`.
        generated_tokens: Tokens decoded to make the targets, by this run or by one that shared them.
        contrasts: Targets of other kinds, by name, made when asked for: their likelihood is reported
            beside that of the examples, nothing is trained on them, and their cost is not the method's.
    """

    examples: list[Example]
    dropped: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    generated_tokens: int = 0
    contrasts: dict[str, Callable[[], list[Example]]] = field(default_factory=dict)


class Workbench(Protocol):
    """Where a method keeps unfinished work, and how it shows progress."""

    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> AbstractContextManager[RecordFile]:
        """Open, under a lock, the records that belong to exactly this fingerprint."""
        ...

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        """Where the file stands that belongs to exactly this fingerprint, whether it is there or not."""
        ...

    def progress(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show a progress bar; the function given moves it by so many."""
        ...


def gold_example(fact: Fact, model: ChatModel) -> Example:
    """The gold text of a fact as a training example."""
    ids = model.target_ids(fact.gold_text)
    return Example(fact.id, model.prompt_ids(fact.prompt), ids, GOLD * len(ids), fact.gold_text)


class TokenLoss(NamedTuple):
    """A loss that is not reduced yet: the trainer averages, the same way for every method.

    Attributes:
        total: (N,) what is minimised, for every trained target token of the batch.
        parts: What it is made of, by name, each (N,): averaged in the same way and logged as `loss_<name>`.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = {}


# `isinstance` sees whether the members are there, not what they take.
@runtime_checkable
class GradientMethod(Protocol):
    """A method that trains. It prepares its examples once, then gives a loss for every batch of them.

    More attributes are read where a method has them: `reads_base` (bool), whether its loss needs the
    frozen base model (`ChatModel.as_base`); `keeps_logits` (bool), whether it has all of a batch's logits at
    once, which an estimate of memory goes by; `identity` (a dictionary JSON can hold), what changes its
    numbers beyond its settings and the files they name; `inert` (names of settings), what cannot change one;
    `longest_prompt` (fact -> user turn), where it reads more than the fact's prompt.
    """

    name: str

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """Make the examples of the facts that may be trained on; `model` is the frozen base model here.

        Not called again when a run is resumed: keep no state from here.
        """
        ...

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """The loss of every trained target token of a batch."""
        ...


@dataclass(frozen=True)
class Step:
    """An optimiser step about to be made.

    Attributes:
        number: From 0.
        scheduled: The examples that the schedule shared by all methods gives it.
        extras: All examples of no fact.
    """

    number: int
    scheduled: Sequence[Example]
    extras: Sequence[Example]


@runtime_checkable
class ChoosesExamples(Protocol):
    """A gradient method that decides at each step what it trains on: rollouts, or examples of no fact."""

    def step_examples(self, step: Step, model: ChatModel) -> list[Example]:
        """The examples of a step. What is drawn must depend on the step and on settings alone."""
        ...


@runtime_checkable
class HasState(Protocol):
    """A gradient method with a state of its own, which checkpoints keep beside the model."""

    def state_dict(self) -> dict[str, Tensor]:
        """The state after the steps so far."""
        ...

    def load_state_dict(self, state: dict[str, Tensor], model: ChatModel) -> None:
        """Go on from a state."""
        ...

    def release(self) -> None:
        """Let go of it: training is over."""
        ...


@runtime_checkable
class EditsToo(Protocol):
    """A gradient method that also changes weights in place, before the first step or after the last.

    Whatever is measured against the base model is measured against it as it was before either.

    Attributes:
        starts_elsewhere: Whether it changes weights before the first step.
    """

    starts_elsewhere: bool

    def start(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> dict[str, Any]:
        """Change the base model before the first step; when a training is resumed, again in the same way.

        Returns:
            Flat numbers for `results.json` under `targets`.
        """
        ...

    def finish(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> dict[str, Any]:
        """Change the trained model after the last step; gives numbers, as `start`."""
        ...


def as_it_is(probe: Probe) -> Question:
    """The question of a probe, asked as the task asks it."""
    return probe.question


@dataclass
class Edited:
    """What an editor leaves.

    Attributes:
        model: The model that has the knowledge.
        changed: Whether its weights differ from those of the base model; an editor may change those in place.
        ask: How a probe is asked of it.
        put: How the last user turn of any other prompt is put to it, a held-out task's for one.
        dropped: Fact id -> reason, for facts that were not taught.
        report: Flat numbers for `results.json` under `targets`.
        generated_tokens: Tokens that were decoded for it.
    """

    model: ChatModel
    changed: bool
    ask: Callable[[Probe], Question] = as_it_is
    put: Callable[[str], str] = str
    dropped: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    generated_tokens: int = 0


@runtime_checkable
class Editor(Protocol):
    """A method that replaces the training stage as a whole. It may have an `identity`, as a trained one.

    One that writes into the weights it is given says `in_place = True`, and `untaught(facts, model)`: a
    reason by the id of each fact that it cannot write. Such a one can be composed with a training.
    """

    name: str

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """Teach the facts that may be taught; `model` is the base model and may be changed."""
        ...


Method = GradientMethod | Editor


def identity_of(part: object) -> dict[str, Any]:
    """What changes a method's or task's numbers beyond its settings and data; {} where it says nothing."""
    # Optional, so not a member of the protocols: every method would need it then.
    return getattr(part, "identity", {})


def inert_settings(method: object) -> frozenset[str]:
    """Settings that cannot change a number as a method is set, such as `top_k` of a greedy one.

    They are left out of the run's hash.
    """
    return frozenset(getattr(method, "inert", ()))


def problems_of(method: object, facts: Sequence[Fact], network: Any) -> str:
    """What keeps a method from teaching these facts to this model, in one line; '' where it says nothing.

    Args:
        method: It may have `problems(facts, network)`.
        facts: The task's.
        network: The model without its weights.
    """
    found = getattr(method, "problems", None)
    return found(facts, network) if found else ""


def longest_prompt(method: object, fact: Fact) -> str:
    """The longest user turn that a method reads about a fact, to see beforehand that it fits the context."""
    longest = getattr(method, "longest_prompt", None)
    return longest(fact) if longest else fact.prompt


def reads_base(method: GradientMethod) -> bool:
    """Whether a method's loss needs the frozen base model."""
    return bool(getattr(method, "reads_base", False))
