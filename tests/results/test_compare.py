"""Differences between methods, on made-up runs."""

import json

import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from mixsd.results.compare import primary_family
from mixsd.results.report import write_report
from mixsd.results.runs import comparable_groups, load_runs
from mixsd.results.stats import t_interval
from mixsd.results.tables import primary_rows
from tests.helpers.made_runs import N, make_run, only_difference


def test_a_difference_is_told_with_its_interval_whatever_its_sign(tmp_path):
    make_run(tmp_path, "a", 0, 0.95, right=20)
    make_run(tmp_path, "b", 0, 0.95, right=40)
    found = only_difference(tmp_path)
    assert (found.first, found.second, found.items) == ("a", "b", N)
    assert found.delta == pytest.approx(-20 / N) and found.interval[1] < 0
    assert found.note == "a difference between these checkpoints; descriptive (1 of 5 seeds)"


def test_equal_runs_are_within_noise(tmp_path):
    make_run(tmp_path, "a", 0, 0.95, right=30)
    make_run(tmp_path, "b", 0, 0.95, right=30)
    assert only_difference(tmp_path).note.startswith("within noise")


def test_five_seeds_make_a_claim_by_per_seed_differences(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "a", seed, 0.95, right=40 + seed % 2)
        make_run(tmp_path, "b", seed, 0.95, right=30)
    found = only_difference(tmp_path)
    assert found.seeds == 5 and found.note == "a difference between the methods" and found.interval[0] > 0


@pytest.mark.parametrize(("recall", "goal"), [(0.5, 0.9), (0.95, None)])
def test_without_matched_recall_nothing_is_compared(tmp_path, recall, goal):
    make_run(tmp_path, "a", 0, recall, right=30, goal=goal)
    make_run(tmp_path, "b", 0, 0.95, right=40, goal=goal)
    found = only_difference(tmp_path)
    assert found.delta is None and "not compared" in found.note


def test_contaminated_documents_do_not_count(tmp_path):
    path = make_run(tmp_path, "a", 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
    path.write_text(path.read_text().replace('"contaminated": false', '"contaminated": true', 10))
    assert len(load_runs(tmp_path)[0].held_out["pocket_knowledge"]) == N - 10


def test_the_primary_family_is_mixsd_at_the_fixed_rate_against_sft_and_opsd_on_every_task(tmp_path, capsys):
    for task in ("kgfact", "mquake"):
        for method, right in (("mixsd", 50), ("sft", 30), ("opsd", 49), ("context_distillation", 20)):
            rate = {"mixing_rate": 0.3} if method == "mixsd" else {}
            make_run(tmp_path / task, method, 0, 0.95, right, task=task, method_config=rate)
    make_run(tmp_path / "kgfact", "mixsd", 1, 0.95, 0, task="kgfact", method_config={"mixing_rate": 0.5})
    groups = comparable_groups(load_runs(tmp_path))
    family = primary_family(groups)
    assert [(task, d.first, d.second) for task, d in family] == [
        ("kgfact", "mixsd", "sft"), ("kgfact", "mixsd", "opsd"), ("mquake", "mixsd", "sft"), ("mquake", "mixsd", "opsd"),
    ]  # fmt: skip
    assert family[0][1].delta == pytest.approx(20 / N) and family[1][1].delta == pytest.approx(1 / N)
    first = family[0][1].p
    assert first == pytest.approx(1 / 10_001) and family[1][1].p == 1, "20 items against none; one item"
    rows = primary_rows(groups)
    assert rows[0]["p (Holm)"] == f"{4 * first:.2g}" and rows[2]["p (Holm)"] == f"{4 * first:.2g}"
    write_report(tmp_path, Console(width=250))
    assert "all others are exploratory" in capsys.readouterr().out


def test_two_settings_of_a_method_leave_the_primary_family(tmp_path):
    make_run(tmp_path, "mixsd", 0, 0.95, 50, method_config={"mixing_rate": 0.3})
    make_run(tmp_path / "x", "sft", 0, 0.95, 30, method_config={"rate": 1})
    make_run(tmp_path / "y", "sft", 1, 0.95, 30, method_config={"rate": 2})
    assert primary_family(comparable_groups(load_runs(tmp_path))) == []


def test_p_over_seeds_is_a_paired_t_test_from_five_seeds_on(tmp_path):
    gaps = []
    for seed in range(5):
        make_run(tmp_path, "mixsd", seed, 0.95, right=40 + seed, method_config={"mixing_rate": 0.3})
        make_run(tmp_path, "sft", seed, 0.95, right=30)
        gaps.append((10 + seed) / N)
        ((_, found),) = primary_family(comparable_groups(load_runs(tmp_path)))
        if seed in (1, 2, 3):
            assert found.p is None, "so few may agree by chance"
    assert found.p == pytest.approx(ttest_1samp(gaps, 0).pvalue)
    assert found.interval == pytest.approx(t_interval(gaps))


def test_what_could_not_be_tested_counts_among_the_primary_comparisons(tmp_path):
    make_run(tmp_path, "mixsd", 0, 0.95, 50, method_config={"mixing_rate": 0.3})
    make_run(tmp_path, "sft", 0, 0.95, 40)
    make_run(tmp_path, "opsd", 0, 0.2, 30)
    sft, opsd = primary_rows(comparable_groups(load_runs(tmp_path)))
    assert float(sft["p (Holm)"]) == pytest.approx(2 * float(sft["p"]), rel=0.1)
    assert (opsd["p"], opsd["p (Holm)"]) == ("n/a", "n/a")


def test_only_documents_that_count_for_both_are_compared(tmp_path):
    """Runs may exclude different documents; those of one run alone say nothing of a difference."""
    for method, excluded in (("a", 0), ("b", 59)):
        path = make_run(tmp_path, method, 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[excluded]["contaminated"] = True
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert only_difference(tmp_path).items == N - 2


def test_sft_on_kept_facts_is_a_label_of_its_own_and_no_primary_comparison(tmp_path, capsys):
    make_run(tmp_path, "mixsd", 0, 0.95, 50, method_config={"mixing_rate": 0.3})
    make_run(tmp_path / "all", "sft", 0, 0.95, 30)
    kept = make_run(tmp_path / "kept", "sft", 0, 0.95, 55, kept_of="runs/mixsd")
    results = json.loads((kept / "results.json").read_text())
    (kept / "results.json").write_text(json.dumps({**results, "run_id": "another"}))
    ((_, found),) = primary_family(comparable_groups(load_runs(tmp_path)))
    assert (found.second, found.delta) == ("sft", pytest.approx(20 / N))
    write_report(tmp_path, Console(width=250))
    told = capsys.readouterr().out
    assert "sft only_kept_facts=True" in told and "left out" not in told


def test_few_shared_items_have_no_interval_anywhere(tmp_path):
    for method in "ab":
        path = make_run(tmp_path, method, 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
        path.write_text(path.read_text().replace('"contaminated": false', '"contaminated": true', N - 19))
    found = only_difference(tmp_path)
    assert (found.delta, found.interval, found.p) == (None, None, None) and "fewer than 20" in found.note
