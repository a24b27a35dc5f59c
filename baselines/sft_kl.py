"""SFT held close to the base model: NLL plus KL to it on the same tokens (Learning without Forgetting)."""

from collections.abc import Sequence

from torch import Tensor

from mixsd.core.errors import at_least
from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench, gold_example
from mixsd.methods.losses import FORWARD_KL, chunked_divergence, chunked_nll


class SFTWithKL:
    """Train on the gold texts; pay for every distribution along them that leaves the base model's.

    Args:
        name: The method's name in run ids.
        kl_weight: Weight of KL(base || student), in nats, beside an NLL of weight 1.

    Raises:
        SettingError: The weight is negative.
    """

    def __init__(self, name: str, kl_weight: float) -> None:
        self.name = name
        self.kl_weight = at_least("method.kl_weight", kl_weight, 0)
        self.reads_base = True

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, as in SFT."""
        return Preparation([gold_example(fact, model) for fact in facts])

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """NLL + weight * KL(base || student) per target token, (N,)."""
        with model.as_base() as base:
            wanted = base.target_states(batch)

        def base_head(states: Tensor) -> Tensor:
            with model.as_base() as base:
                return base.head(states)

        states = model.target_states(batch)
        distance = chunked_divergence(FORWARD_KL, states, wanted, model.head, base_head)
        likelihood = chunked_nll(states, batch.target_ids, model.head)
        return TokenLoss(likelihood + self.kl_weight * distance, {"nll": likelihood, "kl": distance})
