"""Less memory for more time, and the same numbers but for rounding."""

import pytest
import torch

from mixsd.run.memory import activations
from tests.helpers.training import fit, fresh, weights


@pytest.mark.parametrize("name", ["sft", "sft_kl", "opsd"])
@pytest.mark.parametrize("changes", [{}, {"lora": 4}, {"dtype": "bfloat16"}], ids=["full", "lora", "bf16"])
def test_the_weights_are_the_same_but_for_rounding(build, tmp_path, name, changes):
    found = []
    for again in (False, True):
        model, _, curve = fit(
            build(name),
            tmp_path / str(again),
            max_steps=3,
            micro_batch_size=2,
            gradient_checkpointing=again,
            **changes,
        )
        assert not model.network.is_activation_checkpointing
        found.append((weights(model), [point["loss"] for point in curve]))
    (first, losses), (second, other) = found
    # OPSD reads shared prompts once where it can, and sums in another order where it cannot.
    close = (1e-2 if name == "opsd" else 1e-3) if "dtype" in changes else 1e-5
    assert (first - second).abs().mean() < close and losses == pytest.approx(other, abs=10 * close)
    assert not torch.equal(first, weights(fresh()))


def test_layers_are_run_again_for_the_gradient(build, tmp_path, monkeypatch):
    model, passes = fresh(), []
    # Before it: the second pass ends as soon as it has what it needs.
    model.network.model.layers[0].mlp.register_forward_pre_hook(lambda *_: passes.append(1))
    fit(build("sft"), tmp_path / "a", model=model, max_steps=2, gradient_checkpointing=True)
    again = len(passes)
    passes.clear()
    model = fresh()
    model.network.model.layers[0].mlp.register_forward_pre_hook(lambda *_: passes.append(1))
    fit(build("sft"), tmp_path / "b", model=model, max_steps=2)
    assert again == 2 * len(passes) > 0


def test_the_estimate_knows_it():
    """Of each further layer its input alone: rows x tokens x width numbers."""
    config = fresh().network.config
    config.num_hidden_layers = 12
    whole, less = (activations(config, 2, 30, 10, "float32", inputs_alone=alone) for alone in (False, True))
    shallow = fresh().network.config
    shallow.num_hidden_layers = 1
    one = activations(shallow, 2, 30, 10, "float32")
    assert less == one + 11 * 4 * 2 * 30 * config.hidden_size < whole
