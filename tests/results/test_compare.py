"""Differences between methods, on made-up runs."""

import json

import numpy as np
import pytest
from rich.console import Console

from mixsd.results.aggregate import gap, paired
from mixsd.results.cells import shown
from mixsd.results.compare import differences, primary_family
from mixsd.results.report import write_report
from mixsd.results.runs import comparable_groups, load_runs
from mixsd.results.tables import primary_rows
from tests.helpers.made_runs import HELD_OUT, N, held_out, make_run, ones, only_difference

RATE = {"mixing_rate": 0.3}


def family_of(folder):
    return primary_family(comparable_groups(load_runs(folder)))


def rows_of(folder):
    groups = comparable_groups(load_runs(folder))
    rows = primary_rows({str(number): group for number, group in enumerate(groups)})
    return [{column: shown(cell) for column, cell in row.items()} for row in rows]


def exclude(run_dir, *doc_ids):
    """Mark documents of a finished run as given away by its facts."""
    path = run_dir / "retention" / f"{HELD_OUT}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    marked = [{**row, "contaminated": row["doc_id"] in doc_ids} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in marked))


def test_a_difference_is_told_with_its_interval_whatever_its_sign(tmp_path):
    make_run(tmp_path, "a", 0, right=20)
    make_run(tmp_path, "b", 0, right=40)
    found = only_difference(tmp_path)
    assert (found.first, found.second, found.gap.items) == ("a", "b", N)
    assert found.delta == pytest.approx(-20 / N) and found.interval[1] < 0
    assert found.note == "differ; exploratory, not adjusted; descriptive (1 of 5 seeds)"


def test_equal_runs_are_within_noise(tmp_path):
    make_run(tmp_path, "a", 0, right=30)
    make_run(tmp_path, "b", 0, right=30)
    assert only_difference(tmp_path).note.startswith("within noise")


def test_an_exploratory_comparison_never_claims_a_difference_between_methods(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "a", seed, right=44 + seed % 2)
        make_run(tmp_path, "b", seed, right=20)
    found = only_difference(tmp_path)
    assert found.seeds == 5 and found.interval[0] > 0
    assert found.note == "differ; exploratory, not adjusted"


@pytest.mark.parametrize(("recall", "goal"), [(0.5, 0.9), (0.95, None)])
def test_without_matched_recall_nothing_is_compared(tmp_path, recall, goal):
    make_run(tmp_path, "a", 0, recall, right=30, goal=goal)
    make_run(tmp_path, "b", 0, 0.95, right=40, goal=goal)
    found = only_difference(tmp_path)
    assert found.delta is None and "not compared" in found.note


def test_contaminated_documents_do_not_count(tmp_path):
    exclude(make_run(tmp_path, "a", 0), *range(10))
    assert len(load_runs(tmp_path)[0].documents[HELD_OUT]) == N - 10


def test_only_documents_that_count_for_both_are_compared(tmp_path):
    """Runs may exclude different documents; those of one run alone say nothing of a difference."""
    for method, excluded in (("a", 0), ("b", 59)):
        exclude(make_run(tmp_path, method, 0), excluded)
    assert only_difference(tmp_path).gap.items == N - 2


def test_few_shared_items_have_no_interval_anywhere(tmp_path):
    for method in "ab":
        exclude(make_run(tmp_path, method, 0), *range(N - 19))
    found = only_difference(tmp_path)
    assert (found.delta, found.interval, found.p) == (None, None, None) and "fewer than 20" in found.note


def test_a_seed_without_a_held_out_task_that_counts_is_left_out_and_said(tmp_path):
    nothing = {HELD_OUT: (held_out(ones(1)), held_out(ones(1)))}
    for method, right in (("a", 30), ("b", 40)):
        make_run(tmp_path, method, 0, right=right)
        make_run(tmp_path, method, 1, retention=nothing)
    found = only_difference(tmp_path)
    assert found.seeds == 1 and found.delta == pytest.approx(-10 / N)
    assert "1 seeds left out: no held-out task counts" in found.note
    write_report(tmp_path, Console(width=200))


def test_two_methods_without_any_task_that_counts_are_not_compared(tmp_path):
    for method in "ab":
        make_run(tmp_path, method, 0, retention={HELD_OUT: (held_out(ones(1)), held_out(ones(1)))})
    assert only_difference(tmp_path).note == "no held-out task counts"
    write_report(tmp_path, Console(width=200))


def test_the_numbers_of_a_comparison_are_those_of_the_aggregate(tmp_path):
    first, second = [40, 42, 44, 43, 41], [30, 33, 28, 31, 35]
    for seed, (a, b) in enumerate(zip(first, second, strict=True)):
        make_run(tmp_path, "mixsd", seed, right=a, method_config=RATE)
        make_run(tmp_path, "sft", seed, right=b)
    rows = [dict(enumerate(zip(ones(b), ones(a), strict=True))) for a, b in zip(first, second, strict=True)]
    expected = gap([paired(rows)])
    found = family_of(tmp_path)[0]
    assert found.gap == expected and found.p == expected.p < 0.05
    assert found.delta == pytest.approx(np.mean(first) / N - np.mean(second) / N)


def test_two_to_four_seeds_have_no_p(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "mixsd", seed, right=40 + seed, method_config=RATE)
        make_run(tmp_path, "sft", seed, right=30)
        found = family_of(tmp_path)[0]
        if seed in (1, 2, 3):
            assert found.p is None and "not tested; descriptive" in found.note, "so few may agree by chance"
    assert found.p is not None and found.note == "a difference between the methods"


def test_five_seeds_that_change_nothing_are_no_evidence(tmp_path):
    """Editors that show facts in the prompt draw nothing by seed."""
    for seed in range(5):
        make_run(tmp_path, "mixsd", seed, right=48, method_config=RATE)
        make_run(tmp_path, "sft", seed, right=20)
    found = family_of(tmp_path)[0]
    assert found.gap.seeds == 1 and found.interval[0] < found.delta < found.interval[1]
    assert found.note == (
        "a difference between these checkpoints; descriptive (all seeds give the same, which is no evidence)"
    )


def test_the_primary_family_is_mixsd_at_the_fixed_rate_against_sft_and_opsd_on_every_task(tmp_path, capsys):
    for task in ("kgfact", "mquake"):
        for method, right in (("mixsd", 50), ("sft", 30), ("opsd", 49), ("context_distillation", 20)):
            rate = RATE if method == "mixsd" else {}
            make_run(tmp_path / task, method, 0, 0.95, right, task=task, method_config=rate)
    make_run(tmp_path / "kgfact", "mixsd", 1, 0.95, 0, task="kgfact", method_config={"mixing_rate": 0.5})
    family = family_of(tmp_path)
    assert [(d.task, d.first, d.second) for d in family] == [
        ("kgfact", "mixsd mixing_rate=0.3", "sft"), ("kgfact", "mixsd mixing_rate=0.3", "opsd"),
        ("mquake", "mixsd", "sft"), ("mquake", "mixsd", "opsd"),
    ]  # fmt: skip
    assert family[0].delta == pytest.approx(20 / N) and family[1].delta == pytest.approx(1 / N)
    first = family[0].p
    assert first == pytest.approx(1 / 10_001) and family[1].p == 1, "20 items against none; one item"
    rows = rows_of(tmp_path)
    assert rows[0]["p (Holm of 4)"] == f"{4 * first:.2g}" == rows[2]["p (Holm of 4)"]
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "all others are exploratory" in told and "a primary comparison: see there" in told


def test_a_primary_comparison_is_read_by_its_adjusted_p(tmp_path):
    """An interval without 0 is no claim where it is one of eight comparisons."""
    for task in ("kgfact", "mquake", "kgfunc", "open_qa"):
        make_run(tmp_path, "mixsd", 0, right=36 if task == "kgfact" else 30, task=task, method_config=RATE)
        make_run(tmp_path, "sft", 0, right=30, task=task)
    found = family_of(tmp_path)[0]
    assert found.interval[0] > 0 and found.p < 0.05 < found.p_adjusted
    assert found.p_adjusted == pytest.approx(8 * found.p)
    assert found.note.startswith("within noise")


def test_the_family_does_not_shrink_by_what_is_absent_or_has_two_settings(tmp_path):
    make_run(tmp_path, "mixsd", 0, right=50, method_config=RATE)
    make_run(tmp_path, "sft", 0, right=30)
    alone = family_of(tmp_path)[0].p_adjusted
    make_run(tmp_path, "mixsd", 0, right=50, task="mquake", method_config=RATE)
    for number in (1, 2):
        make_run(tmp_path / f"z{number}", "sft", number, task="mquake", method_config={"rate": number})
    family = family_of(tmp_path)
    assert len(family) == 4 and family[0].p_adjusted == pytest.approx(2 * alone)
    notes = [d.note for d in family]
    assert notes[1] == notes[3] == "no run of opsd: not compared"
    assert notes[2] == "2 settings of sft: not compared"
    assert [row["p (Holm of 4)"] for row in rows_of(tmp_path)][1:] == ["n/a"] * 3


def test_what_could_not_be_tested_counts_among_the_primary_comparisons(tmp_path):
    make_run(tmp_path, "mixsd", 0, right=50, method_config=RATE)
    make_run(tmp_path, "sft", 0, right=40)
    make_run(tmp_path, "opsd", 0, 0.2, right=30)
    sft, opsd = rows_of(tmp_path)
    assert float(sft["p (Holm of 2)"]) == pytest.approx(2 * float(sft["p"]), rel=0.1)
    assert (opsd["p"], opsd["p (Holm of 2)"]) == ("n/a", "n/a")


def test_without_any_primary_comparison_there_is_no_table(tmp_path):
    make_run(tmp_path, "sft", 0)
    assert rows_of(tmp_path) == []


def test_an_interpolated_model_is_compared_with_its_like(tmp_path):
    make_run(tmp_path, "a", 0, right=30, between=((0.6, 0.92, 25),))
    make_run(tmp_path, "b", 0, right=40)
    runs = load_runs(tmp_path)
    pairs = {(d.first, d.second) for d in differences([*runs, *runs[0].at_goal])}
    assert pairs == {("a", "a + interpolation"), ("a", "b")}
