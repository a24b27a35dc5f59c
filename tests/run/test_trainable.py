"""`training.only`: the weights that it names change, and no others."""

import pytest
import torch

from baselines.sft import SFT
from mixsd.core.errors import SettingError
from mixsd.run.config import read_config
from mixsd.run.memory import shape_of
from mixsd.run.trainable import layers, named
from tests.helpers.training import fit, fit_sft, fresh, make, weights

NAMES = ["model.layers.1.mlp.down_proj.weight", "model.layers.11.mlp.up_proj.weight", "model.norm.weight"]


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ([], [0, 1, 2]),
        (["down_proj"], [0]),
        (["layers.1"], [0]),
        (["layers.*.mlp"], [0, 1]),
        (["layers.1*"], [0, 1]),
        (["down_proj", "norm"], [0, 2]),
        (["proj"], []),
        (["l.yers"], []),
    ],
)
def test_patterns_are_whole_parts_of_names(only, found):
    assert named(NAMES, only) == [NAMES[number] for number in found]


def test_only_what_is_named_changes(tmp_path):
    before = {name: weight.clone() for name, weight in fresh().network.named_parameters()}
    model = fresh()
    report, _ = fit_sft(model, make(only=("layers.1.mlp.down_proj",)), tmp_path)
    changed = [n for n, w in model.network.named_parameters() if not torch.equal(w, before[n])]
    assert report.steps == 4 and changed == ["model.layers.1.mlp.down_proj.weight"]
    assert shape_of(model.network.config, ["layers.1.mlp.down_proj"]).trained == before[changed[0]].numel()


def test_adapters_lie_on_the_named_layers_alone(tmp_path):
    before = {name: weight.clone() for name, weight in fresh().network.named_parameters()}
    model = fresh()
    fit_sft(model, make(only=("down_proj",), lora=2), tmp_path)
    changed = [n for n, w in model.network.named_parameters() if not torch.equal(w, before[n])]
    assert changed == [f"model.layers.{n}.mlp.down_proj.weight" for n in range(2)]
    assert (
        shape_of(model.network.config, ["down_proj"]).adapters * 2 < shape_of(model.network.config).adapters
    )
    assert all("lm_head" not in name for name in layers(model.network, ()))


def test_resuming_gives_the_same_weights(tmp_path):
    changes = {"only": ("layers.0.mlp",), "checkpoint_every": 2}
    whole, _, _ = fit(SFT("sft"), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(SFT("sft"), tmp_path / "parts", die_at=3, **changes)
    again, _, curve = fit(SFT("sft"), tmp_path / "parts", **changes)
    assert [point["step"] for point in curve] == [3, 4]
    assert torch.equal(weights(whole), weights(again))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.only=[down_prog]", "did you mean down_proj?"),
        ("training.only=[layers.7]", "is in the name of no weight"),
        ("[norm] under LoRA", "is in the name of no linear layer"),
    ],
)
def test_a_pattern_that_allows_nothing_is_told(composed, override, said):
    overrides = ["training.only=[norm]", "training.lora=4"] if override.startswith("[") else [override]
    with pytest.raises(SettingError, match=said.replace("?", r"\?")):
        read_config(composed("model=tiny_random", *overrides))
