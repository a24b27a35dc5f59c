"""Displacement on a quadratic toy, and what drift says of equal and of moved models."""

import pytest
import torch

from baselines.self_replay import read_prompts
from mixsd.lm.batches import Batch
from mixsd.results.schema import Drift
from mixsd.run import drift as module
from mixsd.run.drift import (
    base_answers,
    cached_fisher,
    displacement,
    distance,
    fisher,
    measure_drift,
    prompts,
)
from tests.helpers.fakes import MemoryBench
from tests.helpers.training import fit, fresh


class Quadratic:
    """log p(example) = -1/2 sum a_i (w_i - x_i)^2: its gradient is a_i (x_i - w_i), known by hand."""

    def __init__(self, weights):
        self.network = torch.nn.Linear(3, 1, bias=False)
        self.network.weight.data = torch.tensor([weights])
        self.curvature = torch.tensor([1.0, 10.0, 0.0])

    def collate(self, examples):
        return examples[0]

    def target_losses(self, example):
        return (self.curvature * (self.network.weight[0] - torch.tensor(example)).square() / 2)[None].sum(
            dim=1
        )


def test_fisher_and_displacement_of_a_quadratic_by_hand():
    base, tuned = Quadratic([0.0, 0.0, 0.0]), Quadratic([3.0, 1.0, 2.0])
    found = fisher(base, [(1.0, 2.0, 5.0), (3.0, 0.0, 5.0)])
    # Squared gradients: (1, 400, 0) and (9, 0, 0).
    assert found["weight"][0].tolist() == [5.0, 200.0, 0.0]
    moved = displacement(base, tuned, found)
    assert moved["raw"] == 9 + 1 + 4 and moved["fisher"] == 5 * 9 + 200 * 1
    assert moved["ratio"] == pytest.approx(245 / 14)
    assert displacement(base, base, found) == {"raw": 0.0, "fisher": 0.0, "ratio": 0.0}
    assert base.network.weight.grad is None or not base.network.weight.grad.any()


def test_a_model_is_at_no_distance_from_itself_and_at_some_from_a_trained_one(build, tmp_path):
    base, bench = fresh(), MemoryBench()
    answers = base_answers(base, bench)
    assert len(answers) == len(prompts()) == 40 and answers == base_answers(base, bench)
    same = distance(base, fresh(), answers)
    assert same["kl_base_tuned"] == pytest.approx(0, abs=1e-6) and same["top1_agreement"] == 1
    tuned, _, _ = fit(build("sft"), tmp_path, max_steps=30)
    moved = distance(base, tuned, answers)
    assert moved["kl_base_tuned"] > 0.01 and moved["top1_agreement"] < 1
    # The mean over tokens of the divergence, written out for one answer.
    batch = base.collate(answers[:1])
    assert isinstance(batch, Batch)
    with torch.no_grad():
        p, q = (s.target_logits(batch).float().log_softmax(-1) for s in (base, tuned))
    by_hand = (p.exp() * (p - q)).sum(-1).mean().item()
    assert distance(base, tuned, answers[:1])["kl_base_tuned"] == pytest.approx(by_hand, rel=1e-4)


def test_fisher_is_made_once(tmp_path, monkeypatch):
    base = fresh()
    answers = base_answers(base, MemoryBench())[:3]
    path = tmp_path / "deep" / "fisher.safetensors"
    first = cached_fisher(path, base, answers)
    monkeypatch.setattr("mixsd.run.drift.fisher", None)
    again = cached_fisher(path, base, answers)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert set(first) == {name for name, _ in base.network.named_parameters()}


def test_drift_prompts_are_nobodys_else():
    assert len(set(prompts())) == 40 and not set(prompts()) & set(read_prompts(None))


def test_a_fisher_file_is_whole_or_not_there(tmp_path, monkeypatch):
    base, path = fresh(), tmp_path / "fisher.safetensors"
    answers = base_answers(base, MemoryBench())[:1]

    def torn(tensors, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(module, "save_file", torn)
        with pytest.raises(OSError, match="disk full"):
            cached_fisher(path, base, answers)
    assert not path.exists()
    assert cached_fisher(path, base, answers).keys() == dict(base.network.named_parameters()).keys()


def test_drift_is_typed_and_compares_weights_where_they_can_be(build, tmp_path):
    base, bench = fresh(), MemoryBench()
    tuned, _, _ = fit(build("sft"), tmp_path, max_steps=5)
    found = measure_drift(base, tuned, bench)
    assert isinstance(found, Drift) and found.raw and found.fisher and found.ratio
    assert found.ratio == pytest.approx(found.fisher / found.raw)
    answers = base_answers(base, bench)
    assert (found.kl_base_tuned, found.top1_agreement) == tuple(distance(base, tuned, answers).values())
    del tuned.network.model.layers[1]
    other = measure_drift(base, tuned, bench)
    assert other.kl_base_tuned > 0 and (other.raw, other.fisher, other.ratio) == (None, None, None)
