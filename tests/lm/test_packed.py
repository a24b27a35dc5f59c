"""Packed weights: the same products, and nothing left behind."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mixsd.lm import packed as module
from mixsd.lm.generate import generate
from mixsd.lm.packed import can_be_packed, packed

pytestmark = pytest.mark.skipif(
    not can_be_packed(nn.Linear(8, 8)), reason="this processor or this build of PyTorch packs no weights"
)


class Scaled(nn.Linear):
    """A linear layer that does more than multiply."""

    def forward(self, input):
        return 2 * super().forward(input)


DTYPES = [torch.float32]
if torch.ops.mkldnn._is_mkldnn_bf16_supported():
    DTYPES.append(torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_same_linear_map(dtype, bias):
    torch.manual_seed(0)
    layer = nn.Linear(40, 24, bias=bias).to(dtype)
    for shape in ((3, 40), (2, 5, 40), (1, 40)):
        states = torch.randn(*shape).to(dtype)
        with torch.no_grad(), packed(layer):
            assert "forward" in vars(layer)
            found = layer(input=states)
        wanted = F.linear(states.double(), layer.weight.double(), None if not bias else layer.bias.double())
        assert found.dtype == dtype and found.shape == wanted.shape
        # One rounding of the sum: 2^-24 and 2^-9 of the largest partial sum, with room.
        torch.testing.assert_close(
            found.double(), wanted, atol=1e-5 if dtype == torch.float32 else 3e-2, rtol=0
        )


def test_layers_are_as_before_afterwards_also_after_an_error():
    network = nn.Sequential(nn.Linear(8, 8), Scaled(8, 8))
    before = [vars(layer).keys() for layer in network]
    with pytest.raises(RuntimeError, match="stop"), packed(network):
        assert all(("forward" in vars(layer)) == (type(layer) is nn.Linear) for layer in network)
        raise RuntimeError("stop")
    assert [vars(layer).keys() for layer in network] == before
    states = torch.randn(2, 8, requires_grad=True)
    network(states).sum().backward()  # gradients flow again
    assert network[0].weight.grad is not None


def test_a_subclass_keeps_what_it_does():
    layer = Scaled(8, 8)
    states = torch.randn(2, 8)
    with torch.no_grad(), packed(layer):
        assert torch.equal(layer(states), 2 * F.linear(states, layer.weight, layer.bias))


def test_packing_twice_unpacks_once():
    layer = nn.Linear(8, 8)
    with packed(layer):
        with packed(layer):
            pass
        assert "forward" in vars(layer), "the outer one is still at work"
    assert "forward" not in vars(layer)


def test_weights_changed_in_between_count():
    layer = nn.Linear(4, 4, bias=False)
    for value in (1.0, 3.0):
        nn.init.constant_(layer.weight, value)
        with torch.no_grad(), packed(layer):
            assert torch.equal(layer(torch.ones(1, 4)), torch.full((1, 4), 4 * value))


def test_without_the_library_nothing_is_packed(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    layer = nn.Linear(4, 4)
    with packed(layer):
        assert "forward" not in vars(layer)


def test_an_error_while_packing_leaves_nothing_packed(monkeypatch):
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    made = []

    def fails_second(product, weight, bias):
        made.append(weight)
        if len(made) == 2:
            raise MemoryError
        return lambda input: input

    monkeypatch.setattr(module, "partial", fails_second)
    with pytest.raises(MemoryError), packed(network):
        pass
    assert len(made) == 2 and all("forward" not in vars(layer) for layer in network)


def test_under_autocast_nothing_is_packed():
    """It casts states to bfloat16 and would not cast packed weights."""
    layer, states = nn.Linear(8, 8), torch.randn(2, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = layer(states)
        with packed(layer):
            assert torch.equal(layer(states), wanted) and wanted.dtype == torch.bfloat16


def test_decoding_packs_every_layer_once_and_gives_the_same_tokens(tiny, monkeypatch):
    prompts = [tiny.prompt_ids(text) for text in ("one", "two words", "three small words")]
    with_packing = generate(tiny, prompts, max_new_tokens=8, batch_size=2)
    layers = [layer for layer in tiny.network.modules() if type(layer) is nn.Linear]
    assert layers
    packings = []
    monkeypatch.setattr(module, "partial", lambda *given: packings.append(given) or partial(*given))
    assert generate(tiny, prompts, max_new_tokens=8, batch_size=3) == with_packing
    assert len(packings) == len(layers)
    monkeypatch.setattr(module, "can_be_packed", lambda layer: False)
    assert generate(tiny, prompts, max_new_tokens=8, batch_size=2) == with_packing
    assert len(packings) == len(layers)
