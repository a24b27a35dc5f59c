"""The pull back to the base weights: value and gradient in closed form, full and with adapters."""

import pytest
import torch

from baselines.sft import SFT
from mixsd.core.errors import SettingError
from mixsd.run.adapters import adapted, add_adapters, change_of
from mixsd.run.drift import base_answers, general_fisher
from mixsd.run.penalty import ElasticWeights
from tests.helpers.fakes import MemoryBench
from tests.helpers.training import fit, fresh, make, weights


def information(model):
    """Positive numbers, other for each weight."""
    draw = torch.Generator().manual_seed(3)
    return {name: torch.rand(w.shape, generator=draw) for name, w in model.network.named_parameters()}


def test_of_all_weights_it_is_f_times_the_change():
    model = fresh()
    known = information(model)
    penalty = ElasticWeights(model.network, known, 0.8)
    start = {name: weight.detach().clone() for name, weight in model.network.named_parameters()}
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
    model.network.lm_head.weight.grad = torch.ones_like(model.network.lm_head.weight)
    value = penalty.add()
    mean = torch.cat([values.flatten() for values in known.values()]).double().mean()
    total = 0.0
    for name, weight in model.network.named_parameters():
        change = weight.detach() - start[name]
        total += float((known[name].double() * change.double() ** 2).sum() / mean * 0.4)
        wanted = 0.8 * known[name] / float(mean) * change + (1 if name == "model.embed_tokens.weight" else 0)
        assert torch.allclose(weight.grad, wanted, atol=1e-5), name
    assert float(value) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("avoids", [None, 2])
def test_with_adapters_it_is_of_the_weights_that_they_are_on(avoids):
    """dP/dB = w s (F o D) A^T and dP/dA = w s B^T (F o D), for the change D = s B A."""
    model = fresh()
    known = information(model)
    add_adapters(model, make(lora=3, lora_avoids=avoids), seed=0)
    penalty = ElasticWeights(model.network, known, 0.8)
    of_layers = [known[f"{name}.weight"] for name, _, _ in adapted(model.network)]
    scale = 0.8 / float(torch.cat([values.flatten() for values in of_layers]).double().mean())
    for _, layer, adapter in adapted(model.network):
        part = layer.lora_B[adapter]
        torch.nn.init.normal_(part.parametrizations.weight.original if avoids else part.weight, std=0.1)
    total = penalty.add()
    by_hand = 0.0
    for (_, layer, adapter), values in zip(adapted(model.network), of_layers, strict=True):
        change = change_of(layer, adapter).detach()
        by_hand += float(scale / 2 * (values * change**2).sum())
        if not avoids:
            a, b, s = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight, layer.scaling[adapter]
            pull = scale * s * values * change
            assert torch.allclose(b.grad, pull @ a.T, atol=1e-4, rtol=1e-3)
            assert torch.allclose(a.grad, b.T @ pull, atol=1e-4, rtol=1e-3)
    assert float(total) == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("lora", [None, 4])
def test_the_harder_it_pulls_the_less_weights_move(tmp_path, lora):
    base, moved = weights(fresh()), []
    for strength in (None, 1.0, 1e4):
        changes = {"penalty": "ewc", "penalty_weight": strength} if strength else {}
        folder = tmp_path / str(strength)
        model, _, curve = fit(SFT("sft"), folder, lora=lora, max_steps=8, weight_decay=0.0, **changes)
        moved.append(float((weights(model) - base).norm()))
        assert all(("loss_penalty" in point) == bool(strength) for point in curve)
        if strength:
            assert curve[0]["loss_penalty"] == 0 < curve[-1]["loss_penalty"]
    assert moved[0] > moved[2] and moved[1] > moved[2]


def test_it_pulls_towards_the_base_also_after_a_resume(tmp_path):
    changes = {"penalty": "ewc", "penalty_weight": 10.0, "max_steps": 6, "checkpoint_every": 2}
    whole, _, _ = fit(SFT("sft"), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(SFT("sft"), tmp_path / "parts", die_at=5, **changes)
    again, _, _ = fit(SFT("sft"), tmp_path / "parts", **changes)
    assert torch.equal(weights(whole), weights(again))


def test_what_drift_is_measured_on_is_not_what_is_trained_by():
    model, bench = fresh(), MemoryBench()
    known = general_fisher(model, bench)
    assert {name: w.shape for name, w in model.network.named_parameters()} == {
        n: v.shape for n, v in known.items()
    }
    asked = {answer.prompt_ids for answer in base_answers(model, bench)}
    general = {tuple(ids) for ids in _general(model)}
    assert not asked & general


def _general(model):
    from mixsd.methods.general_prompts import read_prompts

    return [model.prompt_ids(prompt) for prompt in read_prompts()]


def test_settings_out_of_range_are_told():
    for changes, said in (
        ({"penalty": "l2"}, "training.penalty=l2"),
        ({"penalty_weight": 0.0}, "penalty_weight=0"),
    ):
        with pytest.raises(SettingError, match=said):
            make(**changes)
