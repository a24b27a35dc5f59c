"""Kill the process while it makes targets, start again, and get the same file."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from mixsd.core.store import open_records
from mixsd.mixing.targets import Target, make_targets
from tests.helpers.fakes import FakeTask, even, graded_by
from tests.helpers.mixing import BUDGET, mix
from tests.helpers.training import fresh

FACTS = 30


def make_all(cache: Path, die_at: int | None = None) -> None:
    """Make all targets; die, as by `kill -9`, as soon as so many are finished."""
    torch.set_num_threads(1)
    model = fresh()
    model.end_ids = frozenset(range(0, 256, 10))  # a reply ends at every tenth byte or so
    told = 0

    def on_finished(target: Target) -> None:
        nonlocal told
        told += 1
        if told == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        patch("mixsd.mixing.targets.grade", graded_by(even)),
        open_records(cache, "targets", {"test": 1}) as done,
    ):
        make_targets(
            FakeTask(FACTS).facts,
            model,
            mix(),
            max_new_tokens=BUDGET,
            batch_size=4,
            done=done,
            on_finished=on_finished,
        )


def records(cache: Path) -> dict[str, object]:
    path = next((cache / "targets").glob("*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines), "no fact twice"
    return {line["key"]: line["value"] for line in lines}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, object]:
    """The targets of a process that nobody kills."""
    cache = tmp_path_factory.mktemp("whole")
    make_all(cache)
    return records(cache)


@pytest.mark.parametrize("torn", [False, True], ids=["between lines", "within a line"])
def test_killed_at_any_record_yields_the_same_targets(tmp_path, whole, torn):
    """One process after another dies at a record that is known, the last one finishes the work."""
    assert len(whole) == FACTS
    context = multiprocessing.get_context("fork")
    # Records from the file are told first, so each process dies so many records further on.
    for die_at in (1, 2, 7, 8, 19):
        worker = context.Process(target=make_all, args=(tmp_path, die_at))
        worker.start()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        assert len(records(tmp_path)) == die_at
        if torn:
            with next(tmp_path.glob("targets/*.jsonl")).open("a") as file:
                file.write('{"key": "f1", "val')  # what a writer killed in mid-line leaves
            with open_records(tmp_path, "targets", {"test": 1}) as done:
                assert len(done.records) == die_at, "the torn line is cut off"
    make_all(tmp_path)
    assert records(tmp_path) == whole
