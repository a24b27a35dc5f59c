import shutil
from pathlib import Path

import pytest
import yaml

from mixsd.core.errors import MixSDError
from mixsd.core.files import File
from mixsd.methods.contract import GradientMethod
from mixsd.run.config import read_config
from mixsd.run.probes_file import write_probes
from tests.conftest import ROOT
from tests.helpers.task_files import task_overrides
from tests.helpers.training import saved_model

GROUPS = ("model", "task", "method", "training", "retention", "tracking", "gate", "drift", "experiment")
FILES = [(g, p.stem) for g in GROUPS for p in sorted((ROOT / "conf" / g).glob("*.yaml"))]
OPTIONS = [(group, name) for group, name in FILES if not name.startswith("_")]
TINY = ("model=tiny_random", "task.facts=4")


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_config_composes_and_opens_with_its_command(composed, group, name, tmp_path):
    config = composed(f"{group}={name}")
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text()
    first = next(line for line in text.splitlines() if not line.startswith("# @package"))
    assert first.startswith("# python run.py") and name in first.replace(
        "tracking.mode=disabled", "wandb"
    ).replace("gate.learned", "none")
    if group not in ("model", "experiment"):
        overrides = [f"{group}={name}"]
        if group == "task":
            overrides += task_overrides(name, tmp_path)
        if name == "checkpoint":
            (tmp_path / "config.json").write_text("{}")
            (tmp_path / "model.safetensors").touch()
            overrides.append(f"method.path={tmp_path}")
        if group == "retention" and name in (
            "quick",
            "paper",
            "reasoning",
        ):  # their data is not at hand everywhere
            overrides.append("retention.tasks=[pocket_grammar]")
        read_config(composed(*(TINY if group != "task" else TINY[:1]), *overrides))
    assert config.seed is not None


@pytest.mark.parametrize("native", ["bfloat16", "float32"])
def test_auto_is_what_the_processor_has_and_is_written_down(native, composed, monkeypatch):
    monkeypatch.setattr("mixsd.run.config.native_dtype", lambda: native)
    run = read_config(composed(*TINY, "model.scoring_dtype=auto", "method=opsd"))
    assert run.training.dtype == run.model.scoring_dtype == run.resolved["training"]["dtype"] == native
    assert run.resolved["method"]["rollout_dtype"] == native
    named = [f"{key}={native}" for key in ("training.dtype", "model.scoring_dtype", "method.rollout_dtype")]
    assert read_config(composed(*TINY, "method=opsd", *named)).run_id == run.run_id
    other = "float32" if native == "bfloat16" else "bfloat16"
    assert read_config(composed(*TINY, f"training.dtype={other}")).training.dtype == other, "as it is told"


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
        (["task=own_facts"], "task.path is not set; add task.path=<value>"),
        (["training.betas=[0.9]"], "training.betas"),
        (["training.clip=-1"], "training.clip"),
        (["training.learning_rate=inf"], "must be finite"),
        (["experiment_name=null"], "experiment_name=None is no name"),
        (["data_root=3"], "data_root=3 is not a folder"),
        (["experiment_name=../x"], "experiment_name=../x is no name"),
        (["method.name=a/b"], "method.name=a/b is no name"),
        ([f"runs_dir={'x' * 300}"], "is no folder name (File name too long)"),
        (["method._target_=5"], "method._target_=5 cannot be imported"),
        (["task.answer_format=nope"], "task.answer_format=nope is unknown; allowed: plain, boxed"),
        (["task.facts=${task.nothing}"], "Interpolation key 'task.nothing' not found"),
        (["method._target_=mixsd.nothing"], "method._target_=mixsd.nothing cannot be imported"),
        (["seed=4294967296"], "seed=4294967296 is out of range; allowed: 0 to 4294967295"),
        (["task.budget=3"], "task.budget=3 is of the wrong type"),
        (["task.only_missed=flase"], "task.only_missed=flase is of the wrong type; allowed: bool"),
        (
            ["method=sft", "+task.advice.reject=[unsuported]"],
            "task.advice.reject=unsuported is unknown; did you mean unsupported?",
        ),
        (["method=sft", "task.advice=7"], "task.advice=7 is of the wrong type"),
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
            ["task=kgfunc_pocket", "gate.learned=0.2"],
            "gate.learned=0.2 needs paraphrases, and task=kgfunc_pocket has none",
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


@pytest.mark.parametrize(
    ("overrides", "lacks"),
    [
        (["method._target_=mixsd.core.draws.uniform"], "method"),
        (["method=sft", "~method.weights", "method._target_=tests.run.test_config.Nothing"], "edit"),
        (["retention._target_=tests.run.test_config.Nothing"], "retention"),
        (["tracking=none", "tracking._target_=tests.run.test_config.Nothing"], "start"),
    ],
)
def test_a_target_that_fulfils_no_contract_is_told_before_work(composed, overrides, lacks):
    with pytest.raises(MixSDError, match=lacks) as caught:
        read_config(composed(*TINY, *overrides))
    assert "\n" not in str(caught.value)


class Nothing:
    """Fulfils no contract."""

    def __init__(self, name="", **settings):
        self.name = name


class Wrapping:
    """A method made of a method."""

    def __init__(self, name, inner: GradientMethod, words: File | None = None):
        self.name, self.inner, self.words = name, inner, words

    def prepare(self, facts, model, bench):
        return self.inner.prepare(facts, model, bench)

    def loss(self, batch, model):
        return self.inner.loss(batch, model)


WRAPPING = (
    "method=sft", "~method.weights", "method._target_=tests.run.test_config.Wrapping",
    "+method.inner={_target_: baselines.stm.SelectiveTokenMasking, name: stm, threshold: 3.0}",
)  # fmt: skip


def test_a_method_may_be_made_of_methods_and_all_their_settings_count(composed):
    run = read_config(composed(*TINY, *WRAPPING))
    assert run.method.inner.threshold == 3.0
    other = read_config(composed(*TINY, *WRAPPING, "method.inner.threshold=4.0"))
    assert other.run_id != run.run_id


def test_a_file_counts_by_its_content_wherever_it_lies(composed, tmp_path):
    def run_id(path, text):
        path.write_text(text)
        return read_config(composed(*TINY, *WRAPPING, f"+method.words={path}")).run_id

    first = run_id(tmp_path / "a.txt", "one")
    assert run_id(tmp_path / "b.txt", "one") == first != run_id(tmp_path / "a.txt", "two")
    with pytest.raises(MixSDError, match="method.words=/no/such does not exist; give a file"):
        read_config(composed(*TINY, *WRAPPING, "+method.words=/no/such"))
    with pytest.raises(MixSDError, match="is a folder; give a file"):
        read_config(composed(*TINY, *WRAPPING, f"+method.words={tmp_path}"))


def test_a_file_is_also_looked_for_below_the_data_root(composed, tmp_path):
    (tmp_path / "words.txt").write_text("one")
    run = read_config(composed(*TINY, *WRAPPING, "+method.words=words.txt", f"data_root={tmp_path}"))
    assert run.method.words.path == tmp_path / "words.txt"


def test_what_is_private_stays_private_over_any_number_of_runs(composed, tmp_path):
    def taught_by(name, *overrides):
        """A finished run, as far as a later one reads it."""
        config = composed("model=tiny_random", "task.facts=2", *overrides)
        run, folder = read_config(config), tmp_path / name
        shutil.copytree(saved_model(), folder / "model")
        (folder / "config.yaml").write_text(yaml.safe_dump(run.resolved))
        (folder / "DONE").touch()
        write_probes(folder, run.probes)
        return folder, run.log_text

    first, shown = taught_by("a", "tracking=none", "+task.advice.log_text=false")
    assert not shown
    second, shown = taught_by("b", "tracking=none", f"model.name={first}")
    assert not shown
    _, shown = taught_by("c", "tracking.mode=disabled", f"model.name={second}")
    assert not shown
    assert taught_by("d", "tracking=none")[1]


def test_a_runs_dir_in_the_home_folder_is_used_as_it_is_checked(composed, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    run = read_config(composed(*TINY, "runs_dir='~/runs'", "cache_dir='~/cache'"))
    assert run.run_dir.is_relative_to(tmp_path / "runs") and run.cache_dir == tmp_path / "cache"


@pytest.mark.parametrize(("given", "meant"), [("no", False), ("off", False), ("true", True), ("1", True)])
def test_only_missed_means_what_is_written(composed, given, meant):
    assert read_config(composed(*TINY, f"task.only_missed={given}")).only_missed is meant


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
