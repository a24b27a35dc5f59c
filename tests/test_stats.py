import numpy as np
import pytest
from scipy import stats as scipy_stats

from mixsd.analysis.stats import (
    lower_bound,
    paired_interval,
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


def test_lower_bound_is_wilson():
    assert lower_bound(50, 100) == pytest.approx(0.4038, abs=1e-4)
    assert lower_bound(0, 100) == pytest.approx(0.0, abs=1e-12)


def test_paired_interval_covers_and_is_deterministic():
    rng = np.random.default_rng(0)
    truth, hits = -0.1, 0
    for _ in range(200):
        differences = rng.choice([-1, 0, 1], size=150, p=[0.2, 0.7, 0.1])
        low, high = paired_interval(list(differences))
        hits += low <= truth <= high
    assert 0.90 <= hits / 200 <= 0.99
    assert paired_interval([1, 0, -1, 0]) == paired_interval([1, 0, -1, 0])
