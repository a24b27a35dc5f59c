from pathlib import Path
from types import SimpleNamespace

import pytest

from mixsd.core.errors import MixSDError
from mixsd.core.questions import RECALL, Outcome
from mixsd.run.config import read_config
from mixsd.run.measure import Scores
from mixsd.run.stages import _Run
from tests.helpers.task_files import task_overrides
from tests.conftest import ROOT
from tests.helpers.fakes import FakeTask

GROUPS = ("model", "task", "method", "training", "retention", "tracking", "experiment")
OPTIONS = [(g, p.stem) for g in GROUPS for p in sorted((ROOT / "conf" / g).glob("*.yaml"))]
TINY = ("model=tiny_random", "task.facts=4")


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_config_composes_and_opens_with_its_command(composed, group, name, tmp_path):
    config = composed(f"{group}={name}")
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text()
    first = next(line for line in text.splitlines() if not line.startswith("# @package"))
    assert first.startswith("# python run.py") and name in first.replace("tracking.mode=disabled", "wandb")
    if group not in ("model", "experiment"):
        overrides = [f"{group}={name}"]
        if group == "task":
            overrides += task_overrides(name, tmp_path)
        if name == "checkpoint":
            (tmp_path / "config.json").write_text("{}")
            (tmp_path / "model.safetensors").touch()
            overrides.append(f"method.path={tmp_path}")
        if group == "retention" and name in ("quick", "paper"):  # their data is not at hand everywhere
            overrides.append("retention.tasks=[pocket_grammar]")
        read_config(composed(*(TINY if group != "task" else TINY[:1]), *overrides))
    assert config.seed is not None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.mixing_rate=1.5"], "method.mixing_rate=1.5 is out of range; allowed: 0 to 1"),
        (["method.mixing_rate=lots"], "method.mixing_rate=lots is of the wrong type; allowed: float"),
        (["training.learning_rate=-1"], "training.learning_rate=-1.0 is out of range; allowed: above 0"),
        (["training.max_steps=2.5"], "training.max_steps=2.5 is of the wrong type; allowed: int"),
        (["task.facts=1000"], "task.facts=1000 is out of range; this world has 1 to 100 facts"),
        (["data_root=/no/such/folder"], "data_root=/no/such/folder is not a folder"),
        (["+method.mixingrate=0.1"], "method.mixingrate is not a setting; did you mean mixing_rate?"),
        (["+sed=1"], "sed is not a setting; did you mean seed?"),
        (["seed=-1"], "seed=-1 is out of range"),
        (["seed=one"], "seed=one is not a whole number"),
        (["model.scoring_dtype=fp16"], "model.scoring_dtype=fp16 is unknown"),
        (["retention.limit=0"], "retention.limit=0"),
        (["tracking.mode=off"], "tracking.mode=off is unknown; did you mean offline?"),
        (["~method.seed"], "method lacks seed"),
        (["training.betas=[0.9]"], "training.betas"),
        (["training.clip=-1"], "training.clip"),
        (["training.learning_rate=inf"], "must be finite"),
        (["experiment_name=null"], "experiment_name=None is no name"),
        (["data_root=3"], "data_root=3 is not a folder"),
        (["task.answer_format=nope"], "task.answer_format=nope is unknown; allowed: plain, boxed"),
        (["task.facts=${task.nothing}"], "Interpolation key 'task.nothing' not found"),
        (["method._target_=mixsd.nothing"], "method._target_=mixsd.nothing cannot be imported"),
        (["seed=4294967296"], "seed=4294967296 is out of range; allowed: 0 to 4294967295"),
        (["gate=0.5"], "gate=0.5 is one value for a whole group; give gate.<setting>=<value>"),
        (["drift=true"], "drift=True is one value for a whole group"),
        (["task.budget=3"], "task.budget=3 is of the wrong type"),
        (["task.only_missed=flase"], "task.only_missed=flase is of the wrong type; allowed: bool"),
        (
            ["method=sft", "+task.reject=[unsuported]"],
            "task.reject=unsuported is unknown; did you mean unsupported?",
        ),
        (["method=sft", "+task.reject=7"], "task.reject=7 is of the wrong type"),
        (["runs_dir=run.py/x"], "run.py is a file; give a folder"),
        (["cache_dir=run.py"], "run.py is a file; give a folder"),
        (["model.expert_wording=anser"], "model.expert_wording=anser is unknown; did you mean answer?"),
        (["training.weight_decay=inf"], "training.weight_decay=inf is out of range"),
        (
            ["gate.retention=0.8", "retention=none"],
            "gate.retention=0.8 needs held-out tasks whose answers are generated, and retention=none has none",
        ),
        (
            ["gate.retention=0.8", "retention.tasks=[pocket_grammar]"],
            "needs held-out tasks whose answers are generated",
        ),
        (["gate.intrusion=0.2"], "gate.intrusion=0.2 needs neighbors, and task=kgfact_small has none"),
        (
            ["task=kgfunc_pocket", "gate.recall=0.2"],
            "gate.recall=0.2 needs paraphrases, and task=kgfunc_pocket has none",
        ),
        (["model.name=tests"], "model.name=tests is no model folder (config.json and weights)"),
    ],
)
def test_bad_values_are_one_line(composed, overrides, message):
    with pytest.raises(MixSDError) as caught:
        read_config(composed(*TINY, *overrides))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_all_mistakes_are_told_at_once(composed):
    with pytest.raises(MixSDError) as caught:
        read_config(composed(*TINY, "method.mixing_rate=2", "training.max_steps=-1", "data_root=/no"))
    assert all(key in str(caught.value) for key in ("method.mixing_rate", "training.max_steps", "data_root"))


def test_the_hash_covers_what_changes_a_number_and_nothing_else(composed, tmp_path):
    def run_id(*overrides):
        return read_config(composed(*TINY, *overrides)).run_id

    same = {run_id(), run_id("experiment_name=x"), run_id("runs_dir=/y"), run_id("cache_dir=/z")}
    same |= {run_id("tracking.mode=disabled"), run_id(f"data_root={tmp_path}")}
    assert len(same) == 1
    changes = [
        "seed=1", "task.facts=5", "method.mixing_rate=0.4", "method=sft", "training.max_steps=7",
        "training.learning_rate=1e-4", "retention.limit=5", "retention=none", "model.scoring_batch_size=8",
        "method.decode_batch_size=8", "task.max_new_tokens=9", "retention.validation_limit=5",
    ]  # fmt: skip
    assert len({run_id(change) for change in changes} | same) == len(changes) + 1


def test_a_changed_wording_is_another_run(composed, monkeypatch):
    from mixsd.mixing import contexts

    first = read_config(composed(*TINY)).run_id
    reworded = contexts.ExpertWording("{prompt} {gold}", ())
    monkeypatch.setitem(contexts.WORDINGS, "answer", reworded)
    assert read_config(composed(*TINY)).run_id != first


@pytest.mark.parametrize(("given", "meant"), [("no", False), ("off", False), ("true", True), ("1", True)])
def test_only_missed_means_what_is_written(composed, given, meant):
    assert read_config(composed(*TINY, f"task.only_missed={given}")).only_missed is meant


def test_only_missed_trains_on_what_the_base_model_gets_wrong():
    run = object.__new__(_Run)
    outcomes = {"f0": Outcome.CORRECT, "f1": Outcome.WRONG, "f2": Outcome.TRUNCATED}
    recall = [{"fact_id": fact, "outcome": outcome} for fact, outcome in outcomes.items()]
    base = Scores({RECALL: recall}, {})
    kept = {}
    for only_missed in (False, True):
        run.config = SimpleNamespace(task=FakeTask(3, bool), only_facts=None, only_missed=only_missed)  # type: ignore[assignment]
        kept[only_missed] = run._kept_facts(base)
    assert kept == {False: {"f0", "f1", "f2"}, True: {"f1", "f2"}}


def test_a_run_that_kept_no_model_is_no_model(composed, tmp_path):
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(
        MixSDError, match="is a run that kept no model; run it again with training.save_model"
    ):
        read_config(composed(f"model.name={tmp_path}"))


def test_run_directory_name(composed):
    run = read_config(composed(*TINY, "runs_dir=/tmp/r", "experiment_name=e", "seed=3"))
    assert run.run_dir.parent == Path("/tmp/r/e")
    assert run.run_id.startswith("kgfact_small-mixsd-tiny_random-s3-")


def test_answer_format_and_wording_come_from_the_model(composed):
    assert composed("model=smollm2_135m").task.answer_format == "plain"
    assert composed("model=qwen3_1_7b").task.answer_format == "boxed"
    assert composed("model=qwen3_1_7b").method.expert_wording == "reference"
