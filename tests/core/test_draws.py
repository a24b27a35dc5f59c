import os
import subprocess
import sys

import numpy as np
from scipy import stats

from mixsd.core.draws import shuffled, uniform
from mixsd.mixing.coins import coin_is_naive, token_draw


def test_uniform_is_pinned():
    # Golden: a change here changes every world, order and target ever made.
    assert uniform("coin", 0, "f", 0, 0) == 0.4886026399239086


def test_uniform_is_uniform_and_streams_are_independent():
    coins = [uniform("coin", 1, "fact", 0, t) for t in range(4000)]
    tokens = [token_draw(1, "fact", 0, t) for t in range(4000)]
    assert stats.kstest(coins, "uniform").pvalue > 0.001
    assert stats.kstest(tokens, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(coins, tokens)[0, 1]) < 0.06


def test_coin_share_is_the_mixing_rate():
    for rate in (0.0, 0.3, 0.7, 1.0):
        share = np.mean([coin_is_naive(rate, 0, f"f{i}", 0, t) for i in range(100) for t in range(50)])
        assert abs(share - rate) < 0.03
    assert not any(coin_is_naive(0.0, 0, "f", 0, t) for t in range(1000))
    assert all(coin_is_naive(1.0, 0, "f", 0, t) for t in range(1000))


def test_every_part_of_the_key_matters():
    values = {
        uniform(*key) for key in [("a", 0, "f", 0), ("a", 1, "f", 0), ("b", 0, "f", 0), ("a", 0, "g", 0)]
    }
    assert len(values) == 4
    assert uniform("a", "b,c") != uniform("a,b", "c")


def test_shuffled_ignores_incoming_order_and_subsets_keep_their_order():
    items = [f"item{i}" for i in range(50)]
    order = shuffled(items, "x", 0)
    assert order == shuffled(reversed(items), "x", 0)
    assert sorted(order) == sorted(items) and order != items
    kept = items[::3]
    assert shuffled(kept, "x", 0) == [item for item in order if item in kept]


def test_world_and_orders_do_not_depend_on_the_hash_seed():
    code = (
        "from benchmarks.tasks.kgfact.task import KGFact; from mixsd.core.draws import shuffled;"
        "t=KGFact('k',5,10,None,'plain',9,0);"
        "print([f.gold_text for f in t.facts], [p.question.prompt for p in t.probes], shuffled('abcdef', 1))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_largest_draw_is_below_1(monkeypatch):
    """With all 64 bits, the largest digest would round up to 1."""

    class Largest:
        def digest(self):
            return b"\xff" * 8

    monkeypatch.setattr("mixsd.core.draws.blake2b", lambda *_, **__: Largest())
    assert uniform("any") == 1 - 2.0**-53 < 1
