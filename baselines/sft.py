"""Supervised fine-tuning: NLL on the gold text."""

from collections.abc import Sequence

from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench, gold_example
from mixsd.methods.token_weights import NONE, inert, weighted_nll, weights_named


class SFT:
    """Train on the gold text y* of every fact x: minimise the mean of -log p(y*_t | x, y*_<t).

    Args:
        name: The method's name in run ids.
        weights: How target tokens are weighed, see `mixsd.methods.token_weights`.

    Raises:
        SettingError: No weights have this name.
    """

    def __init__(self, name: str, weights: str = NONE) -> None:
        self.name, self.weights = name, weights_named(weights)
        self.inert = inert(weights)

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, closed by the end of turn."""
        return Preparation([gold_example(fact, model) for fact in facts])

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y*_t | x, y*_<t) per target token, weighed, (N,)."""
        return weighted_nll(self.weights, model, batch)
