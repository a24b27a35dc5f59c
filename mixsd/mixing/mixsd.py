"""MixSD as a method: mixed targets, then plain NLL on them, exactly as in SFT (paper section 3)."""

from collections.abc import Sequence
from functools import partial

from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench
from mixsd.mixing.target_cache import Writer
from mixsd.mixing.target_files import file_digest, read_targets
from mixsd.mixing.targets import MixSettings


class MixSD:
    """Train on targets that the frozen base model wrote itself.

    Args:
        name: The method's name in run ids.
        mixing_rate: P(naive), the paper's lambda.
        temperature: 0 is greedy.
        top_k: Tokens to sample among when T > 0 (None: all).
        max_attempts: First try and retries.
        on_failure: What is trained on for a fact whose every attempt was rejected: nothing (`drop`), the
            gold text (`gold`), or the last attempt (`keep_last`).
        reject: Checks beyond the answer: `context_reference`, `unsupported`; empty restores the paper.
        expert_wording: How the expert prompt shows the gold text.
        decode_dtype: Arithmetic of decoding. In float32 the batch size does not change the targets.
        decode_batch_size: Pairs decoded at a time.
        max_new_tokens: Budget of a target, its end included.
        targets: Train on the targets of this file instead (see `ready`); None: decode them.
        seed: Draws coins and tokens.

    Raises:
        SettingError: An argument is outside its range.
    """

    def __init__(
        self,
        name: str,
        mixing_rate: float,
        temperature: float,
        top_k: int | None,
        max_attempts: int,
        on_failure: str,
        reject: list[str],
        expert_wording: str,
        decode_dtype: str,
        decode_batch_size: int,
        max_new_tokens: int,
        targets: str | None,
        seed: int,
    ) -> None:
        self.name = name
        settings = MixSettings(
            mixing_rate, temperature, top_k, max_attempts, tuple(reject), expert_wording, seed
        )
        self.writer = Writer(settings, on_failure, decode_dtype, decode_batch_size, max_new_tokens)
        self.targets = targets
        self.identity = {**self.writer.identity, "targets": file_digest(targets) if targets else None}

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """Decode and verify a target for every fact, or take them from the cache or a file."""
        if self.targets:
            return read_targets(self.targets, facts, model)
        made = self.writer.prepare(facts, model, bench)
        if self.writer.settings.mixing_rate > 0:
            made.contrasts["expert"] = partial(self.writer.expert_replies, facts, model, bench)
        return made

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """NLL per target token, (N,), the same as SFT's."""
        return TokenLoss(model.target_losses(batch))
