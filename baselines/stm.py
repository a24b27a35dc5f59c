"""Selective token masking: SFT without the gold tokens that the base model finds unlikely.

Tokens whose perplexity under the base model is above a threshold carry no loss (arXiv 2501.14315, threshold
2.5). The names of invented facts are such tokens: a low threshold forgets little and learns little.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log

from mixsd.core.errors import SettingError
from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import Preparation, TokenLoss, Workbench, gold_example

BATCH = 32
"""Gold texts whose likelihood is read at a time."""


class SelectiveTokenMasking:
    """Train on the gold texts' likely tokens.

    The loss of a token is -log p(y*_t | x, y*_<t) where the base model's p0(y*_t | x, y*_<t) is at least
    1 / threshold, and the others are masked: read, but not trained on.

    Args:
        name: The method's name in run ids.
        threshold: Tokens with a perplexity (1 / probability) above it are masked.

    Raises:
        SettingError: The threshold is below 1, which would mask everything.
    """

    def __init__(self, name: str, threshold: float = 2.5) -> None:
        if not threshold > 1:
            raise SettingError(f"method.threshold={threshold} is out of range; allowed: above 1")
        self.name, self.threshold = name, threshold

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """Gold examples with their unlikely tokens masked, and the share that is."""
        gold = [gold_example(fact, model) for fact in facts]
        examples = [
            replace(
                example,
                masked=tuple(i for i, loss in enumerate(losses.tolist()) if loss > log(self.threshold)),
            )
            for example, losses in zip(gold, target_nll(model, gold, BATCH), strict=True)
        ]
        masked = sum(len(example.masked) for example in examples)
        total = sum(len(example.target_ids) for example in examples)
        return Preparation(examples, report={"masked_share": masked / total if total else None})

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y*_t | x, y*_<t) per target token that is not masked, (N,)."""
        return TokenLoss(model.target_losses(batch))
