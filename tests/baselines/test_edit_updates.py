"""The changes of ROME, MEMIT, EMMET and AlphaEdit against algebra, in float64."""

import pytest
import torch
from torch import Tensor

from baselines.edit_updates import alphaedit, emmet, memit, null_projector

IN, OUT, COUNT = 12, 7, 4


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def keys():
    return normal(IN, COUNT, seed=1)


@pytest.fixture
def lacking():
    return normal(OUT, COUNT, seed=2)


@pytest.fixture
def moment():
    read = normal(IN, 40, seed=3)
    return read @ read.T / 40


def largest(values: Tensor) -> float:
    return float(values.abs().max())


def test_memit_solves_its_ridge_regression(keys, lacking, moment):
    """Stationary: (D K - R) K^T + w D C = 0; and the same by Woodbury."""
    change = memit(keys, lacking, moment, 3.0)
    assert largest((change @ keys - lacking) @ keys.T + 3.0 * change @ moment) < 1e-12
    spread = torch.linalg.solve(3.0 * moment, keys)
    inner = torch.eye(COUNT, dtype=torch.float64) + keys.T @ spread
    assert largest(change - lacking @ torch.linalg.solve(inner, spread.T)) < 1e-12


def test_memits_misfit_rises_with_the_weight_from_none_to_all(keys, lacking, moment):
    misfits = [
        float((memit(keys, lacking, moment, weight) @ keys - lacking).norm() / lacking.norm())
        for weight in (1e-7, 1e-2, 1.0, 1e2, 1e9)
    ]
    assert misfits == sorted(misfits) and misfits[0] < 1e-6 and misfits[-1] > 1 - 1e-6
    assert largest(memit(keys, lacking, moment, 1e-7) - emmet(keys, lacking, moment, 0.0)) < 1e-5


def test_emmet_gives_keys_their_values_and_disturbs_least(keys, lacking, moment):
    change = emmet(keys, lacking, moment, 0.0)
    assert largest(change @ keys - lacking) < 1e-12

    def disturbs(change: Tensor) -> float:
        """E |D k|^2 over all that is read."""
        return float((change @ moment @ change.T).trace())

    # Any other change that fits differs by an N with N K = 0.
    free = torch.eye(IN, dtype=torch.float64) - keys @ torch.linalg.pinv(keys)
    for seed in range(5):
        other = change + 0.1 * normal(OUT, IN, seed=seed) @ free
        assert largest(other @ keys - lacking) < 1e-12 and disturbs(other) > disturbs(change)
    assert largest(emmet(keys, lacking, 5 * moment, 0.0) - change) < 1e-12, "the scale of C is of no matter"


def test_of_one_key_emmet_is_rome(moment):
    """(v - W k) u^T / (u^T k) with u = C^-1 k; the edited matrix gives the value to the last digit."""
    key, weight, value = normal(IN, 1, seed=4), normal(OUT, IN, seed=5), normal(OUT, 1, seed=6)
    lacking = value - weight @ key
    towards = torch.linalg.solve(moment, key)
    rome = lacking @ towards.T / (towards.T @ key)
    found = emmet(key, lacking, moment, 0.0)
    assert largest(found - rome) < 1e-12 and largest((weight + found) @ key - value) < 1e-12


@pytest.mark.parametrize(
    "change", [lambda *a: emmet(*a, 0.0), lambda *a: memit(*a, 1e-9)], ids=["emmet", "memit"]
)
def test_facts_of_one_key_get_the_mean_of_what_they_lack(change, lacking, moment):
    """Why facts of one subject share a value: the key cannot tell them apart."""
    key = normal(IN, 1, seed=7)
    found = change(key.repeat(1, 2), lacking[:, :2], moment) @ key
    assert largest(found - lacking[:, :2].mean(dim=1, keepdim=True)) < 1e-6


def test_what_is_orthogonal_to_the_keys_is_untouched(keys, lacking, moment):
    """In the sense of C: x with x^T C^-1 k = 0 for all keys."""
    spread = torch.linalg.solve(moment, keys)
    free = torch.eye(IN, dtype=torch.float64) - spread @ torch.linalg.pinv(spread)
    others = free @ normal(IN, 3, seed=8)
    for change in (emmet(keys, lacking, moment, 0.0), memit(keys, lacking, moment, 2.0)):
        assert largest(change @ others) < 1e-11 and largest(change @ keys) > 1e-2


@pytest.fixture
def narrow():
    """A second moment with a true null space of 5 of 12 directions, and what is read there."""
    read = normal(IN, IN - 5, seed=9) @ normal(IN - 5, 60, seed=10)
    return read @ read.T / 60, read


def test_the_projector_is_one_and_counts_free_directions(narrow):
    moment, read = narrow
    free = null_projector(moment, 1e-9)
    assert largest(free @ free - free) < 1e-12 and largest(free - free.T) < 1e-12
    assert float(free.trace()) == pytest.approx(5) and largest(free @ read) < 1e-9
    assert largest(null_projector(moment, -1.0)) == 0
    assert largest(null_projector(moment, 1e9) - torch.eye(IN, dtype=torch.float64)) < 1e-12


def test_alphaedit_changes_nothing_that_is_read_and_is_stationary(keys, lacking, narrow):
    moment, read = narrow
    free, earlier, ridge = null_projector(moment, 1e-9), normal(IN, 3, seed=11), 0.7
    change = alphaedit(keys, lacking, free, earlier, ridge)
    assert largest(change @ read) < 1e-9 and largest(change @ free - change) < 1e-12
    # The gradient of |D P K - R|^2 + |D P E|^2 + r |D P|^2 in D.
    slope = (change @ free @ keys - lacking) @ keys.T @ free + change @ free @ earlier @ earlier.T @ free
    assert largest(slope + ridge * change @ free) < 1e-11
    taken = keys @ keys.T @ free + earlier @ earlier.T @ free + ridge * torch.eye(IN, dtype=torch.float64)
    assert largest(change - lacking @ keys.T @ free @ torch.linalg.inv(taken)) < 1e-11


def test_alphaedit_holds_earlier_keys_more_the_more_they_weigh(keys, lacking):
    """Outside its null space nothing moves; inside, earlier values are held as their keys weigh."""
    free = torch.eye(IN, dtype=torch.float64)
    earlier = normal(IN, 3, seed=12)
    moves = [
        float((alphaedit(keys, lacking, free, weight * earlier, 0.1) @ earlier).norm())
        for weight in (0, 1, 100)
    ]
    assert moves[0] > moves[1] > moves[2] and moves[2] < 1e-2 * moves[0]


def test_spread_over_layers_that_solve_exactly_nothing_is_left():
    """Each linear layer adds to the residual; the last makes up for what the others left."""
    count, layers = 3, [normal(OUT, IN, seed=20 + n) for n in range(4)]
    keys = [normal(IN, count, seed=30 + n) for n in range(4)]
    moments = [torch.eye(IN, dtype=torch.float64)] * 4
    wanted = normal(OUT, count, seed=40)
    for number in range(4):
        present = sum(w @ k for w, k in zip(layers, keys, strict=True))
        lacking = (wanted - present) / (4 - number)
        layers[number] = layers[number] + emmet(keys[number], lacking, moments[number], 0.0)
    assert largest(sum(w @ k for w, k in zip(layers, keys, strict=True)) - wanted) < 1e-11
