import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mixsd.lm.batches import collate
from mixsd.methods.losses import DIVERGENCES, chunked_divergence, chunked_nll, divergence, nll
from mixsd.run.train import average_loss
from tests.helpers.training import example


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


P_LOGITS, Q_LOGITS = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[0.1, 0.9, 0.4]])


def by_formula(kind):
    """Value and gradient with respect to the student's logits, written out for one token."""
    p, q = torch.softmax(P_LOGITS[0].double(), 0), torch.softmax(Q_LOGITS[0].double(), 0)
    if kind == "forward_kl":
        return sum(p[i] * math.log(p[i] / q[i]) for i in range(3)), q - p
    if kind == "reverse_kl":
        value = sum(q[i] * math.log(q[i] / p[i]) for i in range(3))
        return value, q * ((q / p).log() - value)
    m = (p + q) / 2
    to_m = sum(q[i] * math.log(q[i] / m[i]) for i in range(3))
    from_p = sum(p[i] * math.log(p[i] / m[i]) for i in range(3))
    return (from_p + to_m) / 2, q * ((q / m).log() - to_m) / 2


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_divergences_by_formula(kind):
    student = Q_LOGITS.clone().requires_grad_(True)
    value = divergence(kind, student, P_LOGITS)
    value.sum().backward()
    expected, gradient = by_formula(kind)
    assert value.item() == pytest.approx(float(expected), rel=1e-5)
    assert torch.allclose(student.grad[0].double(), gradient, atol=1e-6)


def test_the_directions_by_number():
    """Two tokens, p = (3/4, 1/4) and q = (1/2, 1/2): known values in nats."""
    p, q = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
    assert divergence("forward_kl", q, p).item() == pytest.approx(0.130812, abs=1e-6)
    assert divergence("reverse_kl", q, p).item() == pytest.approx(0.143841, abs=1e-6)
    assert divergence("jsd", q, p).item() == pytest.approx(0.033822, abs=1e-6)


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_no_divergence_from_oneself_and_no_gradient_to_the_teacher(kind):
    logits = torch.randn(4, 7, requires_grad=True)
    teacher = logits.detach().clone().requires_grad_(True)
    value = divergence(kind, logits, teacher)
    assert torch.allclose(value, torch.zeros(4), atol=1e-6)
    value.sum().backward()
    assert teacher.grad is None and torch.allclose(logits.grad, torch.zeros(4, 7), atol=1e-6)


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_top_k_renormalises_and_tends_to_the_full_value(kind):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(5, 40, generator=generator), 3 * torch.randn(5, 40, generator=generator)
    full = divergence(kind, student, teacher)
    errors = [(divergence(kind, student, teacher, k) - full).abs().mean().item() for k in (4, 16, 36, 40)]
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0
    two = divergence(kind, Q_LOGITS, P_LOGITS, 2)  # the teacher's top two are tokens 0 and 1
    assert torch.equal(two, divergence(kind, Q_LOGITS[:, :2], P_LOGITS[:, :2]))


class Largest(TorchDispatchMode):
    """Remembers the most elements any tensor had."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else [out]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return out


@pytest.mark.parametrize("top_k", [None, 8])
@pytest.mark.parametrize("kind", DIVERGENCES)
def test_chunks_equal_the_whole_and_never_hold_all_logits(kind, top_k):
    generator = torch.Generator().manual_seed(1)
    tokens, width, vocabulary, chunk = 20, 6, 300, 3
    states, other = (
        torch.randn(tokens, width, generator=generator),
        torch.randn(tokens, 5, generator=generator),
    )
    head, teacher_head = torch.randn(width, vocabulary, generator=generator), torch.randn(5, vocabulary)
    weights = torch.rand(tokens, generator=generator)

    def run(make):
        s, h = states.clone().requires_grad_(True), head.clone().requires_grad_(True)
        value = make(s, h)
        (value * weights).sum().backward()
        return value.detach(), s.grad, h.grad

    whole = run(lambda s, h: divergence(kind, s @ h, other @ teacher_head, top_k))
    with Largest() as largest:
        parts = run(
            lambda s, h: chunked_divergence(
                kind, s, other, lambda x: x @ h, lambda x: x @ teacher_head, top_k, chunk
            )
        )
    for a, b in zip(whole, parts, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert largest.elements <= max(chunk, width) * vocabulary < tokens * vocabulary


def test_a_likelihood_in_chunks_equals_the_whole_and_never_holds_all_logits():
    generator = torch.Generator().manual_seed(1)
    tokens, width, vocabulary, chunk = 20, 6, 300, 3
    states, head = torch.randn(tokens, width, generator=generator), torch.randn(width, vocabulary)
    wanted = torch.randint(vocabulary, (tokens,), generator=generator)

    def run(make):
        s, h = states.clone().requires_grad_(True), head.clone().requires_grad_(True)
        value = make(s, h)
        value.sum().backward()
        return value.detach(), s.grad, h.grad

    whole = run(lambda s, h: nll(s @ h, wanted))
    with Largest() as largest:
        parts = run(lambda s, h: chunked_nll(s, wanted, lambda x: x @ h, chunk))
    for a, b in zip(whole, parts, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert largest.elements <= max(chunk, width) * vocabulary < tokens * vocabulary
