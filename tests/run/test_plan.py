"""What a sweep says beforehand and meanwhile, from files alone."""

import subprocess
import sys

import pytest
from filelock import FileLock
from rich.console import Console

from mixsd.core.errors import StoreError
from mixsd.core.store import content_hash, write_json, write_jsonl
from mixsd.run import sweep_file
from mixsd.run.ended import EndedJob
from mixsd.run.plan import Job, Plan, duration, progress
from mixsd.run.state import state_of
from mixsd.run.status import show_status
from tests.conftest import ROOT

MEASURED = {"suite": "s"}


def run_of(folder, name, state=None, seconds=None, base=0.0):
    """A run's directory as far as it tells of its state."""
    path = folder / "e" / name
    path.mkdir(parents=True)
    write_json(path / "identity.json", {"measured": MEASURED, "trained": {"training": {"max_steps": 60}}})
    if state:
        write_json(path / "status.json", {"state": state, "stage": "training", "error": "ValueError: x"})
    if seconds is not None:
        cost = {
            "base_scores": {"seconds": base},
            "training": {"seconds": seconds - 1},
            "drift": {"seconds": 1.0},
        }
        write_json(path / "cost.json", cost)
    if state == "done":
        (path / "DONE").touch()
    return path


def plan_of(folder, *names, side_by_side=1, base=("",) * 9, targets=None):
    jobs = [
        Job(
            (f"seed={number}",),
            folder / "e" / name,
            content_hash(MEASURED),
            was_done=False,
            base=base[number],
            targets=(targets or names)[number],
        )
        for number, name in enumerate(names)
    ]
    return Plan(jobs, side_by_side)


def test_the_hours_are_those_of_earlier_runs_of_the_same_task_method_and_model(tmp_path):
    run_of(tmp_path, "t-sft-m-s0-aa", "done", seconds=100, base=40)
    run_of(tmp_path, "t-sft-m-s1-ab", "done", seconds=200, base=60)
    run_of(tmp_path, "t-sft-m-s2-ac", "failed")
    plan = plan_of(tmp_path, "t-sft-m-s0-aa", "t-sft-m-s2-ac", "t-sft-m-s3-ad", base=("0", "2", "3"))
    assert plan.seconds() == (2 * 150 + 2 * 50, 0)
    assert plan.told() == "sweep of 3: 2 to run (1 failed before), 1 done; about 7 min by earlier runs"
    same = plan_of(tmp_path, "t-sft-m-s2-ac", "t-sft-m-s3-ad", base=("2", "2"))
    assert same.seconds() == (2 * 150 + 50, 0), "base scores are made once"
    assert plan_of(tmp_path, "t-sft-m-s2-ac", "t-sft-m-s3-ad", side_by_side=2).seconds()[0] == 350 / 2
    other = plan_of(tmp_path, "t-sft-m-s3-ad", "t-mixsd-m-s0-ae")
    assert other.seconds()[1] == 1 and "and 1 of which no earlier run tells" in other.told()
    assert "is not known" in plan_of(tmp_path, "t-mixsd-m-s0-ae").told()


def test_runs_of_the_same_experiment_tell_before_others(tmp_path):
    run_of(tmp_path, "t-sft-m-s0-aa", "done", seconds=100)
    other = run_of(tmp_path / "x", "t-sft-m-s1-ab", "done", seconds=900)
    other.parent.rename(tmp_path / "f")
    assert plan_of(tmp_path, "t-sft-m-s9-ad").seconds() == (100, 0)


def test_jobs_that_share_base_scores_do_not_begin_together(tmp_path):
    plan = plan_of(tmp_path, *"abcdef", base=("0", "0", "0", "1", "1", "2"))
    assert [job.run_dir.name for job in plan.in_turn()] == ["a", "d", "f", "b", "e", "c"]
    # Two methods that write targets, at two rates each: the rates of one share them.
    plan = plan_of(tmp_path, *"abcd", base=("0",) * 4, targets=("m", "m", "c", "c"))
    assert [job.run_dir.name for job in plan.in_turn()] == ["a", "c", "b", "d"]


def test_progress_counts_what_is_done_and_what_failed(tmp_path):
    run_of(tmp_path, "t-sft-m-s0-aa", "done", seconds=100)
    run_of(tmp_path, "t-sft-m-s2-ac", "failed")
    plan = plan_of(tmp_path, "t-sft-m-s0-aa", "t-sft-m-s2-ac")
    assert progress(plan, []) == "1 of 2 done; about 2 min left"
    (first, second) = (list(job.overrides) for job in plan.jobs)
    ended = [EndedJob(first, "skipped"), EndedJob(second, "failed")]
    assert progress(plan, ended) == "1 of 2 done, 1 failed; about 2 min left"
    elsewhere = [*ended[:1], EndedJob(second, "done", str(tmp_path / "e/t-sft-m-s2-zz"))]
    assert progress(plan, elsewhere) == "2 of 2 done"
    assert (duration(89), duration(90), duration(5400)) == ("89 s", "2 min", "1.5 h")


def test_a_run_that_is_measured_otherwise_is_not_done(tmp_path):
    path = run_of(tmp_path, "t-sft-m-s0-aa", "done")
    assert plan_of(tmp_path, path.name).to_run == []
    write_json(path / "identity.json", {"measured": {"suite": "other"}})
    assert len(plan_of(tmp_path, path.name).to_run) == 1


def test_a_run_whose_process_is_gone_is_killed_and_one_that_holds_its_lock_runs(tmp_path):
    path = run_of(tmp_path, "t-sft-m-s0-aa", "running")
    write_jsonl(path / "metrics.jsonl", [{"step": 7}])
    write_jsonl(path / "trajectory.jsonl", [{"step": 5, "recall": 0.25}])
    write_json(path / "environment.json", {"date": "2999-01-01T00:00:00+00:00"})
    assert state_of(path).state == "killed"
    with FileLock(path / ".lock"):
        found = state_of(path)
    assert (found.state, found.step, found.max_steps, found.recall) == ("running", 7, 60, 0.25)
    assert found.seconds == 0, "a clock that was set back"
    assert state_of(tmp_path / "nothing").state == "waiting"


def test_the_state_of_a_run_with_torn_files_is_told_all_the_same(tmp_path):
    path = run_of(tmp_path, "t-sft-m-s0-aa", "running")
    (path / "metrics.jsonl").write_text('{"step": 3}\n{"ste')
    (path / "trajectory.jsonl").write_text("no json\n{}\n")
    (path / "environment.json").write_text("{")
    found = state_of(path)
    assert (found.step, found.recall) == (3, None)


def test_status_is_a_table_with_failures_and_where_to_read_of_them(tmp_path, capsys):
    run_of(tmp_path, "t-sft-m-s0-aa", "done", seconds=100)
    failed = run_of(tmp_path, "t-sft-m-s1-ab", "failed")
    sweep_file.write(["-m"], plan_of(tmp_path, "t-sft-m-s0-aa", "t-sft-m-s7-ff").jobs, inputs=None)
    assert show_status(tmp_path, Console(width=200)) is True
    told = capsys.readouterr().out
    assert f"ValueError: x; see {failed}/log.txt" in " ".join(told.split())
    assert "1 done, 1 failed, 1 not run" in told and "about 2 min" in told
    with pytest.raises(StoreError, match="holds no run"):
        show_status(tmp_path / "e" / "t-sft-m-s0-aa" / "nothing", Console())


def test_a_watch_ends_where_nothing_runs_or_waits(tmp_path, monkeypatch):
    path = run_of(tmp_path, "t-sft-m-s0-aa", "running")
    looks = []
    lock = FileLock(path / ".lock")
    lock.acquire()

    def finish(_):
        looks.append(1)
        if len(looks) == 2:
            (path / "DONE").touch()

    monkeypatch.setattr("time.sleep", finish)
    assert show_status(tmp_path, Console(quiet=True), watch=True) is False and len(looks) == 2
    lock.release()


def test_status_needs_no_torch():
    code = "import sys, mixsd.run.status, mixsd.run.rerun; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not {"torch", "transformers", "hydra", "pandas"} & set(loaded.stdout.split())
