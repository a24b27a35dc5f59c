"""Two-stream decoding against `generate` and against a reference that keeps no cache."""

from functools import partial

import pytest
import torch

from benchmarks.kgfact import KGFact
from mixsd.engine.generation import generate
from mixsd.mixing.coins import coin_is_naive, token_draw
from mixsd.mixing.contexts import wording
from mixsd.mixing.decoding import Pair, Reply, Sampling, decode_pairs

BUDGET = 16


def make_pairs(student, rate, count=6, seed=0):
    task = KGFact("k", 5, 10, count, "plain", BUDGET, 0)
    expert = wording("answer")
    return [
        Pair(
            student.prompt_ids(fact.prompt),
            student.prompt_ids(expert.render(fact)),
            partial(coin_is_naive, rate, seed, fact.id, 0),
            partial(token_draw, seed, fact.id, 0),
        )
        for fact in task.facts
    ]


def decode(student, pairs, sampling=Sampling(), budget=BUDGET):  # noqa: B008
    return decode_pairs(
        student.model, pairs, sampling=sampling, max_new_tokens=budget, end_ids=student.end_ids
    )


@torch.no_grad()
def slow_reference(student, pair, sampling, budget=BUDGET) -> Reply:
    """Re-run the chosen conditional from scratch, alone and without padding, for every token."""
    reply = Reply()
    for position in range(budget):
        naive = coin = pair.coin(position)
        prompt = pair.naive_ids if coin else pair.expert_ids
        logits = student.model(torch.tensor([[*prompt, *reply.ids]])).logits[:, -1]
        token = int(sampling.pick(logits, torch.tensor([pair.draw(position)]))[0])
        reply.ids.append(token)
        reply.provenance += "n" if naive else "e"
        if token in student.end_ids:
            reply.ended = True
            break
    return reply


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0), Sampling(0.6, 8)], ids=str)
def test_equals_the_slow_reference(tiny, rate, sampling):
    pairs = make_pairs(tiny, rate)
    for pair, reply in zip(pairs, decode(tiny, pairs, sampling), strict=True):
        slow = slow_reference(tiny, pair, sampling)
        assert (reply.ids, reply.ended) == (slow.ids, slow.ended)
        assert all(a in ("a", b) for a, b in zip(reply.provenance, slow.provenance, strict=True))


@pytest.mark.parametrize(("rate", "stream"), [(0.0, "expert_ids"), (1.0, "naive_ids")])
def test_the_ends_of_the_mixing_rate_equal_generate(smollm, rate, stream):
    pairs = make_pairs(smollm, rate)
    prompts = [getattr(pair, stream) for pair in pairs]
    expected = generate(smollm, prompts, max_new_tokens=BUDGET, batch_size=6)
    for reply, want in zip(decode(smollm, pairs), expected, strict=True):
        assert smollm.text(reply.ids) == want.text
        assert (len(reply.ids), reply.ended) == (want.tokens, not want.truncated)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.8, 20)], ids=str)
def test_batch_size_and_order_do_not_change_the_tokens(tiny, sampling):
    pairs = make_pairs(tiny, 0.5, count=7)
    whole = [reply.ids for reply in decode(tiny, pairs, sampling)]
    one_by_one = [decode(tiny, [pair], sampling)[0].ids for pair in pairs]
    backwards = [reply.ids for reply in decode(tiny, pairs[::-1], sampling)][::-1]
    assert whole == one_by_one == backwards


def test_a_finished_pair_leaves_and_the_others_go_on(tiny):
    """Make the end token likely for some pairs only, and compare with decoding each alone."""
    with torch.no_grad():
        tiny.model.lm_head.weight[tiny.end_id] *= 12
    pairs = make_pairs(tiny, 0.5, count=8)
    sampling = Sampling(1.0)
    replies = decode(tiny, pairs, sampling)
    assert len({len(reply.ids) for reply in replies}) > 1, "pairs must end at different steps"
    assert [r.ids for r in replies] == [decode(tiny, [pair], sampling)[0].ids for pair in pairs]
    assert all(reply.ended == (reply.ids[-1] in tiny.end_ids) for reply in replies)
    assert all(token not in tiny.end_ids for reply in replies for token in reply.ids[:-1])


def test_sampling_is_the_inverse_cdf_over_the_top_k():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = probabilities.log().repeat(5, 1)
    draws = torch.tensor([0.0, 0.49, 0.51, 0.79, 0.99])
    assert Sampling(1.0).pick(logits, draws).tolist() == [0, 0, 1, 1, 3]
    # Top 2 renormalised: 0.625 and 0.375.
    assert Sampling(1.0, 2).pick(logits, torch.tensor([0.0, 0.62, 0.63, 0.9, 0.999])).tolist() == [
        0,
        0,
        1,
        1,
        1,
    ]
    # T = 0.5 squares the probabilities: 0.25, 0.09, 0.0225, 0.0025 over 0.365.
    assert Sampling(0.5).pick(logits, torch.tensor([0.68, 0.69, 0.92, 0.94, 0.999])).tolist() == [
        0,
        1,
        1,
        2,
        3,
    ]
    assert Sampling(0.0).pick(logits, draws).tolist() == [0] * 5


def test_sampled_frequencies(tiny):
    logits = torch.tensor([[0.2, 1.0, -0.5]])
    draws = torch.tensor([token_draw(0, "f", 0, t) for t in range(6000)])
    picks = Sampling(1.0).pick(logits.repeat(len(draws), 1), draws)
    shares = torch.bincount(picks, minlength=3) / len(draws)
    assert torch.allclose(shares, torch.softmax(logits[0], 0), atol=0.02)
