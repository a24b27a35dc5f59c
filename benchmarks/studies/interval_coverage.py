"""Do the intervals hold what they promise? Simulated comparisons with known effects.

python -m benchmarks.studies.interval_coverage        the table of docs/retention.md
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from rich.console import Console
from rich.table import Table
from scipy import stats

from mixsd.core.questions import Outcome
from mixsd.core.scores import ProbeAnswer
from mixsd.results.aggregate import Paired, ratio
from mixsd.results.build import share
from mixsd.results.stats import (
    Cells,
    Interval,
    crossed,
    mcnemar,
    proportion_interval,
    shares_interval,
    sign_flip_p,
)


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
    for seeds, alike in ((5, 0.0), (5, 1.0)):
        setting = f"{seeds} seeds of 75% of 24 facts, {alike:.0%} of the facts alike in every seed"
        yield Case("a share over seeds", setting, 0.95, _shares(seeds, alike), at_least=alike < 1)
    for n, agree in ((40, 0.5), (100, 0.9)):
        setting = f"{n} items scored 0 to 1, {agree:.0%} of them equal"
        yield Case("tuned minus base, fractions", setting, 0.95, _fractions(n, agree), at_least=True)
    for seeds, alike in ((2, 0.8), (3, 0.8), (5, 0.0), (5, 0.8), (5, 1.0), (10, 0.8)):
        setting = f"{seeds} seeds, 200 items, {alike:.0%} alike in every seed"
        yield Case("over seeds and items", setting, 0.95, _shared_items(seeds, alike), at_least=alike < 0.5)
    for seeds in (3, 5, 10):
        setting = f"{seeds} seeds that move half of the items by 10 points, 200 items"
        yield Case("over seeds and items", setting, 0.95, _shared_items(seeds, 0.5, moved=0.1))
    setting = "5 seeds, 200 items, 80% alike in every seed"
    yield Case(
        "t over seeds alone, as before", setting, 0.95, _shared_items(5, 0.8, _t_interval), at_most=True
    )
    yield Case("over seeds and items, false alarms", setting, 0.05, _false_alarm(5, 0.8), at_most=True)
    yield Case("McNemar, false alarms", "200 items, 20% discordant", 0.05, _mcnemar(200, 0.0), at_most=True)
    yield Case(
        "difference over tasks, false alarms", "412, 222, 270 items", 0.05, _sign_flips(), at_most=True
    )
    yield Case("McNemar, smallest detectable effect", "400 items, 6.3 points", 0.8, _mcnemar(400, 0.063))


def _over_items(*tasks: np.ndarray, binary: bool = True) -> Interval:
    """The interval of one seed."""
    return crossed([Cells(np.asarray(task, dtype=float)[None], binary) for task in tasks]).interval()


def _paired(n: int, lost: float, won: float) -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        gaps = rng.choice([-1, 0, 1], size=n, p=[lost, 1 - lost - won, won])
        return _holds(_over_items(gaps), won - lost)

    return hits


def _fractions(n: int, agree: float) -> Callable[[Generator], bool]:
    """Differences of scores between 0 and 1, most of which are 0."""

    def hits(rng: Generator) -> bool:
        gaps = np.where(rng.random(n) < agree, 0.0, rng.choice([-0.5, -0.25, 0.25], size=n))
        return _holds(_over_items(gaps, binary=False), -(1 - agree) / 6)

    return hits


def _two_tasks() -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        tasks = [rng.choice([-1.0, 0.0, 1.0], size=n, p=[0.04, 0.94, 0.02]) for n in (25, 400)]
        return _holds(_over_items(*tasks), -0.02)

    return hits


def _ratio(n: int, base: float, tuned: float) -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        before = [rng.random((1, n)) < base for _ in range(2)]
        # An item is kept with the same chance everywhere, so tuned answers depend on base answers.
        after = [
            np.where(rng.random((1, n)) < 0.7, rng.random((1, n)) < tuned, right & (base <= tuned))
            for right in before
        ]
        truth = (0.7 * tuned + 0.3 * base * (base <= tuned)) / base
        tasks = [Paired(b.astype(float), a.astype(float)) for b, a in zip(before, after, strict=True)]
        _, interval = ratio(tasks)
        return interval is not None and _holds(interval, truth)

    return hits


def _share(share: float, n: int) -> Callable[[Generator], bool]:
    return lambda rng: _holds(proportion_interval(int(rng.binomial(n, share)), n), share)


def _probes(alike: float, facts: int = 24) -> Callable[[Generator], bool]:
    """Two answers about each fact, of which the second may come out as the first does."""

    def hits(rng: Generator) -> bool:
        first, second, same = rng.random(facts) < 0.75, rng.random(facts) < 0.75, rng.random(facts) < alike
        answers = [first, np.where(same, first, second)]
        found = share(
            [_answer(str(fact), bool(right)) for answer in answers for fact, right in enumerate(answer)]
        )
        return found is not None and _holds(found.interval, 0.75)

    return hits


def _answer(fact: str, right: bool) -> ProbeAnswer:
    outcome = Outcome.CORRECT if right else Outcome.WRONG
    return ProbeAnswer("", "", fact, fact, "", (), "", "", outcome, right, 0, 0)


def _shares(seeds: int, alike: float, facts: int = 24) -> Callable[[Generator], bool]:
    """A share of the same facts in every seed, of which some come out alike."""

    def hits(rng: Generator) -> bool:
        shared, same = rng.random(facts) < 0.75, rng.random(facts) < alike
        each = [np.where(same, shared, rng.random(facts) < 0.75) for _ in range(seeds)]
        return _holds(shares_interval([float(right.mean()) for right in each], facts), 0.75)

    return hits


def _crossed_interval(gaps: np.ndarray) -> Interval:
    return crossed([Cells(gaps, True)]).interval()


def _t_interval(gaps: np.ndarray) -> Interval:
    """What was printed before: Student's t over the seeds, as if the items were all there are."""
    means = gaps.mean(axis=1)
    reach = float(stats.t.ppf(0.975, len(means) - 1)) * float(means.std(ddof=1)) / math.sqrt(len(means))
    return float(means.mean()) - reach, float(means.mean()) + reach


def _shared_items(
    seeds: int,
    alike: float,
    interval: Callable[[np.ndarray], Interval] = _crossed_interval,
    moved: float = 0.0,
    n: int = 200,
) -> Callable[[Generator], bool]:
    """Items of which some come out alike in every seed, as questions that only depend on the method do.

    The truth is the mean over all seeds and items of their kind. `moved` is the standard deviation of what a
    seed adds to those items that do not come out alike.
    """
    return lambda rng: _holds(interval(_gaps(rng, seeds, alike, -0.05, moved, n)), -0.05)


def _false_alarm(seeds: int, alike: float) -> Callable[[Generator], bool]:
    return lambda rng: crossed([Cells(_gaps(rng, seeds, alike, 0.0, 0.0, 200), True)]).p < 0.05


def _gaps(rng: Generator, seeds: int, alike: float, mean: float, moved: float, n: int) -> np.ndarray:
    """(S, n) differences of -1, 0 and 1."""

    def odds(shift: float) -> list[float]:
        return [0.2 - (mean + shift) / 2, 0.6, 0.2 + (mean + shift) / 2]

    draw = partial(rng.choice, [-1.0, 0.0, 1.0], size=n)
    shared, same = draw(p=odds(0.0)), rng.random(n) < alike
    shifts = np.clip(rng.normal(0.0, moved, size=seeds), -0.3, 0.3) if moved else np.zeros(seeds)
    return np.stack([np.where(same, shared, draw(p=odds(shift))) for shift in shifts])


def _mcnemar(n: int, effect: float, discordance: float = 0.2) -> Callable[[Generator], bool]:
    def hits(rng: Generator) -> bool:
        discordant = int(rng.binomial(n, discordance))
        first = int(rng.binomial(discordant, 0.5 + effect / (2 * discordance)))
        return mcnemar(first, discordant - first) < 0.05

    return hits


def _sign_flips() -> Callable[[Generator], bool]:
    sizes, odds = (412, 222, 270), [0.1, 0.8, 0.1]
    return lambda rng: sign_flip_p([rng.choice([-1.0, 0.0, 1.0], size=n, p=odds) for n in sizes]) < 0.05


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
