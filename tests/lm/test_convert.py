"""Embeddings that a file holds twice: tied again where they were, by the finer copy."""

import pytest
import torch

from mixsd.lm import convert
from mixsd.lm.tiny import tiny_random


@pytest.fixture
def untied(monkeypatch):
    network, _ = tiny_random()
    network.config.tie_word_embeddings = False
    head = torch.nn.Linear(64, network.config.vocab_size, bias=False)
    with torch.no_grad():
        head.weight.copy_(network.model.embed_tokens.weight)
    network.lm_head = head
    return network


@pytest.mark.parametrize(("bits", "finer"), [({"output.weight": 6.5, "token_embd.weight": 4.5}, "head"),
                                             ({"output.weight": 4.5, "token_embd.weight": 6.5}, "embedding")])  # fmt: skip
def test_the_finer_copy_serves_both(untied, monkeypatch, bits, finer):
    monkeypatch.setattr(convert, "_bits", lambda file: bits)
    with torch.no_grad():
        untied.lm_head.weight.mul_(1.01)
    wanted = (untied.lm_head if finer == "head" else untied.model.embed_tokens).weight.detach().clone()
    convert._tie(untied, None)
    assert untied.lm_head.weight is untied.model.embed_tokens.weight and untied.config.tie_word_embeddings
    assert torch.equal(untied.lm_head.weight, wanted)


def test_embeddings_that_never_were_tied_stay_apart(untied):
    with torch.no_grad():
        untied.lm_head.weight.normal_()
    before = untied.model.embed_tokens.weight.detach().clone()
    convert._tie(untied, None)
    assert untied.lm_head.weight is not untied.model.embed_tokens.weight
    assert torch.equal(untied.model.embed_tokens.weight, before)
