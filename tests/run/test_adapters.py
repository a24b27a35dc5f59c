"""Adapters that avoid the first singular directions of what they are added to (OPLoRA)."""

import pytest
import torch

from baselines.sft import SFT
from mixsd.core.errors import SettingError
from mixsd.run.adapters import adapted, add_adapters, change_of
from mixsd.run.config import read_config
from tests.helpers.training import TASK, fit, fresh, gold, make, weights

AVOIDS = 3
STRONG = {"lora": 4, "lora_avoids": AVOIDS, "weight_decay": 0.3, "learning_rate": 1e-2}


def linear(model):
    output = model.network.lm_head
    return {
        n: m for n, m in model.network.named_modules() if isinstance(m, torch.nn.Linear) and m is not output
    }


def test_trained_by_adamw_with_decay_they_add_nothing_there(tmp_path):
    base, (tuned, _, _) = linear(fresh()), fit(SFT("sft"), tmp_path, max_steps=6, **STRONG)
    for name, layer in linear(tuned).items():
        weight = base[name].weight.detach().double()
        change = layer.weight.detach().double() - weight
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        assert change.norm() > 1e-3
        assert (left[:, :AVOIDS].T @ change).abs().max() < 1e-5
        assert (change @ right[:AVOIDS].T).abs().max() < 1e-5
        # They stay singular triples: W v = s u, and W^T u = s v.
        for n in range(AVOIDS):
            assert torch.allclose((weight + change) @ right[n], values[n] * left[:, n], atol=1e-5)
            assert torch.allclose((weight + change).T @ left[:, n], values[n] * right[n], atol=1e-5)


def test_others_do_add_something_there(tmp_path):
    base, (tuned, _, _) = (
        linear(fresh()),
        fit(SFT("sft"), tmp_path, max_steps=6, **{**STRONG, "lora_avoids": None}),
    )
    name, layer = next(iter(linear(tuned).items()))
    change = layer.weight.detach() - base[name].weight.detach()
    left = torch.linalg.svd(base[name].weight.detach()).U
    assert (left[:, :AVOIDS].T @ change).abs().max() > 1e-4


def test_at_the_first_step_it_is_the_base_model_and_without_the_adapter_always(tmp_path):
    model, base = fresh(), fresh()
    add_adapters(model, make(**STRONG), seed=0)
    batch = base.collate(gold(base))
    assert torch.equal(model.target_logits(batch), base.target_logits(batch))
    for _, layer, name in adapted(model.network):
        torch.nn.init.normal_(layer.lora_B[name].parametrizations.weight.original)
    assert not torch.allclose(model.target_logits(batch), base.target_logits(batch), atol=1e-3)
    with model.as_base() as frozen:
        assert torch.equal(frozen.target_logits(batch), base.target_logits(batch))
    # Merged it computes the same.
    assert torch.allclose(
        model.in_dtype("float32").target_logits(batch), model.target_logits(batch), atol=1e-4
    )
    _, layer, name = next(adapted(model.network))
    assert torch.allclose(change_of(layer, name), layer.get_delta_weight(name), atol=1e-6)


def test_it_goes_on_where_it_was_killed(tmp_path):
    changes = {**STRONG, "max_steps": 6, "checkpoint_every": 2}
    whole, _, _ = fit(SFT("sft"), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(SFT("sft"), tmp_path / "parts", die_at=5, **changes)
    again, _, curve = fit(SFT("sft"), tmp_path / "parts", **changes)
    assert [point["step"] for point in curve] == [5, 6]
    assert torch.equal(weights(whole), weights(again))
    assert TASK.facts


def test_without_adapters_there_is_nothing_to_keep_out():
    with pytest.raises(SettingError, match="give training.lora"):
        make(lora_avoids=2)


@pytest.mark.parametrize("avoids", [32, 4096])
def test_where_nothing_is_left_to_add_is_told_before_any_work(composed, avoids):
    with pytest.raises(
        SettingError, match=rf"lora_avoids={avoids} leaves adapters nothing.*allowed: 1 to 31"
    ):
        read_config(composed("model=tiny_random", "training.lora=4", f"training.lora_avoids={avoids}"))


def test_in_bf16_autocast_too_nothing_is_added_there():
    model = fresh()
    add_adapters(model, make(**STRONG), seed=0)
    _, layer, name = next(adapted(model.network))
    torch.nn.init.normal_(layer.lora_B[name].parametrizations.weight.original)
    left = torch.linalg.svd(layer.get_base_layer().weight.detach()).U[:, :AVOIDS]
    with torch.autocast("cpu", torch.bfloat16):
        weight = layer.lora_B[name].weight
    assert (left.T @ weight.detach().float()).abs().max() < 1e-5
