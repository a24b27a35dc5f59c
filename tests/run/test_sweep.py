"""Sweeps through the real command, on a tiny model."""

import errno
import shutil

import pytest

from mixsd.core.errors import DataError
from mixsd.core.store import read_json
from mixsd.run.sweep import _in_one_line
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


def test_a_full_disk_is_one_line_whatever_a_library_raises(tmp_path, monkeypatch):
    def left(free):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, free))

    left(10**9)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "No space left" in _in_one_line(full, [tmp_path])
    odd = RuntimeError("unexpected pos 568960 vs 568848")
    assert _in_one_line(odd, [tmp_path]) == "", "a fault of ours"
    left(1000)
    assert str(tmp_path) in _in_one_line(odd, [tmp_path]) and "\n" not in _in_one_line(odd, [tmp_path])
    assert _in_one_line(DataError("mend it"), []) == "mend it"
