"""Context distillation: NLL on what the frozen model answers when it is shown the gold text.

The paper's OPSD-NLL. With the verifier it is MixSD at mixing rate 0. As `rewrite`, with another wording and
the gold text where the reply is wrong, it is self-distillation fine-tuning (arXiv 2402.13669).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench
from mixsd.mixing.target_cache import Writer, WritingSettings
from mixsd.mixing.targets import expert_request


@dataclass(frozen=True)
class ContextDistillation(WritingSettings):
    """Train on the expert's own answers: every target token is from p(y_t | x, gold, y_<t).

    Attributes:
        name: The method's name in run ids.
        verify: Keep only answers that the grader accepts, trying again where T > 0; without, every fact
            trains on its first answer, right or wrong.

    Raises:
        SettingError: A setting is outside its range.
    """

    name: str
    verify: bool = True

    def __post_init__(self) -> None:
        self.writer_of(0.0, expert_request, self.verify)  # to build one checks the settings

    @property
    def writer(self) -> Writer:
        """What decodes and verifies the answers."""
        return self.writer_of(0.0, expert_request, self.verify)

    @property
    def identity(self) -> dict[str, Any]:
        """The wording itself, which the settings only name."""
        return self.writer.identity

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """The expert's answer to every fact, verified or not."""
        return self.writer.prepare(facts, model, bench)

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y_t | x, y_<t) per target token, (N,)."""
        return TokenLoss(model.target_losses(batch))
