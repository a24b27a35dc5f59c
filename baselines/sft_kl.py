"""SFT held close to the base model: NLL plus KL to it on the same tokens (Learning without Forgetting)."""

from typing import Any

from torch import Tensor

from mixsd.core.errors import at_least
from mixsd.core.questions import Task
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, Workbench, gold_example
from mixsd.methods.losses import FORWARD_KL, chunked_divergence, nll


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
        self.identity: dict[str, Any] = {}
        self.reads_base = True

    def prepare(self, task: Task, model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, as in SFT."""
        return Preparation([gold_example(fact, model) for fact in task.facts])

    def loss(self, batch: Batch, model: ChatModel) -> Tensor:
        """NLL + weight * KL(base || student) per target token, (N,)."""
        with model.as_base() as base:
            wanted = base.target_states(batch)

        def base_head(states: Tensor) -> Tensor:
            with model.as_base() as base:
                return base.head(states)

        states = model.target_states(batch)
        distance = chunked_divergence(FORWARD_KL, states, wanted, model.head, base_head)
        return nll(model.head(states), batch.target_ids) + self.kl_weight * distance
