"""What a method is: the contracts between methods and the engine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from mixsd.core.questions import Fact, Probe, Task
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


class RecordFile(Protocol):
    """Finished pieces of work on disk, by key; what was appended survives the process."""

    records: dict[str, dict[str, Any]]

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Add one finished piece, durably."""
        ...


class Workbench(Protocol):
    """Where a method keeps unfinished work, and how it shows progress."""

    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> AbstractContextManager[RecordFile]:
        """Open, under a lock, the records that belong to exactly this fingerprint."""
        ...

    def progress(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show a progress bar; the function given moves it by so many."""
        ...


def gold_example(fact: Fact, model: ChatModel) -> Example:
    """The gold text of a fact as a training example."""
    ids = model.target_ids(fact.gold_text)
    return Example(fact.id, model.prompt_ids(fact.prompt), ids, GOLD * len(ids), fact.gold_text)


@runtime_checkable
class Method(Protocol):
    """A gradient method. It prepares its examples once, then gives a loss for every batch of them."""

    name: str
    identity: dict[str, Any]
    """What changes its numbers beyond its settings, such as the content of a file they name."""
    reads_base: bool
    """Whether its loss needs the frozen base model (`ChatModel.as_base`)."""

    def prepare(self, task: Task, model: ChatModel, bench: Workbench) -> Preparation:
        """Make the examples. `model` is the frozen base model here."""
        ...

    def loss(self, batch: Batch, model: ChatModel) -> Tensor:
        """The loss of every trained target token, (N,), unreduced: the trainer averages, the same for all."""
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
class Editor(Protocol):
    """A method that replaces the training stage as a whole."""

    name: str
    identity: dict[str, Any]

    def edit(self, task: Task, model: ChatModel, bench: Workbench) -> ChatModel:
        """The model that has the knowledge; `model` is the base model and may be changed."""
        ...

    def asked(self, probe: Probe, task: Task) -> Probe:
        """The probe as this method asks it."""
        ...
