"""Differences between methods at matched recall, with intervals, whatever their sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mixsd.results.runs import INTERPOLATED, Run, labels
from mixsd.results.stats import (
    CLAIM_SEEDS,
    FEWEST,
    Interval,
    paired_interval,
    seeds_interval,
    seeds_p,
    sign_flip_p,
    smallest_detectable,
)

RATE = 0.3
"""The mixing rate that the primary comparisons are about, fixed beforehand (decision 3)."""


@dataclass(frozen=True)
class Difference:
    """Held-out score of `first` minus that of `second`, as a share (0.01 is one point).

    Attributes:
        first: A label.
        second: Another label.
        delta: Mean difference (None: not comparable).
        interval: 95%: over items with one seed, over per-seed differences with more; with few seeds not
            narrower than their items allow.
        seeds: Seeds that both have, at matched recall.
        items: Held-out items they share.
        note: What the numbers allow to say.
        p: Of no difference: by flipping the signs of items with one seed, by a t test over seeds from
            `CLAIM_SEEDS` on; between them None, because so few seeds may agree by chance.
    """

    first: str
    second: str
    delta: float | None
    interval: Interval | None
    seeds: int
    items: int
    note: str
    p: float | None = None


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Pairs of labels, in alphabetical order, so that no method is the reference.

    Tuned models are compared with one another, interpolated ones too, and each with its own interpolation.
    """
    named = labels(runs)
    by_label: dict[str, dict[int, Run]] = {}
    for run in runs:
        by_label.setdefault(named[run.path], {})[run.seed] = run
    pairs = [(a, b) for a, b in combinations(sorted(by_label), 2) if _alike(a, b)]
    return [_difference(a, b, by_label[a], by_label[b]) for a, b in pairs]


def _alike(a: str, b: str) -> bool:
    return a.endswith(INTERPOLATED) == b.endswith(INTERPOLATED) or b == f"{a} {INTERPOLATED}"


def _difference(a: str, b: str, first: Mapping[int, Run], second: Mapping[int, Run]) -> Difference:
    shared = sorted(set(first) & set(second))
    seeds = [seed for seed in shared if first[seed].reached and second[seed].reached]
    if not shared:
        return Difference(a, b, None, None, 0, 0, "no seed in common")
    if not seeds:
        return Difference(a, b, None, None, 0, 0, "recall goal not set or not reached by both: not compared")
    gaps = [_item_gaps(first[seed], second[seed]) for seed in seeds]
    if not gaps[0]:
        return Difference(a, b, None, None, len(seeds), 0, "no held-out task counts")
    items = sum(map(len, gaps[0]))
    if items < FEWEST:
        return Difference(a, b, None, None, len(seeds), items, f"fewer than {FEWEST} shared items")
    means = [float(np.mean([gap.mean() for gap in tasks])) for tasks in gaps]
    p = sign_flip_p(gaps[0]) if len(seeds) == 1 else None
    if len(seeds) >= CLAIM_SEEDS:
        p = seeds_p(means)
    interval = seeds_interval(means, list(map(paired_interval, gaps)))
    note = _note(interval, len(seeds))
    return Difference(a, b, float(np.mean(means)), interval, len(seeds), items, note, p)


def primary_family(groups: Sequence[Sequence[Run]]) -> list[tuple[str, Difference]]:
    """(task, comparison) of MixSD at the mixing rate fixed beforehand with SFT and with OPSD (decision 7).

    Runs that trained on the facts which another run kept are left out (decision 1 pairs them beside this).

    A method that stands in a group with several settings is left out there: which one would be a choice.
    """
    family = []
    for group in groups:
        tuned = [r for r in group if r.alpha == 1 and _rate(r) in (None, RATE) and not r.only_kept]
        named = labels(tuned)
        of_method = {
            method: {named[run.path] for run in tuned if run.method == method}
            for method in ("mixsd", "sft", "opsd")
        }
        by_label = {name: {r.seed: r for r in tuned if named[r.path] == name} for name in named.values()}
        for other in ("sft", "opsd"):
            if len(of_method["mixsd"]) == len(of_method[other]) == 1:
                a, b = *of_method["mixsd"], *of_method[other]
                family.append((tuned[0].results["task"], _difference(a, b, by_label[a], by_label[b])))
    return family


def _rate(run: Run) -> float | None:
    """The mixing rate of a method that has one."""
    return run.config["method"].get("mixing_rate")


def _note(interval: Interval, seeds: int) -> str:
    apart = not interval[0] <= 0 <= interval[1]
    if seeds >= CLAIM_SEEDS:
        return "a difference between the methods" if apart else "within noise"
    scope = "these checkpoints" if seeds == 1 else "these seeds"
    found = f"a difference between {scope}" if apart else "within noise"
    return f"{found}; descriptive ({seeds} of {CLAIM_SEEDS} seeds)"


def _item_gaps(first: Run, second: Run) -> list[np.ndarray]:
    """Per-item score differences, one array per held-out task that counts for both runs.

    A document that counts for one of them only is left out.
    """
    arrays = []
    for task in sorted(set(first.held_out) & set(second.held_out)):
        other = {row["doc_id"]: row["tuned"]["score"] for row in second.held_out[task]}
        both = [row for row in first.held_out[task] if row["doc_id"] in other]
        gaps = [row["tuned"]["score"] - other[row["doc_id"]] for row in both]
        arrays.append(np.array(gaps, dtype=float))
    return arrays


def detectable(runs: Sequence[Run]) -> float | None:
    """The smallest held-out difference these items could show (20% discordance, power 0.8)."""
    sizes = [len(rows) for rows in runs[0].held_out.values()]
    if not sizes:
        return None
    # A mean over tasks varies like the mean of their variances over the number of tasks.
    effective = len(sizes) ** 2 / sum(1 / size for size in sizes)
    return smallest_detectable(round(effective))
