"""Trackers as such: none of them can end a run, and a new one is one file and one YAML."""

import json

import pytest

from mixsd.trackers.none import NoTracker
from mixsd.trackers.tracker import Extras, Harmless, RunInfo, Tracker, optional
from mixsd.trackers.wandb import WandB
from tests.conftest import SMALL

INFO_KEYS = ("id", "name", "group", "job_type")

JSON_LINES = '''
"""A tracker that appends to a file of JSON lines."""

import json
from pathlib import Path


class JsonLines:
    """Shows runs in one file.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def _write(self, **record) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\\n")

    def start(self, run) -> None:
        self._write(call="start", name=run.name, group=run.group, method=run.job_type, config=run.config)

    def log(self, step, values) -> None:
        self._write(call="log", step=step, **values)

    def finish(self, results, error="") -> None:
        self._write(call="finish", results=results and dict(results), error=error)

    def close(self) -> None:
        self._write(call="close")
'''
JSON_LINES_YAML = "_target_: json_lines_tracker.JsonLines\npath: ???\n"


def info(tmp_path, **changes) -> RunInfo:
    return RunInfo(**{**dict.fromkeys(INFO_KEYS, "x"), "config": {}, "folder": tmp_path, **changes})


class Broken:
    """Fails in one call, and writes down which were made."""

    log_text = True

    def __init__(self, fails_in: str) -> None:
        self.fails_in, self.calls = fails_in, []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails_in:
            raise ConnectionError("no\nroute")

    def start(self, run):
        self._called("start")

    def log(self, step, values):
        self._called("log")

    def table(self, name, frame, chart=None):
        self._called("table")

    def finish(self, results, error=""):
        self._called("finish")

    def close(self):
        self._called("close")


@pytest.mark.parametrize(
    ("fails_in", "calls"),
    [
        ("start", ["start", "close"]),
        ("log", ["start", "log", "close"]),
        ("table", ["start", "log", "log", "table", "close"]),
        ("finish", ["start", "log", "log", "table", "finish", "close"]),
        ("close", ["start", "log", "log", "table", "finish", "close"]),
        ("", ["start", "log", "log", "table", "finish", "close"]),
    ],
)
def test_a_tracker_that_fails_is_told_once_and_closed(tmp_path, capsys, fails_in, calls):
    broken = Broken(fails_in)
    tracker = Harmless(broken)
    tracker.start(info(tmp_path))
    tracker.log(1, {"train/loss": 1.0})
    tracker.log(2, {"train/loss": 0.5})
    tracker.table("answers", None)  # type: ignore[arg-type]
    tracker.finish({"probes/recall": 1.0})
    tracker.close()
    assert broken.calls == calls
    told = capsys.readouterr().err
    assert told.count("\n") == (1 if fails_in else 0)
    if fails_in:
        assert "Broken stopped showing this run (ConnectionError: no route)" in told


def test_an_interrupt_is_no_failure_of_a_tracker(tmp_path):
    def interrupted(run):
        raise KeyboardInterrupt

    broken = Broken("")
    broken.start = interrupted
    with pytest.raises(KeyboardInterrupt):
        Harmless(broken).start(info(tmp_path))


def test_trackers_fulfil_the_protocol():
    for tracker in (NoTracker(), WandB(mode="disabled"), Harmless(NoTracker())):
        assert isinstance(tracker, Tracker)
    assert isinstance(WandB(mode="disabled"), Extras) and not Harmless(NoTracker()).log_text
    assert optional(NoTracker(), "shows")(None) is None, "what a tracker lacks does nothing"
    assert Harmless(WandB(mode="disabled", log_text=True)).log_text


@pytest.mark.slow
def test_a_new_tracker_is_one_file_and_one_yaml(warm_cli, tmp_path):
    (tmp_path / "json_lines_tracker.py").write_text(JSON_LINES)
    (tmp_path / "conf/tracking").mkdir(parents=True)
    (tmp_path / "conf/tracking/json_lines.yaml").write_text(JSON_LINES_YAML)
    file = tmp_path / "shown.jsonl"
    done = warm_cli(
        "run.py", *SMALL, "method=sft", "retention=none", f"hydra.searchpath=[file://{tmp_path}/conf]",
        "tracking=json_lines", f"tracking.path={file}", f"runs_dir={tmp_path}/runs", PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in file.read_text().splitlines()]
    calls = [record["call"] for record in shown]
    assert calls[0] == "start" and calls[-2:] == ["finish", "close"] and set(calls[1:-2]) == {"log"}
    assert shown[0]["method"] == "sft" and shown[0]["config"]["task"]["facts"] == 4
    trained = [record for record in shown if "train/loss" in record]
    assert [record["step"] for record in trained] == [1, 2, 3, 4]
    assert [record["step"] for record in shown if "trajectory/recall" in record] == [0, 2, 4]
    results = shown[-2]["results"]
    (run,) = (tmp_path / "runs/default").glob("*-sft-*")
    assert 0 <= results["probes/recall"] <= 1 and shown[0]["name"] == f"sft s0 {run.name[-6:]}"

    again = warm_cli("-m", "mixsd", "push", f"{tmp_path}/runs", PYTHONPATH=str(tmp_path))
    assert again.returncode == 0 and "1 runs, 1 sent" in again.stdout, again.stderr
    replayed = [json.loads(line) for line in file.read_text().splitlines()][len(shown) :]
    same = [record for record in replayed if record["call"] == "log"]
    by_step = sorted((r for r in shown if r["call"] == "log"), key=str)
    assert sorted(same, key=str) == by_step and replayed[-2]["results"] == results
