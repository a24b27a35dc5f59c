"""Weights of target tokens: by hand, not trained through, dealt out the same in every batch."""

from math import exp, log

import pytest
import torch

from baselines.sft import SFT
from mixsd.core.errors import SettingError
from mixsd.methods.token_weights import WEIGHTS, token_weights, weighted_nll
from tests.helpers.training import fit, fresh, gold, weights


def test_dft_weighs_by_the_targets_probability():
    logits = torch.tensor([[log(0.7), log(0.2), log(0.1)]] * 2)
    losses = -torch.tensor([log(0.7), log(0.1)])
    assert token_weights("dft", logits, losses).tolist() == pytest.approx([0.7, 0.1])


def test_eaft_weighs_by_the_entropy_of_the_likeliest():
    flat, sure = torch.zeros(1, 50), torch.zeros(1, 50).index_fill(1, torch.tensor([3]), 50.0)
    none = torch.zeros(1)
    assert float(token_weights("eaft", flat, none)) == pytest.approx(1.0)
    assert float(token_weights("eaft", sure, none)) == pytest.approx(0.0, abs=1e-6)
    two = torch.full((1, 50), -80.0).index_fill(1, torch.tensor([3, 7]), 0.0)
    assert float(token_weights("eaft", two, none)) == pytest.approx(log(2) / log(20))
    few = torch.tensor([[log(0.5), log(0.25), log(0.25)]])
    assert float(token_weights("eaft", few, none)) == pytest.approx(1.5 * log(2) / log(3))


@pytest.mark.parametrize("kind", [kind for kind in WEIGHTS if kind != "none"])
def test_the_gradient_is_the_weight_times_that_of_the_nll(kind):
    """Closed form at the logits: w (softmax - onehot), with no term through w."""
    model = fresh()
    batch = model.collate(gold(model))
    seen: list[torch.Tensor] = []
    plain = model.target_logits

    def watched(of):
        logits = plain(of)
        logits.retain_grad()
        seen.append(logits)
        return logits

    model.target_logits = watched  # type: ignore[method-assign]
    loss = weighted_nll(kind, model, batch)
    loss.total.sum().backward()
    (logits,) = seen
    wanted = logits.detach().softmax(-1)
    wanted[torch.arange(len(wanted)), batch.target_ids] -= 1
    assert torch.allclose(logits.grad, loss.parts["weight"][:, None] * wanted, atol=1e-6)
    assert torch.allclose(loss.total, loss.parts["weight"] * loss.parts["nll"])


def test_without_weights_it_is_the_nll_bit_for_bit():
    model = fresh()
    batch = model.collate(gold(model))
    loss = weighted_nll("none", model, batch)
    assert torch.equal(loss.total, model.target_losses(batch)) and not loss.parts


def test_the_control_deals_the_same_weights_out_within_each_example():
    model = fresh()
    examples = gold(model)
    together = model.collate(examples)
    own, dealt = (weighted_nll(kind, model, together).parts["weight"] for kind in ("dft", "dft_shuffled"))
    lengths = [example.trained_tokens for example in examples]
    for a, b in zip(own.split(lengths), dealt.split(lengths), strict=True):
        assert torch.equal(a.sort().values, b.sort().values)
        assert not (a == b).any(), "none has its own"
    alone = [weighted_nll("dft_shuffled", model, model.collate([e])).parts["weight"] for e in examples]
    assert torch.allclose(torch.cat(alone), dealt, atol=1e-6), "whatever shares the batch"


def test_micro_batches_change_nothing(tmp_path):
    sizes = [
        weights(fit(SFT("sft", weights="dft_shuffled"), tmp_path / str(size), micro_batch_size=size)[0])
        for size in (1, 4)
    ]
    assert torch.allclose(*sizes, atol=1e-5)
    plain = weights(fit(SFT("sft"), tmp_path / "plain")[0])
    assert not torch.allclose(sizes[0], plain, atol=1e-4)


def test_a_likely_token_pulls_as_hard_as_its_probability_says():
    """exp(-nll) nll is below nll everywhere, and 1/e at most."""
    model = fresh()
    loss = weighted_nll("dft", model, model.collate(gold(model)))
    assert (loss.total <= loss.parts["nll"]).all() and float(loss.total.detach().max()) <= exp(-1) + 1e-6


def test_weights_belong_to_the_run_only_where_they_weigh(build):
    assert build("sft").inert == {"weights"} and not build("sft", "method.weights=dft").inert
    assert "weights" in build("mixsd").inert and "weights" not in build("mixsd", "method.weights=eaft").inert
    with pytest.raises(SettingError, match="method.weights=tft"):
        build("sft", "method.weights=tft")
