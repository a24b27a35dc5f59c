"""Runs whose work several processes share, through the real command: the records of one process alone."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from mixsd.core.store import read_json, read_jsonl
from tests.conftest import SMALL

RUNS = (
    *SMALL, "-m", "method=mixsd,opsd", "method.max_new_tokens=8", "tracking=none", "drift=none", "threads=1",
    "retention.tasks=[pocket_knowledge]", "retention.limit=60", "training.dtype=float32", "sweep.report=false",
    "training.max_steps=2", "training.until_recall=null",
)  # fmt: skip

pytestmark = pytest.mark.slow


def records(folder: Path) -> dict[str, list[str]]:
    """All that was answered, written as targets and lost in training, by run."""
    return {
        run.name: [
            *(path.read_text() for path in sorted(run.glob("[pr][re]*/*.jsonl"))),
            (run / "examples.jsonl").read_text(),
            *(str(row["loss"]) for row in read_jsonl(run / "metrics.jsonl")),
        ]
        for run in sorted(folder.glob("*/kg*"))
    }


_ALONE: dict[str, list[str]] = {}


@pytest.fixture
def alone(warm_cli, tmp_path):
    """What one process alone records, run once."""
    if not _ALONE:
        done = warm_cli("run.py", *RUNS, f"runs_dir={tmp_path}/alone", MIXSD_CACHE_DIR=f"{tmp_path}/cache")
        assert done.returncode == 0, done.stderr
        _ALONE.update(records(tmp_path / "alone"))
        assert len(_ALONE) == 2
    return _ALONE


def devices_of(folder: Path) -> set[int]:
    return {read_json(path)["devices"] for path in folder.glob("*/kg*/environment.json")}


def test_a_sweep_of_two_devices_records_the_same(warm_cli, tmp_path, alone):
    done = warm_cli("run.py", *RUNS, "devices=2", f"runs_dir={tmp_path}/runs")
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "runs") == alone and devices_of(tmp_path / "runs") == {2}


@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
        ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0"],
    ],
)
def test_a_launcher_s_processes_record_the_same(cli, tmp_path, alone, launcher):
    done = cli("-m", *launcher, "run.py", *RUNS, f"runs_dir={tmp_path}/runs", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "runs") == alone and devices_of(tmp_path / "runs") == {2}


def test_a_killed_helper_ends_the_run_in_one_line_and_the_same_command_goes_on(
    warm_start, warm_cli, tmp_path, alone
):
    arguments = ("run.py", *RUNS, "devices=2", f"runs_dir={tmp_path}/runs", "sweep.fail_fast=true")
    process = warm_start(*arguments)
    while process.poll() is None:
        for helper in _helpers(process.pid):
            os.kill(helper, signal.SIGKILL)
        time.sleep(0.02)
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    told = [line for line in errors.splitlines() if "helper process" in line]
    assert told == [
        "helper process 1 ended by signal 9 in the middle of its work; give the same command again"
    ]
    assert "Traceback" not in errors and not _helpers(process.pid)
    again = warm_cli(*arguments)
    assert again.returncode == 0, again.stderr
    assert records(tmp_path / "runs") == alone


def _helpers(leader: int) -> list[int]:
    """Helper processes that a process started."""
    try:
        children = psutil.Process(leader).children()
        return [child.pid for child in children if "mixsd.lm.helper" in child.cmdline()]
    except psutil.Error:
        return []


def test_a_wrong_number_of_devices_is_one_line(warm_cli, tmp_path):
    for given in ("0", "two", "true"):
        done = warm_cli("run.py", *SMALL, f"devices={given}", f"runs_dir={tmp_path}/runs")
        assert (
            done.returncode == 2
            and f"devices={given.capitalize() if given == 'true' else given}" in done.stderr
        )
        assert "allowed: 1 or more, or null" in done.stderr


def test_a_launcher_that_told_half_is_one_line(cli, tmp_path):
    for given in ({"WORLD_SIZE": "2"}, {"WORLD_SIZE": "two", "RANK": "0"}):
        done = cli("run.py", *SMALL, f"runs_dir={tmp_path}/runs", **given)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "unset WORLD_SIZE" in done.stderr
