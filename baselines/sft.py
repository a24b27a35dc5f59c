"""Supervised fine-tuning: NLL on the gold text."""

from typing import Any

from torch import Tensor

from mixsd.core.questions import Task
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, Workbench, gold_example


class SFT:
    """Train on the gold text of every fact."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity: dict[str, Any] = {}
        self.reads_base = False

    def prepare(self, task: Task, model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, closed by the end of turn."""
        return Preparation([gold_example(fact, model) for fact in task.facts])

    def loss(self, batch: Batch, model: ChatModel) -> Tensor:
        """NLL per target token, (N,)."""
        return model.target_losses(batch)
