"""Targets that the frozen base model writes itself, cached by content, and what becomes of failed ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mixsd.core.errors import at_least, one_of
from mixsd.core.grading import VERSION
from mixsd.core.questions import Fact, described
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import DTYPES, ChatModel
from mixsd.lm.shares import company_of
from mixsd.methods.contract import Preparation, Workbench, gold_example
from mixsd.mixing.expert_prompt import REFERENCES_VERSION, wording
from mixsd.mixing.targets import (
    POLICIES,
    MixSettings,
    RequestMaker,
    Target,
    expert_request,
    make_targets,
    summarize,
)


@dataclass(frozen=True, kw_only=True)
class WritingSettings:
    """Settings that all methods share whose targets the frozen model writes; they are its first fields.

    Attributes:
        temperature: 0 is greedy.
        top_k: Tokens to sample among when T > 0 (None: all).
        max_attempts: First try and retries.
        on_failure: What is trained on for a fact whose every attempt was rejected: nothing (`drop`), the
            gold text (`gold`), or the last attempt (`keep_last`).
        reject: Checks beyond the answer: `context_reference`, `unsupported`; empty restores the paper.
        expert_wording: How the expert prompt shows the gold text.
        decode_dtype: Arithmetic of decoding. In float32 the batch size does not change the targets.
        decode_batch_size: Facts decoded at a time.
        max_new_tokens: Budget of a target, its end included.
        seed: Draws coins and tokens.
    """

    temperature: float = 0.0
    top_k: int | None = None
    max_attempts: int = 11
    on_failure: str = "drop"
    reject: tuple[str, ...] = ("context_reference",)
    expert_wording: str = "answer"
    decode_dtype: str = "float32"
    decode_batch_size: int = 64
    max_new_tokens: int = 64
    seed: int = 0

    @property
    def inert(self) -> frozenset[str]:
        """Settings that cannot change a target as they stand, so that they are no part of a run's hash."""
        greedy = {"top_k"} if self.temperature == 0 else set[str]()
        # In float32 the batch size changes no token; in bfloat16 it does.
        exact = {"decode_batch_size"} if self.decode_dtype == "float32" else set[str]()
        return frozenset(greedy | exact)

    def longest_prompt(self, fact: Fact) -> str:
        """The expert's user turn, which holds the gold text."""
        return wording(self.expert_wording).render(fact)

    def writer_of(self, mixing_rate: float, request: RequestMaker, verify: bool = True) -> "Writer":
        """A writer with these settings.

        Raises:
            SettingError: A setting is outside its range.
        """
        return Writer(
            MixSettings(
                mixing_rate,
                self.temperature,
                self.top_k,
                self.max_attempts,
                tuple(self.reject),
                self.expert_wording,
                self.seed,
            ),
            self.on_failure,
            self.decode_dtype,
            self.decode_batch_size,
            self.max_new_tokens,
            request,
            verify,
        )


@dataclass(frozen=True)
class Writer:
    """Lets the frozen model write a target for every fact, once for all runs with the same settings.

    Attributes:
        settings: How to decode and verify.
        on_failure: See `WritingSettings`, also for the three fields that follow.
        decode_dtype: Arithmetic of decoding.
        decode_batch_size: Facts decoded at a time.
        max_new_tokens: Budget of a target.
        request: Makes the decoding request of a fact.
        verify: Whether replies are rejected at all.
    """

    settings: MixSettings
    on_failure: str
    decode_dtype: str
    decode_batch_size: int
    max_new_tokens: int
    request: RequestMaker
    verify: bool = True

    def __post_init__(self) -> None:
        one_of("method.on_failure", self.on_failure, POLICIES)
        one_of("method.decode_dtype", self.decode_dtype, DTYPES)
        at_least("method.decode_batch_size", self.decode_batch_size, 1)
        at_least("method.max_new_tokens", self.max_new_tokens, 1)

    @property
    def identity(self) -> dict[str, Any]:
        """The wording, which a run's settings only name, and the version of the check of references."""
        check = {"references": REFERENCES_VERSION} if "context_reference" in self.settings.reject else {}
        return {"wording": asdict(wording(self.settings.expert_wording)), **check}

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """An example for every fact, by the failure policy, with a report of the attempts."""
        targets = self.targets(facts, model, bench, "writing targets")
        made = [
            (target, self._example(target, fact, model)) for target, fact in zip(targets, facts, strict=True)
        ]
        examples = [example for _, example in made if example]
        # What did not pass was rejected, so there is a last reason; unverified targets all pass.
        dropped = {target.fact_id: target.rejections[-1] for target, example in made if not example}
        # Rejected attempts too: they are part of what the method costs.
        decoded = sum(target.decoded for target in targets)
        return Preparation(examples, dropped, summarize(targets, facts, self.settings), decoded)

    def expert_replies(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> list[Example]:
        """The expert's own greedy replies, right or wrong: what mixing starts from."""
        # Greedy whatever the settings: all mixing rates and temperatures share these replies in the cache.
        settings = replace(self.settings, mixing_rate=0.0, temperature=0.0, top_k=None, max_attempts=1)
        expert = replace(self, settings=settings, request=expert_request, verify=False)
        return expert.prepare(facts, model, bench).examples

    def targets(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench, title: str) -> list[Target]:
        """The targets in the order of the facts, decoded or taken from the cache."""
        with (
            bench.record_file("targets", self._fingerprint(facts)) as done,
            bench.progress(title, len(facts)) as advance,
        ):
            return make_targets(
                facts,
                # float32 unless set: in bf16 tokens tie, and which one wins depends on the batch.
                model.in_dtype(self.decode_dtype),
                self.settings,
                max_new_tokens=self.max_new_tokens,
                batch_size=self.decode_batch_size,
                done=done,
                on_finished=lambda _: advance(1),
                request=self.request,
                verify=self.verify,
            )

    def _example(self, target: Target, fact: Fact, model: ChatModel) -> Example | None:
        """What is trained on for a target, by the failure policy; None where nothing is."""
        if not target.passed and self.on_failure == "drop":
            return None
        if not target.passed and self.on_failure == "gold":
            return gold_example(fact, model)
        # The naive prompt, whoever supplied the tokens: the student never reads the gold text.
        prompt = model.prompt_ids(fact.prompt)
        return Example(fact.id, prompt, target.ids, target.provenance, target.text, target.attempt)

    def _fingerprint(self, facts: Sequence[Fact]) -> dict[str, Any]:
        """Everything that changes a target, beyond the model; in bf16 the batch size does."""
        batch = self.decode_batch_size if self.decode_dtype == "bfloat16" else None
        return {
            **asdict(self.settings),
            **self.identity,
            # The verifier is the grader (decision 5): another version may accept other targets.
            "grading": VERSION,
            # By name: rename the function, and what it had cached is not found any more.
            "request": self.request.__name__,
            "verify": self.verify,
            "decode_dtype": self.decode_dtype,
            "decode_batch_size": batch,
            **company_of({self.decode_dtype}),
            "max_new_tokens": self.max_new_tokens,
            "facts": described(facts),
        }
