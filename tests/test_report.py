"""What the report says, on made-up runs."""

import json
from itertools import groupby
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console
from scipy.stats import ttest_1samp

from mixsd.analysis.compare import differences, primary_family
from mixsd.analysis.report import write_report
from mixsd.analysis.runs import comparable_groups, load_runs
from mixsd.analysis.stats import t_interval
from mixsd.analysis.tables import primary_rows, split_rows, task_rows
from mixsd.errors import StoreError

N = 60


def make_run(
    folder: Path,
    method: str,
    seed: int,
    recall: float,
    right: int,
    goal: float | None = 0.9,
    between: tuple[tuple[float, float, int], ...] = (),
    task: str = "kgfact",
    method_config: dict | None = None,
    kept_of: str | None = None,
) -> Path:
    """A finished run; `between` gives (alpha, recall, right) of its interpolations."""
    path = folder / f"{task}-{method}-s{seed}"
    held_out = {
        "kind": "generated", "included": True, "n": N, "base": 0.8, "tuned": right / N, "chance": 0.0,
        "ci": [-0.2, 0.1], "p": 0.2, "p_holm": 0.4, "detectable": 0.125,
        "breakdown": {
            "errors": {"format": 1, "leakage": 7, "collapse": 0, "genuine": 3}, "intrusion_rate": 0.25, "leaked": {},
        },
        "breakdown_base": {"errors": dict.fromkeys(("format", "leakage", "collapse", "genuine"), 2), "intrusion_rate": 0.05, "leaked": {}},
    }  # fmt: skip
    mean = right / N
    cost = {"seconds": 1.0, "generated_tokens": 50, "forward_passes": 10, "peak_memory_bytes": 2**30}
    results = {
        "run_id": path.name, "task": task, "method": method, "model": "m", "seed": seed, "n_facts": 10,
        "comparable": f"{task} {goal}", "measured_by": {"task": task, "recall goal": str(goal)}, "caveats": ["limit=4: a subset"],
        "probes": {
            "recall": {"accuracy": recall, "n": 10, "ci": [0.3, 1], "prompt_tokens": 40, "axis": "memorization"},
            "paraphrase": {"accuracy": 0.5, "n": 20, "ci": [0.2, 0.8], "axis": "generalization"},
        },
        "probes_before": {"recall": {"accuracy": 0.0}, "paraphrase": {"accuracy": 0.0}},
        "memorization": {"learned": {"share": 0.7, "n": 10, "ci": [0.4, 0.9]}, "intrusion": None,
                         "recall_missed": {"share": 0.6, "n": 9, "ci": [0.3, 0.9]}, "edit_success": None},
        "drift": {"kl_base_tuned": 1 - mean, "top1_agreement": 0.6, "raw": 2.0 + seed, "fisher": 1.0, "ratio": 0.5},
        "retention": {
            "ratio": mean / 0.8, "ratio_above_chance": mean / 0.8, "base_mean": 0.8, "tuned_mean": mean,
            "ci": [mean / 0.8 - 0.1, mean / 0.8 + 0.1], "delta_ci": [mean - 0.9, mean - 0.7],
            "panels": {"generated": {"ratio": 0.6, "ci": [0.5, 0.7], "ratio_above_chance": 0.55, "above_chance_ci": [0.4, 0.7]},
                       "likelihood": {"ratio": None}},
            "excluded": {"tasks": [], "items": 0}, "tasks": {"pocket_knowledge": held_out},
        },
        "targets": {"dropped": 0, "nll": 2.0},
        "training": {"steps": 5, "trained_tokens": 100},
        "cost": {"examples": cost, "training": cost},
    }  # fmt: skip
    results["interpolation"] = [
        {
            "alpha": alpha,
            "probes": {"recall": {**results["probes"]["recall"], "accuracy": there}},
            "retention": {**results["retention"], "ratio": r / N / 0.8, "tuned_mean": r / N, "ci": [0, 2]},
        }
        for alpha, there, r in between
    ]
    path.mkdir(parents=True)
    (path / "results.json").write_text(json.dumps(results))
    config = {
        "task": {"only_facts_of": kept_of},
        "method": {"name": method, **(method_config or {})},
        "training": {"until_recall": goal},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "trajectory.jsonl").write_text('{"retention_validation": 0.5, "recall": 0.6}\n')
    reply = {"text": "<script>alert(1)</script>", "outcome": "wrong"}
    for place, count in ((path, right), *((path / f"interpolation/{a}", r) for a, _, r in between)):
        rows = [
            {
                "doc_id": i,
                "prompt": f"Q{i}",
                "contaminated": False,
                "base": reply,
                "tuned": {**reply, "score": float(i < count)},
            }
            for i in range(N)
        ]
        (place / "retention").mkdir(parents=True)
        (place / "retention/pocket_knowledge.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (path / "DONE").touch()
    return path


def only_difference(folder):
    (found,) = differences(load_runs(folder))
    return found


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


def test_the_same_run_in_two_folders_is_one_run(tmp_path):
    make_run(tmp_path / "x", "a", 0, 0.95, right=30)
    make_run(tmp_path / "y", "a", 0, 0.95, right=30)
    assert len(load_runs(tmp_path)) == 1


def test_contaminated_documents_do_not_count(tmp_path):
    path = make_run(tmp_path, "a", 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
    path.write_text(path.read_text().replace('"contaminated": false', '"contaminated": true', 10))
    assert len(load_runs(tmp_path)[0].held_out["pocket_knowledge"]) == N - 10


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


def test_only_documents_that_count_for_both_are_compared(tmp_path):
    """Runs may exclude different documents; those of one run alone say nothing of a difference."""
    for method, excluded in (("a", 0), ("b", 59)):
        path = make_run(tmp_path, method, 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[excluded]["contaminated"] = True
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert only_difference(tmp_path).items == N - 2


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


def test_few_shared_items_have_no_interval_anywhere(tmp_path):
    for method in "ab":
        path = make_run(tmp_path, method, 0, 0.95, right=30) / "retention" / "pocket_knowledge.jsonl"
        path.write_text(path.read_text().replace('"contaminated": false', '"contaminated": true', N - 19))
    found = only_difference(tmp_path)
    assert (found.delta, found.interval, found.p) == (None, None, None) and "fewer than 20" in found.note


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
