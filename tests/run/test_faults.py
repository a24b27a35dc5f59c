"""Faults from outside: whatever happens, the same command ends with the results of an undisturbed run.

Of each: nothing half-written, no lock left, the right exit status.
"""

import os
import random
import shutil
import subprocess

import pytest

from mixsd.core.store import is_held, read_json, write_json
from tests.conftest import ROOT, SMALL
from tests.helpers.results import numbers

RUN = (
    *SMALL, "method=mixsd", "method.on_failure=keep_last", "method.contrast=false", "tracking=none",
    "training.dtype=float32", "training.checkpoint_every=2", "training.interpolate=[0.5]",
    "retention.tasks=[pocket_grammar,pocket_knowledge]", "retention.limit=3", "task.retrieval=2",
)  # fmt: skip
STAGES = (
    "base scores", "examples", "training", "tuned scores", "drift", "interpolation", "results",
)  # fmt: skip
DIES = "tests/helpers/dies.py"
MOMENTS = 25


@pytest.fixture(scope="module")
def undisturbed(warm_python, tmp_path_factory):
    """The numbers of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = go(warm_python, folder)
    assert done.returncode == 0, done.stderr
    return numbers(run_in(folder))


@pytest.fixture(scope="module")
def trained(warm_python, tmp_path_factory):
    """The folder of a run that was killed when it had trained, for tests to copy."""
    folder = tmp_path_factory.mktemp("trained")
    killed = go(warm_python, folder, before=(DIES, "at", "tuned scores"))
    assert killed.returncode != 0 and not (run_in(folder) / "DONE").exists()
    return folder


def go(python, folder, *overrides, before=(), cache=None):
    """The run, as a user gives it; `before` stands in front, as `tests/helpers/dies.py` does."""
    command = [*(before or ("run.py",)), *RUN, f"runs_dir={folder}/runs", *overrides]
    variables = {**os.environ, "MIXSD_CACHE_DIR": str(cache or folder / "cache"), "OMP_NUM_THREADS": "1"}
    return python.run(command, ROOT, variables)


def run_in(folder):
    (path,) = (folder / "runs/default").glob("kg*")
    return path


def assert_whole(folder, wanted):
    """The run is done as if nothing had happened, and nothing else lies about."""
    path = run_in(folder)
    assert numbers(path) == wanted
    assert read_json(path / "status.json")["state"] == "done" and (path / "DONE").exists()
    left = [p for p in folder.rglob("*") if p.suffix == ".tmp" or p.name.startswith(".trash")]
    assert not left, left
    locks = [lock for lock in folder.rglob("*.lock") if is_held(lock)]
    assert not locks, locks


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_killed_as_a_stage_begins(stage, warm_python, tmp_path, undisturbed):
    killed = go(warm_python, tmp_path, before=(DIES, "at", stage))
    assert killed.returncode != 0 and not (run_in(tmp_path) / "DONE").exists()
    done = go(warm_python, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, undisturbed)


@pytest.mark.slow
def test_killed_at_random_moments(warm_python, tmp_path, undisturbed):
    """Again and again in one run, and in the next, until all moments are spent."""
    moments = random.Random(0)
    kills = number = 0
    while kills < MOMENTS:
        folder, number = tmp_path / str(number), number + 1
        while kills < MOMENTS:
            ended = go(warm_python, folder, before=(DIES, "after", f"{moments.uniform(0.2, 2.5):.2f}"))
            if ended.returncode == 0:
                break
            kills += 1
        done = go(warm_python, folder)
        assert done.returncode == 0, done.stderr
        assert_whole(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("write", [9, 27])
def test_killed_in_the_middle_of_a_write(write, warm_python, tmp_path, undisturbed):
    killed = go(warm_python, tmp_path, before=(DIES, "write", str(write)))
    assert killed.returncode != 0
    assert go(warm_python, tmp_path).returncode == 0
    assert_whole(tmp_path, undisturbed)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 megabytes, and a way to leave only so many bytes of it free."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no permission to mount a small disk")

    def leave(free):
        filler = place / "filler"
        filler.unlink(missing_ok=True)
        with filler.open("wb") as file:
            file.write(b"\0" * max(0, shutil.disk_usage(place).free - free))

    yield place, leave
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("free", [12_000, 1_200_000])
def test_a_disk_that_is_full(free, warm_python, tmp_path, small_disk, undisturbed):
    place, leave = small_disk
    leave(free)
    stopped = go(warm_python, place, cache=place / "cache")
    assert stopped.returncode == 2 and len(stopped.stderr.strip().splitlines()) < 40
    assert "Traceback" not in stopped.stderr, stopped.stderr
    (place / "filler").unlink()
    done = go(warm_python, place, cache=place / "cache")
    assert done.returncode == 0, done.stderr
    assert_whole(place, undisturbed)


@pytest.mark.slow
def test_two_of_the_same_at_once(warm_start, tmp_path, undisturbed):
    """One runs, the other waits and finds it done."""
    command = ("run.py", *RUN, f"runs_dir={tmp_path}/runs")
    both = [warm_start(*command) for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    words = sorted(stdout.strip().splitlines()[-1].split(":")[0] for stdout, _ in told)
    assert words == ["done", "skipped"], "one waited"
    assert_whole(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_damaged_cache_is_found_by_its_checksums_and_made_anew(warm_python, tmp_path, undisturbed):
    assert go(warm_python, tmp_path).returncode == 0
    damaged = [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".jsonl", ".safetensors")]
    assert len(damaged) >= 5
    for path in damaged:
        content = bytearray(path.read_bytes())
        at = max(range(len(content)), key=lambda i: (chr(content[i]).isdigit(), i > len(content) // 2))
        content[at] = ord("7") if content[at] != ord("7") else ord("8")  # still JSON, still tensors
        path.write_bytes(content)
    for path in (tmp_path / "cache").rglob("*.json"):
        path.write_text("{")
    shutil.rmtree(tmp_path / "runs")
    done = go(warm_python, tmp_path)
    assert done.returncode == 0 and "damaged records are made anew" in done.stderr, done.stderr
    assert_whole(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_torn_checkpoint_is_passed_over(warm_python, tmp_path, trained, undisturbed):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    run = run_in(tmp_path)
    for name in ("training.json", "model"):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    torn = run / "trainer" / "checkpoint-3"
    torn.mkdir(parents=True, exist_ok=True)
    (torn / "model.safetensors").write_bytes(b"half")
    assert go(warm_python, tmp_path).returncode == 0
    assert_whole(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_folder_of_runs_that_was_moved_goes_on(warm_python, tmp_path, undisturbed):
    go(warm_python, tmp_path / "a", before=(DIES, "at", "drift"))
    (tmp_path / "a").rename(tmp_path / "b")
    done = go(warm_python, tmp_path / "b")
    assert done.returncode == 0 and "training (mixsd)" not in done.stderr, "it was trained before"
    assert_whole(tmp_path / "b", undisturbed)


@pytest.mark.slow
def test_a_clock_that_jumps_changes_nothing(warm_python, tmp_path, trained, undisturbed):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob("*"):  # all that was written comes from the future
        os.utime(path, (4e9, 4e9))
    assert go(warm_python, tmp_path).returncode == 0
    assert_whole(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_package_that_was_upgraded_meanwhile_begins_the_unfinished_part_anew(
    warm_python, tmp_path, trained, undisturbed
):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    path = run_in(tmp_path) / "identity.json"
    found = read_json(path)
    for layer in found["made_by"].values():
        layer["torch"] = "1.0"
    write_json(path, found)
    done = go(warm_python, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, undisturbed)
    assert read_json(path)["made_by"]["trained"]["torch"] == "1.0", "what was complete stays, on record"


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_one_line(warm_python, tmp_path):
    (tmp_path / "file").write_text("")
    done = go(warm_python, tmp_path, cache=tmp_path / "file/cache")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "cache_dir" in done.stderr
