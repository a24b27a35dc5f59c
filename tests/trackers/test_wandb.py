"""Runs in W&B, read back from its offline files."""

import sys

import pandas as pd
import pytest

from mixsd.core.errors import SettingError, TrackingError
from mixsd.trackers.tracker import Chart, RunInfo
from mixsd.trackers.wandb import WandB
from tests.helpers.wandb_files import offline_runs, wandb_bytes, wandb_history, wandb_summary

FRAME = pd.DataFrame({"recall": [0.5, 1.0], "retention": [1.0, 0.75]})


def info(folder, **changes):
    about = {"id": "e-run-s0", "name": "run-s0", "group": "e", "job_type": "sft", "config": {"seed": 3}}
    return RunInfo(**{**about, "folder": folder, **changes})


def show(tracker, folder, *, finished=True):
    """A run of three steps, or one that is killed after two."""
    tracker.start(info(folder))
    for step in (1, 2, 3)[: 3 if finished else 2]:
        tracker.log(step, {"train/loss": 1 / step})
    if finished:
        tracker.finish({"probes/recall": 0.5, "probes/outcomes/correct": 2})
    tracker.close()


def test_a_run_is_read_back(tmp_path):
    show(WandB(), tmp_path)
    (offline,) = offline_runs(tmp_path)
    told = wandb_summary(offline)
    assert told["name"] == "run-s0" and told["project"] == "mixsd-bench" and told["exit_code"] == 0
    assert told["summary"]["probes/recall"] == 0.5 and told["summary"]["probes/outcomes/correct"] == 2
    assert told["config"]["seed"] == 3
    assert wandb_history(offline) == [{"step": step, "train/loss": 1 / step} for step in (1, 2, 3)]


def test_a_resumed_run_is_shown_once(tmp_path):
    tracker = WandB()
    show(tracker, tmp_path, finished=False)
    assert wandb_summary(offline_runs(tmp_path)[0])["exit_code"] == 1, "killed: it failed"
    other = tmp_path / "wandb/offline-run-20200101_000000-another"
    other.mkdir()
    show(tracker, tmp_path)
    old, new = offline_runs(tmp_path)
    assert old == other, "what is not of this run stays"
    assert [point["step"] for point in wandb_history(new)] == [1, 2, 3]


def test_every_start_has_an_id_of_its_own(tmp_path, monkeypatch):
    """W&B appends to a run whose id it knows, so the history of one that is sent again would double."""
    import wandb

    asked = []

    class Fake:
        def __getattr__(self, name):
            return lambda *_, **__: None

    def init(**settings):
        asked.append(settings)
        return Fake()

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr("mixsd.trackers.wandb._logged_in", lambda: True)
    long = "e" * 200
    tracker = WandB(mode="online")
    for _ in range(2):
        tracker.start(info(tmp_path, id=long))
        tracker.close()
    first, second = (settings["id"] for settings in asked)
    assert first != second and max(len(first), len(second)) <= 128
    assert not any(settings.get("resume") for settings in asked)


def test_a_failed_run_says_so_and_not_why(tmp_path):
    tracker = WandB()
    tracker.start(info(tmp_path))
    tracker.finish(None, "DataError: task.path=/secret/hush.csv does not exist")
    tracker.close()
    (offline,) = offline_runs(tmp_path)
    told = wandb_summary(offline)
    assert told["exit_code"] == 1 and told["summary"]["failed"] == 1
    assert b"hush" not in wandb_bytes(tmp_path)


def test_the_command_line_stays_here(tmp_path, monkeypatch):
    """Its arguments name files: `task.path=...`."""
    monkeypatch.setattr(sys, "argv", ["run.py", "task.path=/secret/hush.csv"])
    show(WandB(), tmp_path)
    sent = wandb_bytes(tmp_path)
    assert b"run-s0" in sent and b"hush" not in sent and b"run.py" not in sent


def test_a_table_and_its_chart(tmp_path):
    tracker = WandB()
    tracker.start(info(tmp_path))
    tracker.table("runs", FRAME, Chart("tradeoff", "recall", "retention"))
    tracker.close()
    (offline,) = offline_runs(tmp_path)
    summary = wandb_summary(offline)["summary"]
    assert summary["runs"]["nrows"] == 2 and "tradeoff_table" in str(summary)


def test_disabled_does_nothing(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("W&B was opened"))
    tracker = WandB(mode="disabled")
    show(tracker, tmp_path)
    tracker.table("runs", FRAME)
    assert not list(tmp_path.iterdir())


def test_a_mode_that_is_none_is_one_line():
    with pytest.raises(SettingError, match="tracking.mode=off is unknown; did you mean offline"):
        WandB(mode="off")


def test_what_wandb_refuses_is_one_line(tmp_path, monkeypatch):
    import wandb

    def refuse(**_):
        raise wandb.errors.CommError("no\nroute")  # type: ignore[attr-defined]

    monkeypatch.setattr(wandb, "init", refuse)
    tracker = WandB()
    with pytest.raises(
        TrackingError, match=r"W&B did not take run-s0 \(no route\); the local files are whole"
    ):
        tracker.start(info(tmp_path))
    tracker.close()
