"""One job a GPU, on devices that are names alone."""

import os
import subprocess
import sys
import time

import pytest

from mixsd.core.errors import SettingError
from mixsd.run import lease
from tests.conftest import ROOT

HOLDER = "from mixsd.run.lease import take_gpus; print(*take_gpus(COUNT, 0.05), flush=True); input()"


@pytest.fixture
def holder(tmp_path):
    """Starts a process that leases a GPU, tells which, and keeps it until its input ends."""
    started = []

    def start(visible="a,b", count=1):
        environment = {
            **os.environ,
            "MIXSD_LEASE_GPU": "1",
            "CUDA_VISIBLE_DEVICES": visible,
            "TMPDIR": str(tmp_path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER.replace("COUNT", str(count))], cwd=ROOT, env=environment, text=True,
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
    assert "1 of 2 GPUs are wanted, and other jobs have them" in third.stderr.readline()
    first.kill()  # it leaves no lock behind
    first.wait()
    assert third.stdout.readline().strip() == of_first


def test_the_device_is_shown_alone_and_kept_for_the_next_job_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(lease, "_held", [])
    monkeypatch.delenv("MIXSD_LEASE_GPU", raising=False)
    assert lease.take_gpus(1) == [], "without a lease one GPU is nobody's affair"
    monkeypatch.setenv("MIXSD_LEASE_GPU", "1")
    assert lease.take_gpus(1) == ["3"] == [os.environ["CUDA_VISIBLE_DEVICES"]]
    assert lease.take_gpus(1) == ["3"], "CUDA stays where it started"
    lease._held[0][1].release()


@pytest.mark.parametrize("leases", ["", "1"])
def test_a_job_of_several_devices_takes_as_many_and_is_shown_the_first(tmp_path, monkeypatch, leases):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    monkeypatch.setenv("MIXSD_LEASE_GPU", leases)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(lease, "_held", [])
    with pytest.raises(SettingError, match="devices=4, but this process has 3 GPUs"):
        lease.take_gpus(4)
    assert lease.take_gpus(2) == ["3", "5"] == lease.take_gpus(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    for _, lock in lease._held:
        if lock:
            lock.release()


def test_who_cannot_have_all_holds_none(holder):
    first = holder("a,b,c", 2)
    assert first.stdout.readline().split() == ["a", "b"]
    second = holder("a,b,c", 2)
    assert "2 of 3 GPUs are wanted" in second.stderr.readline()
    third = holder("a,b,c", 1)
    assert third.stdout.readline().split() == ["c"], "the one that waits for two leaves it free"


def test_without_a_gpu_there_is_nothing_to_lease(monkeypatch):
    monkeypatch.setattr(lease, "gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    start = time.monotonic()
    assert lease.take_gpus(1) == lease.take_gpus(2) == [] and time.monotonic() - start < 1
    monkeypatch.setattr(lease, "gpus", lambda: ["0000:01", "0000:02"])
    assert lease.visible_gpus() == ["0", "1"]


def test_each_process_of_a_launcher_is_shown_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(lease, "_by_launcher", False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    lease.take_local_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert lease.take_gpus(8) == [], "it has what it was given"
