"""What a user types wrongly, and runs that are stopped or diverge: one line, and the right exit status."""

import json
import signal
import time

import pytest

from tests.conftest import SMALL

slow = pytest.mark.slow


def check_bad_input(run, folder, arguments, message):
    model = "model=tiny_random" if "model" not in arguments[0] else "seed=0"
    done = run("run.py", *arguments, model, f"runs_dir={folder}/runs")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(folder.glob("runs/*/*/config.yaml"))
    if "-m" not in arguments:
        assert done.stderr.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=mixds"], "method=mixds is unknown; did you mean mixsd?"),
        (["task=kgfact_smal"], "task=kgfact_smal is unknown; did you mean kgfact_small?"),
        (["method.mixng_rate=0.1"], "method.mixng_rate is not a setting; did you mean method.mixing_rate?"),
        pytest.param(["method.mixing_rate=1.5"], "method.mixing_rate=1.5 is out of range", marks=slow),
        (["-m", "method=sft,mixds"], "method=mixds is unknown; did you mean mixsd?"),
    ],
)
def test_bad_input_is_told_before_anything_runs(cli, tmp_path, arguments, message):
    check_bad_input(cli, tmp_path, arguments, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-m", "method=sft,mixsd", "training.max_steps=3,-3"],
            "training.max_steps=-3 is out of range",
        ),
        (["training.learning_rate=-1"], "training.learning_rate=-1.0 is out of range"),
        (["data_root=/no/such/folder"], "data_root=/no/such/folder is not a folder"),
        (["model.name=nobody/nothing"], "model.name=nobody/nothing is neither a folder or file here"),
        (["-m", "seed=0,1", "method.mixing_rate=0.1,7"], "method.mixing_rate=7.0 is out of range"),
        (["-m", "method=sft,in_context", "method.mixing_rate=0.3"], "is no setting of"),
        (["task.path=x=1.csv"], "put it in quotes twice: 'task.path=\"x=1.csv\"'"),
        (["hydra.job.chdir=true"], "hydra.job.chdir=true is not offered"),
        (["tracking.project=team/facts"], "tracking.project=team/facts is no name for W&B"),
        (["experiment_name=" + "a" * 300], "has 300 characters; allowed"),
        (["model.date=today"], "model.date=today is no day"),
        (["training.save_model=7"], "training.save_model=7 is of the wrong type; allowed: bool"),
        (
            ["model.template_options={enable_thinking: false}"],
            "takes its entries one by one, with a plus: +model.template_options.enable_thinking=<value>",
        ),
    ],
)
@slow
def test_more_bad_input_is_told_before_anything_runs(warm_cli, tmp_path, arguments, message):
    check_bad_input(warm_cli, tmp_path, arguments, message)


@slow
def test_ctrl_c_is_one_line_and_the_same_command_goes_on(warm_start, warm_cli, tmp_path):
    common = [
        "method=sft", *SMALL, "retention=none", "tracking.mode=disabled", "training.max_steps=150",
        "training.checkpoint_every=10", "training.eval_every=75", "experiment_name=2026",
    ]  # fmt: skip
    process = warm_start("run.py", *common, f"runs_dir={tmp_path}/runs")
    while process.poll() is None and not list(tmp_path.glob("runs/2026/*/trainer/*/complete.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    (run,) = tmp_path.glob("runs/2026/*")
    assert process.returncode == 130 and "Traceback" not in told, told
    assert "interrupted in training after step" in told.strip().splitlines()[-1]
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    done = warm_cli("run.py", *common[:-1], f"runs_dir={tmp_path}/runs", "experiment_name=2026")
    assert done.returncode == 0 and (run / "DONE").exists(), done.stderr


@slow
def test_a_training_that_diverges_ends_in_one_line(warm_cli, tmp_path):
    wild = ["training.learning_rate=1e20", "training.warmup_steps=0", "training.max_steps=4"]
    done = warm_cli("run.py", "method=sft", *SMALL, *wild, "retention=none", f"runs_dir={tmp_path}/runs")
    assert done.returncode == 2 and "lower training.learning_rate=1e+20" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    (status,) = tmp_path.glob("runs/*/*/status.json")
    assert json.loads(status.read_text())["state"] == "failed"


SLOPPY = """
from baselines.sft import SFT

def sloppy(name: str) -> SFT:
    raise ZeroDivisionError("a mistake of its author")
"""


@slow
def test_a_sweep_that_cannot_be_checked_is_not_started(warm_cli, tmp_path):
    (tmp_path / "sloppy_method.py").write_text(SLOPPY)
    jobs = [
        "method=sft",
        "~method.weights",
        "~method.name",
        "+method.name=x",
        "method._target_=baselines.sft.SFT,sloppy_method.sloppy",
    ]
    done = warm_cli("run.py", "-m", *SMALL, *jobs, f"runs_dir={tmp_path}/runs", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "ZeroDivisionError: a mistake of its author" in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
