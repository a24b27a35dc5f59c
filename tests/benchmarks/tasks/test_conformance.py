"""What every task must do; a new task is found by its config file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixsd.core.questions import described
from mixsd.core.store import content_hash
from mixsd.run.config import compose_run
from tests.conftest import ROOT
from tests.helpers.task_checks import CHECKS
from tests.helpers.task_files import task_overrides

GOLDENS = Path(__file__).parents[2] / "data/task_prompts.json"
NAMES = sorted(path.stem for path in (ROOT / "conf/task").glob("[!_]*.yaml"))


@pytest.fixture(scope="module", params=NAMES)
def task(request, tmp_path_factory):
    more = task_overrides(request.param, tmp_path_factory.mktemp("task"))
    return compose_run(["model=tiny_random", "retention=none", f"task={request.param}", *more]).task


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_task(task, check):
    check(task)


DRAWN = ("kgfact_small", "kgfunc_pocket", "closed_book_qa_pocket", "mquake_pocket")


def data_of(names):
    tasks = [compose_run(["model=tiny_random", "retention=none", f"task={name}"]).task for name in names]
    return content_hash([[described(task.facts), described(task.probes)] for task in tasks])


@pytest.mark.slow
def test_data_does_not_depend_on_the_hash_seed():
    program = "from tests.benchmarks.tasks import test_conformance as here; print(here.data_of(here.DRAWN))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    there = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert there.stdout.split()[-1:] == [data_of(DRAWN)], there.stderr


def first_prompts(task):
    splits = {}
    for probe in task.probes:
        splits.setdefault(probe.split, []).append([probe.question.prompt, list(probe.question.accepted)])
    return {split: rows[:2] for split, rows in splits.items()}


def test_the_first_prompts_are_the_golden_ones(task):
    golden = json.loads(GOLDENS.read_text(encoding="utf-8"))
    if task.name not in golden:
        pytest.skip("no golden prompts: a new task, or one whose questions are not copied to this repository")
    assert first_prompts(task) == golden[task.name]


COLOURS = """
from benchmarks.tasks.probes import AXES, Row, common_probes, fact_of, rewording, take
from mixsd.core.formats import find_format

ROWS = [Row("What colour is the Fenwick handbook?", "turquoise"), Row("Who leads Halden?", "Ines Karvall")]


class Colours:
    def __init__(self, facts: int | None = None, answer_format: str = "plain", max_new_tokens: int = 32, seed: int = 0):
        self.name, self.about, self.axes, self.max_new_tokens = "colours", "Made up here.", AXES, max_new_tokens
        form = find_format(answer_format)
        self.facts = [fact_of(row.question, row.question, row, form) for row in take(ROWS, facts, "colours")]
        self.probes = [*common_probes(self.facts, form), *(rewording(fact, form, seed) for fact in self.facts)]
"""


def test_a_new_task_is_one_file_and_one_yaml(tmp_path, monkeypatch):
    """Nothing else names it: no list, no golden file, no test."""
    (tmp_path / "colours.py").write_text(COLOURS)
    (tmp_path / "conf/task").mkdir(parents=True)
    (tmp_path / "conf/task/colours.yaml").write_text(
        "defaults: [_common, _self_]\n_target_: colours.Colours\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    overrides = [f"hydra.searchpath=[file://{tmp_path}/conf]", "task=colours"]
    config = compose_run(["model=tiny_random", "retention=none", *overrides])
    for check in CHECKS:
        check(config.task)
    assert config.run_id.startswith("colours-mixsd-")
    assert config.task.max_new_tokens == 48, "what tasks share goes for it too"


@pytest.mark.slow
def test_the_card_of_a_task(cli, warm_cli, tmp_path):
    out = tmp_path / "card.md"
    done = cli(
        "-m",
        "mixsd",
        "card",
        "model=tiny_random",
        "task=mquake_pocket",
        "retention.limit=20",
        "--out",
        str(out),
    )
    assert done.returncode == 0, done.stderr
    card = out.read_text()
    assert "24 facts" in card and "| locality | retention | 44 |" in card and "Apache-2.0" in card
    assert "gives them away: pocket_knowledge" in card and "compared one by one" in card
    bad = warm_cli("-m", "mixsd", "card", "task=kgfakt")
    assert bad.returncode == 2 and "task=kgfakt is unknown" in bad.stderr
