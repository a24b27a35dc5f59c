import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks.studies.interval_coverage import Case, cases, monte_carlo_error, rate
from mixsd.results import stats
from mixsd.results.stats import (
    Cells,
    correlation,
    crossed,
    holm,
    lower_bound,
    mcnemar,
    mcnemar_p,
    mean_over_tasks,
    proportion_interval,
    resampled_means,
    shares_interval,
    sign_flip_p,
    smallest_detectable,
    wilcoxon_p,
)


def cells(*rows, binary=True):
    return Cells(np.array(rows, dtype=float), binary)


def over_items(*tasks, binary=True):
    """The interval of one seed."""
    return crossed([cells(task, binary=binary) for task in tasks]).interval()


def test_smallest_detectable_matches_the_protocol():
    assert [round(100 * smallest_detectable(n), 1) for n in (100, 400, 1000)] == [12.5, 6.3, 4.0]


def test_lower_bound_is_wilson():
    assert lower_bound(50, 100) == pytest.approx(0.4038, abs=1e-4)
    assert lower_bound(0, 100) == pytest.approx(0.0, abs=1e-12)


def test_no_change_among_few_items_is_not_certainty():
    """25 items that all agree leave room for a drop; 10,000 hardly any."""
    low, high = over_items(np.zeros(25))
    assert low == -high == pytest.approx(-1.96 / 27, abs=1e-3)
    assert over_items(np.zeros(10_000))[0] > -0.001


def test_one_seed_of_right_and_wrong_scores_by_hand():
    values = np.array([-1.0] * 3 + [1.0] + [0.0] * 16)
    mean, spread = -2 / 22, ((4 + 1) / 22 - (2 / 22) ** 2) / 22
    assert over_items(values) == pytest.approx(
        (mean - 1.96 * spread**0.5, mean + 1.96 * spread**0.5), abs=1e-4
    )
    low, high = over_items(values, values)
    assert high - low == pytest.approx(2 * 1.96 * (2 * spread) ** 0.5 / 2, abs=1e-4)


def test_fractions_get_a_t_interval_with_an_item_of_each_sign():
    values = [0.25] * 10 + [-0.5] * 2 + [0.0] * 8
    wider = np.array([*values, 1.0, -1.0])
    expected = scipy_stats.t.interval(0.95, 21, wider.mean(), scipy_stats.sem(wider))
    assert over_items(values, binary=False) == pytest.approx(expected)
    low, high = over_items(np.full(25, 0.25), binary=False)
    assert low < 0.25 < high, "25 items that all differ by as much do not fix the difference"


def test_one_task_of_fractions_leaves_the_others_protected():
    alike, quarter = cells(np.zeros(25)), cells(np.full(25, 0.25), binary=False)
    both = crossed([alike, quarter])
    assert both.variance == pytest.approx((crossed([alike]).variance + crossed([quarter]).variance) / 4)
    fractions = np.zeros(30)
    fractions[0] = 0.5
    low, _ = crossed([cells(np.zeros(30)), cells(fractions, binary=False)]).interval()
    assert low < -0.02, "30 items do not prove that there is no drop"


def test_the_method_is_chosen_by_the_call_and_not_by_the_values():
    values = np.array([1.0, -1.0] + [0.0] * 20)
    assert over_items(values, binary=True) != over_items(values, binary=False)
    gaps = np.array([1.0] * 60 + [-1.0] * 30)
    assert mcnemar_p(gaps) == mcnemar(60, 30) != wilcoxon_p(gaps)


def test_crossed_variance_by_hand():
    """Two seeds, four items: seeds + items - residual, without pseudo-items."""
    values = np.array([[1.0, 0.0, -1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    of_seeds = values.mean(axis=1).var(ddof=1) / 2
    of_items = values.mean(axis=0).var(ddof=1) / 4
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    residual = (rest**2).sum() / 3 / 8
    found = crossed([cells(*values)], pseudo_items=False)
    assert found.centre == values.mean()
    assert found.variance == pytest.approx(of_items + max(of_seeds - residual, 0))
    assert found.seed_variance == pytest.approx(of_seeds)
    df = found.variance**2 / (of_seeds**2 / 1 + of_items**2 / 3 + residual**2 / 3)
    assert found.df == pytest.approx(df)


def test_seeds_that_differ_widen_and_seeds_that_repeat_change_nothing():
    row = np.array([-1.0] * 10 + [1.0] * 5 + [0.0] * 45)
    once, five_times = crossed([cells(row)]), crossed([cells(*[row] * 5)])
    assert five_times.variance == pytest.approx(once.variance) and five_times.seed_variance == 0
    apart = crossed([cells(*(np.roll(row, 7 * seed) + 0.3 * seed for seed in range(5)))])
    assert apart.variance > five_times.variance


def test_items_and_tasks_may_count_for_some_seeds_only():
    nan = math.nan
    first, second = cells([1, 0, 1, 0], [1, 1, nan, nan]), cells([0, 0], [nan, nan])
    # Seed 0: (0.5 + 0) / 2; seed 1: 1 of its only task.
    assert mean_over_tasks([first, second]) == pytest.approx((0.25 + 1) / 2)
    assert crossed([first, second], pseudo_items=False).centre == pytest.approx(0.625)


def test_interval_and_p_are_of_the_same_estimate():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.2, 0.3):
        found = crossed([cells(*rng.choice([-1, 0, 1], p=[0.3 - shift, 0.4, 0.3 + shift], size=(5, 60)))])
        low, high = found.interval()
        assert (low > 0 or high < 0) is (found.p < 0.05)


def test_two_seeds_and_more_hold_the_truth_where_most_items_come_out_alike():
    """t over five seeds alone held it in 42% of such simulations."""
    setting = "5 seeds, 200 items, 80% alike in every seed"
    now = next(c for c in cases() if c.what == "over seeds and items" and c.setting == setting)
    before = next(c for c in cases() if c.what.startswith("t over seeds alone"))
    assert rate(now, 200, seed=2) > 0.9 and rate(before, 200, seed=2) < 0.6


def test_shares_over_seeds_never_say_more_than_the_items_of_one():
    assert shares_interval([0.75], 24) == proportion_interval(18, 24)
    assert shares_interval([1.0] * 5, 24) == proportion_interval(24, 24), "all right five times is 24 items"
    low, high = shares_interval([0.6, 0.9, 0.7], 24)
    alone = proportion_interval(24 * 2.2 / 3, 24)
    assert low < alone[0] and high > alone[1], "seeds that differ add to it"
    assert shares_interval([0.0, 0.1], 5)[0] >= 0 and shares_interval([1.0, 0.9], 5)[1] <= 1


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1.0 and mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 * 0.5**6)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 2**10)
    assert mcnemar(3, 12) == mcnemar(12, 3)


def test_wilcoxon_matches_scipy():
    values = np.random.default_rng(0).random((2, 40))
    assert wilcoxon_p(values[0] - values[1]) == pytest.approx(scipy_stats.wilcoxon(*values).pvalue)
    assert wilcoxon_p(np.zeros(5)) == 1.0


def test_sign_flips_test_the_mean_over_tasks_that_is_reported():
    """Three items that all went one way: 2 of 8 sign patterns are as extreme."""
    assert sign_flip_p([np.array([1.0, 1.0, 1.0, 0.0])]) == pytest.approx(0.25, abs=0.02)
    assert sign_flip_p([np.zeros(5)]) == 1.0
    large, small = np.array([-1.0] * 80 + [0.0] * 1320), np.array([1.0] * 12 + [0.0] * 18)
    assert sign_flip_p([small]) < 0.001 and sign_flip_p([large]) < 0.001
    assert sign_flip_p([large, small]) < 0.01, (
        "the small task carries the mean, whatever the items of the large one"
    )
    assert sign_flip_p([np.array([0.5, -0.5, 0.25, -0.25])]) == 1.0
    assert sign_flip_p([large, small]) == sign_flip_p([large, small])


def test_bootstrap_means_are_the_same_in_blocks(monkeypatch):
    values = np.random.default_rng(0).random((30, 2))
    whole = resampled_means(values, seed=3)
    monkeypatch.setattr(stats, "BLOCK", 700)
    assert whole.shape == (10_000, 2) and np.array_equal(whole, resampled_means(values, seed=3))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0]) and holm([]) == []
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])


def test_a_correlation_comes_with_its_interval_or_not_at_all():
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 4.0]
    found = correlation(first, second)
    assert found is not None
    r, (low, high) = found
    reach = 1.959964 / math.sqrt(2)
    assert r == pytest.approx(0.8)
    assert (low, high) == pytest.approx((math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach)))
    assert low < 0, "five points hardly fix a correlation"
    assert correlation([1.0] * 5, second) is None and correlation(first[:3], second[:3]) is None


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.what}, {case.setting}")
def test_what_is_promised_holds_in_simulations(case, monkeypatch):
    """Intervals hold the true effect, and tests find or do not find it, as often as they say."""
    monkeypatch.setattr(stats, "RESAMPLES", 2000)  # of 300 runs each: the ends of an interval hardly move
    runs = 300
    found, error = rate(case, runs, seed=1), monte_carlo_error(case.promised, runs)
    assert case.at_least or found <= case.promised + 3 * error + 0.01
    assert case.at_most or found >= case.promised - 3 * error - 0.01


def test_the_simulation_sees_an_interval_that_is_too_narrow():
    """A 95% interval of half the width is caught: the check above can fail."""
    half = Case("half as wide", "", 0.95, lambda rng: abs(rng.normal()) < 1.96 / 2)
    assert rate(half, 300) < 0.95 - 3 * monte_carlo_error(0.95, 300) - 0.01


@pytest.mark.parametrize(("share", "n"), [(0.5, 30), (0.9, 50), (0.97, 100)])
def test_coverage_of_the_proportion_interval_exactly(share, n):
    """Summed over all outcomes, not simulated; Wilson's mean coverage is near 95%, never far below."""
    covered = sum(
        scipy_stats.binom.pmf(k, n, share)
        for k in range(n + 1)
        if proportion_interval(k, n)[0] <= share <= proportion_interval(k, n)[1]
    )
    assert 0.91 < covered < 0.99
