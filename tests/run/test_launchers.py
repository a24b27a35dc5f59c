"""Jobs that a launcher starts elsewhere, through the real command and submitit's local executor."""

import os
import signal
import time

import psutil
import pytest

from mixsd.core.store import read_json, read_jsonl
from tests.conftest import SMALL
from tests.helpers.results import numbers

TRAINING = (
    *SMALL, "method=sft", "retention=none", "tracking=none", "training.max_steps=80", "drift=none",
    "training.eval_every=40", "training.checkpoint_every=100", "training.dtype=float32", "sweep.report=false",
)  # fmt: skip


@pytest.mark.slow
def test_a_job_that_is_preempted_is_queued_again_and_gives_the_same_results(warm_start, warm_cli, tmp_path):
    alone = warm_cli("run.py", *TRAINING, f"runs_dir={tmp_path}/alone")
    assert alone.returncode == 0, alone.stderr
    elsewhere = (f"runs_dir={tmp_path}/runs", "hydra/launcher=submitit_local")
    process = warm_start("run.py", "-m", *TRAINING, *elsewhere)
    run_dir = _after_steps(tmp_path / "runs/default", 20, process)
    os.kill(_job_of(tmp_path), signal.SIGUSR2)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert numbers(run_dir) == numbers(next((tmp_path / "alone/default").glob("kg*")))
    steps = [row["step"] for row in read_jsonl(run_dir / "metrics.jsonl")]
    assert steps == list(range(1, 81)), "each once"
    assert "requeue" in _logs(tmp_path).lower(), "submitit started it twice"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_side_by_side_that_is_ended_leaves_no_process(warm_start, tmp_path, number):
    """SIGTERM is passed on, and checkpoints are written; where the sweep itself is killed, its processes notice."""
    jobs = ("training.max_steps=3000", "seed=0,1", f"runs_dir={tmp_path}/runs", "hydra/launcher=cores")
    process = warm_start("run.py", "-m", *TRAINING, *jobs)
    first = _after_steps(tmp_path / "runs/default", 20, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait(timeout=60) == (143 if number == signal.SIGTERM else -9)
    psutil.wait_procs(workers, timeout=60)
    assert not [
        worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
    ]
    process.communicate()
    steps = read_jsonl(first / "metrics.jsonl")[-1]["step"]
    assert read_json(first / "status.json")["state"] == "interrupted"
    if number == signal.SIGTERM:
        assert (first / f"trainer/checkpoint-{steps}/complete.json").exists(), "at that very step"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["cores", "submitit_local"])
def test_a_job_whose_process_is_killed_is_told_and_the_same_command_finishes_it(
    warm_start, warm_cli, tmp_path, launcher
):
    jobs = ("run.py", "-m", *TRAINING, "seed=0,1", f"runs_dir={tmp_path}/runs", f"hydra/launcher={launcher}")
    process = warm_start(*jobs)
    _after_steps(tmp_path / "runs/default", 5, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    computing = [
        worker for worker in workers if {"LokyProcess-1", "submitit.core._submit"} & set(worker.cmdline())
    ]
    computing[0].kill()
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "the process of a job was lost (" in errors
    assert "Traceback" not in errors
    again = warm_cli(*jobs)
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "runs/default").glob("kg*/DONE"))) == 2


def _after_steps(folder, count, process):
    """The run's directory, when it has trained so many steps."""
    while process.poll() is None:
        for path in folder.glob("kg*/metrics.jsonl"):
            if len(path.read_text().splitlines()) >= count:
                return path.parent
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def _job_of(folder):
    """The process of submitit's job: the one that computes."""
    for process in psutil.process_iter(["cmdline", "pid"]):
        line = " ".join(process.info["cmdline"] or [])
        if "submitit.core._submit" in line and str(folder) in line:
            return process.info["pid"]
    raise AssertionError("no job of submitit")


def _logs(folder):
    """What submitit's jobs told."""
    return "".join(path.read_text() for path in folder.rglob("*_log.*"))
