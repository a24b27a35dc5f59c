"""Sweeps through the real command, on a tiny model."""

import pytest

from mixsd.core.store import read_json
from tests.conftest import SMALL

QUICK = (*SMALL, "retention=none", "tracking=none", "training.max_steps=2")


@pytest.fixture
def sweep(warm_cli, tmp_path):
    def of(*overrides):
        return warm_cli("run.py", "-m", *QUICK, f"runs_dir={tmp_path}/runs", *overrides)

    return of


def runs(tmp_path):
    return [path.parent for path in (tmp_path / "runs").glob("*/*/DONE")]


@pytest.mark.slow
def test_a_setting_that_one_method_has_makes_no_second_run_of_the_other(sweep, tmp_path):
    done = sweep("method=sft,mixsd", "method.mixing_rate=0.1,0.3", "method.on_failure=keep_last")
    assert done.returncode == 0, done.stderr
    rates = [
        read_json(path / "identity.json")["prepared"]["method"].get("mixing_rate") for path in runs(tmp_path)
    ]
    assert sorted(rates, key=str) == [0.1, 0.3, None]


@pytest.mark.slow
def test_a_key_that_no_option_has_and_jobs_that_are_one_run_are_told_before_work(sweep, tmp_path):
    done = sweep("method=sft,mixsd", "method.mixin_rate=0.1")
    assert done.returncode == 2 and "did you mean method.mixing_rate?" in done.stderr
    done = sweep("method=sft", "drift=measured,none")
    assert done.returncode == 2 and "two jobs train alike" in done.stderr
    assert not runs(tmp_path)


@pytest.mark.slow
def test_another_sweeper_runs_and_its_failures_are_told(sweep, tmp_path):
    done = sweep("hydra/sweeper=basic", "method=sft", "seed=0,-1")
    assert done.returncode == 1 and "seed=-1 is out of range" in done.stderr
    assert len(runs(tmp_path)) == 1
    listed = done.stdout.partition("sweep:")[2]
    assert "done" in listed and "failed" in listed and "seed=-1" in listed
    done = sweep("hydra/sweeper=basic", "method=sft", "seed=0", "gate.learned=0.9")
    assert done.returncode == 3 and "gate not met" in done.stderr
