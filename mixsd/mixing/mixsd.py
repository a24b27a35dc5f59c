"""MixSD as a method: mixed targets, then plain NLL on them, exactly as in SFT (paper section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mixsd.core.files import File
from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench
from mixsd.methods.token_weights import NONE, inert, weighted_nll, weights_named
from mixsd.mixing.target_cache import Writer, WritingSettings
from mixsd.mixing.target_files import check_targets, read_targets
from mixsd.mixing.targets import mixed_request


@dataclass(frozen=True)
class MixSD(WritingSettings):
    """Train on targets that the frozen base model wrote itself.

    Each target token is the naive conditional's p(y_t | x, y_<t) with probability `mixing_rate`, else the
    expert's p(y_t | x, gold, y_<t): the same model shown the gold text. The loss is the NLL of the result.

    Attributes:
        name: The method's name in run ids.
        mixing_rate: P(naive), the paper's lambda.
        targets: Train on the targets of this file instead (see `target_files`); None: decode them.
        weights: How target tokens are weighed, see `mixsd.methods.token_weights`.
        contrast: Also decode the expert's own replies, to report their likelihood beside that of the
            targets (the paper's analysis a). Nothing is trained on them.

    Raises:
        SettingError: A setting is outside its range.
        DataError: The file cannot be read, or a line of it is of neither kind.
    """

    name: str
    mixing_rate: float = 0.3
    targets: File | None = None
    weights: str = NONE
    contrast: bool = True

    def __post_init__(self) -> None:
        self.writer_of(self.mixing_rate, mixed_request)  # to build one checks the settings
        weights_named(self.weights)
        # A broken file is told before any model is loaded.
        if self.targets:
            check_targets(self.targets)

    @property
    def writer(self) -> Writer:
        """What decodes and verifies the targets."""
        return self.writer_of(self.mixing_rate, mixed_request)

    @property
    def identity(self) -> dict[str, Any]:
        """The wording itself, which the settings only name."""
        return self.writer.identity

    @property
    def inert(self) -> frozenset[str]:
        """Settings that cannot move a weight as they stand."""
        return super().inert | {"contrast"} | inert(self.weights)

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """Decode and verify a target for every fact, or take them from the cache or a file."""
        if self.targets:
            return read_targets(self.targets, facts, model)
        made = self.writer.prepare(facts, model, bench)
        if self.contrast and self.mixing_rate > 0:  # at 0 the targets are the expert's replies
            made.contrasts["expert"] = partial(self.writer.expert_replies, facts, model, bench)
        return made

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y_t | x, y_<t) per target token, weighed, (N,), the same as SFT's."""
        return weighted_nll(self.weights, model, batch)
