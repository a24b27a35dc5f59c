"""The contract of a held-out suite: the tasks that measure what a model kept (the retention axis)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from mixsd.core.scores import TaskScores
from mixsd.lm.chat_model import ChatModel


@runtime_checkable
class RetentionSuite(Protocol):
    """A set of held-out tasks. A suite is one class with these members and one YAML."""

    name: str
    tasks: Sequence[str]
    """Names of the tasks, in the order in which they are scored."""

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader of its scores must know."""
        ...

    @property
    def generated(self) -> Sequence[str]:
        """The tasks whose answers are generated; the headline is their panel (decision 6)."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What identifies its scores beyond the model: tasks, data, limit and versions, as JSON holds it."""
        ...

    def size(self, tasks: Sequence[str]) -> int:
        """How many documents the tasks have, for progress bars."""
        ...

    def evaluate(
        self, model: ChatModel, tasks: Sequence[str], batch_size: int, on_done: Callable[[int], None]
    ) -> dict[str, TaskScores]:
        """Score a model on some of the tasks.

        Args:
            model: The model, in the dtype that it is scored in.
            tasks: Which of `self.tasks`; their test documents are used.
            batch_size: Rows at a time.
            on_done: Told how many more documents are scored.
        """
        ...

    def validate(self, model: ChatModel, batch_size: int) -> float | None:
        """Mean score on a few validation documents, for curves during training; None when switched off."""
        ...
