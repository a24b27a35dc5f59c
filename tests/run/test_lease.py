"""One job a GPU, on devices that are names alone."""

import os
import subprocess
import sys
import time

import pytest

from mixsd.run import lease
from tests.conftest import ROOT

HOLDER = "from mixsd.run.lease import lease_gpu; print(lease_gpu(0.05), flush=True); input()"


@pytest.fixture
def holder(tmp_path):
    """Starts a process that leases a GPU, tells which, and keeps it until its input ends."""
    started = []

    def start(visible="a,b"):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_each_process_has_a_gpu_of_its_own_and_a_third_waits_for_one(holder):
    first, second = holder(), holder()
    of_first = first.stdout.readline().strip()
    assert {of_first, second.stdout.readline().strip()} == {"a", "b"}
    third = holder()
    assert "all of 2 GPUs are taken" in third.stderr.readline()
    first.kill()  # it leaves no lock behind
    first.wait()
    assert third.stdout.readline().strip() == of_first


def test_the_device_is_shown_alone_and_kept_for_the_next_job_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(lease, "_held", [])
    assert lease.lease_gpu() == "3" == os.environ["CUDA_VISIBLE_DEVICES"]
    assert lease.lease_gpu() == "3", "CUDA stays where it started"
    lease._held[0][1].release()


def test_without_a_gpu_there_is_nothing_to_lease(monkeypatch):
    monkeypatch.setattr(lease, "gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    start = time.monotonic()
    assert lease.lease_gpu() is None and time.monotonic() - start < 1
    monkeypatch.setattr(lease, "gpus", lambda: ["0000:01", "0000:02"])
    assert lease.visible_gpus() == ["0", "1"]
