import math

import pytest
import torch

from mixsd.engine.training import average_loss
from mixsd.losses import nll
from mixsd.method import collate
from tests.test_method import example


def test_nll_value_and_gradient_in_closed_form():
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.2)]] * 2, requires_grad=True)
    losses = nll(logits, torch.tensor([0, 2]))
    assert losses.tolist() == pytest.approx([-math.log(0.5), -math.log(0.2)])
    losses.sum().backward()
    # d(-log p_t)/d logits = softmax - one-hot
    assert logits.grad is not None
    assert torch.allclose(logits.grad, torch.tensor([[-0.5, 0.3, 0.2], [0.5, 0.3, -0.8]]), atol=1e-6)


def test_nll_is_computed_in_float32():
    logits = torch.tensor([[0.0, 8.0]], dtype=torch.bfloat16)
    assert nll(logits, torch.tensor([1])).item() == pytest.approx(math.log1p(math.exp(-8)), rel=1e-4)


def test_averages_over_the_whole_batch():
    batch = collate([example(2, 1), example(2, 3)], pad_id=0)
    losses = torch.tensor([4.0, 1.0, 2.0, 3.0])
    assert average_loss(losses, batch, "token", 4, 2).item() == pytest.approx(10 / 4)
    assert average_loss(losses, batch, "sequence", 4, 2).item() == pytest.approx((4 + 2) / 2)


@pytest.mark.parametrize("how", ["token", "sequence"])
def test_micro_batches_add_up(how):
    examples = [example(2, 1), example(3, 4), example(1, 2)]
    losses = torch.arange(1.0, 8.0)
    whole = average_loss(losses, collate(examples, 0), how, 7, 3)
    parts = zip(examples, losses.split([1, 4, 2]), strict=True)
    total = sum(average_loss(part, collate([e], 0), how, 7, 3) for e, part in parts)
    assert torch.allclose(whole, torch.as_tensor(total))
