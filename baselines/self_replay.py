"""SFT with self-replay: every step also trains on the base model's own answers to general prompts.

The answers are ones the model finds likely already, so they ask it to stay as it is while the gold texts
change it (rehearsal on self-generated data).
"""

from collections.abc import Sequence
from typing import Any

from mixsd.core.draws import shuffled
from mixsd.core.errors import at_least
from mixsd.core.files import File
from mixsd.core.questions import Fact
from mixsd.lm.batches import BASE, Batch, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.generate import greedy_replies
from mixsd.methods.contract import Preparation, Step, TokenLoss, Workbench, gold_example
from mixsd.methods.general_prompts import read_prompts


class SelfReplay:
    """Train on gold texts and, beside them, on what the base model says anyway.

    Args:
        name: The method's name in run ids.
        prompts: A text file with a prompt a line (None: the bundled one).
        replays: Answers beside the facts of a step.
        max_new_tokens: Budget of an answer.
        decode_batch_size: Answers decoded at a time.
        seed: Draws which answers a step gets.

    Raises:
        SettingError: An argument is outside its range.
        DataError: The file cannot be read or holds no prompt.
    """

    def __init__(
        self,
        name: str,
        prompts: File | None = None,
        replays: int = 8,
        max_new_tokens: int = 64,
        decode_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        self.name, self.seed = name, seed
        self.prompts = read_prompts(prompts)
        self.replays = at_least("method.replays", replays, 1)
        self.max_new_tokens = at_least("method.max_new_tokens", max_new_tokens, 1)
        self.decode_batch_size = at_least("method.decode_batch_size", decode_batch_size, 1)

    @property
    def identity(self) -> dict[str, Any]:
        """The prompts: those of the bundled file are in no setting."""
        return {"prompts": self.prompts}

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """One gold example per fact, then the base model's greedy answer to every general prompt."""
        # No batch size: the base model is in float32 here, where it changes no token.
        fingerprint = {"prompts": self.prompts, "max_new_tokens": self.max_new_tokens}
        with (
            bench.record_file("replies", fingerprint) as done,
            bench.progress("answering general prompts", len(self.prompts)) as advance,
        ):
            answers = greedy_replies(
                model,
                self.prompts,
                done,
                max_new_tokens=self.max_new_tokens,
                batch_size=self.decode_batch_size,
                on_done=advance,
            )
        extras = [
            Example(
                f"general-{number}",
                model.prompt_ids(prompt),
                ids,
                BASE * len(ids),
                model.text(ids),
                extra=True,
            )
            for number, (prompt, ids) in enumerate(zip(self.prompts, answers, strict=True))
        ]
        gold = [gold_example(fact, model) for fact in facts]
        written = sum(map(len, answers))
        return Preparation([*gold, *extras], report={"replies": len(extras)}, generated_tokens=written)

    def step_examples(self, step: Step, model: ChatModel) -> list[Example]:
        """The scheduled facts and, beside them, answers drawn by (seed, step)."""
        by_id = {example.fact_id: example for example in step.extras}
        # From no generator: a resumed training draws the same answers.
        drawn = shuffled(by_id, "replay", self.seed, step.number)[: self.replays]
        return [*step.scheduled, *(by_id[name] for name in drawn)]

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """-log p(y_t | x, y_<t) per target token, (N,), facts and answers alike, logged apart."""
        losses = model.target_losses(batch)
        replayed = losses.new_tensor([example.extra for example in batch.examples])[batch.target_rows]
        return TokenLoss(losses, {"facts": losses * (1 - replayed), "replays": losses * replayed})
