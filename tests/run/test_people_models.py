"""Runs of models that people have: what their templates cannot do is left out, said, and on the run's hash."""

import json

import pytest
import transformers as hf

from mixsd.core.store import read_json
from mixsd.lm.tiny import tiny_random
from mixsd.results import schema
from mixsd.run import stages
from mixsd.run.check import findings
from mixsd.run.config import compose_run
from mixsd.run.stages import run_experiment
from tests.conftest import SMALL
from tests.helpers.models import DATED, NO_SYSTEM, THOUGHT, loud, save
from tests.helpers.models import of_architecture as architecture

QUICK = (*SMALL, "method=sft", "retention=none", "tracking=none", "training.max_steps=0", "drift=none")


@pytest.fixture
def run(tmp_path):
    def of(folder, *overrides):
        config = compose_run(
            [
                *QUICK,
                f"model.name={folder}",
                f"runs_dir={tmp_path}/runs",
                f"cache_dir={tmp_path}/cache",
                *overrides,
            ]
        )
        run_experiment(config)
        return config.run_dir

    return of


def test_what_a_template_cannot_ask_is_left_out_and_said(run, tmp_path, capsys):
    run_dir = run(save(tmp_path / "m", template=NO_SYSTEM))
    results = schema.load(run_dir)
    asked = [json.loads(line) for line in (run_dir / "probes/recall_shifted.jsonl").open()]
    assert {item["kind"] for item in asked} == {"second_turn"} and results.probes["recall"].right.n == 4
    assert any("no system turn" in caveat for caveat in results.caveats)
    assert any("no system turn" in note for note in read_json(run_dir / "environment.json")["model"])
    assert "left out" in capsys.readouterr().err


def test_targets_stand_behind_the_thought_that_was_closed(run, tmp_path):
    run_dir = run(save(tmp_path / "m", template=THOUGHT))
    (first, *_) = [json.loads(line) for line in (run_dir / "examples.jsonl").open()]
    shown = tiny_random()[1].decode(first["prompt_ids"])
    assert shown.endswith("<think>\n\n</think>\n\n") and "think" not in "".join(first["pieces"])


def test_the_day_is_on_the_hash_and_its_base_scores_are_its_own(run, tmp_path):
    """The clock moves nothing: what is printed is the day of the setting, and another day is another run."""
    folder = save(tmp_path / "m", loud(tiny_random()[0]), template=DATED)
    first, again, other = run(folder), run(folder), run(folder, "model.date=2024-07-26")
    assert first == again != other
    items = [json.loads(line) for line in (other / "probes/recall.jsonl").open()]
    assert all(item["before"] == item["after"] for item in items), "nothing was trained"
    assert json.loads((first / "identity.json").read_text())["prepared"]["model"]["date"] == "2026-01-01"


def test_a_run_that_trains_nothing_says_so(run, tmp_path, capsys):
    """A random model writes no target that passes, and all facts are dropped."""
    mixed = ("method=mixsd", "method.max_attempts=1", "training.max_steps=2")
    run_dir = run(save(tmp_path / "m"), *mixed)
    assert read_json(run_dir / "training.json")["stopped_by"] == "nothing to train"
    assert "nothing was trained" in capsys.readouterr().err


def test_an_interrupted_run_says_how_it_goes_on(run, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "measure_drift", stop)
    folder = save(tmp_path / "m")
    overrides = ("drift=measured", "training.max_steps=2", "training.eval_every=2")
    with pytest.raises(
        stages.Interrupted, match="interrupted in drift after step 2; the same command goes on"
    ):
        run(folder, *overrides)
    (run_dir,) = (tmp_path / "runs/default").iterdir()
    assert (
        read_json(run_dir / "status.json")["state"] == "interrupted"
        and "Traceback" not in (run_dir / "log.txt").read_text()
    )
    monkeypatch.undo()
    assert run(folder, *overrides) == run_dir and (run_dir / "DONE").exists()


def check(*overrides):
    return {finding.what: finding for finding in findings([*QUICK, *overrides])}


def test_check_tells_all_without_training(tmp_path):
    folder = save(tmp_path / "m", template=NO_SYSTEM)
    found = check(f"model.name={folder}", f"cache_dir={tmp_path}/cache", f"runs_dir={tmp_path}/runs")
    assert {what: finding.state for what, finding in found.items()} == {
        "settings": "ok", "facts": "ok", "questions": "ok", "held-out tasks": "note", "prompts": "note",
        "weights": "ok", "decoding": "ok", "end of a reply": "ok", "context": "ok",
    }  # fmt: skip
    assert "4 of task kgfact_small" in found["facts"].found and "left out" in found["questions"].found
    assert not (tmp_path / "runs").exists()


def test_check_says_what_fails(tmp_path):
    found = check(
        f"model.name={architecture(tmp_path / 'm', hf.FalconConfig, num_hidden_layers=2, num_attention_heads=4, hidden_size=64)}"
    )
    assert found["weights"].state == "fails" and "cannot be decoded" in found["weights"].found
    found = list(findings([*QUICK, "training.learning_rate=-1", "task.facts=-1"]))
    assert {finding.state for finding in found} == {"fails"} and len(found) >= 2, "all mistakes, a row each"
    assert [finding.state for finding in findings(["sead=1"])] == ["fails"]


@pytest.mark.slow
def test_the_verb_exits_with_what_it_found(cli, tmp_path):
    done = cli("-m", "mixsd", "check", *QUICK, "model=tiny_random")
    assert done.returncode == 0 and "end of a reply" in done.stdout, done.stderr
    done = cli("-m", "mixsd", "check", *QUICK, f"model.name={tmp_path}")
    assert done.returncode == 2 and "is no model folder" in " ".join(done.stdout.split())
