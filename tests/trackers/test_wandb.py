"""Runs in W&B, read back from its offline files."""

import json
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
    return RunInfo(**{**about, "folder": folder / "run", **changes})


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
    (token,) = [json.loads(file.read_text())["token"] for file in tmp_path.glob("*wandb.json")]
    other = tmp_path / f"wandb/offline-run-20200101_000000-of-another-e-run-s0-{token}"
    other.mkdir()
    show(tracker, tmp_path)
    old, new = offline_runs(tmp_path)
    assert old == other, "what is not of this run stays"
    assert [point["step"] for point in wandb_history(new)] == [1, 2, 3]


def test_what_was_synced_is_not_sent_again_under_its_id(tmp_path):
    """`wandb sync` appends to a run that the server has, so its points would double."""
    tracker = WandB()
    show(tracker, tmp_path, finished=False)
    (first,) = offline_runs(tmp_path)
    next(first.glob("*.wandb")).with_suffix(".wandb.synced").touch()
    show(tracker, tmp_path)
    _, second = offline_runs(tmp_path)
    assert second.name.endswith("-v2")


def test_an_offline_folder_shows_what_it_has(tmp_path):
    tracker, about = WandB(), info(tmp_path, live=False, content="abc")
    assert not tracker.shows(about)
    tracker.start(about)
    tracker.finish({"recall": 1.0, "results_hash": "abc"})
    tracker.close()
    assert tracker.shows(about) and not tracker.shows(info(tmp_path, content="abd"))


class Fake:
    """What `wandb.init` gives, doing nothing."""

    starting_step, url, config = 0, "", {}

    def __getattr__(self, name):
        return lambda *_, **__: None


@pytest.fixture
def asked(monkeypatch):
    """The settings of every `wandb.init`; a call is refused where the list says so."""
    import wandb

    calls, refused = [], []

    def init(**settings):
        calls.append(settings)
        if len(calls) in refused:
            raise wandb.errors.CommError("run x was previously created and deleted; try a new run name")  # type: ignore[attr-defined]
        return Fake()

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr("mixsd.trackers.wandb._logged_in", lambda: True)
    return calls, refused


def test_an_id_is_the_same_at_every_start_and_no_other_runs(tmp_path, asked):
    calls, refused = asked
    refused.append(3)
    tracker = WandB(mode="online")
    for _ in range(3):
        tracker.start(info(tmp_path, id="e" * 200))
        tracker._run = None
    (tmp_path / "other").mkdir()
    tracker.start(info(tmp_path / "other", id="e" * 200))
    first, second, third, fourth, other = (settings["id"] for settings in calls)
    assert first == second == third != other and len(first) == 64
    assert fourth.endswith("-v2") and fourth[:-3].endswith(first[-8:]), "W&B gives an id only once"
    assert {settings["resume"] for settings in calls} == {"allow"}


def test_what_was_sent_online_is_not_synced_again(tmp_path, asked):
    calls, _ = asked
    online, offline = WandB(mode="online"), WandB(mode="offline")
    for tracker in (online, offline):
        tracker.start(info(tmp_path))
        tracker._run = None
    first, second = (settings["id"] for settings in calls)
    assert second == f"{first}-v2"


def test_tags_are_as_wandb_takes_them(tmp_path, asked, monkeypatch):
    calls, _ = asked
    monkeypatch.setenv("WANDB_TAGS", "mine,,mine")
    WandB(tags=("", "t" * 100)).start(info(tmp_path, tags=("kgfact",)))
    assert calls[0]["tags"] == ["kgfact", "t" * 64, "mine"]


@pytest.mark.parametrize(("given", "meant"), [("dryrun", "offline"), ("run", "online"), ("", "offline")])
def test_what_wandb_also_takes_for_a_mode(monkeypatch, given, meant):
    monkeypatch.setattr("mixsd.trackers.wandb._logged_in", lambda: True)
    assert (
        WandB(mode=given, project="").mode == meant and WandB(mode=given, project="").project == "mixsd-bench"
    )


def test_long_names_are_cut_and_told_apart(tmp_path):
    """A table is kept under a name that is made of the run's id, and W&B takes 128 characters."""
    ids = [f"{'e' * 50}-{experiment}-{'model' * 12}-s0-0123456789" for experiment in "ab"]
    tracker = WandB()
    for long in ids:
        tracker.start(info(tmp_path, id=long))
        tracker.table("held_out/reasoning_humaneval_as_it_is_published", FRAME)
        tracker.close()
    assert len(offline_runs(tmp_path)) == 2


def test_a_failed_run_says_so_and_not_why(tmp_path):
    tracker = WandB()
    tracker.start(info(tmp_path))
    tracker.finish(None, "DataError: task.path=/secret/hush.csv does not exist")
    tracker.close()
    (offline,) = offline_runs(tmp_path)
    told = wandb_summary(offline)
    assert (
        told["exit_code"] == 1 and told["summary"]["failed"] == 1 and told["summary"]["error"] == "DataError"
    )
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
    tracker.table(
        "runs", FRAME, Chart("tradeoff", "recall", "retention", {"mark": "point"}, {"recall": "recall"})
    )
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
