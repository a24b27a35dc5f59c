"""What a tracker is told of a run, live or from its local files."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mixsd.core.errors import SettingError, StoreError
from mixsd.core.store import append_jsonl, write_jsonl
from mixsd.results import schema
from mixsd.run.mirror import content_of, headline, log_kept, log_record, run_info
from mixsd.run.push import _tracker_of, mirror_sweep, push, replay
from mixsd.trackers.none import NoTracker
from mixsd.trackers.wandb import WandB
from tests.helpers.made_runs import make_run
from tests.helpers.wandb_files import wandb_bytes

SECRET = "hush"
CONFIG = {
    "experiment_name": "e",
    "seed": 3,
    "runs_dir": "hush",
    "cache_dir": "~/.cache/hush",
    "data_root": "hush",
    "model": {"name": "models/hush", "template_options": {}},
    "task": {"_target_": "benchmarks.tasks.own_facts.task.OwnFacts", "path": "hush.csv", "facts": 4},
    "method": {"name": "mixsd", "targets": "/x/hush.jsonl", "mixing_rate": 0.3, "reject": ["unsupported"]},
    "training": {"learning_rate": 5e-5, "interpolate": [0.5, 1.0], "init_from": "../hush"},
    "retention": {
        "tasks": ["pocket_grammar", "/x/hush.yaml"],
        "prompts": "hush.csv",
        "include": ["hush"],
        "data_root": "hush",
    },
}


class Seen:
    """Keeps what it is told."""

    def __init__(self, log_text: bool = True) -> None:
        self.log_text = log_text
        self.calls: list[str] = []
        self.points: list[tuple[int, dict]] = []
        self.tables: dict[str, pd.DataFrame] = {}
        self.files_kept: dict[str, list[Path]] = {}

    def files(self, name, kind, paths):
        self.files_kept[kind] = list(paths)

    def start(self, run):
        self.calls.append("start")
        self.run = run

    def log(self, step, values):
        self.points.append((step, dict(values)))

    def table(self, name, frame, chart=None):
        self.tables[name] = frame

    def finish(self, results, error=""):
        self.calls.append("finish")
        self.results = results

    def close(self):
        self.calls.append("close")


def test_no_path_and_no_file_name_is_told():
    told = run_info(Path("/runs/e/own_facts-mixsd-m-s3-0123"), CONFIG, "mixsd", "m")
    assert SECRET not in str(told.config)
    assert told.id == "e-own_facts-mixsd-m-s3-0123" and told.job_type == "mixsd" and told.live
    assert told.config["model"] == {"name": "m", "template_options": {}}
    assert told.config["task"] == {"_target_": CONFIG["task"]["_target_"], "facts": 4}
    assert told.config["method"] == {"name": "mixsd", "mixing_rate": 0.3, "reject": ["unsupported"]}
    assert told.config["training"] == {"learning_rate": 5e-5, "interpolate": [0.5, 1.0]}
    assert told.config["retention"] == {"tasks": ["pocket_grammar"]} and told.config["seed"] == 3
    assert CONFIG["model"]["name"] == "models/hush", "the config itself is not changed"


def test_wandb_files_hold_no_path(tmp_path):
    tracker = WandB()
    tracker.start(run_info(tmp_path / "run-s3", CONFIG, "mixsd", "m"))
    tracker.finish({"probes/recall": 1.0})
    tracker.close()
    sent = wandb_bytes(tmp_path)
    assert b"mixing_rate" in sent and SECRET.encode() not in sent


def test_a_divergence_is_told_in_full():
    config = {**CONFIG, "method": {"name": "opsd", "divergence": "forward_kl"}}
    told = run_info(Path("/runs/e/x"), config, "opsd", "m").config["method"]
    assert told["divergence_is"] == "KL(teacher || student)"


def test_records_are_told_as_numbers_with_their_group():
    seen = Seen()
    log_record(seen, "train", {"step": 2, "loss": 0.5, "parts": {"kl": 0.1}, "note": "x", "missing": None})
    assert seen.points == [(2, {"train/loss": 0.5, "train/parts/kl": 0.1})]


def test_kept_records_are_told_again(tmp_path):
    for step in (1, 2):
        append_jsonl(tmp_path / "metrics.jsonl", {"step": step, "loss": 1.0})
    append_jsonl(tmp_path / "trajectory.jsonl", {"step": 0, "recall": 0.0, "retention_validation": None})
    seen = Seen()
    append_jsonl(tmp_path / "trajectory.jsonl", {"step": 2, "recall": 1.0, "retention_validation": None})
    log_kept(seen, tmp_path)
    # As the trainer told them: it looks at a step before it tells of it.
    assert seen.points == [
        (0, {"trajectory/recall": 0.0}),
        (1, {"train/loss": 1.0}),
        (2, {"trajectory/recall": 1.0}),
        (2, {"train/loss": 1.0}),
    ]
    log_kept(seen, tmp_path / "nothing_yet")
    assert len(seen.points) == 4


def a_run(folder):
    """A made-up finished run, with a curve and an experiment's name."""
    path = make_run(folder, "sft", 0)
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **config, "experiment_name": "e"}))
    write_jsonl(path / "metrics.jsonl", [{"step": 1, "loss": 2.0}])
    write_jsonl(path / "trajectory.jsonl", [{"step": 0, "recall": 0.6, "retention_validation": 0.5}])
    return path


@pytest.mark.parametrize("log_text", [True, False])
def test_a_finished_run_is_told_from_its_files(tmp_path, log_text):
    path = a_run(tmp_path)
    seen = Seen(log_text)
    replay(path, seen)
    assert seen.calls == ["start", "finish", "close"] and not seen.run.live
    assert (1, {"train/loss": 2.0}) in seen.points
    results = schema.load(path)
    config = yaml.safe_load((path / "config.yaml").read_text())
    assert seen.results == {
        **headline(results, config), **schema.summary(results), "results_hash": content_of(path, seen),
    }  # fmt: skip
    assert set(seen.files_kept) == ({"evaluation"} if log_text else set())
    if log_text:
        assert {"answers/recall", "answers/paraphrase"} <= set(seen.tables)
        shown = seen.tables["answers/recall"]
        assert set(shown["before"]) == {"A"} and {"prompt", "accepted", "after", "outcome_after"} <= set(
            shown
        )
    else:
        assert not seen.tables


def test_the_headline_says_what_a_reader_asks_first(tmp_path):
    path = a_run(tmp_path)
    results = schema.load(path)
    config = yaml.safe_load((path / "config.yaml").read_text())
    told = headline(results, config)
    assert told["recall"] == results.recall and told["retention"] == results.retention.generated.ratio
    assert told["reached"] == (results.recall >= config["training"]["until_recall"])
    assert "gate_met" not in told, "none was asked for"
    strict = {**config, "gate": {"learned": 1.0, "retention": None, "intrusion": None}}
    assert headline(results, strict)["gate_met"] == 0
    assert "reached" not in headline(results, {**config, "training": {"until_recall": None}})


def test_content_is_what_the_files_say_and_whether_text_is_shown(tmp_path):
    path = a_run(tmp_path)
    found = content_of(path, Seen(True))
    assert content_of(path, Seen(True)) == found != content_of(path, Seen(False))
    append_jsonl(path / "metrics.jsonl", {"step": 2, "loss": 1.0})
    assert content_of(path, Seen(True)) != found


class Remembers(Seen):
    """Knows what it was shown before."""

    shown: dict[str, str] = {}  # noqa: RUF012 - of all instances: a push builds its own

    def __init__(self, log_text: bool = True) -> None:
        super().__init__(log_text)

    def start(self, run):
        self.shown[run.id] = run.content

    def shows(self, run):
        return self.shown.get(run.id) == run.content


def test_a_push_shows_what_a_tracker_lacks(tmp_path):
    path = a_run(tmp_path)
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(
        yaml.safe_dump({**config, "tracking": {"_target_": f"{__name__}.Remembers"}})
    )
    first, second = push(tmp_path), push(tmp_path)
    assert (first.shown, first.equal, second.shown, second.equal) == (1, 0, 0, 1)
    write_jsonl(path / "metrics.jsonl", [{"step": 1, "loss": 3.0}])
    assert push(tmp_path).shown == 1


def test_a_replay_that_fails_is_closed(tmp_path):
    path, seen = a_run(tmp_path), Seen()
    (path / "metrics.jsonl").write_text("no json\n{}\n")
    with pytest.raises(StoreError, match="is not JSON"):
        replay(path, seen)
    assert seen.calls == ["start", "close"]


def test_an_experiment_is_told_as_numbers_alone(tmp_path):
    a_run(tmp_path)
    seen = Seen(log_text=True)
    mirror_sweep(tmp_path, seen)
    assert seen.calls == ["start", "finish", "close"]
    assert set(seen.tables) == {"runs", "measures"}, "of one method there is no comparison"
    assert len(seen.tables["runs"]) == 1 and len(seen.tables["measures"]) > 20
    assert not any(SECRET in table.to_string() for table in seen.tables.values())


def test_what_is_sent_of_an_experiment_names_no_file(tmp_path):
    for seed in (0, 1):
        path = make_run(tmp_path, "mixsd", seed, method_config={"targets": f"/home/ann/hush-{seed}.jsonl"})
        config = yaml.safe_load((path / "config.yaml").read_text())
        config["task"]["path"] = "/home/ann/hush.csv"
        (path / "config.yaml").write_text(yaml.safe_dump({**config, "experiment_name": "e"}))
    seen = Seen()
    mirror_sweep(tmp_path, seen)
    assert sum(label.startswith("mixsd targets=#") for label in set(seen.tables["runs"]["label"])) == 2
    assert not any("hush" in table.to_string() for table in seen.tables.values())


def test_the_primary_comparisons_of_an_experiment_are_a_table_of_their_own(tmp_path):
    for method, right in (("mixsd", 40), ("sft", 30)):
        path = make_run(tmp_path, method, 0, right=right) / "config.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "experiment_name": "e"}))
    seen = Seen()
    mirror_sweep(tmp_path, seen)
    told = seen.tables["primary_comparisons"]
    (difference,) = (
        told[told["measure"] == "held-out score, points"].dropna(subset="value").to_dict("records")
    )
    assert difference["label"] == "mixsd minus sft" and difference["n"] == 60
    assert difference["low"] < difference["value"] < difference["high"]


def test_a_runs_own_tracker_is_built_or_another_where_one_is_asked_for():
    wandb = {"_target_": "mixsd.trackers.wandb.WandB", "mode": "disabled", "project": "p"}
    none = {"_target_": "mixsd.trackers.none.NoTracker"}
    assert _tracker_of(wandb, {}, True) == WandB(mode="disabled", project="p")
    assert _tracker_of(wandb, {"mode": "offline"}, True) == WandB(mode="offline", project="p")
    assert isinstance(_tracker_of(none, {}, True), NoTracker)
    assert _tracker_of(none, {"mode": "offline"}, False) == WandB(mode="offline", log_text=False)
    with pytest.raises(SettingError, match=r"_target_=gone.Tracker cannot be built .*; add --mode offline"):
        _tracker_of({"_target_": "gone.Tracker"}, {}, True)


def test_torch_is_not_needed():
    """`python -m mixsd push` and `report` run where there is none."""
    code = "import sys, mixsd.run.push; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
