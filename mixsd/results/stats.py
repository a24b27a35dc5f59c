"""Intervals and tests, on scipy. Everything is deterministic: bootstraps have a fixed seed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Interval = tuple[float, float]
RESAMPLES = 10_000
BLOCK = 4_000_000
"""Random draws at a time."""
FEWEST = 20
"""Below so many shared items there is no interval."""
CLAIM_SEEDS = 5
"""Seeds from which a difference speaks of methods; with fewer it is descriptive (decision 4)."""


def proportion_interval(correct: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson interval of a proportion; `correct` may be a fraction, such as the sum of shares of n facts."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    share, scale = correct / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
    return max(0.0, middle - reach), min(1.0, middle + reach)


def lower_bound(correct: float, n: int, confidence: float = 0.95) -> float:
    """Wilson lower bound of a proportion (two-sided `confidence`)."""
    return proportion_interval(correct, n, confidence)[0]


def resampled_means(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
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


def percentile_interval(values: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The central interval of bootstrap values; values that are not finite are left out."""
    finite = values[np.isfinite(values)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def paired_interval(tasks: Sequence[NDArray[np.float64]], confidence: float = 0.95) -> Interval:
    """Interval of the mean over tasks of the mean per-item difference (these items, these two checkpoints).

    Where every item is won, lost or equal, by Agresti and Min (2005): as if each task had two more items, of
    which one half was won and one half lost. So no interval has width 0 because few items happened to agree.
    Else by bootstrap within tasks.

    Args:
        tasks: Per-item differences of each task.
        confidence: Of the interval.
    """
    if not all(np.isin(values, (-1, 0, 1)).all() for values in tasks):
        drawn = [resampled_means(values, seed) for seed, values in enumerate(tasks)]
        return percentile_interval(np.mean(drawn, axis=0), confidence)
    means, variances = [], []
    for values in tasks:
        n = len(values) + 2
        means.append(values.sum() / n)
        variances.append(((np.abs(values).sum() + 1) / n - means[-1] ** 2) / n)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(sum(variances)) / len(tasks)
    return float(np.mean(means)) - reach, float(np.mean(means)) + reach


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of a mean: per-seed paired differences, for claims about methods.

    Raises:
        ValueError: Fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"a t interval needs at least 2 values, got {len(values)}")
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return mean - reach, mean + reach


def seeds_interval(
    values: Sequence[float], of_items: Sequence[Interval], claim_seeds: float = CLAIM_SEEDS
) -> Interval:
    """The t interval over seeds; below `claim_seeds` of them it covers what the items of one seed allow.

    Two seeds that agree by chance would otherwise look certain. All seeds are asked the same items, so more
    seeds do not narrow what the items allow. One seed has the interval over its items.

    Args:
        values: One number per seed.
        of_items: Its 95% interval over items.
        claim_seeds: Seeds from which their own spread is enough.
    """
    if len(values) == 1:
        return of_items[0]
    low, high = t_interval(values)
    if len(values) >= claim_seeds:
        return low, high
    bottom, top = np.mean(of_items, axis=0)
    return min(low, float(bottom)), max(high, float(top))


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact McNemar test: the p-value of as uneven a split of the discordant pairs, two-sided.

    Args:
        first_only: Items that only the first of two models has right.
        second_only: Items that only the second has right.
    """
    discordant = first_only + second_only
    return float(stats.binomtest(first_only, discordant).pvalue) if discordant else 1.0


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """The p-value that two models score alike on the same items: McNemar if binary, else Wilcoxon."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        return mcnemar(int(np.sum(a > b)), int(np.sum(b > a)))
    tested: Any = stats.wilcoxon(a, b) if (a != b).any() else None
    return float(tested.pvalue) if tested else 1.0


def sign_flip_p(tasks: Sequence[NDArray[np.float64]], seed: int = 0) -> float:
    """The p-value that two models score alike on average over tasks, by flipping signs item by item.

    Tests the same mean over tasks that is reported, however many items each task has.

    Args:
        tasks: Per-item differences of each task.
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
    return float((1 + np.sum(np.abs(flipped) >= observed - 1e-12)) / (RESAMPLES + 1))


def seeds_p(differences: Sequence[float]) -> float:
    """The p-value that per-seed differences have mean 0 (Student's t, two-sided).

    Raises:
        ValueError: Fewer than two values.
    """
    if len(differences) < 2:
        raise ValueError(f"a t test needs at least 2 values, got {len(differences)}")
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    tested: Any = stats.ttest_1samp(differences, 0.0)
    return float(tested.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for how many there are (Holm's step-down), in the order given."""
    order = np.argsort(p_values)
    adjusted, highest = np.empty(len(p_values)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]


def smallest_detectable(n: int, discordance: float = 0.2, power: float = 0.8) -> float:
    """The smallest difference in accuracy that n paired items detect (two-sided 5%).

    Args:
        n: Paired items.
        discordance: Share of items right under one of the two and wrong under the other.
        power: Probability of detecting it.
    """
    reach = stats.norm.ppf(0.975) + stats.norm.ppf(power)
    return float(reach * math.sqrt(discordance / n))
