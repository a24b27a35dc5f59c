"""The one place from items to numbers: item -> task -> panel -> ratio, gap, interval, p, detectable size.

Every mean over held-out tasks is the same: items weigh alike within a task, tasks alike within a seed, seeds
alike. So a point estimate, its interval, its p-value and its detectable size speak of one quantity
(decisions 4, 6 and 7).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixsd.core.errors import StoreError
from mixsd.core.scores import GENERATED, LIKELIHOOD, ItemScore, TaskScores
from mixsd.results.schema import HeldOutTask, Panel, Retention
from mixsd.results.stats import (
    CLAIM_SEEDS,
    FEWEST,
    Cells,
    Estimate,
    Floats,
    Interval,
    crossed,
    holm,
    lower_bound,
    mcnemar_p,
    mean_over_tasks,
    percentile_interval,
    resampled_means,
    sign_flip_p,
    smallest_detectable,
    wilcoxon_p,
)

# Near chance there is nothing to forget (decision 6).
MARGIN_OVER_CHANCE = 0.05
"""A task counts only if the base's lower bound exceeds chance by this much."""
Both = tuple[float, float]
"""Scores of one document under a reference and under what is measured against it."""


@dataclass(frozen=True)
class Paired:
    """Scores of one held-out task under two models, by seed and document.

    Attributes:
        reference: (S, n) NaN where a document does not count for a seed.
        score: (S, n) of the other model, on the same documents.
        chance: Score of guessing.
    """

    reference: Floats
    score: Floats
    chance: float = 0.0

    @property
    def items(self) -> int:
        """Documents that count for some seed."""
        return int((~np.isnan(self.score)).any(axis=0).sum())

    @property
    def gaps(self) -> Cells:
        """Score minus reference; a score between 0 and 1 makes this task, and no other, one of fractions."""
        both = np.concatenate([self.reference.ravel(), self.score.ravel()])
        binary = bool(np.isin(both[~np.isnan(both)], (0, 1)).all())
        return Cells(self.score - self.reference, binary)

    @property
    def above_chance(self) -> "Paired":
        """The same on (score - chance) / (1 - chance), negatives kept."""
        # Not clipped at 0: that would raise the mean of a task near chance.
        reference, score = ((s - self.chance) / (1 - self.chance) for s in (self.reference, self.score))
        return Paired(reference, score)


@dataclass(frozen=True)
class Gap:
    """A difference of two models' held-out scores, as a share (0.01 is one point).

    Attributes:
        mean: Mean over seeds of the mean over tasks.
        interval: 95%: over items with one seed, over seeds and items with more (None: too few items).
        p: That there is none: signs of items flipped with one seed, from the interval's own estimate with
            `CLAIM_SEEDS` or more; between them None, because so few seeds may agree by chance.
        seeds: Seeds that say something. Seeds that all give the same scores say no more than one.
        items: Documents.
        detectable: The smallest gap that so many documents can show.
    """

    mean: float
    interval: Interval | None
    p: float | None
    seeds: int
    items: int
    detectable: float


def paired(by_seed: Sequence[Mapping[int, Both]], chance: float = 0.0) -> Paired:
    """Line up the documents of one task, by doc_id.

    Args:
        by_seed: doc_id -> scores, for each seed; a document may count for some seeds only.
        chance: Score of guessing.
    """
    documents = {doc_id: place for place, doc_id in enumerate(sorted(set().union(*by_seed)))}
    reference = np.full((len(by_seed), len(documents)), np.nan)
    score = reference.copy()
    for row, scores in enumerate(by_seed):
        for doc_id, (a, b) in scores.items():
            reference[row, documents[doc_id]], score[row, documents[doc_id]] = a, b
    return Paired(reference, score, chance)


def gap(tasks: Sequence[Paired]) -> Gap | None:
    """What two models differ by over some tasks, with all that may be said of it; None without documents."""
    tasks = [task for task in tasks if task.items]
    if not tasks:
        return None
    cells = [task.gaps for task in tasks]
    sizes = [task.items for task in tasks]
    seeds = len(cells[0].values)
    if seeds > 1 and all(_same_for_all_seeds(task.values) for task in cells):
        # The seed drew nothing: repeats of one measurement are no evidence beyond it.
        cells, seeds = [replace(task, values=task.values[:1]) for task in cells], 1
    mean = mean_over_tasks(cells)
    # Tasks together: a mean over many small tasks may be told although none of them may.
    enough = sum(sizes) >= FEWEST
    estimate = crossed(cells)
    return Gap(
        mean=mean,
        interval=estimate.interval() if enough else None,
        p=_p(estimate, cells, seeds) if enough else None,
        seeds=seeds,
        items=sum(sizes),
        detectable=smallest_detectable(effective_items(sizes)),
    )


def _same_for_all_seeds(values: Floats) -> bool:
    return bool(np.array_equal(np.broadcast_to(values[:1], values.shape), values, equal_nan=True))


def _p(estimate: Estimate, cells: Sequence[Cells], seeds: int) -> float | None:
    if seeds == 1:
        return sign_flip_p([task.values[0][~np.isnan(task.values[0])] for task in cells])
    # Seeds whose means do not vary at all say nothing about how much another seed would.
    return estimate.p if seeds >= CLAIM_SEEDS and estimate.seed_variance > 0 else None


def effective_items(sizes: Sequence[int]) -> float:
    """How many items of one task tell as much as a mean over tasks of these sizes.

    A mean over tasks varies like the mean of their variances over the number of tasks.
    """
    return len(sizes) ** 2 / sum(1 / size for size in sizes)


def ratio(tasks: Sequence[Paired]) -> tuple[float | None, Interval | None]:
    """Mean score over mean reference (the paper's ratio of means), and its 95% interval.

    The interval is over the items of one seed by bootstrap within tasks; over several seeds it is crossed, of
    the linearised ratio. There is none below `FEWEST` documents.
    """
    tasks = [task for task in tasks if task.items]
    before, after = _means(tasks) if tasks else (0.0, 0.0)
    if before <= 0:  # nothing to keep, so no share of it
        return None, None
    found = after / before
    if sum(task.items for task in tasks) < FEWEST:
        return found, None
    if len(tasks[0].score) == 1:
        # A seed for each task: with one, tasks of equal size would be resampled at the same places.
        drawn = np.mean([_drawn(task, seed) for seed, task in enumerate(tasks)], axis=0)
        # Not a number where the base has nothing in a resample; those are left out.
        return found, percentile_interval(drawn[:, 1] / np.where(drawn[:, 0] > 0, drawn[:, 0], np.nan))
    # The delta method: each document moves the ratio by its score less what the ratio predicts of it.
    lines = [Cells((task.score - found * task.reference) / before, False) for task in tasks]
    low, high = crossed(lines, pseudo_items=False).interval()
    return found, (found + low, found + high)


def _drawn(task: Paired, seed: int) -> Floats:
    """(RESAMPLES, 2) bootstrap means of a task's only seed: reference and score of the same documents."""
    # Drawn together, so that both means of the ratio move with the same documents.
    both = np.stack([task.reference[0], task.score[0]], axis=1)
    return resampled_means(both[~np.isnan(both).any(axis=1)], seed)


def retention(
    base: Mapping[str, TaskScores], tuned: Mapping[str, TaskScores], contaminated: Mapping[str, set[int]]
) -> Retention:
    """Retention of a tuned model against its base, from paired items.

    Args:
        base: Scores of the base model by task.
        tuned: Scores of the tuned model on the same documents.
        contaminated: Documents by task that the facts give away; they are left out.

    Raises:
        StoreError: The two were asked different documents.
    """
    pairs = {
        name: _pair(name, before, tuned[name], contaminated.get(name, set())) for name, before in base.items()
    }
    tasks = {
        name: _held_out(before, tuned[name], pairs[name], len(contaminated.get(name, ())))
        for name, before in base.items()
    }
    # Over all tasks that were tested, counted or not: which of them count must not change the others' p.
    tasks |= _adjusted(tasks)
    panels = {
        kind: panel([pairs[name] for name, task in tasks.items() if task.kind == kind and task.included])
        for kind in (GENERATED, LIKELIHOOD)
    }
    return Retention(
        generated=panels[GENERATED],
        likelihood=panels[LIKELIHOOD],
        tasks=tasks,
        not_counted=tuple(sorted(name for name, task in tasks.items() if not task.included)),
        excluded_items=sum(map(len, contaminated.values())),
    )


def _adjusted(tasks: Mapping[str, HeldOutTask]) -> dict[str, HeldOutTask]:
    """The tasks that were tested, with their p-values adjusted over one another."""
    tested = {name: task.p for name, task in tasks.items() if task.p is not None}
    adjusted = holm(list(tested.values()))
    return {name: replace(tasks[name], p_holm=p) for name, p in zip(tested, adjusted, strict=True)}


def _pair(name: str, before: TaskScores, after: TaskScores, skip: set[int]) -> Paired:
    # By question: a chat template may print the date, and a checkpoint may bring its own.
    if list(map(_asked, before.items)) != list(map(_asked, after.items)):
        raise StoreError(
            f"{name}: base and tuned model were asked different documents; the data behind it has "
            "changed. Delete its cached base scores (cache_dir/base_retention) and run again"
        )
    both = zip(before.items, after.items, strict=True)
    return paired([{b.doc_id: (b.score, t.score) for b, t in both if b.doc_id not in skip}], before.chance)


def _asked(item: ItemScore) -> tuple[int, str]:
    return item.doc_id, item.question or item.prompt


def _held_out(before: TaskScores, after: TaskScores, pair: Paired, excluded_items: int) -> HeldOutTask:
    base, tuned = pair.reference[0], pair.score[0]
    found, n = gap([pair]), len(base)
    # The exact test of the kind of score; sign flips are for means over several tasks.
    enough = found is not None and found.interval is not None
    test = mcnemar_p if pair.gaps.binary else wilcoxon_p
    # The bound, not the mean: a small task must not count by luck (decision 6).
    bound = lower_bound(float(base.sum()), n) if n else 0.0
    return HeldOutTask(
        metric=before.metric,
        kind=before.kind,
        chance=before.chance,
        included=bound > before.chance + MARGIN_OVER_CHANCE,
        n=n,
        excluded_items=excluded_items,
        base=float(base.mean()) if n else None,
        tuned=float(tuned.mean()) if n else None,
        interval=found.interval if found else None,
        p=test(tuned - base) if enough else None,
        p_holm=None,
        discordance=float(np.mean(base != tuned)) if n else 0.0,
        detectable=found.detectable if found else None,
        outcomes_base=_outcomes(before),
        outcomes_tuned=_outcomes(after),
    )


def _outcomes(scores: TaskScores) -> dict[str, int]:
    counts = Counter(item.outcome.value for item in scores.items)
    return dict(sorted(counts.items()))


def panel(tasks: Sequence[Paired]) -> Panel:
    """The tasks of one kind together, over one seed. Below `FEWEST` documents there are no intervals."""
    found = gap(tasks)
    if found is None:
        return Panel()
    base, tuned = _means(tasks)
    plain, plain_interval = ratio(tasks)
    above, above_interval = ratio([task.above_chance for task in tasks])
    return Panel(
        n=found.items,
        base=base,
        tuned=tuned,
        ratio=plain,
        ratio_interval=plain_interval,
        above_chance=above,
        above_chance_interval=above_interval,
        delta_interval=found.interval,
    )


def _means(tasks: Sequence[Paired]) -> tuple[float, float]:
    """Mean over tasks of reference and of score."""
    reference = mean_over_tasks([Cells(task.reference, False) for task in tasks])
    return reference, mean_over_tasks([Cells(task.score, False) for task in tasks])
