"""SFT held close to the base model: NLL plus KL to it on the same tokens.

As in Learning without Forgetting (arXiv 1606.09282), but along the gold texts: no other data is needed.
"""

from collections.abc import Sequence

from torch import Tensor

from mixsd.core.errors import at_least
from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench, gold_example
from mixsd.methods.losses import FORWARD_KL, chunked_divergence, chunked_nll


class SFTWithKL:
    """Train on the gold texts y*, held to the base model's next-token distributions p0 along them.

    The loss of a token is -log p(y*_t | x, y*_<t) + w KL(p0(. | x, y*_<t) || p(. | x, y*_<t)).

    Args:
        name: The method's name in run ids.
        kl_weight: w, beside an NLL of weight 1; both are in nats.

    Raises:
        SettingError: The weight is negative.
    """

    reads_base, keeps_logits = True, False

    def __init__(self, name: str, kl_weight: float = 1.0) -> None:
        self.name = name
        self.kl_weight = at_least("method.kl_weight", kl_weight, 0)

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """One example per fact: its prompt and its gold text, as in SFT."""
        return Preparation([gold_example(fact, model) for fact in facts])

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """NLL + w KL(base || model) per target token, (N,); logged apart as `nll` and `kl`."""
        with model.as_base() as base:
            wanted = base.target_states(batch)

        # Called again for the gradient, when the context above has ended.
        def base_head(states: Tensor) -> Tensor:
            with model.as_base() as base:
                return base.head(states)

        # Read once for both parts; logits are made a chunk at a time and never exist all at once.
        states = model.target_states(batch)
        distance = chunked_divergence(FORWARD_KL, states, wanted, model.head, base_head)
        likelihood = chunked_nll(states, batch.target_ids, model.head)
        return TokenLoss(likelihood + self.kl_weight * distance, {"nll": likelihood, "kl": distance})
