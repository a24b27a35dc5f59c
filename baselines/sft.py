"""Supervised fine-tuning: NLL on the gold text."""

from collections.abc import Sequence

from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench, gold_example


class SFT:
    """Train on the gold text y* of every fact x: minimise the mean of -log p(y*_t | x, y*_<t)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, closed by the end of turn."""
        return Preparation([gold_example(fact, model) for fact in facts])

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y*_t | x, y*_<t) per target token, (N,)."""
        return TokenLoss(model.target_losses(batch))
