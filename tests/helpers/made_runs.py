"""Made-up finished runs, for what reads them."""

import json
from pathlib import Path

import yaml

from mixsd.results.compare import differences
from mixsd.results.runs import load_runs

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
