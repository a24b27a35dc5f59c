"""Supervised fine-tuning: NLL on the gold text (docs/methods: SFT)."""

from torch import Tensor

from mixsd.knowledge import Task
from mixsd.losses import nll
from mixsd.method import Batch, Preparation, Student, Workbench, gold_example


class SFT:
    """Train on the gold text of every fact."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = {}

    def prepare(self, task: Task, student: Student, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, closed by the end of turn."""
        return Preparation([gold_example(fact, student) for fact in task.facts])

    def loss(self, batch: Batch, student: Student) -> Tensor:
        """NLL per target token, (N,)."""
        return nll(student.target_logits(batch), batch.target_ids)
