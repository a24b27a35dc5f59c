"""Our OPSD loss beside TRL's, where TRL is installed (extra `[peers]`).

Conventions that differ: TRL averages over a sequence's tokens and then over sequences, which is our
`training.loss_average=sequence` (ours by default is the mean over all tokens of the step); TRL's alpha is 0
for KL(teacher || student) and 1 for KL(student || teacher); TRL's top-k is the student's, ours the teacher's.
"""

import pytest
import torch

from mixsd.lm.batches import collate
from mixsd.methods.losses import divergence
from mixsd.run.train import average_loss
from tests.helpers.training import example

trl = pytest.importorskip("trl.experimental.sdft.loss_utils", reason="needs the extra [peers]")

ALPHA = {"forward_kl": 0.0, "reverse_kl": 1.0, "jsd": 0.5}


def logits(seed):
    return 2 * torch.randn(7, 50, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ALPHA)
def test_full_vocabulary(kind):
    ours, theirs = logits(0).requires_grad_(True), logits(0).requires_grad_(True)
    teacher = logits(1)
    value = divergence(kind, ours, teacher)
    other = trl.compute_full_logit_self_distillation_loss(theirs, teacher, distillation_alpha=ALPHA[kind])
    assert torch.allclose(value, other, atol=1e-5)
    value.sum().backward()
    other.sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_the_teachers_top_k_is_theirs_with_the_roles_exchanged():
    student, teacher = logits(0), logits(1)
    swapped = trl.compute_topk_self_distillation_loss(
        teacher, student, distillation_topk=8, distillation_alpha=1.0, distillation_add_tail=False
    )
    assert torch.allclose(divergence("forward_kl", student, teacher, 8), swapped, atol=1e-5)


def test_their_average_is_ours_by_sequence():
    batch = collate([example(3, 2), example(2, 5)], pad_id=0)
    values = divergence("forward_kl", logits(0), logits(1))
    theirs = torch.stack([values[:2].mean(), values[2:].mean()]).mean()
    assert torch.allclose(average_loss(values, batch, "sequence", 7, 2), theirs)
    assert not torch.allclose(average_loss(values, batch, "token", 7, 2), theirs)
