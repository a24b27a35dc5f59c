import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks.studies.interval_coverage import Case, cases, monte_carlo_error, rate
from mixsd.results import stats
from mixsd.results.stats import (
    holm,
    lower_bound,
    mcnemar,
    paired_interval,
    paired_p,
    proportion_interval,
    resampled_means,
    seeds_interval,
    sign_flip_p,
    smallest_detectable,
    t_interval,
)


def test_smallest_detectable_matches_the_protocol():
    assert [round(100 * smallest_detectable(n), 1) for n in (100, 400, 1000)] == [12.5, 6.3, 4.0]


def test_t_interval_matches_scipy():
    values = [0.1, 0.3, 0.2, 0.05, 0.4]
    expected = scipy_stats.t.interval(0.95, 4, np.mean(values), scipy_stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least 2"):
        t_interval([0.1])


def test_seeds_that_agree_by_chance_are_not_certain():
    items = [(-0.2, 0.0), (-0.2, 0.0)]
    assert seeds_interval([-0.1, -0.1], items) == pytest.approx((-0.2, 0.0)), "the items are shared"
    assert seeds_interval([-0.1] * 4, items * 2) == pytest.approx((-0.2, 0.0))
    assert seeds_interval([-0.1] * 5, items * 3) == (-0.1, -0.1), "from five seeds on, Student's t alone"
    lopsided = [(0.86, 1.0), (0.86, 1.0)]  # all of 24 right, twice
    assert seeds_interval([1.0, 1.0], lopsided) == pytest.approx((0.86, 1.0))
    assert seeds_interval([1.0] * 5, lopsided[:1] * 5, claim_seeds=9) == pytest.approx((0.86, 1.0))
    apart = [-0.3, 0.1]
    assert seeds_interval(apart, items) == pytest.approx(t_interval(apart)), (
        "seeds that differ say it themselves"
    )
    assert seeds_interval([-0.1], items[:1]) == items[0]


def test_lower_bound_is_wilson():
    assert lower_bound(50, 100) == pytest.approx(0.4038, abs=1e-4)
    assert lower_bound(0, 100) == pytest.approx(0.0, abs=1e-12)


def test_no_change_among_few_items_is_not_certainty():
    """25 items that all agree leave room for a drop; 10,000 hardly any."""
    low, high = paired_interval([np.zeros(25)])
    assert low == -high == pytest.approx(-1.96 / 27, abs=1e-3)
    assert paired_interval([np.zeros(10_000)])[0] > -0.001


def test_paired_interval_by_hand_and_by_bootstrap():
    values = np.array([-1.0] * 3 + [1.0] + [0.0] * 16)
    mean, spread = -2 / 22, ((4 + 1) / 22 - (2 / 22) ** 2) / 22
    assert paired_interval([values]) == pytest.approx(
        (mean - 1.96 * spread**0.5, mean + 1.96 * spread**0.5), abs=1e-4
    )
    low, high = paired_interval([values, values])
    assert high - low == pytest.approx(2 * 1.96 * (2 * spread) ** 0.5 / 2, abs=1e-4)
    fractions = values / 2
    assert paired_interval([fractions]) == paired_interval([fractions])
    assert paired_interval([fractions])[0] < fractions.mean() < paired_interval([fractions])[1]


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1.0 and mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 * 0.5**6)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 2**10)
    assert mcnemar(3, 12) == mcnemar(12, 3)


def test_paired_p_picks_the_test_by_the_scores():
    first, second = [1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]
    assert paired_p(first, second) == pytest.approx(mcnemar(6, 0))
    assert paired_p([0.5, 0.25], [0.5, 0.25]) == 1.0
    values = np.random.default_rng(0).random((2, 40))
    assert paired_p(values[0], values[1]) == pytest.approx(scipy_stats.wilcoxon(*values).pvalue)


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


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.what}, {case.setting}")
def test_what_is_promised_holds_in_simulations(case):
    """Intervals hold the true effect, and tests find or do not find it, as often as they say."""
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
