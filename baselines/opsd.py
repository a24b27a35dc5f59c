"""On-policy self-distillation: the student answers, and is pulled towards the frozen model that knows.

The student answers the naive prompt; the teacher is the base model reading the expert prompt, which holds
the gold text, and scores the student's own tokens. The gradient flows through the scores
of the tokens, not through their choice.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from math import floor
from typing import Any

import torch
from torch import Tensor

from baselines.token_selection import (
    RANDOM,
    SCORES,
    SOFT_OR,
    entropies_and_distances,
    masked,
    token_scores,
)
from mixsd.core.draws import uniform
from mixsd.core.errors import SettingError, at_least, one_of, within
from mixsd.core.questions import Fact
from mixsd.lm.batches import STUDENT, Batch, Example
from mixsd.lm.chat_model import DTYPES, ChatModel
from mixsd.lm.decode import Request, Sampling
from mixsd.lm.generate import reply_to
from mixsd.methods.contract import Preparation, Step, TokenLoss, Workbench
from mixsd.methods.losses import DIVERGENCES, FORWARD_KL, chunked_divergence
from mixsd.mixing.expert_prompt import wording

FROZEN, LIVE, AVERAGE = "frozen", "live", "ema"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")


class OPSD:
    """Minimise a divergence from the teacher's next-token distributions, along the student's own answers.

    The student answers, y ~ p(. | x). The loss of a token is D(p_T(. | x, gold, y_<t), p(. | x, y_<t)),
    with D the divergence and p_T the teacher.

    Args:
        name: The method's name in run ids.
        divergence: `forward_kl` = KL(teacher || student), `reverse_kl` = KL(student || teacher), or `jsd`.
        top_k: Compare over the teacher's most probable tokens alone, renormalised (None: whole vocabulary).
        rollouts: Answers per prompt and step.
        temperature: The student answers at this temperature.
        max_new_tokens: Budget of an answer.
        rollout_dtype: Arithmetic of answering; in bfloat16 a copy of the student answers.
        rollout_batch_size: Answers decoded at a time.
        teacher: `frozen`, the base model; `live`, the student itself as it is at that step; or `ema`, an
            exponential moving average of the student's weights over the steps, the base model's at first.
        ema_decay: The share of the average that a step keeps. Only used with `ema`.
        keep: Train on this share of each answer's tokens alone, those with the largest scores; 1 is all.
        score: What a token's score is, see `token_selection`. Only used with `keep` below 1.
        exposure: How much of the gold text the teacher is shown: this share of its sentences, from the first,
            and always the last, which holds the answer (a fixed alpha of ATESD, arXiv 2605.11458). A text of
            one sentence is shown whole.
        expert_wording: How the teacher's prompt shows the gold text.
        seed: Draws the answers.

    Raises:
        SettingError: An argument is outside its range.
    """

    def __init__(
        self,
        name: str,
        divergence: str = FORWARD_KL,
        top_k: int | None = None,
        rollouts: int = 8,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        rollout_dtype: str = "bfloat16",
        rollout_batch_size: int = 128,
        teacher: str = FROZEN,
        ema_decay: float = 0.99,
        keep: float = 1.0,
        score: str = SOFT_OR,
        exposure: float = 1.0,
        expert_wording: str = "answer",
        seed: int = 0,
    ) -> None:
        self.name = name
        self.divergence = one_of("method.divergence", divergence, DIVERGENCES)
        # Renormalised over one token, both distributions are 1 and nothing is learned.
        self.top_k = None if top_k is None else at_least("method.top_k", top_k, 2)
        self.rollouts = at_least("method.rollouts", rollouts, 1)
        # Greedy rollouts of one prompt would all be the same.
        if not temperature > 0:
            raise SettingError(f"method.temperature={temperature} is out of range; allowed: above 0")
        self.sampling = Sampling(temperature)
        self.max_new_tokens = at_least("method.max_new_tokens", max_new_tokens, 1)
        self.rollout_dtype = one_of("method.rollout_dtype", rollout_dtype, DTYPES)
        self.rollout_batch_size = at_least("method.rollout_batch_size", rollout_batch_size, 1)
        self.teacher = one_of("method.teacher", teacher, (FROZEN, LIVE, AVERAGE))
        self.ema_decay = within("method.ema_decay", ema_decay, 0, 1)
        if not 0 < keep <= 1:
            raise SettingError(f"method.keep={keep} is out of range; allowed: above 0, to 1")
        self.keep = keep
        self.score = one_of("method.score", score, SCORES)
        self.exposure = within("method.exposure", exposure, 0, 1)
        # They are no part of a run's hash where they change nothing.
        unused = {"keep": keep == 1, "score": keep == 1, "exposure": exposure == 1}
        self.inert = frozenset(name for name, is_unused in unused.items() if is_unused)
        self.expert, self.seed = wording(expert_wording), seed
        self.identity: dict[str, Any] = {"wording": asdict(self.expert)}
        # The other teachers need no copy of the base model in memory.
        self.reads_base, self.keeps_logits = teacher == FROZEN, False
        self._average: ChatModel | None = None

    def longest_prompt(self, fact: Fact) -> str:
        """The user turn that holds the gold text."""
        return self.expert.render(fact)

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """The student's and the teacher's prompt of every fact; the targets come during training."""
        shown = [exposed(fact.gold_text, self.exposure) for fact in facts]
        examples = [
            Example(
                fact.id,
                model.prompt_ids(fact.prompt),
                target_ids=(),
                provenance="",
                text="",
                teacher_ids=model.prompt_ids(self.expert.show(fact.prompt, text)),
            )
            for fact, text in zip(facts, shown, strict=True)
        ]
        # Where no text has a sentence to hide, the setting does nothing, and the number says so.
        hidden = sum(text != fact.gold_text for fact, text in zip(facts, shown, strict=True))
        return Preparation(examples, report={"shown_in_part": hidden} if self.exposure < 1 else {})

    def step_examples(self, step: Step, model: ChatModel) -> list[Example]:
        """The student's answers to the scheduled prompts, drawn by (step, prompt, answer, position)."""
        if self.teacher == AVERAGE:
            self._move_average(model)
        # `place`, since a step may hold one fact twice: their answers must differ.
        asked = [
            (example, partial(uniform, "rollout", self.seed, example.fact_id, step.number, place, number))
            for place, example in enumerate(step.scheduled)
            for number in range(self.rollouts)
        ]
        # A bf16 copy a step: under autocast the weights would be cast again for every token.
        student = model.in_dtype(self.rollout_dtype)
        replies = reply_to(
            student,
            [Request([example.prompt_ids], draw=draw) for example, draw in asked],
            max_new_tokens=self.max_new_tokens,
            batch_size=self.rollout_batch_size,
            sampling=self.sampling,
        )
        written = [
            replace(example, target_ids=tuple(reply.ids), provenance=STUDENT * len(reply.ids))
            for (example, _), reply in zip(asked, replies, strict=True)
        ]
        if self.keep == 1:
            return written
        scores = self._scores(written, student, model, [draw for _, draw in asked])
        return [
            replace(example, masked=masked(values, self.keep))
            for example, values in zip(written, scores, strict=True)
        ]

    def _scores(
        self,
        written: Sequence[Example],
        student: ChatModel,
        model: ChatModel,
        draws: Sequence[Callable[..., float]],
    ) -> list[Tensor]:
        """A score for every token of a step's answers, one tensor per answer."""
        if self.score == RANDOM:
            # By the keys of the answer's own draws, but never the same numbers.
            return [
                torch.tensor([draw("kept", place) for place in range(len(example.target_ids))])
                for example, draw in zip(written, draws, strict=True)
            ]
        taught = [replace(example, prompt_ids=example.teacher_ids) for example in written]
        with self._teacher(model) as teacher:
            entropies, distances = entropies_and_distances(written, student, teacher, taught)
        return token_scores(self.score, entropies, distances)

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """The divergence at every token that the student wrote, (N,)."""
        # The teacher reads the same tokens after the expert prompt, which holds the gold text.
        shown = [replace(example, prompt_ids=example.teacher_ids) for example in batch.examples]
        with self._teacher(model) as teacher:
            wanted = teacher.target_states(model.collate(shown))

        # Called again for the gradient, after the context above has ended.
        def teacher_head(states: Tensor) -> Tensor:
            with self._teacher(model) as teacher:
                return teacher.head(states)

        return TokenLoss(
            chunked_divergence(
                self.divergence, model.target_states(batch), wanted, model.head, teacher_head, self.top_k
            )
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights, where the teacher is the average."""
        # `named_parameters` names tied weights once; safetensors refuses shared ones.
        return dict(self._average.network.named_parameters()) if self._average else {}

    def load_state_dict(self, state: dict[str, Tensor], model: ChatModel) -> None:
        """Go on from averaged weights."""
        if state:  # `keep=0` copies the weights of the state over those of the model
            self._average = model.copy("float32")
            _move(self._average, state, keep=0.0)

    def release(self) -> None:
        """Let go of the average."""
        self._average = None

    def _move_average(self, model: ChatModel) -> None:
        """Before each step, the average moves towards the weights that the last step left."""
        if self._average is None:
            # In bf16 a hundredth of a small step would round to nothing.
            self._average = model.copy("float32")
        else:
            _move(self._average, dict(model.network.named_parameters()), self.ema_decay)

    @contextmanager
    def _teacher(self, model: ChatModel) -> Iterator[ChatModel]:
        if self.teacher == FROZEN:
            with model.as_base() as base:
                yield base
        else:
            with torch.no_grad():
                yield self._average or model


def exposed(gold_text: str, share: float) -> str:
    """The first sentences of a gold text, and its last; the text itself where nothing is to be hidden.

    Args:
        gold_text: It ends with the answer.
        share: Of the sentences before the last.
    """
    *before, last = _SENTENCE.split(gold_text.strip())
    shown = floor(share * len(before))
    return gold_text if shown == len(before) else " ".join([*before[:shown], last])


@torch.no_grad()
def _move(average: ChatModel, weights: dict[str, Tensor], keep: float) -> None:
    """average = keep * average + (1 - keep) * weights."""
    # Parameters alone: buffers are computed and equal in both.
    for name, parameter in average.network.named_parameters():
        parameter.lerp_(weights[name].to(parameter), 1 - keep)
