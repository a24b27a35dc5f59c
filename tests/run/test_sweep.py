"""Sweeps through the real command, on a tiny model."""

import errno
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from mixsd.core.errors import DataError, Diverged, HelperLost
from mixsd.core.store import read_json, read_jsonl, write_jsonl
from mixsd.run.job import _in_one_line, _returned, _try
from mixsd.run.settings import SweepSettings
from tests.conftest import SMALL
from tests.helpers.results import numbers

QUICK = (*SMALL, "retention=none", "tracking=none", "training.max_steps=2")


WATCHED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("torch:", "yes" if "torch" in sys.modules else "no")
"""


@pytest.fixture
def sweep(warm_cli, tmp_path):
    def of(*overrides):
        return warm_cli("run.py", "-m", *QUICK, f"runs_dir={tmp_path}/runs", *overrides)

    return of


def runs(tmp_path):
    return [path.parent for path in (tmp_path / "runs").glob("*/*/DONE")]


@pytest.mark.slow
def test_a_setting_that_one_method_has_makes_no_second_run_of_the_other(sweep, tmp_path):
    quick = ("method.on_failure=keep_last", "drift=none", "sweep.report=false")
    done = sweep("method=sft,mixsd", "method.mixing_rate=0.1,0.3", *quick)
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


@pytest.mark.slow
def test_a_dry_run_says_what_it_would_do_and_makes_nothing(sweep, warm_cli, tmp_path):
    done = sweep("method=sft", "seed=0,1", "dry_run=true")
    assert done.returncode == 0 and "sweep of 2: 2 to run, 0 done" in done.stdout, done.stderr
    assert done.stdout.count("  to run") == 2 and not (tmp_path / "runs").exists()
    one = warm_cli("run.py", *QUICK, f"runs_dir={tmp_path}/runs", "method=sft", "dry_run=true")
    assert one.returncode == 0 and "1 to run" in one.stdout and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_finished_sweep_is_told_without_torch_until_something_changes(sweep, cli, tmp_path):
    # In bf16, which `auto` is where the processor has it, other threads would be other runs.
    jobs = ("method=sft", "seed=0,1", "drift=none", "sweep.report=false", "training.dtype=float32")
    first = sweep(*jobs)
    assert first.returncode == 0 and "2 of 2 done" in first.stdout, first.stderr
    again = ("run.py", "-m", *QUICK, f"runs_dir={tmp_path}/runs", *jobs)
    watched = cli("-c", WATCHED, *again)
    assert watched.returncode == 0 and watched.stdout.count("  skipped") == 2, watched.stderr
    assert "nothing has changed since" in watched.stdout and "torch: no" in watched.stdout
    gone = runs(tmp_path)[0] / "DONE"
    gone.unlink()
    assert "1 to run" in sweep(*jobs).stdout
    assert gone.exists()
    changed = cli("-c", WATCHED, *again, OMP_NUM_THREADS="2")
    assert changed.stdout.count("  skipped") == 2 and "torch: yes" in changed.stdout


@pytest.mark.slow
def test_after_a_failure_nothing_is_started_where_that_is_asked_for(sweep, tmp_path):
    jobs = ("method=sft", "training.learning_rate=1e30,1e-4", "training.dtype=float32", "sweep.retries=2")
    done = sweep(*jobs, "sweep.fail_fast=true")
    assert done.returncode == 1 and "the training diverged" in done.stderr
    assert "is not run: another job failed" in done.stderr and not runs(tmp_path)
    assert "tried again" not in done.stderr, "it would diverge again"
    (failed,) = (path.parent for path in (tmp_path / "runs").glob("*/*/status.json"))
    assert f"(see {failed}/log.txt)" in done.stdout and "Diverged" in (failed / "log.txt").read_text()
    done = sweep(*jobs)
    assert done.returncode == 1 and len(runs(tmp_path)) == 1, "the other one runs"
    assert "1 failed before" in done.stdout and "1 of 2 done, 1 failed" in done.stdout


@pytest.mark.slow
def test_the_report_is_there_at_the_end_and_the_sweep_can_be_told_and_done_again(sweep, warm_cli, tmp_path):
    done = sweep("method=sft,mixsd", "method.on_failure=keep_last", "drift=none")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/default"
    assert (folder / "report.html").exists() and "page: " in done.stdout and "SFT recalls" in done.stdout
    told = warm_cli("-m", "mixsd", "status", str(tmp_path / "runs"))
    assert told.returncode == 0 and "2 done" in told.stdout and "2 of 2" in told.stdout
    record = yaml.safe_load((folder / "sweep.yaml").read_text())["sweeps"][0]
    assert record["arguments"][0] == "-m" and len(record["jobs"]) == 2 and "torch" in record["packages"]
    again = warm_cli("-m", "mixsd", "rerun", str(folder))
    assert again.returncode == 0 and "nothing has changed since" in again.stdout, again.stderr
    record["packages"]["torch"] = "1.0"
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"sweeps": [record]}))
    assert "torch: 1.0 then" in warm_cli("-m", "mixsd", "rerun", str(folder)).stdout
    (folder / "sweep.yaml").write_text("sweeps: 3")
    broken = warm_cli("-m", "mixsd", "rerun", str(folder))
    assert broken.returncode == 2 and "is no record of sweeps" in broken.stderr


@pytest.mark.slow
def test_runs_side_by_side_give_what_they_give_one_after_another(sweep, warm_cli, tmp_path):
    jobs = ("method=sft,mixsd", "method.on_failure=keep_last", "sweep.report=false")
    assert sweep(*jobs, "training.dtype=float32").returncode == 0
    arguments = ("run.py", "-m", *QUICK, f"runs_dir={tmp_path}/beside", f"cache_dir={tmp_path}/cache", *jobs)
    done = warm_cli(*arguments, "training.dtype=float32", "hydra/launcher=gpus", CUDA_VISIBLE_DEVICES="0,1")
    assert done.returncode == 0 and "2 side by side" in done.stdout, done.stderr
    assert "2 of 2 done" in done.stdout
    alone = {path.name: path for path in runs(tmp_path)}
    beside = {path.parent.name: path.parent for path in (tmp_path / "beside").glob("*/*/DONE")}
    assert len(alone) == 2 and set(alone) == set(beside)
    assert all(numbers(alone[name]) == numbers(beside[name]) for name in alone)
    assert all("threads: 1" in (path / "config.yaml").read_text() for path in beside.values())


@pytest.mark.slow
def test_an_optimiser_of_two_objectives_goes_on_after_trials_that_diverge(warm_cli, tmp_path):
    quick = (*SMALL, "tracking=none", "training.max_steps=2", "retention.tasks=[pocket_knowledge]")
    done = warm_cli(
        "run.py", "hydra/sweeper=optuna", "experiment=pareto", *quick, f"runs_dir={tmp_path}/runs",
        "method.on_failure=keep_last", "training.learning_rate=choice(1e30,1e-4)", "hydra.sweeper.n_trials=4",
        "training.dtype=float32",
    )  # fmt: skip
    assert done.returncode == 1 and "the training diverged" in done.stderr, done.stderr
    found = yaml.safe_load((tmp_path / "runs/.sweeps/optimization_results.yaml").read_text())["solutions"]
    assert found and all(one["params"]["training.learning_rate"] == 1e-4 for one in found)
    for run in runs(tmp_path):
        (last,) = read_jsonl(run / "trajectory.jsonl")[-1:]
        assert [last["recall"], last["retention_validation"]] in [one["values"] for one in found]


@pytest.mark.slow
def test_a_trial_without_a_number_is_a_failed_one(warm_cli, tmp_path):
    done = warm_cli(
        "run.py", "hydra/sweeper=optuna", "experiment=pareto", *QUICK, f"runs_dir={tmp_path}/runs",
        "method.on_failure=keep_last", "hydra.sweeper.n_trials=1", "hydra.sweeper.direction=maximize",
        "sweep.objectives=[retention_validation]",
    )  # fmt: skip
    assert "has no retention_validation for the optimiser" in done.stderr and done.returncode == 1
    assert "the search ends: 1 of 1 trials failed" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "told"),
    [("hydra.sweeper.direction=minimize", "give maximize"), ("dry_run=true", "chooses jobs as it goes on")],
)
def test_what_makes_no_sense_with_an_optimiser_is_one_line(warm_cli, tmp_path, override, told):
    search = ("run.py", "hydra/sweeper=optuna", "experiment=pareto", *QUICK, f"runs_dir={tmp_path}/runs")
    done = warm_cli(*search, override)
    assert done.returncode == 2 and told in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not runs(tmp_path)


def test_a_crash_is_tried_again_and_a_mistake_is_not(monkeypatch, capsys):
    run = SimpleNamespace(
        sweep=SweepSettings(retries=2), run_id="r", run_dir=Path("/a/r"), cache_dir=Path("/b")
    )
    tries = []

    def crash(error, times):
        def run_experiment(_):
            tries.append(1)
            if len(tries) <= times:
                raise error
            return "done"

        tries.clear()
        monkeypatch.setattr("mixsd.run.stages.run_experiment", run_experiment)

    crash(RuntimeError("out of\nluck"), 2)
    assert _try(run) == "done" and len(tries) == 3
    told = capsys.readouterr().err
    assert "r crashed (RuntimeError: out of luck); tried again, 1 more" in told and "0 more" in told
    crash(RuntimeError("x"), 9)
    with pytest.raises(RuntimeError):
        _try(run)
    assert len(tries) == 3
    crash(HelperLost("helper process 1 ended"), 1)
    assert _try(run) == "done" and len(tries) == 2, "it was killed, and the next one need not be"
    for error in (Diverged("x"), DataError("x"), OSError(errno.ENOSPC, "full")):
        crash(error, 9)
        with pytest.raises(type(error)):
            _try(run)
        assert len(tries) == 1


def test_an_optimiser_gets_what_validation_gave_and_never_a_zero_for_nothing(tmp_path):
    run = SimpleNamespace(
        run_dir=tmp_path,
        sweep=SweepSettings(objectives=("recall", "retention_validation")),
    )
    assert all(math.isnan(value) for value in _returned(run, "done"))
    write_jsonl(tmp_path / "trajectory.jsonl", [
        {"recall": 0.1, "retention_validation": 0.9}, {"recall": 0.75, "retention_validation": None},
    ])  # fmt: skip
    found = _returned(run, "done")
    assert found[0] == 0.75 and math.isnan(found[1]) and found.state == "done"
    with pytest.raises(ValueError):
        float(found)
    run.sweep = SweepSettings(objectives=("recall",))
    assert float(_returned(run, "done")) == 0.75


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
