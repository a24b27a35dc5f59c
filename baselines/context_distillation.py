"""Context distillation: NLL on what the frozen model answers when it is shown the gold text.

The paper's OPSD-NLL. With the verifier it is MixSD at mixing rate 0. As `rewrite`, with another wording and
the gold text where the reply is wrong, it is self-distillation fine-tuning (arXiv 2402.13669).
"""

from collections.abc import Sequence

from mixsd.core.questions import Fact
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, TokenLoss, Workbench
from mixsd.mixing.target_cache import Writer
from mixsd.mixing.targets import MixSettings, expert_request


class ContextDistillation:
    """Train on the expert's own answers.

    Args:
        name: The method's name in run ids.
        verify: Keep only answers that the task's grader accepts, trying again where T > 0; without, every
            fact trains on its first answer, right or wrong.
        temperature: 0 is greedy.
        top_k: Tokens to sample among when T > 0 (None: all).
        max_attempts: First try and retries.
        on_failure: For a fact whose every answer was rejected: `drop`, `gold`, or `keep_last`.
        reject: Checks beyond the answer: `context_reference`, `unsupported`.
        expert_wording: How the expert prompt shows the gold text.
        decode_dtype: Arithmetic of decoding.
        decode_batch_size: Answers decoded at a time.
        max_new_tokens: Budget of an answer, its end included.
        seed: Draws tokens when T > 0.

    Raises:
        SettingError: An argument is outside its range.
    """

    def __init__(
        self,
        name: str,
        verify: bool,
        temperature: float,
        top_k: int | None,
        max_attempts: int,
        on_failure: str,
        reject: list[str],
        expert_wording: str,
        decode_dtype: str,
        decode_batch_size: int,
        max_new_tokens: int,
        seed: int,
    ) -> None:
        self.name = name
        settings = MixSettings(0.0, temperature, top_k, max_attempts, tuple(reject), expert_wording, seed)
        self.writer = Writer(
            settings, on_failure, decode_dtype, decode_batch_size, max_new_tokens, expert_request, verify
        )
        self.identity = self.writer.identity

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """The expert's answer to every fact, verified or not."""
        return self.writer.prepare(facts, model, bench)

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """NLL per target token, (N,)."""
        return TokenLoss(model.target_losses(batch))
