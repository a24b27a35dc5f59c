"""Held-out tasks: what a suite gives, and how base and tuned scores become a retention (decision 6)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mixsd.core.errors import StoreError
from mixsd.lm.chat_model import ChatModel
from mixsd.results.stats import (
    FEWEST,
    holm,
    lower_bound,
    paired_interval,
    paired_p,
    percentile_interval,
    resampled_means,
    smallest_detectable,
)

GENERATED, LIKELIHOOD = "generated", "likelihood"
MARGIN_OVER_CHANCE = 0.05
"""A task counts only if the base's lower bound exceeds chance by this much."""


@dataclass(frozen=True)
class TaskScores:
    """One model's scores on one held-out task.

    Attributes:
        metric: What `score` of an item is.
        kind: `generated` or `likelihood`; the two are separate panels.
        chance: Accuracy of guessing (0 for generated tasks).
        items: One record per document, in order: doc_id, score in [0, 1], outcome, prompt, text, answers.
    """

    metric: str
    kind: str
    chance: float
    items: list[dict[str, Any]]

    @property
    def mean(self) -> float:
        """Mean score."""
        return float(np.mean([item["score"] for item in self.items]))


class RetentionSuite(Protocol):
    """A set of held-out tasks."""

    name: str
    tasks: Sequence[str]

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader of its scores must know."""
        ...

    @property
    def generated(self) -> Sequence[str]:
        """Its tasks whose answers are generated: the headline goes by them."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What identifies its scores beyond the model: tasks, data, limit, versions."""
        ...

    def size(self, tasks: Sequence[str]) -> int:
        """How many documents the tasks have, for progress."""
        ...

    def evaluate(
        self, model: ChatModel, tasks: Sequence[str], batch_size: int, on_done: Callable[[int], None]
    ) -> dict[str, TaskScores]:
        """Score a model on some of its tasks (test documents)."""
        ...

    def validate(self, model: ChatModel, batch_size: int) -> float | None:
        """Mean score on a few validation documents, for curves during training; None when switched off."""
        ...


def summarize(
    base: Mapping[str, TaskScores], tuned: Mapping[str, TaskScores], contaminated: Mapping[str, set[int]]
) -> dict[str, Any]:
    """Retention of a tuned model against its base, from paired items.

    `ratio` is mean tuned over mean base across the included tasks (the paper's ratio of means);
    `ratio_above_chance` is the same on (score - chance) / (1 - chance), negatives kept. The headline
    values are those of the generated panel.

    Args:
        base: Scores of the base model by task.
        tuned: Scores of the tuned model on the same documents.
        contaminated: Documents by task that the trained facts give away; they are left out.
    """
    tasks: dict[str, dict[str, Any]] = {}
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, before in base.items():
        after = tuned[name]
        # By question: a chat template may print the date, and a checkpoint may bring its own.
        if list(map(_asked, before.items)) != list(map(_asked, after.items)):
            raise StoreError(
                f"{name}: base and tuned model were asked different documents; the data behind it has "
                "changed. Delete its cached base scores (cache_dir/base_retention) and run again"
            )
        skip = contaminated.get(name, set())
        rows = [
            (b["score"], t["score"])
            for b, t in zip(before.items, after.items, strict=True)
            if b["doc_id"] not in skip
        ]
        scores = np.array(rows, dtype=float).reshape(-1, 2)
        pairs[name] = (scores[:, 0], scores[:, 1])
        tasks[name] = _task_summary(before, after, *pairs[name], excluded_items=len(skip))
    tested = [task for task in tasks.values() if task["p"] is not None]
    for task, adjusted in zip(tested, holm([task["p"] for task in tested]), strict=True):
        task["p_holm"] = adjusted
    panels = {
        kind: _panel({n: t for n, t in tasks.items() if t["kind"] == kind and t["included"]}, pairs)
        for kind in (GENERATED, LIKELIHOOD)
    }
    return {
        **panels[GENERATED],
        "excluded": {
            "tasks": sorted(name for name, task in tasks.items() if not task["included"]),
            "items": sum(len(skip) for skip in contaminated.values()),
        },
        "panels": panels,
        "tasks": tasks,
    }


def _asked(item: Mapping[str, Any]) -> tuple[int, str]:
    return item["doc_id"], item.get("question", item["prompt"])


def _task_summary(
    before: TaskScores, after: TaskScores, base: np.ndarray, tuned: np.ndarray, excluded_items: int
) -> dict[str, Any]:
    n = len(base)
    bound = lower_bound(float(base.sum()), n) if n else 0.0
    discordance = float(np.mean(base != tuned)) if n else 0.0
    return {
        "metric": before.metric,
        "kind": before.kind,
        "base": float(base.mean()) if n else None,
        "tuned": float(tuned.mean()) if n else None,
        "chance": before.chance,
        "n": n,
        "included": bound > before.chance + MARGIN_OVER_CHANCE,
        "ci": list(paired_interval([tuned - base])) if n >= FEWEST else None,
        "p": paired_p(base, tuned) if n >= FEWEST else None,  # type: ignore[arg-type]
        "discordance": discordance,
        "detectable": smallest_detectable(n) if n else None,
        "excluded_items": excluded_items,
        "outcomes_base": _outcomes(before),
        "outcomes_tuned": _outcomes(after),
    }


def _outcomes(scores: TaskScores) -> dict[str, int]:
    seen = [item["outcome"] for item in scores.items]
    return {outcome: seen.count(outcome) for outcome in sorted(set(seen))}


def _panel(tasks: Mapping[str, Mapping[str, Any]], pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Ratios over the included tasks of one kind, with bootstrap intervals over items within tasks; and the
    interval of tuned minus base.

    Below `FEWEST` items in all there are no intervals.
    """
    intervals = ("ci", "above_chance_ci", "delta_ci")
    if not tasks:
        return dict.fromkeys(("ratio", "ratio_above_chance", "base_mean", "tuned_mean", "n", *intervals))
    # (T, 2) scores of base and tuned, plain and corrected for chance.
    means = np.array([[task["base"], task["tuned"]] for task in tasks.values()])
    chance = np.array([[task["chance"]] for task in tasks.values()])
    base, tuned = means.mean(axis=0)
    above_base, above_tuned = ((means - chance) / (1 - chance)).mean(axis=0)
    n = sum(task["n"] for task in tasks.values())
    found = {
        "ratio": float(tuned / base),
        "ratio_above_chance": float(above_tuned / above_base),
        "base_mean": float(base),
        "tuned_mean": float(tuned),
        "n": n,
        **dict.fromkeys(intervals),
    }
    if n >= FEWEST:
        drawn = np.stack(
            [resampled_means(np.stack(pairs[name], axis=1), seed) for seed, name in enumerate(tasks)]
        )  # (T, RESAMPLES, 2)
        plain, above = drawn.mean(axis=0), ((drawn - chance[:, None]) / (1 - chance[:, None])).mean(axis=0)
        found["ci"] = list(percentile_interval(_ratios(plain)))
        found["above_chance_ci"] = list(percentile_interval(_ratios(above)))
        found["delta_ci"] = list(paired_interval([pairs[name][1] - pairs[name][0] for name in tasks]))
    return found


def _ratios(means: np.ndarray) -> np.ndarray:
    """Tuned over base of each row; not a number where the base has nothing."""
    return means[:, 1] / np.where(means[:, 0] > 0, means[:, 0], np.nan)
