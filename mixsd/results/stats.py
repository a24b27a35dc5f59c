"""Intervals and tests, on scipy. Everything is deterministic: bootstraps have a fixed seed.

The caller says what kind of scores it has; `aggregate` looks at each task's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Interval = tuple[float, float]
Floats = NDArray[np.float64]
# Also the resolution of `sign_flip_p`: no p-value is below 1 / (RESAMPLES + 1).
RESAMPLES = 10_000
BLOCK = 4_000_000
"""Random draws at a time."""
ROUNDING = 1e-12
FEWEST = 20
"""Below so many shared items there is no interval."""
CLAIM_SEEDS = 5
"""Seeds from which a difference speaks of methods; with fewer it is descriptive (decision 4)."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its uncertainty; interval and p-value come from the same three numbers.

    Attributes:
        centre: The middle of the interval.
        variance: Of the estimate.
        df: Degrees of freedom of the variance (inf: normal).
        seed_variance: The part of the variance that is seen between seeds; 0 where all seeds give the same.
    """

    centre: float
    variance: float
    df: float
    seed_variance: float = 0.0

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.df)) * math.sqrt(self.variance)
        return self.centre - reach, self.centre + reach

    @property
    def p(self) -> float:
        """The two-sided p-value that the true value is 0."""
        if self.variance == 0:
            return 1.0 if self.centre == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.centre) / math.sqrt(self.variance), self.df))


@dataclass(frozen=True)
class Cells:
    """One number for every seed and item of one task.

    Attributes:
        values: (S, n) NaN where an item does not count for a seed.
        binary: Whether a number is a difference of two right-or-wrong scores.
    """

    values: Floats
    binary: bool


def proportion_interval(correct: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson interval of a proportion; `correct` may be a fraction, such as the sum of shares of n facts."""
    # Wilson's, because the normal interval has no width where all or none are right.
    return _wilson(correct / n, n, float(stats.norm.ppf((1 + confidence) / 2)))


def _wilson(share: float, n: float, z: float) -> Interval:
    scale = 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
    return max(0.0, middle - reach), min(1.0, middle + reach)


def lower_bound(correct: float, n: int, confidence: float = 0.95) -> float:
    """Wilson lower bound of a proportion (two-sided `confidence`)."""
    return proportion_interval(correct, n, confidence)[0]


def shares_interval(shares: Sequence[float], units: int, confidence: float = 0.95) -> Interval:
    """Wilson interval of a mean share over seeds, each of as many units.

    The variance between seeds is added to that of the units of one seed, as if all seeds had the same units.
    Where seeds draw other facts this is wider than need be. One seed has the Wilson interval itself.

    Args:
        shares: One per seed.
        units: What a share counts as (see `Probe.unit`), per seed.
        confidence: Of the interval.
    """
    mean, seeds = float(np.mean(shares)), len(shares)
    between = float(np.var(shares, ddof=1)) / seeds if seeds > 1 else 0.0
    # The units of one seed and the spread of seeds both move the mean, as in `crossed`.
    within = mean * (1 - mean) / units
    if between == 0:  # all seeds agree: the units of one are all the evidence there is
        return proportion_interval(mean * units, units, confidence)
    df = _satterthwaite([(between, seeds - 1), (within, math.inf)])
    # Wilson's formula keeps the interval within 0 and 1, for as many units as would vary by as much.
    effective = units * within / (within + between)
    return _wilson(mean, effective, float(stats.t.ppf((1 + confidence) / 2, df)))


def resampled_means(values: Floats, seed: int = 0) -> Floats:
    """Bootstrap means over items.

    Args:
        values: (n, ...) a row per item; rows are drawn with replacement, in blocks that fit into memory.
        seed: Draws them.

    Returns:
        (RESAMPLES, ...) means.
    """
    rng, n = np.random.default_rng(seed), len(values)
    block = max(1, BLOCK // n)
    parts = [
        values[rng.integers(0, n, size=(min(block, RESAMPLES - start), n))].mean(axis=1)
        for start in range(0, RESAMPLES, block)
    ]
    return np.concatenate(parts)


def percentile_interval(values: Floats, confidence: float = 0.95) -> Interval:
    """The central interval of bootstrap values; values that are not finite are left out."""
    finite = values[np.isfinite(values)]
    # A ratio whose base vanished in a resample is no evidence of any size.
    tail = (1 - confidence) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def mean_over_tasks(tasks: Sequence[Cells]) -> float:
    """Mean over seeds of the mean over tasks of the mean over items."""
    return float(sum(np.nansum(w * cells.values) for w, cells in zip(_weights(tasks), tasks, strict=True)))


def crossed(tasks: Sequence[Cells], *, pseudo_items: bool = True) -> Estimate:
    """The mean over tasks, where every seed is asked the same items: both are a sample.

    The variance is that between seeds plus that between items minus the residual, which both hold
    (two-way random effects); the degrees of freedom are Satterthwaite's. With one seed there is only the
    variance between items, and the estimate speaks of this checkpoint.

    With pseudo-items, no interval has width 0 because few items happened to agree. A task of right-or-wrong
    scores gets two more items, of which one half was won and one half lost (Agresti and Min 2005, and their
    normal interval); one of other scores gets an item of each sign (and a t interval).

    Args:
        tasks: Numbers by seed and item; all tasks have the same seeds. An item may count for some seeds only,
            and so may a task.
        pseudo_items: Whether to add them, which draws the centre towards 0.
    """
    weights = _weights(tasks)
    seeds = len(tasks[0].values)
    between_seeds = np.zeros(seeds)  # each seed's distance from the mean over seeds, summed over tasks
    parts: list[tuple[float, float]] = []
    centre = residual = 0.0
    for cells, weight in zip(tasks, weights, strict=True):
        task_weight = float(weight.sum())
        mean = float(np.nansum(weight * cells.values)) / task_weight
        n = int((weight > 0).any(axis=0).sum())
        off = np.where(weight > 0, cells.values - mean, 0.0)
        # An item's number: the mean over its seeds where it counts for all of them.
        per_item = mean + n * (weight * off).sum(axis=0)[(weight > 0).any(axis=0)] / task_weight
        task_centre, variance, df = _over_items(per_item, cells.binary, pseudo_items)
        centre += task_weight * task_centre
        parts.append((task_weight**2 * variance, df))
        between_seeds += (weight * off).sum(axis=1)
        residual += _residual(off, weight)
    of_items = sum(variance for variance, _ in parts)
    if seeds == 1:
        return Estimate(centre, of_items, _satterthwaite(parts))
    # Equal sums of equal scores differ in a last bit; that is no spread between seeds.
    spread = np.where(np.abs(between_seeds) > ROUNDING, between_seeds, 0.0)
    of_seeds = float((spread**2).sum()) * seeds / (seeds - 1)
    # Seeds and items each hold the residual once, so it is taken off once.
    # The difference of two estimates may fall below 0, where a part of the truth is 0.
    variance = max(of_items + max(of_seeds - residual, 0.0), of_seeds)
    # Of the smallest task: rather too few degrees of freedom than too many.
    smallest = min(cells.values.shape[1] for cells in tasks)
    df = _satterthwaite(
        [*parts, (of_seeds, seeds - 1), (residual, (seeds - 1) * max(smallest - 1, 1))], variance
    )
    return Estimate(centre, variance, df, of_seeds)


def _weights(tasks: Sequence[Cells]) -> list[Floats]:
    """(S, n) of each task: seeds weigh alike, tasks alike within a seed, items alike within a task."""
    counted = [~np.isnan(cells.values) for cells in tasks]
    tasks_of_seed = sum((there.any(axis=1).astype(int) for there in counted), np.zeros(len(counted[0]), int))
    seeds = len(tasks_of_seed)
    return [there / (seeds * np.maximum(tasks_of_seed * there.sum(axis=1), 1))[:, None] for there in counted]


def _over_items(values: Floats, binary: bool, pseudo_items: bool) -> tuple[float, float, float]:
    """Centre, variance of the mean and degrees of freedom of one number per item."""
    n = len(values)
    if not pseudo_items:
        return float(values.mean()), float(values.var(ddof=1)) / n if n > 1 else 0.0, max(n - 1, 1)
    n += 2  # the pseudo-items
    centre = float(values.sum()) / n
    # Half a win and half a loss: they add 1 to the squares and nothing to the sum.
    if binary:
        return centre, (float((values**2).sum() + 1) / n - centre**2) / n, math.inf
    # A win and a loss of full size: they add 2 to the squares.
    spread = float((values**2).sum() + 2) - n * centre**2
    return centre, spread / (n - 1) / n, n - 1


def _residual(off: Floats, weight: Floats) -> float:
    """What is left of the variance of a task's mean without its seeds and its items; 0 with one seed."""
    seeds, n = off.shape
    if seeds == 1 or n == 1:
        return 0.0
    there = weight > 0
    by_seed = off.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    by_item = off.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    rest = np.where(there, off - by_seed[:, None] - by_item[None, :], 0.0)
    return float(((weight * rest) ** 2).sum()) * seeds / (seeds - 1) * n / (n - 1)


def _satterthwaite(parts: Sequence[tuple[float, float]], variance: float | None = None) -> float:
    """Degrees of freedom of a sum of (variance, degrees of freedom)."""
    total = sum(part for part, _ in parts) if variance is None else variance
    spread = sum(part**2 / df for part, df in parts)
    return total**2 / spread if spread > 0 else math.inf


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact McNemar test: the p-value of as uneven a split of the discordant pairs, two-sided.

    Args:
        first_only: Items that only the first of two models has right.
        second_only: Items that only the second has right.
    """
    discordant = first_only + second_only
    return float(stats.binomtest(first_only, discordant).pvalue) if discordant else 1.0


def mcnemar_p(gaps: Floats) -> float:
    """The p-value that two models are right equally often, from per-item differences of -1, 0 and 1."""
    return mcnemar(int((gaps > 0).sum()), int((gaps < 0).sum()))


def wilcoxon_p(gaps: Floats) -> float:
    """The p-value that two models score alike, from per-item differences of any size (signed ranks)."""
    if not gaps.any():
        return 1.0
    tested: Any = stats.wilcoxon(gaps)
    return float(tested.pvalue)


def sign_flip_p(tasks: Sequence[Floats], seed: int = 0) -> float:
    """The p-value that two models score alike on average over tasks, by flipping signs item by item.

    Tests the same mean over tasks that is reported, however many items each task has.

    Args:
        tasks: (n,) per-item differences of each task.
        seed: Draws the signs.
    """
    rng = np.random.default_rng(seed)
    observed = abs(np.mean([values.mean() for values in tasks]))
    flipped = np.zeros(RESAMPLES)
    for values in tasks:
        # Items that differ by as much are alike, so the number of them that keep their sign is binomial.
        for size, count in zip(*np.unique(np.abs(values[values != 0]), return_counts=True), strict=True):
            kept = rng.binomial(count, 0.5, size=RESAMPLES)
            flipped += size * (2 * kept - count) / len(values) / len(tasks)
    # The observed signs are one of the draws, so p is never 0; equal sums may differ in a bit.
    return float((1 + np.sum(np.abs(flipped) >= observed - 1e-12)) / (RESAMPLES + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for how many there are (Holm's step-down), in the order given."""
    order = np.argsort(p_values)
    adjusted, highest = np.empty(len(p_values)), 0.0
    for rank, index in enumerate(order):
        # A larger p-value must not end below a smaller one.
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]


def correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval] | None:
    """Pearson's correlation with its 95% interval (Fisher's z); None where one of the two does not vary."""
    # Fisher's z has the variance 1 / (n - 3).
    if len(first) < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    found: Any = stats.pearsonr(first, second)
    low, high = found.confidence_interval()
    return float(found.statistic), (float(low), float(high))


def smallest_detectable(n: float, discordance: float = 0.2, power: float = 0.8) -> float:
    """The smallest difference in accuracy that n paired items detect (two-sided 5%).

    Args:
        n: Paired items.
        discordance: Share of items right under one of the two and wrong under the other.
        power: Probability of detecting it.
    """
    reach = stats.norm.ppf(0.975) + stats.norm.ppf(power)
    # Items on which both models agree add nothing to the variance.
    return float(reach * math.sqrt(discordance / n))
