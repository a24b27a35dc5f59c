"""Tiny runs of every method give the numbers that are frozen in `tests/goldens`."""

import json
import math

import pytest

from tests.helpers.goldens import FOLDER, RUNS, frozen, numbers, run_all

pytestmark = pytest.mark.slow
MOVES = {
    "run_id", "measured_by", "suite", "seconds", "evaluation_seconds", "peak_memory_bytes", "forward_passes",
    "evaluation_passes",
}  # fmt: skip
"""What names software and machine, or is no result."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_all(list(RUNS), tmp_path_factory.mktemp("goldens"))


def stable(value):
    return {key: leaf for key, leaf in numbers(value).items() if not MOVES & set(key.split("/"))}


@pytest.mark.parametrize("name", RUNS)
def test_golden(made, name):
    found = stable(frozen(made[name]))
    wanted = stable(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))
    assert sorted(found) == sorted(wanted)
    for key, value in wanted.items():
        if isinstance(value, float):
            assert math.isclose(found[key], value, rel_tol=1e-3, abs_tol=1e-4), key
        else:
            assert found[key] == value, key
