"""What the report says, on made-up runs."""

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from mixsd.analysis.compare import differences
from mixsd.analysis.report import write_report
from mixsd.analysis.runs import load_runs

N = 60


def make_run(
    folder: Path, method: str, seed: int, recall: float, right: int, goal: float | None = 0.9
) -> Path:
    path = folder / f"kgfact-{method}-s{seed}"
    scores = [float(i < right) for i in range(N)]
    task = {"kind": "generated", "included": True, "n": N, "base": 0.8, "tuned": right / N, "chance": 0.0}
    mean = right / N
    results = {
        "run_id": path.name, "task": "kgfact", "method": method, "model": "m", "seed": seed, "n_facts": 10,
        "comparable": f"goal {goal}",
        "probes": {"recall": {"accuracy": recall, "n": 10}, "paraphrase": {"accuracy": 0.5}},
        "probes_before": {"recall": {"accuracy": 0.0}},
        "retention": {
            "ratio": mean / 0.8, "ratio_above_chance": mean / 0.8, "base_mean": 0.8, "tuned_mean": mean,
            "ci": [mean / 0.8 - 0.1, mean / 0.8 + 0.1], "delta_ci": [mean - 0.9, mean - 0.7],
            "excluded": {"tasks": [], "items": 0}, "tasks": {"pocket_knowledge": task},
        },
        "targets": {"dropped": 0, "nll": 2.0},
        "training": {"steps": 5, "trained_tokens": 100},
        "cost": {"examples": {"seconds": 1.0}, "training": {"seconds": 2.0}},
    }  # fmt: skip
    (path / "retention").mkdir(parents=True)
    (path / "results.json").write_text(json.dumps(results))
    config = {"method": {"name": method}, "training": {"until_recall": goal}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "trajectory.jsonl").write_text('{"retention_validation": 0.5}\n')
    reply = {"text": "<script>alert(1)</script>", "outcome": "wrong"}
    rows = [
        {"doc_id": i, "prompt": f"Q{i}", "contaminated": False, "base": reply, "tuned": {**reply, "score": s}}
        for i, s in enumerate(scores)
    ]
    (path / "retention" / "pocket_knowledge.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
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
    assert "stand in separate tables" in told and "minus" not in told


def test_page_escapes_model_output_and_table_says_what_was_not_reached(tmp_path, capsys):
    make_run(tmp_path, "a", 0, 0.5, right=30)
    write_report(tmp_path, Console(width=200))
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "goal not reached" in capsys.readouterr().out
