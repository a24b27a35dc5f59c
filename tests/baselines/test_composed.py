"""An edit and a training in one run: what comes second works on what the first left, the base stays the base."""

from dataclasses import replace

import pytest
import torch

from baselines.composed import Composed
from baselines.in_context import InContext
from baselines.memit import Memit
from baselines.opsd import OPSD
from baselines.sft import SFT
from baselines.sft_kl import SFTWithKL
from mixsd.core.errors import SettingError
from mixsd.core.files import File
from mixsd.core.store import read_json
from mixsd.run.config import read_config
from tests.conftest import SMALL
from tests.helpers.fakes import MemoryBench
from tests.helpers.training import ROOT, TASK, fit, fresh, weights

SETTINGS = {
    "layers": [0], "lookup": "prompt_end", "steps": 4, "learning_rate": 0.02, "covariance_weight": 0.1,
    "moment_tokens": 400, "corpus": File("method.corpus", ROOT / "mixsd/methods/general_prompts.txt"),
}  # fmt: skip


def editor():
    return Memit("memit", **SETTINGS)


def composed(**settings):
    return Composed("composed", editor(), settings.pop("train", SFT("sft")), **settings)


def edited(facts=TASK.facts):
    return editor().edit(facts, fresh(), MemoryBench()).model


def test_an_edit_first_is_where_the_training_starts(tmp_path):
    model, _, _ = fit(composed(), tmp_path / "a", max_steps=3)
    by_hand, _, _ = fit(SFT("sft"), tmp_path / "b", model=edited(), max_steps=3)
    assert torch.equal(weights(model), weights(by_hand))
    plain, _, _ = fit(SFT("sft"), tmp_path / "c", max_steps=3)
    assert not torch.equal(weights(model), weights(plain))


def test_trained_first_the_edit_reads_the_trained_model(tmp_path):
    method = composed(order="train_first")
    model, _, _ = fit(method, tmp_path / "a", max_steps=3)
    trained, _, _ = fit(SFT("sft"), tmp_path / "b", max_steps=3)
    assert torch.equal(weights(model), weights(trained)), "nothing before the first step"
    method.finish(TASK.facts, model, MemoryBench())
    by_hand = editor().edit(TASK.facts, trained, MemoryBench()).model
    assert torch.equal(weights(model), weights(by_hand))


def test_what_is_kept_for_one_model_is_not_read_for_another():
    bench = MemoryBench()
    editor().edit(TASK.facts, fresh(), bench)
    other = edited()
    wanted = weights(editor().edit(TASK.facts, other, MemoryBench()).model).clone()
    again = edited()
    composed(order="train_first").finish(TASK.facts, again, bench)
    assert torch.equal(weights(again), wanted)


def test_targets_are_written_by_the_edited_model_and_the_base_is_left_alone(build):
    settings = [f"method.edit.corpus={SETTINGS['corpus']}", "method.edit.layers=[0]", "method.edit.steps=4"]
    more = [
        "method.edit.lookup=prompt_end",
        "method.train.on_failure=keep_last",
        "method.edit.moment_tokens=400",
    ]
    strong = ["method.edit.covariance_weight=0.0001", "method.edit.learning_rate=0.5"]
    method, base = build("composed", *settings, *more, *strong), fresh()
    made = method.prepare(TASK.facts, base, MemoryBench())
    assert torch.equal(weights(base), weights(fresh()))
    by_hand = method.train.prepare(
        TASK.facts, method.editor.edit(TASK.facts, fresh(), MemoryBench()).model, MemoryBench()
    )
    plain = method.train.prepare(TASK.facts, fresh(), MemoryBench())
    assert made.examples == by_hand.examples != plain.examples


def test_a_loss_reads_the_base_as_it_was_before_the_edit(tmp_path):
    seen = []

    class Watched(SFTWithKL):
        def loss(self, batch, model):
            with model.as_base() as base:
                seen.append(weights(base).clone())
            return super().loss(batch, model)

    fit(composed(train=Watched("sft_kl")), tmp_path, max_steps=2)
    assert len(seen) == 2 and all(torch.equal(one, weights(fresh())) for one in seen)


def test_by_kind_edits_what_replaces_and_trains_the_rest():
    facts = [replace(TASK.facts[0], replaces=("Z",)), TASK.facts[1]]
    method = composed(split="by_kind")
    made = method.prepare(facts, fresh(), MemoryBench())
    assert [example.fact_id for example in made.examples] == ["f1"] and not made.dropped
    model = fresh()
    method.start(facts, model, MemoryBench())
    assert torch.equal(weights(model), weights(edited(facts[:1])))
    said = composed(split="by_kind").problems
    assert not said(facts, fresh().network)
    assert "none of this task replaces an answer" in said(TASK.facts, fresh().network)
    assert "does not replace an answer" in said(facts[:1], fresh().network)


def test_a_fact_is_dropped_where_neither_teaches_it():
    nothing, bench = Memit("memit", **{**SETTINGS, "lookup": "subject"}), MemoryBench()
    assert not Composed("c", nothing, SFT("sft")).prepare(TASK.facts, fresh(), bench).dropped, "it is trained"

    class Picky(SFT):
        def prepare(self, facts, model, bench):
            return replace(super().prepare(facts[1:], model, bench), dropped={facts[0].id: "too long"})

    for order in ("edit_first", "train_first"):
        written = composed(train=Picky("p"), order=order).prepare(TASK.facts, fresh(), bench)
        assert not written.dropped, "it is edited"
        neither = Composed("c", nothing, Picky("p"), order).prepare(TASK.facts, fresh(), bench)
        assert neither.dropped == {"f0": "too long"}
        facts = [TASK.facts[0], replace(TASK.facts[1], replaces=("Z",))]
        apart = Composed("c", nothing, SFT("s"), order, "by_kind").prepare(facts, fresh(), bench)
        assert apart.dropped == {"f1": "its question names no subject"}


@pytest.mark.parametrize("lora", [None, 4])
def test_an_edit_and_a_training_that_was_killed_go_on(tmp_path, lora):
    changes = {"max_steps": 6, "checkpoint_every": 2, "lora": lora}
    whole, _, _ = fit(composed(), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(composed(), tmp_path / "parts", die_at=5, **changes)
    again, _, curve = fit(composed(), tmp_path / "parts", **changes)
    assert [point["step"] for point in curve] == [5, 6] and torch.equal(weights(whole), weights(again))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"edit": SFT("sft")}, "method.edit=sft writes nothing into"),
        ({"edit": InContext("in_context")}, "method.edit=in_context writes nothing into"),
        ({"train": OPSD("opsd")}, "method.train=opsd does not prepare"),
        ({"train": editor()}, "method.train=memit does not prepare"),
        ({"order": "both"}, "method.order=both"),
        ({"split": "half"}, "method.split=half"),
    ],
)
def test_parts_that_do_not_fit_are_told(part, said):
    with pytest.raises(SettingError, match=said):
        Composed(**{"name": "c", "edit": editor(), "train": SFT("sft"), **part})


def test_under_lora_the_base_would_be_the_edited_model(composed):
    overrides = ("method=composed", "method@method.train=sft_kl", "model=tiny_random", "retention=none")
    with pytest.raises(SettingError, match=r"leave training\.lora out"):
        read_config(composed(*overrides, "training.lora=4", "method.edit.layers=[0]"))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["edit_first", "train_first"])
def test_through_the_real_command(warm_cli, tmp_path, order):
    settings = [
        "method.edit.layers=[0]", "method.edit.steps=3", "method.edit.moment_tokens=400", "tracking=none",
        f"method.edit.corpus={SETTINGS['corpus']}", "method@method.train=sft", f"method.order={order}",
        "retention=none", "training.dtype=float32",
    ]  # fmt: skip
    done = warm_cli("run.py", *SMALL[:-2], "method=composed", *settings, f"runs_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "default").glob("kg*composed*")
    results = read_json(run / "results.json")
    assert results["drift"]["raw"] > 0 and results["training"]["steps"] == 4
    assert results["targets"]["numbers"]["edit_change_norm"] > 0
    # A step each; the search for values and the reading of keys come on top.
    assert results["cost"]["training"]["forward_passes"] > 4 + 3
