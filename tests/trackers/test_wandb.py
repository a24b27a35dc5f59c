"""The W&B mirror of runs and of a sweep, read back from its files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mixsd.core.errors import TrackingError
from mixsd.trackers.wandb import TrackingSettings, mirror, mirror_sweep
from tests.conftest import SMALL, runs_of


def wandb_summaries(folder):
    """What the W&B files under a folder say, oldest first."""
    tool = Path(sys.executable).with_name("wandb")
    return [
        subprocess.run(
            [tool, "leet", "inspect", "--summary", "--json", offline],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for offline in sorted((folder / "wandb").glob("offline-run-*"))
    ]


def test_wandb_file_reads_back(sweep):
    path = runs_of(sweep[0])["sft"]
    told = wandb_summaries(path)[-1]
    results = json.loads((path / "results.json").read_text())
    assert results["run_id"] in told
    for key in ("probes/recall", "probes_before/recall", "targets/nll", "retention/pocket_grammar/tuned"):
        assert key in told
    assert yaml.safe_load((path / "config.yaml").read_text())["experiment_name"] == "e"


def test_one_wandb_run_holds_the_sweep(sweep):
    told = wandb_summaries(sweep[0] / "e")[-1]
    said = json.loads(told)
    assert said["name"] == "e (all runs)" and said["summary"]["runs"]["nrows"] == 2
    assert "tradeoff" in told


def test_the_mirror_is_rebuilt_from_local_files(sweep, cli, tmp_path):
    shutil.copytree(sweep[0] / "e", tmp_path / "e", ignore=shutil.ignore_patterns("wandb"))
    done = cli("-m", "mixsd", "track", str(tmp_path), "--mode", "offline")
    assert done.returncode == 0 and "mirrored 2 runs" in done.stdout, done.stderr
    for folder in ("e", *(path.relative_to(tmp_path) for path in (tmp_path / "e").glob("*-s0-*"))):
        old, new = wandb_summaries(sweep[0] / folder), wandb_summaries(tmp_path / folder)
        kept = [{k: v for k, v in json.loads(x)["summary"].items() if "/" in k} for x in (old[-1], new[-1])]
        assert len(new) == 1 and kept[0] == kept[1]
    config = next((tmp_path / "e").glob("*-sft-*")) / "config.yaml"
    shutil.rmtree(next((tmp_path / "e").glob("*-mixsd-*")))
    config.write_text(config.read_text().replace("mode: offline", "mode: disabled"))
    silent = cli("-m", "mixsd", "track", str(tmp_path))
    assert "mirrored 0 runs" in silent.stdout and "add --mode" in silent.stdout
    empty = cli("-m", "mixsd", "track", str(tmp_path / "nothing"))
    assert empty.returncode == 2 and "no finished run" in empty.stderr


def test_a_mirror_that_fails_does_not_hide_a_failed_job(monkeypatch, capsys, tmp_path):
    """Hydra makes a warning of what a callback raises, but lets an exit through."""
    from types import SimpleNamespace

    from mixsd.run.sweep import SweepCallback

    sweep = SweepCallback()
    sweep._jobs = [(SimpleNamespace(run_dir=tmp_path / "never_done", gate=None), False)]  # type: ignore[list-item]

    def fail():
        raise RuntimeError("no W&B")

    monkeypatch.setattr(sweep, "_mirror", fail)
    with pytest.raises(SystemExit) as ended:
        sweep.on_multirun_end(None)  # type: ignore[arg-type]
    assert ended.value.code == 1


def test_online_without_a_login_is_one_line_before_any_work(cli, sweep, tmp_path):
    nobody = {"WANDB_API_KEY": "", "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    done = cli("run.py", *SMALL, "tracking.mode=online", f"runs_dir={tmp_path}/runs", **nobody)
    assert done.returncode == 2 and "tracking.mode=online needs a W&B login" in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
    bad = cli(
        "run.py", *SMALL, "tracking.mode=online", **{**nobody, "WANDB_API_KEY": "abc", "WANDB_MODE": "online"}
    )
    assert bad.returncode == 2 and "W&B refuses this machine's key" in bad.stderr, bad.stderr
    done = cli("-m", "mixsd", "track", str(sweep[0]), "--mode", "online", **nobody)
    assert done.returncode == 2 and "needs a W&B login" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_what_wandb_refuses_is_one_line_and_the_run_is_whole(sweep, tmp_path, monkeypatch, capsys):
    import wandb

    from mixsd.run import stages as experiment
    from mixsd.run.config import compose_run

    def refuse(**_):
        raise wandb.errors.CommError("no\nroute")  # type: ignore[attr-defined]

    monkeypatch.setattr(wandb, "init", refuse)
    path = runs_of(sweep[0])["sft"]
    settings = TrackingSettings("offline", "p", None, False)
    for write, where in ((mirror, path), (mirror_sweep, sweep[0] / "e")):
        with pytest.raises(
            TrackingError, match=r"W&B did not take .* \(no route\); the local files are whole"
        ):
            write(where, settings)
    config = compose_run(
        [*SMALL, "method=sft", "retention=none", f"runs_dir={tmp_path}", f"cache_dir={tmp_path}/c"]
    )
    assert experiment.run_experiment(config).state == "done" and (config.run_dir / "DONE").exists()
    assert "did not take" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("said", "kept"), [(False, False), (True, True)])
def test_what_an_earlier_run_kept_to_itself_stays_here(composed, tmp_path, said, kept):
    """A run that goes on from a saved one asks its questions again, under any task; they must not leak then."""
    from mixsd.run.config import read_config

    run = tmp_path / "saved"
    (run / "probes").mkdir(parents=True)
    (run / "model").mkdir()
    (run / "model/config.json").write_text("{}")
    (run / "model/model.safetensors").touch()
    (run / "DONE").touch()
    asked = {"id": "x", "prompt": "SECRET question?", "answers": ["s"], "kind": "trained"}
    (run / "probes/recall.jsonl").write_text(json.dumps(asked) + "\n")
    (run / "config.yaml").write_text(yaml.safe_dump({"tracking": {"log_text": said}}))
    config = read_config(composed(f"model.name={run}", "task.facts=4", "retention=none"))
    (earlier,) = [probe for probe in config.task.probes if probe.split == "earlier"]
    assert earlier.fact_id == earlier.id, "each asks a fact of its own"
    assert any(probe.prompt == "SECRET question?" for probe in config.task.probes)
    assert config.tracking.log_text is kept and config.resolved["tracking"]["log_text"] is kept
