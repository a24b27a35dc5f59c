"""What the report says, on made-up runs."""

import subprocess
import sys
from dataclasses import replace
from itertools import groupby

import pandas as pd
import pytest
from rich.console import Console

from mixsd.core.errors import StoreError
from mixsd.results import schema
from mixsd.results.report import write_report
from mixsd.results.runs import load_runs
from tests.helpers.made_runs import HELD_OUT, N, held_out, make_run, ones


def told_of(folder, capsys, **options):
    write_report(folder, Console(width=250), **options)
    return " ".join(capsys.readouterr().out.split())


def test_importing_the_report_brings_neither_torch_nor_transformers():
    code = (
        "import sys, mixsd.results.report; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "transformers", "lm_eval", "datasets", "accelerate", "hydra", "wandb"}
    assert not heavy & set(loaded.split()) and "pandas" in loaded


def test_runs_that_are_not_comparable_stand_apart(tmp_path, capsys):
    make_run(tmp_path, "a", 0, goal=0.9)
    make_run(tmp_path, "b", 0, right=40, goal=0.8)
    told = told_of(tmp_path, capsys)
    assert "they differ in recall goal." in told and "a minus b" not in told
    assert "they differ in recall goal." in (tmp_path / "report.html").read_text()


def test_groups_of_one_task_are_told_apart_by_what_differs(tmp_path, capsys):
    make_run(tmp_path, "a", 0, goal=0.9)
    make_run(tmp_path, "b", 0, goal=0.8)
    measured_by = {"task": "kgfact", "recall goal": "0.9", "device": "gpu7"}
    make_run(tmp_path, "c", 0, measured_by=measured_by)
    make_run(tmp_path, "d", 0, task="mquake")
    told_of(tmp_path, capsys)
    titles = [
        line[3:] for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert titles[1:5] == [
        "kgfact (20 facts) on m, recall goal 0.9, device unknown",
        "kgfact (20 facts) on m, recall goal 0.8, device unknown",
        "kgfact (20 facts) on m, recall goal 0.9, device gpu7",
        "mquake (20 facts) on m",
    ]


def test_the_table_says_what_was_not_reached(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.5)
    assert "goal not reached" in told_of(tmp_path, capsys)
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_interpolated_models_have_rows_and_points(tmp_path, capsys):
    points = ((0.3, 0.2, 55), (0.6, 0.9, 25), (0.8, 0.95, 45), (1.0, 0.95, 30))
    make_run(tmp_path, "a", 0, right=30, between=points)
    make_run(tmp_path, "b", 0, right=40)
    told = told_of(tmp_path, capsys)
    assert "a + interpolation" in told and "0.6" in told
    assert "a minus a + interpolation" in told and f"{100 * 5 / N:+.1f} [" in told
    assert "a + interpolation minus b" not in told, "an interpolated model is compared with its like"
    rows = pd.read_csv(tmp_path / "tradeoff.csv")
    assert sorted(rows[rows["method"] == "a"]["alpha"]) == [0.3, 0.6, 0.8, 1.0]
    assert len(rows) == 5


def test_a_label_is_the_same_in_every_table_and_in_the_csv(tmp_path, capsys):
    """Also in the table of drift, which only one of the two runs has, and on the curves."""
    first = make_run(tmp_path, "sft", 0, method_config={"rate": 1}, between=((0.5, 0.95, 40),))
    second = make_run(tmp_path, "sft", 1, method_config={"rate": 2})
    schema.save(replace(schema.load(second), drift=None), second)
    told_of(tmp_path, capsys)
    assert "| sft rate=1 | 0.5 | 0.6 |" in (tmp_path / "report.md").read_text()
    labels = set(pd.read_csv(tmp_path / "tradeoff.csv")["label"])
    assert labels == {"sft rate=1", "sft rate=2", "sft rate=1 + interpolation"}
    assert first.exists()


def test_caveats_and_the_recall_at_which_all_could_be_compared(tmp_path, capsys):
    make_run(tmp_path, "a", 0)
    make_run(tmp_path, "b", 0, 0.5)
    told = told_of(tmp_path, capsys)
    assert "limit=4: a subset." in told
    assert "b got no further than recall 0.60; to compare all methods at 0.9 of that" in told
    assert "training.until_recall=0.54" in told, "the ceiling is the best evaluation, not the last"


def test_a_method_that_recalls_nothing_leaves_no_common_recall(tmp_path, capsys):
    path = make_run(tmp_path, "b", 0, 0.0)
    (path / "trajectory.jsonl").write_text('{"retention_validation": 0.5, "recall": 0.0}\n')
    assert "b recalled nothing" in told_of(tmp_path, capsys)


def test_prompts_that_lost_their_beginning_are_told(tmp_path, capsys):
    scores = replace(held_out(ones(48)), shortened=7)
    make_run(tmp_path, "a", 0, retention={HELD_OUT: (scores, held_out(ones(30)))})
    assert f"{HELD_OUT}: 7 of {N} prompts lost their beginning" in told_of(tmp_path, capsys)


def test_results_of_another_version_are_one_line(tmp_path):
    path = make_run(tmp_path, "a", 0) / schema.FILE
    path.write_text(path.read_text().replace('"version": 6', '"version": 4'))
    with pytest.raises(StoreError, match="is of results version 4"):
        load_runs(tmp_path)


def test_the_markdown_page_has_the_tables_and_no_model_output(tmp_path, capsys):
    make_run(tmp_path, "a", 0)
    make_run(tmp_path, "b", 0)
    told_of(tmp_path, capsys)
    page = (tmp_path / "report.md").read_text()
    assert "## kgfact (20 facts) on m" in page and "| a minus b | +0.0 [" in page
    assert "KL(base \\|\\| tuned)" in page and "alert(1)" not in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    tables = [
        list(lines)
        for filled, lines in groupby(page.splitlines(), lambda line: line.startswith("|"))
        if filled
    ]
    assert len(rows) > 10 and all(
        len({line.replace("\\|", "").count("|") for line in table}) == 1 for table in tables
    )


def test_several_tasks_begin_with_one_table_of_all_and_one_task_does_not(tmp_path, capsys):
    make_run(tmp_path, "a", 0)
    assert "Overview" not in told_of(tmp_path, capsys) + (tmp_path / "report.md").read_text()
    make_run(tmp_path, "a", 0, 0.5, right=24, task="mquake")
    assert "Overview" in told_of(tmp_path, capsys)
    table = (tmp_path / "report.md").read_text().split("## ")[1].splitlines()
    assert table[0] == "Overview" and table[2].startswith("| runs | method | seeds | recall |")
    assert "kgfact (20 facts) on m | a | 1 | 0.95" in table[4] and "0.62" in table[4]
    assert "mquake (20 facts) on m | a | 1 | 0.50 (goal reached by 0 of 1)" in table[5] and "0.50" in table[5]


def test_the_report_can_be_written_elsewhere(tmp_path, capsys):
    make_run(tmp_path / "runs", "a", 0)
    (tmp_path / "out").mkdir()
    told_of(tmp_path / "runs", capsys, out=tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "tradeoff.csv",
        "measures.csv",
        "tradeoff.png",
        "tradeoff.svg",
        "figures",
        "report.html",
        "report.md",
    }
    assert {"forgetting.svg", "errors.png"} <= {path.name for path in (tmp_path / "out/figures").iterdir()}
    assert not list((tmp_path / "runs").glob("report*"))
