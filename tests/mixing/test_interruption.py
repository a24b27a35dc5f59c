"""Kill the process while it makes targets, start again, and get the same file."""

import json
import multiprocessing
import random
import time
from pathlib import Path

import torch

from mixsd.core.store import open_records
from mixsd.lm import load as models
from mixsd.mixing.targets import make_targets
from tests.conftest import settings
from tests.helpers.fakes import FakeTask
from tests.mixing.test_targets import even, mix

FACTS, KILLS = 60, 10


def make_all(cache: Path) -> None:
    torch.set_num_threads(1)
    student = models.load(settings("tiny_random"), cache)
    student.end_ids = frozenset(range(0, 256, 10))
    with open_records(cache, "targets", {"test": 1}) as done:
        make_targets(
            FakeTask(FACTS, even),
            student,
            mix(),
            batch_size=4,
            done=done,
            on_finished=lambda _: time.sleep(0.03),
        )


def records(cache: Path) -> dict[str, object]:
    path = next((cache / "targets").glob("*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines), "no fact twice"
    return {line["key"]: line["value"] for line in lines}


def test_killed_at_random_moments_yields_the_same_targets(tmp_path):
    make_all(tmp_path / "whole")
    whole = records(tmp_path / "whole")
    assert len(whole) == FACTS
    cache, rng, killed = tmp_path / "killed", random.Random(0), 0
    context = multiprocessing.get_context("fork")
    for _ in range(KILLS):
        worker = context.Process(target=make_all, args=(cache,))
        worker.start()
        time.sleep(rng.uniform(0.05, 0.4))
        if worker.is_alive():
            worker.kill()
            killed += 1
        worker.join()
        if rng.random() < 0.5 and (files := list(cache.glob("targets/*.jsonl"))):
            with files[0].open("a") as file:
                file.write('{"key": "f1", "val')  # what a writer killed in mid-line leaves
    assert killed >= KILLS // 2, "the test must kill something"
    with open_records(cache, "targets", {"test": 1}) as done:
        assert 0 < len(done.records) < FACTS, "and it must be killed half-way"
    make_all(cache)
    assert records(cache) == whole
