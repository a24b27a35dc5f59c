"""Settings of a run with their defaults; YAML files override them. A new setting is one line here."""

import math
from dataclasses import dataclass

from mixsd.core.errors import SettingError, at_least, one_of, within
from mixsd.lm.chat_model import DTYPES

AVERAGES = ("token", "sequence")
NONE, EWC = "none", "ewc"
PENALTIES = (NONE, EWC)
EACH, LAST = "each", "last"
"""When validation documents are scored: at every evaluation, or where the training ends."""

VALIDATION = "retention_validation"
OBJECTIVES = ("recall", VALIDATION)
"""What an optimiser may go by, as a trajectory calls it (decision 3)."""


@dataclass(frozen=True)
class TrainingSettings:
    """How every method is trained.

    Attributes:
        learning_rate: Constant after warm-up.
        warmup_steps: Linear warm-up.
        max_steps: Ceiling of optimiser steps; 0 trains nothing.
        batch_size: Facts per optimiser step; a method may make more examples of them.
        micro_batch_size: Examples per forward pass.
        weight_decay: AdamW.
        betas: AdamW.
        clip: Gradient norm ceiling.
        dtype: `bfloat16` autocast over float32 weights, or `float32`.
        loss_average: `token`: mean over the batch's target tokens; `sequence`: mean of example means.
        eval_every: Steps between evaluations of recall (the fixed schedule of decision 2).
        validate: Score validation documents at `each` evaluation, for curves, or at the `last` one alone, by
            which settings are chosen.
        until_recall: Stop at the first evaluation with this recall over all facts (None: never).
        max_trained_tokens: Stop at the first evaluation with this many trained target tokens (None: never).
        patience: Stop after this many evaluations in a row without a rise of recall, once it has risen above
            the base model's (None: never). For methods that may never reach the goal (decision 11).
        lora: Rank of LoRA adapters on all linear layers but the output layer (None: train all weights).
        lora_alpha: Their scale is `lora_alpha / lora`.
        only: Train these weights alone, by parts of their names, a star for anything within a part, such as
            `layers.6.mlp.down_proj` (LocFT, arXiv 2509.22072); with LoRA, adapters on these layers alone.
            Empty: all.
        lora_avoids: Adapters add nothing to so many first singular directions of each weight (OPLoRA, arXiv
            2510.13003; None: they may go anywhere).
        penalty: `ewc` pulls weights back to where the training starts, see `penalty`; `none`.
        penalty_weight: How hard.
        gradient_checkpointing: Keep each layer's input alone and compute the rest again for the gradient: in
            less memory, by one more forward pass, the same numbers but for rounding.
        interpolate: Also score base + alpha (tuned - base) for these alphas, at no training cost.
        checkpoint_every: Steps between checkpoints that an interrupted training goes on from (None: none).
        save_model: Keep the trained weights in the run directory.
    """

    learning_rate: float = 5e-5
    warmup_steps: int = 5
    max_steps: int = 60
    batch_size: int = 16
    micro_batch_size: int = 16
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    dtype: str = "bfloat16"
    loss_average: str = "token"
    eval_every: int = 5
    validate: str = EACH
    # The recall at which methods are compared (decision 2).
    until_recall: float | None = 0.9
    max_trained_tokens: int | None = None
    patience: int | None = None
    lora: int | None = None
    lora_alpha: float = 32.0
    only: tuple[str, ...] = ()
    lora_avoids: int | None = None
    penalty: str = NONE
    penalty_weight: float = 1.0
    gradient_checkpointing: bool = False
    interpolate: tuple[float, ...] = ()
    checkpoint_every: int | None = 20
    save_model: bool = False

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise SettingError(
                f"training.learning_rate={self.learning_rate} is out of range; allowed: above 0"
            )
        if not 0 < self.clip < math.inf or not self.learning_rate < math.inf:
            raise SettingError("training.clip and training.learning_rate must be finite and above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SettingError(f"training.betas={self.betas} is out of range; allowed: two numbers in [0, 1)")
        at_least("training.warmup_steps", self.warmup_steps, 0)
        at_least("training.max_steps", self.max_steps, 0)
        at_least("training.batch_size", self.batch_size, 1)
        at_least("training.micro_batch_size", self.micro_batch_size, 1)
        at_least("training.weight_decay", self.weight_decay, 0)
        at_least("training.eval_every", self.eval_every, 1)
        one_of("training.dtype", self.dtype, DTYPES)
        one_of("training.loss_average", self.loss_average, AVERAGES)
        one_of("training.validate", self.validate, (EACH, LAST))
        if self.until_recall is not None:
            within("training.until_recall", self.until_recall, 0, 1)
        for name in ("max_trained_tokens", "patience", "lora", "lora_avoids", "checkpoint_every"):
            if getattr(self, name) is not None:
                at_least(f"training.{name}", getattr(self, name), 1)
        if not 0 < self.lora_alpha < math.inf:
            raise SettingError(f"training.lora_alpha={self.lora_alpha} is out of range; allowed: above 0")
        if self.lora_avoids is not None and self.lora is None:
            raise SettingError(
                f"training.lora_avoids={self.lora_avoids} is about adapters; give training.lora=<rank>"
            )
        one_of("training.penalty", self.penalty, PENALTIES)
        if not 0 < self.penalty_weight < math.inf:
            raise SettingError(
                f"training.penalty_weight={self.penalty_weight} is out of range; allowed: above 0"
            )
        for alpha in self.interpolate:
            within("training.interpolate", alpha, 0, 1)
        # Scores are filed by alpha: two of the same would share a file.
        if len(set(self.interpolate)) < len(self.interpolate):
            raise SettingError(f"training.interpolate={list(self.interpolate)} names an alpha twice")


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep goes on; no number of a run hangs on it.

    Attributes:
        fail_fast: After a job that failed, start no other.
        retries: How often a job that crashed is tried again, in the same process; never one that failed by a
            user's mistake, a full disk or a divergence, which would fail again.
        report: Write the report as jobs finish, and print it at the end.
        objectives: What a job returns to an optimiser, a number each: from validation, never from test
            documents.
    """

    fail_fast: bool = False
    retries: int = 0
    report: bool = True
    objectives: tuple[str, ...] = (VALIDATION,)

    def __post_init__(self) -> None:
        at_least("sweep.retries", self.retries, 0)
        for name in self.objectives:
            one_of("sweep.objectives", name, OBJECTIVES)
        if not self.objectives:
            raise SettingError(f"sweep.objectives=[] names nothing; allowed: {', '.join(OBJECTIVES)}")


@dataclass(frozen=True)
class DriftSettings:
    """Whether drift is measured.

    Attributes:
        measure: After training: displacement, its Fisher-weighted part, KL and agreement with the base. Keeps
            one number per weight in the cache.
        curve: Also KL and agreement at every evaluation during training.
    """

    measure: bool = True
    curve: bool = False
