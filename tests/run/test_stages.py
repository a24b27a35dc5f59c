"""Whole runs of a tiny model, in this process."""

import json
import shutil

import pytest
import yaml

from mixsd.core.errors import DataError, StoreError
from mixsd.core.store import read_json, read_jsonl
from mixsd.lm import load as models
from mixsd.results import schema
from mixsd.results.items import read_probe_pairs
from mixsd.run import tuning
from mixsd.run.config import compose_run
from mixsd.run.stages import run_experiment
from tests.conftest import SMALL
from tests.helpers.training import saved_model

pytestmark = pytest.mark.slow
QUICK = (*SMALL, "retention.tasks=[pocket_knowledge]", "training.dtype=float32")
EDITOR = ("method=in_context", "method._target_=tests.helpers.editors.Louder", "~method.expert_wording")


@pytest.fixture
def run(tmp_path):
    """Run a config; its directory comes back."""

    def of(*overrides):
        given = [*QUICK, f"runs_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache", *overrides]
        groups = [o for o in given if "." not in o.partition("=")[0]]
        config = compose_run([*groups, *(o for o in given if o not in groups), "tracking=none"])
        of.outcome = run_experiment(config)
        return config.run_dir

    return of


@pytest.fixture
def loads(monkeypatch):
    """What is loaded and trained, by name, as it happens."""
    seen = []
    for module, name in ((models, "load"), (models, "load_folder"), (tuning, "train")):
        real = getattr(module, name)

        def spy(*args, real=real, name=name, **kwargs):
            seen.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, spy)
    return seen


def test_a_finished_run_says_what_it_is_and_what_made_it(run):
    folder = run("method=sft")
    identity = read_json(folder / "identity.json")
    assert identity["trained"]["training"]["max_steps"] == 4
    assert set(identity["made_by"]) == {"prepared", "trained", "measured"}
    environment = read_json(folder / "environment.json")
    assert environment["packages"]["torch"] and environment["date"] and environment["threads"] == 1
    assert schema.load(folder).version == schema.VERSION
    assert (folder / "DONE").exists() and read_json(folder / "status.json")["state"] == "done"
    assert "training (sft)" in (folder / "log.txt").read_text()
    assert yaml.safe_load((folder / "config.yaml").read_text())["task"]["facts"] == 4
    assert not (folder / "model").exists() and not (folder / "trainer").exists()


def test_a_repeated_run_and_a_gate_load_no_model(run, loads):
    run("method=sft")
    loads.clear()
    folder = run("method=sft")
    assert run.outcome.state == "skipped" and not loads
    run("method=sft", "gate.learned=0.5")
    assert run.outcome.state == "skipped" and not loads
    assert "gate.learned=0.5" in run.outcome.unmet[0]
    run("method=sft", "drift=none")  # less is asked than was measured
    assert run.outcome.state == "done" and not loads and schema.load(folder).drift is None
    run("method=sft", "retention.tasks=[]")
    assert not loads and not schema.load(folder).retention.tasks


def test_one_more_alpha_uses_the_kept_weights_and_trains_nothing(run, loads):
    first = run("method=sft", "training.save_model=true")
    before = schema.load(first)
    loads.clear()
    folder = run("method=sft", "training.save_model=true", "training.interpolate=[0.5,1]")
    after = schema.load(folder)
    assert folder == first and "train" not in loads and "load_folder" in loads
    assert [point.alpha for point in after.interpolation] == [0.5, 1.0]
    assert after.interpolation[1].probes == after.probes == before.probes
    assert after.cost["training"] == before.cost["training"]
    kept = list((folder / "earlier").glob("*.json"))
    assert [json.loads(path.read_text())["interpolation"] for path in kept] == [[]]


def test_where_no_weights_were_kept_it_trains_again_to_the_same_numbers(run, loads, capsys):
    before = schema.load(run("method=sft"))
    loads.clear()
    after = schema.load(run("method=sft", "training.interpolate=[0.5]"))
    assert loads.count("train") == 1 and "kept no weights" in capsys.readouterr().err
    assert after.probes == before.probes and after.retention == before.retention
    assert after.drift == before.drift and len(after.interpolation) == 1


def test_weights_that_are_asked_for_later_are_made(run, loads):
    folder = run("method=sft")
    assert run("method=sft", "training.save_model=true") == folder and (folder / "model/config.json").exists()
    loads.clear()
    run("method=sft", "training.save_model=true")
    assert run.outcome.state == "skipped" and not loads
    run("method=sft", "training.save_model=true", "gate.learned=0.9")
    assert run.outcome.unmet


def test_a_model_that_was_kept_is_not_dropped_by_a_later_look_or_gate(run):
    folder = run("method=sft", "training.save_model=true")
    run("method=sft", "training.interpolate=[0.5]")
    assert run.outcome.state == "done" and (folder / "model/model.safetensors").exists()
    run("method=sft", "training.interpolate=[0.5,1]", "gate.learned=0.9")
    assert run.outcome.unmet and run.outcome.model_kept and (folder / "model/README.md").exists()


def test_a_gate_that_is_not_met_keeps_no_model(run):
    folder = run("method=sft", "training.save_model=true", "gate.learned=0.9")
    assert run.outcome.unmet and not run.outcome.model_kept and not (folder / "model").exists()


def test_what_killed_processes_left_is_swept_away(run):
    folder = run("method=sft")
    (folder / "DONE").unlink()
    for name in (".trash-model-1", f".model.{'a' * 32}"):
        (folder / name).mkdir()
    (folder / ".results.json.77.tmp").touch()
    (folder / "trainer").mkdir()
    run("method=sft")
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == {".lock"}
    assert not (folder / "trainer").exists()


@pytest.mark.parametrize("key", ["runs_dir", "cache_dir"])
def test_a_folder_that_cannot_be_made_is_told_before_work(run, loads, key):
    with pytest.raises(StoreError, match=f"{key}: /proc/nothing.* cannot be written to"):
        run("method=sft", f"{key}=/proc/nothing")
    assert not loads


def test_a_run_killed_while_its_weights_are_dropped_is_finished(run, monkeypatch):
    """The weights go after `DONE`, and at once: half a model never stands under the name of a whole one."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mixsd.run.stages.discard", killed)
    with pytest.raises(KeyboardInterrupt):
        run("method=sft")
    monkeypatch.undo()
    folder = run("method=sft")
    assert run.outcome.state == "skipped" and read_json(folder / "status.json")["state"] == "done"


def test_a_run_that_lost_part_of_its_tuned_model_can_be_finished(run):
    folder = run("method=sft", "training.save_model=true")
    before = schema.load(folder)
    (folder / "DONE").unlink()
    (folder / "model/model.safetensors").unlink()
    run("method=sft", "training.save_model=true", "training.interpolate=[0.5]")
    after = schema.load(folder)
    assert after.probes == before.probes and after.interpolation
    assert (folder / "model/model.safetensors").exists()


def test_what_stopped_under_other_software_begins_anew_and_what_was_complete_stays(run, loads, monkeypatch):
    folder = run("method=sft", "training.save_model=true")
    before = schema.load(folder)
    (folder / "DONE").unlink()
    monkeypatch.setattr("mixsd.run.stages.made_by", lambda: {"torch": "99.0"})
    loads.clear()
    run("method=sft", "training.save_model=true")
    assert "train" not in loads, "the trained layer was complete"
    made_by = read_json(folder / "identity.json")["made_by"]
    assert made_by["measured"] == {"torch": "99.0"} != made_by["trained"]
    told = (folder / "log.txt").read_text()
    assert (
        "what was measured so far was made with another" in told
        and "tuned: recall" in told.split("another")[1]
    )
    assert schema.load(folder).probes == before.probes


def test_a_training_that_stopped_under_other_software_is_not_gone_on_with(run, monkeypatch):
    def die(*args, **kwargs):
        real(*args, **kwargs)
        raise KeyboardInterrupt

    real = tuning.append_jsonl
    monkeypatch.setattr(tuning, "append_jsonl", die)
    with pytest.raises(KeyboardInterrupt):
        run("method=sft", "training.checkpoint_every=1")
    monkeypatch.setattr(tuning, "append_jsonl", real)
    monkeypatch.setattr("mixsd.run.stages.made_by", lambda: {"torch": "99.0"})
    folder = run("method=sft", "training.checkpoint_every=1")
    assert [point["step"] for point in read_jsonl(folder / "metrics.jsonl")] == [1, 2, 3, 4]
    assert "what was trained so far was made with another" in (folder / "log.txt").read_text()


def test_an_editor_that_changes_the_model_in_place_is_not_taken_for_the_base(run):
    folder = run(*EDITOR, "+method.factor=1.5", "training.save_model=true", "training.interpolate=[0.5]")
    results = schema.load(folder)
    assert results.drift is not None and results.drift.raw > 0
    assert len(results.interpolation) == 1 and (folder / "model/model.safetensors").exists()
    assert results.targets.dropped == 1 and results.targets.numbers == {"told": 4}
    assert results.derived.recall_kept.n == 3, "the dropped fact was not taught"
    # The likelihood of the gold texts is the base model's, whatever became of its weights.
    assert results.targets.gold_of_all == schema.load(run("method=sft")).targets.gold_of_all


def test_editors_honour_the_filters_of_facts(run, tmp_path):
    kept = run("method=sft", "task.facts=2")
    other = run(*EDITOR, f"task.only_facts_of={kept}")
    results = schema.load(other)
    assert results.targets.left_out == 2 and results.targets.numbers == {"told": 2}
    shown = run("method=in_context", f"task.only_facts_of={kept}")
    pairs = read_probe_pairs(shown, "recall")
    longer = [pair.after.prompt_tokens > pair.before.prompt_tokens for pair in pairs]
    assert sorted(longer) == [False, False, True, True], "two facts are shown, two are not"
    assert schema.load(shown).targets.left_out == 2 and schema.load(shown).targets.dropped == 0


def test_only_missed_teaches_what_the_base_model_gets_wrong(run, monkeypatch):
    monkeypatch.setattr(tuning, "unknown_to_base", lambda base: {base.probes["recall"][0].fact_id})
    results = schema.load(run("method=sft", "task.only_missed=true"))
    assert results.targets.left_out == 3 and results.derived.recall_kept.n == 1


def test_a_prompt_that_does_not_fit_the_context_is_told_before_any_scoring(run, monkeypatch, capsys):
    real = models.load

    def short(*args):
        model = real(*args)
        model.network.config.max_position_embeddings = 40
        return model

    monkeypatch.setattr(models, "load", short)
    with pytest.raises(DataError, match="task=kgfact_small"):
        run("method=sft")
    with pytest.raises(DataError, match="method=in_context: .*of 40"):
        run("method=in_context")
    assert "base:" not in capsys.readouterr().err


def test_a_failed_run_says_why_and_the_tracker_is_told(run, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(tuning, "train", fail)
    with pytest.raises(RuntimeError):
        run("method=sft")
    (folder,) = (tmp_path / "runs/default").iterdir()
    assert read_json(folder / "status.json")["error"] == "RuntimeError: no luck"
    assert "Traceback" in (folder / "log.txt").read_text()
    monkeypatch.undo()
    run("method=sft")
    assert "error" not in read_json(folder / "status.json")


def test_seconds_of_cached_targets_are_those_of_their_making(run):
    wanted = ("method=mixsd", "method.on_failure=keep_last", "method.contrast=false")
    folder = run(*wanted)
    (beside,) = (folder.parents[2] / "cache/targets").glob("*.cost.json")
    beside.write_text('{"seconds": 1000.0, "forward_passes": 7000}')
    again = schema.load(run(*wanted, "training.learning_rate=1e-4"))
    assert again.cost["examples"].seconds >= 1000 and again.cost["examples"].forward_passes >= 7000


def test_an_edit_does_not_pay_for_base_scores_and_passes_are_counted_in_every_stage(run):
    folder = run("method=sft")
    for beside in (folder.parents[2] / "cache").glob("base_*/*.cost.json"):
        beside.write_text('{"seconds": 1000.0, "forward_passes": 7}')
    edited, trained = schema.load(run("method=in_context")), schema.load(folder)
    assert edited.cost["training"].seconds < 1000 <= edited.cost["base_scores"].seconds
    for results in (edited, trained):
        assert results.cost["tuned_scores"].forward_passes > 0
    assert trained.cost["training"].forward_passes == 4


def test_the_card_of_a_saved_model_names_its_base(run, tmp_path):
    shutil.copytree(saved_model(), tmp_path / "Some-Base")
    folder = run("method=sft", "training.save_model=true", f"model.name={tmp_path}/Some-Base")
    card = (folder / "model/README.md").read_text()
    assert "base_model: Some-Base" in card and str(tmp_path) not in card


def test_what_an_earlier_run_taught_is_asked_again(run):
    taught = run("method=sft", "training.save_model=true", "task.facts=2")
    probes = {probe.split: probe for probe in compose_run([f"model.name={taught}", "retention=none"]).probes}
    asked = probes["previously_taught"].question
    assert asked.accepted and asked.rivals and asked.prompt.startswith("What is the name of")
