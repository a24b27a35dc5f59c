"""The tables of a report, row by row."""

import pytest

from mixsd.core.scores import GENERATED, LIKELIHOOD
from mixsd.results.aggregate import gap, paired, ratio
from mixsd.results.cells import shown
from mixsd.results.retention_tables import panel_rows, retention_cell, task_rows
from mixsd.results.runs import load_runs
from mixsd.results.schema import Drift, Likelihood, TargetReport
from mixsd.results.stats import proportion_interval
from mixsd.results.tables import drift_note, drift_rows, split_rows, summary_rows, target_rows
from tests.helpers.made_runs import (
    BASE_RIGHT,
    FACTS,
    HELD_OUT,
    N,
    answer,
    held_out,
    item,
    make_run,
    ones,
)


def words(rows):
    return [{column: shown(cell) for column, cell in row.items()} for row in rows]


def by_method(rows):
    return {row["method"]: row for row in words(rows)}


def test_a_summary_holds_cost_and_retention(tmp_path):
    make_run(tmp_path, "a", 0, right=30)
    (row,) = words(summary_rows(load_runs(tmp_path)))
    assert row["cost"] == "tokens trained 100, written 100, passes 20, seconds 2, GiB 1.0, tokens a prompt 40"
    assert row["held-out base -> tuned"] == "80.0 -> 50.0" and row["retention"].startswith("0.62 [")
    assert (row["recall"], row["paraphrase"], row["verdict"]) == ("0.95", "0.50", "drop (descriptive)")


def test_facts_that_settings_left_out_are_not_dropped_by_the_method(tmp_path):
    make_run(tmp_path, "a", 0, targets=TargetReport(n=48, left_out=24, dropped=3))
    (row,) = words(summary_rows(load_runs(tmp_path)))
    assert row["dropped"] == "3 of 24"


@pytest.mark.parametrize(
    ("right", "margin", "word"),
    [(30, 0.02, "drop"), (47, 0.02, "inconclusive"), (47, 0.3, "no drop"), (30, 0.5, "no drop")],
)
def test_the_margin_decides_between_no_drop_and_inconclusive(tmp_path, right, margin, word):
    make_run(tmp_path, "a", 0, right=right)
    (row,) = words(summary_rows(load_runs(tmp_path), margin))
    assert row["verdict"] == f"{word} (descriptive)"


def test_a_verdict_on_a_method_needs_five_seeds_that_differ(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "same", seed, right=20)
        make_run(tmp_path, "varied", seed, right=20 + seed)
    found = by_method(summary_rows(load_runs(tmp_path)))
    assert found["varied"]["verdict"] == "drop"
    assert found["same"]["verdict"] == "drop (descriptive)"


def test_a_run_that_fell_short_has_no_verdict_and_no_p_on_any_task(tmp_path):
    make_run(tmp_path, "a", 0, 0.95, right=10)
    make_run(tmp_path, "b", 0, 0.5, right=10)
    make_run(tmp_path, "c", 0, 0.5, right=10, goal=None)
    runs = load_runs(tmp_path)
    found, summary = by_method(task_rows(runs)), by_method(summary_rows(runs))
    assert found["a"]["verdict"] == found["c"]["verdict"] == "drop (descriptive)"
    assert found["a"]["p (Holm)"] and (found["b"]["verdict"], found["b"]["p (Holm)"]) == (
        "goal not reached",
        "",
    )
    assert (summary["b"]["verdict"], summary["c"]["verdict"]) == ("goal not reached", "no goal set")


def test_each_held_out_task_has_its_interval_and_why_answers_are_wrong(tmp_path):
    after = [item(i, 0.0, text="Lunbel3" if i < 7 else "Rome") for i in range(N)]
    scores = held_out(ones(BASE_RIGHT)), held_out(ones(0))
    tuned = scores[1].__class__("acc", GENERATED, 0.0, tuple(after))
    make_run(tmp_path, "a", 0, retention={HELD_OUT: (scores[0], tuned)})
    (row,) = words(task_rows(load_runs(tmp_path)))
    assert row["tuned minus base"].startswith("-80.0 [-") and row["tuned minus base"].endswith(f"(n={N})")
    assert row["wrong answers"] == "format 0 -> 0, leakage 0 -> 7, collapse 0 -> 0, genuine 12 -> 53"
    assert row["names a trained answer"] == "0.00 -> 0.12" and row["cut off"] == "0% -> 0%"


def test_the_table_of_a_task_speaks_of_seeds_and_items(tmp_path):
    rights = [20, 24, 28, 26, 22]
    for seed, right in enumerate(rights):
        make_run(tmp_path, "a", seed, right=right)
    rows = [dict(enumerate(zip(ones(BASE_RIGHT), ones(right), strict=True))) for right in rights]
    low, high = gap([paired(rows)]).interval
    runs = load_runs(tmp_path)
    (row,) = words(task_rows(runs))
    assert row["tuned minus base"] == f"-40.0 [{100 * low:+.1f}, {100 * high:+.1f}] (n={N})"
    value, (low, high) = ratio([paired(rows)])
    assert str(retention_cell(runs)) == f"{value:.2f} [{low:.2f}, {high:.2f}]"


def test_both_ratios_have_their_intervals(tmp_path):
    pairs = {
        "g": (held_out(ones(48)), held_out(ones(30))),
        "l": (held_out(ones(90, 100), LIKELIHOOD, 0.5), held_out(ones(70, 100), LIKELIHOOD, 0.5)),
    }
    make_run(tmp_path, "a", 0, retention=pairs)
    generated, likelihood = words(panel_rows(load_runs(tmp_path)))
    assert generated["ratio"] == generated["above chance"] and generated["ratio"].startswith("0.62 [")
    assert likelihood["ratio"].startswith("0.78 [") and likelihood["above chance"].startswith("0.50 [")


def test_few_items_have_a_ratio_without_an_interval(tmp_path):
    few = {HELD_OUT: (held_out(ones(15, 19)), held_out(ones(9, 19)))}
    make_run(tmp_path, "a", 0, retention=few)
    (row,) = words(summary_rows(load_runs(tmp_path)))
    assert row["retention"] == "0.60 (too few items for an interval)" and row["verdict"] == "n/a"


def test_a_split_that_one_seed_lacks_is_told_for_the_others(tmp_path):
    hops = [answer(f"h{i}", i < 5) for i in range(20)]
    axes = {"recall": "memorization", "paraphrase": "generalization", "two_hop": "generalization"}
    make_run(tmp_path, "a", 0, probes={"two_hop": (hops, hops)}, axes=axes)
    make_run(tmp_path, "a", 1)
    make_run(tmp_path, "b", 1)
    rows = by_method(split_rows(load_runs(tmp_path)))
    low, high = proportion_interval(5, 20)
    assert rows["a"]["two_hop (generalization)"] == f"0.25 -> 0.25 [{low:.2f}, {high:.2f}] (n=20)"
    assert rows["b"]["two_hop (generalization)"] == ""
    assert rows["a"]["recall (memorization)"].startswith("0.00 -> 0.95 [")
    assert rows["a"]["learned"].startswith("0.50 [") and "edits of what it knew otherwise" not in rows["a"]


def test_likelihoods_of_targets_gold_and_contrasts_are_of_the_same_facts(tmp_path):
    targets = TargetReport(
        n=len(FACTS), dropped=7, trained=Likelihood(1.07, 0.1, 100), gold=Likelihood(1.2, 0.2, 90),
        contrasts={"expert": Likelihood(1.04, 0.0, 80)}, gold_of_all=Likelihood(1.35, 0.3, 120),
        numbers={"pass_rate": 0.65},
    )  # fmt: skip
    make_run(tmp_path, "mixsd", 0, targets=targets)
    make_run(tmp_path, "in_context", 0, targets=TargetReport(n=len(FACTS)))
    (row,) = words(target_rows(load_runs(tmp_path)))
    assert (row["NLL"], row["NLL of gold"], row["NLL of expert"]) == ("1.07", "1.20", "1.04")
    assert row["NLL of gold, all facts"] == "1.35", "over other facts, so in a column that says it"
    assert row["pass rate"] == "0.65" and "naive share" not in row


def test_drift_is_told_and_its_correlation_only_with_enough_runs_and_an_interval(tmp_path):
    drifts = [0.5, 0.4, 0.44, 0.3, 0.35]
    for seed, drift in enumerate(drifts[:4]):
        make_run(
            tmp_path, "a", seed, right=20 + 5 * seed, drift=Drift(drift, 0.6), between=((0.5, 0.95, 40),)
        )
    runs = load_runs(tmp_path)
    assert by_method(drift_rows(runs))["a"]["KL(base || tuned)"] == "0.41"
    assert drift_note([*runs, *(p for run in runs for p in run.at_goal)]) == "", "four tuned models"
    make_run(tmp_path, "a", 4, right=40, drift=Drift(drifts[4], 0.6))
    told = drift_note(load_runs(tmp_path))
    assert told.startswith("Correlation with the drop, all methods and seeds together: KL +0.")
    assert "[" in told and told.endswith("over 5 runs.") and "displacement" not in told
