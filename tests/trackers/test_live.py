"""Runs seen in W&B while they go on, on a server of this machine: killed, refused, pushed, private."""

import json
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
import yaml

from mixsd.results import schema
from mixsd.run.config import read_config
from tests.conftest import ROOT, SMALL, SMALL_TASK, runs_of
from tests.helpers.wandb_server import ENTITY, wandb_server

LONG = (
    "run.py", *SMALL, "method=sft", "retention=none", "drift=none", "experiment_name=e",
    "training.max_steps=40", "training.checkpoint_every=5", "training.until_recall=null", "training.eval_every=4",
)  # fmt: skip


@pytest.fixture
def server(tmp_path):
    with wandb_server() as fake:
        yield fake
    assert not fake.unknown, "a call that the server does not know"


@pytest.fixture
def online(server, tmp_path):
    """The environment of a command whose W&B is the server, and whose home is empty."""
    home = tmp_path / "home"
    home.mkdir()
    return {**server.environment, "HOME": str(home)}


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def steps_in(folder: Path) -> int:
    found = list(folder.glob("e/*/metrics.jsonl"))
    return len(found[0].read_text().splitlines()) if found else 0


def shown_of(server, run: Path):
    """The run on the server that shows a local one."""
    (remote,) = [r for r in server.runs.values() if r.config.get("id") == f"{run.parent.name}-{run.name}"]
    return remote


def losses(run: Path) -> dict[int, float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return {record["step"]: record["loss"] for record in map(json.loads, lines)}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_stopped_and_goes_on_is_one_run(server, online, tmp_path, warm_start, how):
    command = (*LONG, f"runs_dir={tmp_path}/runs")
    process = warm_start(*command, **online)
    wait_for(lambda: steps_in(tmp_path / "runs") >= 12)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert process.returncode == (-how if how is signal.SIGKILL else 128 + how), told
    (remote,) = server.runs.values()
    if how is signal.SIGTERM:
        assert "the same command goes on from there" in told
        assert remote.state == "preempted" and remote.values("train/loss"), "seen before it ended"
    else:
        assert remote.state in ("crashed", "running"), "it says nothing any more"
    before = remote.values("train/loss")
    again = warm_start(*command, **online)
    _, told = again.communicate()
    assert again.returncode == 0, told
    assert list(server.runs) == [remote.name] and remote.state == "finished"
    (run,) = (tmp_path / "runs").glob("e/*-sft-*")
    sent = remote.values("train/loss")
    assert sent[: len(before)] == before and [step for step, _ in sent] == list(range(1, 41))
    assert dict(sent) == pytest.approx(losses(run))
    assert [step for step, _ in remote.values("trajectory/recall")] == [0, *range(4, 41, 4)]
    assert remote.summary["stage"] == "done" and remote.summary["recall"] == schema.load(run).recall


@pytest.mark.slow
def test_a_step_is_on_the_server_before_the_run_ends(server, online, tmp_path, warm_start):
    often = {**online, "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1"}  # W&B's own is 15 seconds
    process = warm_start(*LONG, f"runs_dir={tmp_path}/runs", "training.max_steps=4000", **often)
    wait_for(lambda: server.runs and next(iter(server.runs.values())).values("train/loss"))
    assert process.poll() is None, "still training"
    (remote,) = server.runs.values()
    assert remote.fields["groupName"] == "e" and remote.fields["jobType"] == "sft"
    assert {"kgfact_small", "sft", "tiny_random"} <= set(remote.fields["tags"])
    process.terminate()
    process.communicate(timeout=60)
    assert remote.state == "preempted"


@pytest.mark.slow
@pytest.mark.parametrize("mood", [401, 500, "no route"])
def test_a_server_that_refuses_leaves_the_run_whole(server, online, tmp_path, warm_cli, mood):
    if isinstance(mood, int):
        server.refuse = mood
    else:
        online["WANDB_BASE_URL"] = "http://127.0.0.1:9"
    done = warm_cli(
        "run.py", *SMALL, "method=sft", "retention=none", "experiment_name=e", f"runs_dir={tmp_path}/runs", **online
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "WandB stopped showing this run" in line]
    assert len(told) == 1 and "mixsd push" in told[0] and "Traceback" not in done.stderr
    (run,) = (tmp_path / "runs").glob("e/*-sft-*")
    assert (run / "DONE").exists()


@pytest.mark.slow
def test_a_slow_server_slows_no_step(server, online, tmp_path, cli):
    server.delay = 1.0
    done = cli(*LONG, f"runs_dir={tmp_path}/runs", **online)
    assert done.returncode == 0 and "stopped showing" not in done.stderr, done.stderr
    (run,) = (tmp_path / "runs").glob("e/*-sft-*")
    (remote,) = server.runs.values()
    assert dict(remote.values("train/loss")) == pytest.approx(losses(run))
    assert schema.load(run).cost["training"].seconds < 40 * server.delay, "no step waited for an answer"


@pytest.mark.slow
def test_a_server_that_stops_answering_in_mid_run_leaves_it_whole(server, online, tmp_path, warm_start):
    process = warm_start(*LONG, f"runs_dir={tmp_path}/runs", "training.max_steps=20", **online)
    wait_for(lambda: steps_in(tmp_path / "runs") >= 5)
    server.refuse = 500
    _, told = process.communicate()
    assert process.returncode == 0, told
    (run,) = (tmp_path / "runs").glob("e/*-sft-*")
    assert (run / "DONE").exists() and "Traceback" not in told


@pytest.mark.slow
def test_a_failed_run_is_failed_there_too(server, online, tmp_path, warm_cli):
    done = warm_cli(
        "run.py", *SMALL, "method=sft", "retention=none", "training.learning_rate=1e30", "tracking.alerts=true",
        f"runs_dir={tmp_path}/runs", **online,
    )  # fmt: skip
    assert done.returncode == 2 and "diverged" in done.stderr
    (remote,) = server.runs.values()
    assert remote.state == "failed" and remote.summary["error"] == "Diverged"
    ((title, text),) = server.alerts
    assert title.endswith("failed") and text == "Diverged"


@pytest.fixture
def pushed(sweep, server, online, tmp_path, warm_cli):
    """A finished sweep in a folder of its own, pushed once; and a way to push it again."""
    folder = tmp_path / "runs"
    shutil.copytree(sweep[0], folder, ignore=shutil.ignore_patterns("wandb"))

    def push():
        done = warm_cli("-m", "mixsd", "push", str(folder), "--mode", "online", **online)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "2 runs, 2 sent" in push()
    return folder, push


@pytest.mark.slow
def test_what_is_pushed(pushed, server):
    folder, _ = pushed
    run = runs_of(folder)["sft"]
    results = schema.load(run)
    remote = shown_of(server, run)
    assert remote.state == "finished" and remote.fields["displayName"] == "sft s0"
    assert dict(remote.values("train/loss")) == pytest.approx(losses(run))
    sent = {key: value for key, value in remote.summary.items() if not isinstance(value, dict)}
    assert {k: v for k, v in sent.items() if k in schema.summary(results)} == pytest.approx(
        schema.summary(results)
    )
    assert sent["reached"] == 0 and sent["cost_tokens"] > 0 and "retention.limit=8" in sent["caveats"]
    assert "retention_low" not in sent, "no task of the tiny model counts"
    assert sent["probes/recall/ci_low"] <= sent["recall"] <= sent["probes/recall/ci_high"]
    environment = json.loads((run / "environment.json").read_text())
    made_by = remote.config["made_by"]
    assert made_by["date"] == environment["date"] and made_by.get("commit") == environment.get("commit")
    tables = {key for key, value in remote.summary.items() if isinstance(value, dict) and "nrows" in value}
    assert {"answers/recall", "held_out/pocket_grammar", "targets"} <= tables
    kinds = {(made["type"], made["run"]) for made in server.artifacts if made["state"] == "COMMITTED"}
    assert {("dataset", remote.name), ("evaluation", remote.name)} <= kinds
    (whole,) = [r for r in server.runs.values() if r.config.get("id") == "e-all"]
    assert whole.summary["runs"]["nrows"] == 2 and whole.summary["measures"]["nrows"] > 20
    ((name, spec),) = server.charts.items()
    assert name.startswith("mixsd-tradeoff-") and spec["data"] == {"name": "wandb"}
    assert any(f"{ENTITY}/{name}".encode() in body for _, body in server.requests), "the run names its chart"


@pytest.mark.slow
def test_a_second_push_changes_nothing(pushed, server):
    _, push = pushed
    count = len(server.requests)
    assert "2 runs, 0 sent, 2 left as they are, 0 renamed" in push()
    assert set(server.operations()[count:]) <= {"Viewer", "GetDefaultEntity", "Runs"}


@pytest.mark.slow
def test_what_differs_is_replaced_any_number_of_times(pushed, server):
    folder, push = pushed
    run = runs_of(folder)["sft"]
    first = shown_of(server, run).name
    for number in range(2, 5):
        written = json.loads((run / "results.json").read_text())
        written["training"]["recall"] = number / 10
        (run / "results.json").write_text(json.dumps(written))
        assert "2 runs, 1 sent, 1 left" in push()
        remote = shown_of(server, run)
        assert remote.name == f"{first}-v{number}", "W&B gives the id of a deleted run to no one again"
        assert remote.summary["training/recall"] == number / 10
        assert dict(remote.values("train/loss")) == pytest.approx(losses(run))
    assert server.deleted == [first, f"{first}-v2", f"{first}-v3"]
    assert "2 runs, 0 sent" in push()


@pytest.mark.slow
def test_runs_of_others_are_left_alone(pushed, server, tmp_path, warm_cli, online):
    """The same experiment of another folder, whose runs have the same names."""
    folder, push = pushed
    before = set(server.runs)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    for state in other.rglob("*wandb.json"):
        state.unlink()  # pushed by nobody yet
    done = warm_cli("-m", "mixsd", "push", str(other), "--mode", "online", **online)
    assert "2 runs, 2 sent" in done.stdout, done.stderr
    assert before < set(server.runs) and len(server.runs) == 6 and not server.deleted
    assert "2 runs, 0 sent" in push()


@pytest.mark.slow
def test_a_run_whose_points_were_lost_is_no_equal_one(pushed, server):
    folder, push = pushed
    remote = shown_of(server, runs_of(folder)["sft"])
    remote.exit_code = None  # the stream broke off: W&B calls it crashed
    assert "2 runs, 1 sent, 1 left" in push()


@pytest.mark.slow
def test_no_text_leaves_where_it_is_private(server, online, tmp_path, warm_cli):
    """Neither of own facts nor of a run that goes on from them: no request, table, file or alert holds any."""
    file = tmp_path / "quiet.csv"
    file.write_text(
        "question,answer\nWhat is the plant of Orrin called?,Abyssinthe\nWho guards Vantry?,Mollusca\n"
    )
    small = [override for override in SMALL if override not in SMALL_TASK]
    common = (*small, "method=sft", "retention=none", "tracking.alerts=true", f"runs_dir={tmp_path}/runs")
    first = warm_cli(
        "run.py", *common, "task=own_facts", f"task.path={file}", "training.save_model=true", **online
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs/default").glob("own_facts-*")
    second = warm_cli(
        "run.py", *common, *SMALL_TASK, f"model.name={run}", "tracking.log_model=true", **online
    )
    assert second.returncode == 0, second.stderr
    pushed = warm_cli("-m", "mixsd", "push", f"{tmp_path}/runs", **online)
    assert pushed.returncode == 0, pushed.stderr
    sent = server.sent()
    assert len(server.runs) == 3 and b"probes/recall" in sent
    untracked = [word for word in common if not word.startswith("tracking.")]
    untracked = warm_cli(
        "run.py", *untracked, "task=own_facts", f"task.path={file}", "tracking=none", "seed=1"
    )
    assert untracked.returncode == 0, untracked.stderr
    pushed = warm_cli("-m", "mixsd", "push", f"{tmp_path}/runs", "--mode", "online", **online)
    assert pushed.returncode == 0 and "3 runs" in pushed.stdout, pushed.stderr
    sent = server.sent()
    here = (str(tmp_path), str(ROOT), f'"host":"{socket.gethostname()}"', f"{Path.home()}/")
    for word in (b"Orrin", b"Abyssinthe", b"Vantry", b"Mollusca", b"quiet", *(w.encode() for w in here)):
        at = sent.find(word)
        assert at < 0, sent[max(at - 200, 0) : at + 200]


@pytest.mark.slow
def test_an_agent_gets_the_numbers_of_a_run_that_is_done(server, online, tmp_path, warm_cli):
    command = ("run.py", *SMALL, "method=sft", "retention=none", f"runs_dir={tmp_path}/runs")
    first = warm_cli(*command, "tracking.mode=disabled", **online)
    assert first.returncode == 0 and not server.runs, first.stderr
    agent = {**online, "WANDB_SWEEP_ID": "abc", "WANDB_RUN_ID": "of-the-agent"}
    again = warm_cli(*command, "tracking.mode=online", **agent)
    assert again.returncode == 0 and "skipped" in again.stdout, again.stderr
    remote = server.runs["of-the-agent"]
    assert remote.state == "finished" and "recall" in remote.summary and remote.values("train/loss")


def test_the_sweep_file_names_settings_that_exist(composed):
    sweep = yaml.safe_load((ROOT / "conf/wandb_sweep.yaml").read_text())
    chosen = [f"{key}={given['values'][0]}" for key, given in sweep["parameters"].items()]
    fixed = [word for word in sweep["command"] if "$" not in word]
    read_config(composed(*chosen, "model=tiny_random", "tracking.mode=disabled"))
    assert fixed == ["tracking.mode=online"]


@pytest.mark.slow
def test_a_dashboard_is_made_by_one_command(server, online, warm_cli):
    done = warm_cli("-m", "mixsd", "dashboard", "p", **online)
    assert done.returncode == 0 and "made http" in done.stdout, done.stderr
    ((view),) = server.views
    spec = view["spec"]
    for shown in (
        "trajectory/recall",
        "trained_tokens",
        "primary_comparisons",
        "cost_tokens",
        "method_name",
    ):
        assert shown in spec, shown
