"""Do the intervals hold what they promise? Simulated comparisons with known effects.

python -m benchmarks.studies.interval_coverage        the table of docs/retention.md
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from rich.console import Console
from rich.table import Table

from mixsd.core.questions import Outcome
from mixsd.results.aggregate import GENERATED, TaskScores, summarize
from mixsd.results.stats import (
    Interval,
    mcnemar,
    paired_interval,
    proportion_interval,
    seeds_interval,
    seeds_p,
    sign_flip_p,
    t_interval,
)
from mixsd.run.probing import share


@dataclass(frozen=True)
class Case:
    """One kind of comparison with a known truth.

    Attributes:
        what: The interval or test.
        setting: Sizes and effects.
        promised: The share of simulated comparisons that should hit.
        hits: One simulated comparison: whether the interval holds the truth, or the test finds the effect.
        at_most: Whether the promise is an upper bound, as the level of a test is.
        at_least: Whether it is a lower bound, as of intervals that are wide where little is known.
    """

    what: str
    setting: str
    promised: float
    hits: Callable[[Generator], bool]
    at_most: bool = False
    at_least: bool = False


def rate(case: Case, runs: int, seed: int = 0) -> float:
    """The share of simulated comparisons that hit."""
    rng = np.random.default_rng(seed)
    return sum(case.hits(rng) for _ in range(runs)) / runs


def monte_carlo_error(promised: float, runs: int) -> float:
    """Standard error of a simulated share."""
    return float(np.sqrt(promised * (1 - promised) / runs))


def cases() -> Iterator[Case]:
    """The intervals and tests that a report rests on."""
    for n, lost, won in ((25, 0.1, 0.1), (40, 0.2, 0.05), (150, 0.2, 0.1), (400, 0.1, 0.1)):
        setting = f"{n} items, {lost:.0%} lost, {won:.0%} won"
        yield Case("tuned minus base, one task", setting, 0.95, _paired(n, lost, won))
    yield Case("mean over tasks, tuned minus base", "25 and 400 items, 4% lost, 2% won", 0.95, _two_tasks())
    for n, base, tuned in ((60, 0.6, 0.4), (200, 0.7, 0.7)):
        setting = f"two tasks of {n} items, base {base}, tuned {tuned}"
        yield Case("retention ratio", setting, 0.95, _ratio(n, base, tuned))
    for right, n in ((0.5, 30), (0.9, 50), (0.97, 100)):
        yield Case("a share", f"{right} of {n}", 0.95, _share(right, n))
    for alike in (0.0, 1.0):
        setting = f"75% of 48 answers about 24 facts, {alike:.0%} of the facts answered alike"
        yield Case("a share of probes", setting, 0.95, _probes(alike), at_least=alike < 1)
    for seeds in (5, 10):
        yield Case("difference over seeds", f"{seeds} seeds", 0.95, _seeds(seeds))
    for seeds, alike in ((2, 0.0), (2, 0.8), (4, 0.8), (4, 1.0)):
        setting = f"{seeds} seeds, 200 items, {alike:.0%} alike in every seed"
        yield Case("few seeds and shared items", setting, 0.95, _shared_items(seeds, alike), at_least=True)
    setting = "5 seeds, 200 items, 80% alike in every seed"
    yield Case("five seeds, of these items", setting, 0.95, _shared_items(5, 0.8, of_these=True))
    yield Case("five seeds, of other such items", setting, 0.95, _shared_items(5, 0.8), at_most=True)
    yield Case("McNemar, false alarms", "200 items, 20% discordant", 0.05, _mcnemar(200, 0.0), at_most=True)
    yield Case(
        "difference over tasks, false alarms", "412, 222, 270 items", 0.05, _sign_flips(), at_most=True
    )
    yield Case("difference over seeds, false alarms", "5 seeds", 0.05, _t_test(5))
    yield Case("McNemar, smallest detectable effect", "400 items, 6.3 points", 0.8, _mcnemar(400, 0.063))


def _paired(n: int, lost: float, won: float) -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        differences = rng.choice([-1, 0, 1], size=n, p=[lost, 1 - lost - won, won])
        return _holds(paired_interval([differences]), won - lost)

    return hits


def _two_tasks() -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        tasks = [rng.choice([-1.0, 0.0, 1.0], size=n, p=[0.04, 0.94, 0.02]) for n in (25, 400)]
        return _holds(paired_interval(tasks), -0.02)

    return hits


def _ratio(n: int, base: float, tuned: float) -> Callable[[Generator], bool]:
    def scores(right: np.ndarray) -> TaskScores:
        items = [
            {"doc_id": i, "score": float(s), "outcome": "correct" if s else "wrong", "prompt": ""}
            for i, s in enumerate(right)
        ]
        return TaskScores("acc", GENERATED, 0.0, items)

    def hits(rng: Generator) -> bool:
        before = {task: rng.random(n) < base for task in "ab"}
        # An item is kept with the same chance everywhere, so tuned answers depend on base answers.
        after = {
            task: np.where(rng.random(n) < 0.7, rng.random(n) < tuned, right & (base <= tuned))
            for task, right in before.items()
        }
        truth = (0.7 * tuned + 0.3 * base * (base <= tuned)) / base
        found = summarize(
            {t: scores(b) for t, b in before.items()}, {t: scores(a) for t, a in after.items()}, {}
        )
        return _holds(tuple(found["ci"]), truth)

    return hits


def _share(share: float, n: int) -> Callable[[Generator], bool]:
    return lambda rng: _holds(proportion_interval(int(rng.binomial(n, share)), n), share)


def _probes(alike: float, facts: int = 24) -> Callable[[Generator], bool]:
    """Two answers about each fact, of which the second may come out as the first does."""

    def hits(rng: Generator) -> bool:
        first, second, same = rng.random(facts) < 0.75, rng.random(facts) < 0.75, rng.random(facts) < alike
        answers = [first, np.where(same, first, second)]
        records = [
            {"id": "", "fact_id": str(fact), "outcome": Outcome.CORRECT if right else Outcome.WRONG}
            for answer in answers
            for fact, right in enumerate(answer)
        ]
        found = share(records)
        return found is not None and _holds(tuple(found["ci"]), 0.75)

    return hits


def _seeds(seeds: int) -> Callable[[Generator], bool]:
    return lambda rng: _holds(t_interval(list(rng.normal(-0.03, 0.02, size=seeds))), -0.03)


def _shared_items(
    seeds: int, alike: float, of_these: bool = False, n: int = 200
) -> Callable[[Generator], bool]:
    """Items of which some come out alike in every seed, as questions that only depend on the method do.

    The truth is the mean over seeds of these very items, or that over all items of their kind.
    """

    def hits(rng: Generator) -> bool:
        draw = partial(rng.choice, [-1, 0, 1], p=[0.15, 0.75, 0.1])
        shared, same = draw(size=n), rng.random(n) < alike
        each = [np.where(same, shared, draw(size=n)) for _ in range(seeds)]
        found = seeds_interval([float(gap.mean()) for gap in each], [paired_interval([gap]) for gap in each])
        truth = np.where(same, shared, -0.05).mean() if of_these else -0.05
        return _holds(found, truth)

    return hits


def _mcnemar(n: int, effect: float, discordance: float = 0.2) -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        discordant = int(rng.binomial(n, discordance))
        first = int(rng.binomial(discordant, 0.5 + effect / (2 * discordance)))
        return mcnemar(first, discordant - first) < 0.05

    return hits


def _sign_flips() -> Callable[[Generator], bool]:
    sizes, odds = (412, 222, 270), [0.1, 0.8, 0.1]
    return lambda rng: sign_flip_p([rng.choice([-1.0, 0.0, 1.0], size=n, p=odds) for n in sizes]) < 0.05


def _t_test(seeds: int) -> Callable[[Generator], bool]:
    return lambda rng: seeds_p(list(rng.normal(size=seeds))) < 0.05


def _holds(interval: Interval, truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def main(arguments: list[str] | None = None) -> int:
    """Print promised and simulated shares."""
    parser = argparse.ArgumentParser(prog="benchmarks.studies.interval_coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="simulated comparisons a row")
    runs = parser.parse_args(arguments).runs
    if runs < 1:
        parser.error(f"--runs={runs} is out of range; allowed: 1 or more")
    table = Table("what", "setting", "promised", f"in {runs} simulations", "Monte Carlo error")
    for case in cases():
        found, error = rate(case, runs), monte_carlo_error(case.promised, runs)
        bound = "at most " if case.at_most else "at least " if case.at_least else ""
        promised = f"{bound}{case.promised:.0%}"
        table.add_row(case.what, case.setting, promised, f"{found:.1%}", f"{error:.1%}")
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
