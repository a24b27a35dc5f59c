"""What a grid selects."""

import json

import yaml

from benchmarks.studies.select_rate import grid_of, main, selected
from mixsd.results.runs import load_runs
from tests.helpers.made_runs import make_run


def grid(folder, cells):
    """Runs of (method, rate, recall, validation)."""
    for method, rate, recall, validation in cells:
        path = make_run(folder, method, 1000, recall, run_id=f"{method}-{rate}")
        config = yaml.safe_load((path / "config.yaml").read_text())
        config["training"]["learning_rate"] = rate
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        point = {"step": 5, "recall": recall, "retention_validation": validation}
        (path / "trajectory.jsonl").write_text(json.dumps(point) + "\n")


def test_the_best_mean_of_the_rates_that_all_reach(tmp_path, capsys):
    grid(
        tmp_path,
        [
            ("sft", 1e-5, 0.95, 0.3), ("mixsd", 1e-5, 0.95, 0.5),
            ("sft", 2e-5, 0.95, 0.4), ("mixsd", 2e-5, 0.95, 0.3),
            ("sft", 5e-6, 0.5, 0.9), ("mixsd", 5e-6, 0.95, 0.9),
        ],
    )  # fmt: skip
    found = grid_of(load_runs(tmp_path))
    assert selected(found, ["mixsd", "sft"]) == 1e-5, "at 5e-6 SFT falls short"
    assert main([str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "selected: 1e-05" in told and "0.50 short" in told


def test_no_rate_where_one_method_never_reaches(tmp_path, capsys):
    grid(tmp_path, [("sft", 1e-5, 0.95, 0.3), ("mixsd", 1e-5, 0.2, 0.5)])
    assert main([str(tmp_path)]) == 0 and "no rate" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing")]) == 2
