"""Trackers of real runs: a sweep in W&B, shown again from its files, and what must never reach it."""

import json
import shutil
from types import SimpleNamespace

import pytest
import yaml
from omegaconf import OmegaConf

from mixsd.core.questions import PREVIOUSLY_TAUGHT, RECALL, Probe, Question
from mixsd.results import schema
from mixsd.run.probes_file import write_probes
from tests.conftest import SMALL, SMALL_TASK, runs_of
from tests.helpers.models import save
from tests.helpers.wandb_files import offline_runs, wandb_bytes, wandb_history, wandb_summary

CURVES = ("train/", "trajectory/")


def shown(offline):
    """Name, config, final numbers and curve of an offline run, without what W&B adds."""
    told = wandb_summary(offline)
    numbers = {k: v for k, v in told["summary"].items() if "/" in k and not k.startswith(CURVES)}
    numbers = {key: value for key, value in numbers.items() if not isinstance(value, dict)}  # tables
    curve = [point for point in wandb_history(offline) if any(key.startswith(CURVES) for key in point)]
    return told["name"], told["config"], numbers, sorted(curve, key=str)


@pytest.mark.slow
def test_a_run_is_in_wandb(sweep):
    path = runs_of(sweep[0])["sft"]
    results = schema.load(path)
    (offline,) = offline_runs(path.parent, path.name)
    name, config, numbers, curve = shown(offline)
    assert name == f"sft s0 {path.name[-6:]}" and config["experiment_name"] == "e"
    assert numbers == pytest.approx(schema.summary(results))
    assert {"probes/recall", "targets/nll", "retention/pocket_grammar/tuned"} <= set(numbers)
    assert [point["step"] for point in curve if "train/loss" in point] == [1, 2, 3, 4]
    assert [point["step"] for point in curve if "trajectory/recall" in point] == [0, 2, 4]


@pytest.mark.slow
def test_one_wandb_run_holds_the_sweep(sweep):
    told = wandb_summary(offline_runs(sweep[0] / "e", "e-all")[-1])
    assert told["name"] == "e (all runs)" and told["summary"]["runs"]["nrows"] == 2
    assert "tradeoff" in json.dumps(told)


@pytest.mark.slow
def test_wandb_is_rebuilt_from_local_files_any_number_of_times(sweep, warm_cli, tmp_path):
    folder = tmp_path / "e"
    shutil.copytree(sweep[0] / "e", folder, ignore=shutil.ignore_patterns("wandb"))
    for sent, equal in ((2, 0), (0, 2)):
        done = warm_cli("-m", "mixsd", "push", str(tmp_path), "--mode", "offline")
        assert done.returncode == 0 and f"2 runs, {sent} sent, {equal} left" in done.stdout, done.stderr
    for run in sorted(folder.glob("*-s0-*")):
        (old,), (new,) = offline_runs(sweep[0] / "e", run.name), offline_runs(folder, run.name)
        assert shown(old)[1:] == shown(new)[1:], "all but the name, which the report gives"
    assert len(offline_runs(folder)) == 3, "two runs and the experiment, in one folder"

    config = next(folder.glob("*-sft-*")) / "config.yaml"
    shutil.rmtree(next(folder.glob("*-mixsd-*")))
    config.write_text(config.read_text().replace("mode: offline", "mode: disabled"))
    silent = warm_cli("-m", "mixsd", "push", str(tmp_path))
    assert "0 runs, 0 sent" in silent.stdout and "add --mode" in silent.stdout


@pytest.mark.slow
def test_track_without_runs_is_one_line(cli, tmp_path):
    empty = cli("-m", "mixsd", "push", str(tmp_path))
    assert empty.returncode == 2 and "no finished run" in empty.stderr and empty.stderr.count("\n") == 1


@pytest.mark.slow
def test_online_without_a_login_is_one_line_before_any_work(warm_cli, sweep, tmp_path):
    nobody = {"WANDB_API_KEY": "", "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    done = warm_cli("run.py", *SMALL, "tracking.mode=online", f"runs_dir={tmp_path}/runs", **nobody)
    assert done.returncode == 2 and "tracking.mode=online needs a W&B login" in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
    key = {**nobody, "WANDB_API_KEY": "abc", "WANDB_MODE": "online"}
    bad = warm_cli("run.py", *SMALL, "tracking.mode=online", f"runs_dir={tmp_path}/runs", **key)
    assert bad.returncode == 2 and "W&B cannot be used on this machine" in bad.stderr, bad.stderr
    done = warm_cli("-m", "mixsd", "push", str(sweep[0]), "--mode", "online", **nobody)
    assert done.returncode == 2 and "needs a W&B login" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_no_tracker_leaves_nothing_and_is_shown_later(warm_cli, tmp_path):
    run = ["run.py", *SMALL, "method=sft", "retention=none", "tracking=none", f"runs_dir={tmp_path}/runs"]
    done = warm_cli(*run)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs/default").glob("*-sft-*")
    assert not (path / "wandb").exists()
    later = warm_cli("-m", "mixsd", "push", f"{tmp_path}/runs", "--mode", "offline")
    assert "1 runs, 1 sent" in later.stdout, later.stderr
    (offline,) = offline_runs(path.parent, path.name)
    assert wandb_summary(offline)["project"] == "mixsd-bench"


@pytest.mark.slow
def test_what_wandb_refuses_is_one_line_and_the_run_is_whole(tmp_path, monkeypatch, capsys):
    import wandb

    from mixsd.run.config import compose_run
    from mixsd.run.stages import run_experiment

    def refuse(**_):
        raise wandb.errors.CommError("no\nroute")  # type: ignore[attr-defined]

    monkeypatch.setattr(wandb, "init", refuse)
    config = compose_run(
        [*SMALL, "method=sft", "retention=none", f"runs_dir={tmp_path}", f"cache_dir={tmp_path}/c"]
    )
    assert run_experiment(config).state == "done" and (config.run_dir / "DONE").exists()
    told = [line for line in capsys.readouterr().err.splitlines() if "WandB stopped showing" in line]
    assert len(told) == 1 and "no route" in told[0]


def test_a_mirror_that_fails_does_not_hide_a_failed_job(monkeypatch, tmp_path):
    """Hydra makes a warning of what a callback raises, but lets an exit through."""
    from mixsd.run.plan import Job, Plan
    from mixsd.run.sweep import SweepCallback

    callback = SweepCallback()
    callback._plan = Plan([Job(("seed=0",), tmp_path / "never_done", "", was_done=False)])

    def fail(*_):
        raise RuntimeError("no W&B")

    monkeypatch.setattr("mixsd.run.push.mirror_sweep", fail)
    callback._configs = [SimpleNamespace(tracking=None, gate=None)]  # type: ignore[list-item]
    with pytest.raises(SystemExit) as ended:
        callback.on_multirun_end(OmegaConf.create({"sweep": {"report": True}}))
    assert ended.value.code == 1


PRIVATE = {"tracking": {"log_text": False}, "task": {}}
ADVISED = {"tracking": {}, "task": {"advice": {"log_text": False}}}
PUBLIC = {"tracking": {"log_text": True}, "task": {"advice": {"log_text": False}}}


@pytest.mark.parametrize(
    ("before", "kept"),
    [(PRIVATE, False), (ADVISED, False), (PUBLIC, True)],
    ids=["private", "none", "public"],
)
def test_what_an_earlier_run_kept_to_itself_stays_here(composed, tmp_path, before, kept):
    """A run that goes on from a saved one asks its questions again, under any task; they must not leak then."""
    from mixsd.run.config import read_config

    run = tmp_path / "saved"
    save(run / "model")
    (run / "DONE").touch()
    write_probes(run, [Probe("x", RECALL, Question("SECRET question?", ("s",)), "x", kind="trained")])
    (run / "config.yaml").write_text(yaml.safe_dump(before))
    config = read_config(composed(f"model.name={run}", "task.facts=4", "retention=none"))
    (earlier,) = [probe for probe in config.probes if probe.split == PREVIOUSLY_TAUGHT]
    assert earlier.question.prompt == "SECRET question?"
    assert config.tracking.log_text is kept and config.resolved["tracking"]["log_text"] is kept


@pytest.mark.slow
def test_no_path_of_a_file_reaches_wandb(warm_cli, tmp_path):
    """Neither in the settings nor in the command line nor in a failure's message."""
    secret = tmp_path / "hush"
    secret.mkdir()
    (secret / "quiet.csv").write_text("question,answer\nWhat is the plant of Orrin called?,Ab\n")
    small = [override for override in SMALL if override not in SMALL_TASK]
    done = warm_cli(
        "run.py", *small, "method=sft", "task=own_facts", f"task.path={secret}/quiet.csv", "retention=none",
        f"runs_dir={tmp_path}/runs", f"cache_dir={secret}/cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs/default").glob("*-sft-*")
    sent = wandb_bytes(run.parent)
    assert b"probes/recall" in sent
    for word in (b"hush", b"quiet", b"Orrin", str(tmp_path).encode()):
        assert word not in sent, word
