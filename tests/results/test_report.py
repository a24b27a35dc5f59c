"""What the report says, on made-up runs."""

import json
from itertools import groupby

import pandas as pd
import pytest
from rich.console import Console

from mixsd.core.errors import StoreError
from mixsd.results.report import write_report
from mixsd.results.runs import load_runs
from mixsd.results.tables import split_rows, task_rows
from tests.helpers.made_runs import N, make_run


def test_the_same_run_in_two_folders_is_one_run(tmp_path):
    make_run(tmp_path / "x", "a", 0, 0.95, right=30)
    make_run(tmp_path / "y", "a", 0, 0.95, right=30)
    assert len(load_runs(tmp_path)) == 1


def test_runs_that_are_not_comparable_stand_apart(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30, goal=0.9)
    make_run(tmp_path, "b", 0, 0.95, right=40, goal=0.8)
    write_report(tmp_path, Console(width=200))
    told = capsys.readouterr().out
    assert "they differ in recall goal." in told and "a minus b" not in told
    assert "they differ in recall goal." in (tmp_path / "report.html").read_text()


def test_page_escapes_model_output_and_table_says_what_was_not_reached(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.5, right=30)
    write_report(tmp_path, Console(width=200))
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "goal not reached" in capsys.readouterr().out


def test_interpolation_goes_back_as_far_as_recall_allows(tmp_path, capsys):
    """Alpha is the smallest that reaches the recall goal, however little it retains."""
    points = ((0.3, 0.2, 55), (0.6, 0.92, 25), (0.8, 0.95, 45), (1.0, 0.95, 30))
    make_run(tmp_path, "a", 0, 0.95, right=30, between=points)
    make_run(tmp_path, "b", 0, 0.95, right=40)
    run = next(run for run in load_runs(tmp_path) if run.method == "a")
    assert [point.alpha for point in run.frontier] == [0.3, 0.6, 0.8]
    (chosen,) = run.at_goal
    assert chosen.alpha == 0.6 and chosen.recall == 0.92
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "a + interpolation" in told and "0.6" in told
    assert "a minus a + interpolation" in told and f"{100 * 5 / N:+.1f} points" in told
    assert "a + interpolation minus b" not in told, "an interpolated model is compared with its like"
    rows = pd.read_csv(tmp_path / "tradeoff.csv")
    assert sorted(rows[rows["method"] == "a"]["alpha"]) == [0.3, 0.6, 0.8, 1.0]
    assert len(rows) == 5


def test_cost_is_a_column(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    assert "100 trained, 100 written, 20 passes, 2 s, 1.0 GiB; 40 a prompt" in capsys.readouterr().out


def test_each_held_out_task_has_its_interval_and_why_answers_are_wrong(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "-30.0 [-20.0, +10.0] (60)" in told and "0.4" in told
    assert "format 2 -> 1, leakage 2 -> 7, collapse 2 -> 0, genuine 2 -> 3" in told and "0.25" in told
    assert "0.00 -> 0.95" in told and "0.70" in told, "splits before and after; facts learned"


def test_drift_is_told_and_its_correlation_only_with_enough_runs(tmp_path, capsys):
    for seed, right in enumerate((20, 25, 30, 35)):
        make_run(tmp_path, "a", seed, 0.95, right=right)
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "KL(base || tuned)" in told and "Correlation" not in told
    make_run(tmp_path, "a", 4, 0.95, right=40)
    write_report(tmp_path, Console(width=250))
    told = " ".join(capsys.readouterr().out.split())
    assert "Correlation with the drop over 5 runs: KL +1.00, squared displacement -1.00." in told


def test_caveats_and_the_recall_at_which_all_could_be_compared(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    make_run(tmp_path, "b", 0, 0.5, right=30)
    write_report(tmp_path, Console(width=250))
    told = " ".join(capsys.readouterr().out.split())
    assert "limit=4: a subset." in told
    assert "b got no further than recall 0.60; to compare all methods at 0.9 of that" in told
    assert "training.until_recall=0.54" in told, "the ceiling is the best evaluation, not the last"


def test_a_method_that_recalls_nothing_leaves_no_common_recall(tmp_path, capsys):
    path = make_run(tmp_path, "b", 0, 0.0, right=30)
    (path / "trajectory.jsonl").write_text('{"retention_validation": 0.5, "recall": 0.0}\n')
    write_report(tmp_path, Console(width=250))
    assert "b recalled nothing" in " ".join(capsys.readouterr().out.split())


def test_a_run_that_fell_short_has_no_verdict_and_no_p_on_any_task(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=10)
    make_run(tmp_path, "b", 0, 0.5, right=10)
    make_run(tmp_path, "c", 0, 0.5, right=10, goal=None)
    found = {row["method"]: row for row in task_rows(load_runs(tmp_path))}
    assert found["a"]["verdict"] == found["c"]["verdict"] == "inconclusive (descriptive)"
    assert (found["b"]["verdict"], found["b"]["p (Holm)"]) == ("goal not reached", "")
    assert found["a"]["wrong answers"].startswith("format 2 -> 1, leakage 2 -> 7")
    assert found["a"]["p (Holm)"] == "0.4" and found["a"]["names a trained answer"] == "0.05 -> 0.25"


def test_a_split_that_one_seed_lacks_is_told_for_the_others(tmp_path, capsys):
    path = make_run(tmp_path, "a", 0, 0.95, right=30) / "results.json"
    results = json.loads(path.read_text())
    for probes in (results["probes"], results["probes_before"]):
        probes["two_hop"] = {**probes["paraphrase"], "accuracy": 0.25}
    path.write_text(json.dumps(results))
    make_run(tmp_path, "a", 1, 0.95, right=30)
    make_run(tmp_path, "b", 1, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    rows = {row["method"]: row for row in split_rows(load_runs(tmp_path))}
    assert rows["a"]["two_hop (generalization)"].startswith("0.25 -> 0.25 [0.20, 0.80]")
    assert rows["b"]["two_hop (generalization)"] == ""
    assert rows["a"]["recall of what the base model missed"] == "0.60 [0.30, 0.90] (9)"


def test_drift_of_interpolated_models_is_no_drift_of_their_drop(tmp_path, capsys):
    for seed, right in enumerate((20, 25, 30, 35)):
        make_run(tmp_path, "a", seed, 0.95, right=right, between=((0.5, 0.92, 40),))
    write_report(tmp_path, Console(width=250))
    assert "Correlation" not in capsys.readouterr().out, "four tuned models, however many between"


def test_the_margin_decides_between_no_drop_and_inconclusive(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    for margin, word in ((0.02, "inconclusive (descriptive)"), (0.3, "no drop (descriptive)")):
        write_report(tmp_path, Console(width=250), margin)
        assert word in capsys.readouterr().out


def test_results_of_an_earlier_version_are_one_line(tmp_path):
    path = make_run(tmp_path, "a", 0, 0.95, right=30) / "results.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "drift"}))
    with pytest.raises(StoreError, match="lacks drift: an earlier version wrote it"):
        load_runs(tmp_path)


def test_the_markdown_page_has_the_tables_and_no_model_output(tmp_path):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    make_run(tmp_path, "b", 0, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    page = (tmp_path / "report.md").read_text()
    assert "## kgfact (10 facts) on m" in page and "| a minus b | +0.0 points" in page
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


def test_two_runs_that_a_report_cannot_tell_apart_are_one_seed(tmp_path, capsys):
    make_run(tmp_path / "x", "sft", 0, 0.95, 30)
    twin = make_run(tmp_path / "y", "sft", 0, 0.95, 31)
    results = json.loads((twin / "results.json").read_text())
    (twin / "results.json").write_text(json.dumps({**results, "run_id": "another"}))
    write_report(tmp_path, Console(width=250))
    told = " ".join(capsys.readouterr().out.split())
    assert "is left out: the same method, settings and seed as" in told
    assert len(pd.read_csv(tmp_path / "tradeoff.csv")) == 1


def test_both_ratios_have_their_intervals(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "0.60 [0.50, 0.70]" in told and "0.55 [0.40, 0.70]" in told


def test_several_tasks_begin_with_one_table_of_all_and_one_task_does_not(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    write_report(tmp_path, Console(width=250))
    assert "Overview" not in capsys.readouterr().out + (tmp_path / "report.md").read_text()
    make_run(tmp_path, "a", 0, 0.5, right=24, task="mquake")
    write_report(tmp_path, Console(width=250))
    assert "Overview" in capsys.readouterr().out
    table = (tmp_path / "report.md").read_text().split("## ")[1].splitlines()
    assert table[0] == "Overview" and table[2].startswith("| runs | method | seeds | recall |")
    assert "kgfact (10 facts) on m | a | 1 | 0.95" in table[4] and "0.62" in table[4]
    assert "mquake (10 facts) on m | a | 1 | 0.50 (goal reached by 0 of 1)" in table[5] and "0.50" in table[5]
