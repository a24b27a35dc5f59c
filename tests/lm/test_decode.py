"""Two-stream decoding against `generate` and against a reference that keeps no cache."""

from dataclasses import replace

import pytest
import torch
from transformers import GenerationConfig

from mixsd.core.errors import DataError
from mixsd.lm.batches import left_pad
from mixsd.lm.decode import Request, Sampling
from mixsd.lm.generate import generate, greedy_replies, longest_prompt_problem, reply_to
from mixsd.mixing.coins import token_draw
from tests.helpers.decoding import BUDGET, decode_attempts, decode_once, make_requests, slow_reference


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0), Sampling(0.6, 8)], ids=str)
def test_equals_the_slow_reference(tiny, rate, sampling):
    pairs = make_requests(tiny, rate)
    for pair, reply in zip(pairs, decode_once(tiny, pairs, sampling), strict=True):
        slow = slow_reference(tiny, pair, sampling)
        assert (reply.ids, reply.ended) == (slow.ids, slow.ended)
        assert all(a in ("a", b) for a, b in zip(reply.provenance, slow.provenance, strict=True))


@torch.no_grad()
def by_transformers(student, prompts):
    """What `model.generate` replies greedily, up to the end token, which is kept."""
    tokens, mask = left_pad(prompts, student.device)
    config = GenerationConfig(max_new_tokens=BUDGET, do_sample=False, eos_token_id=sorted(student.end_ids),
                              pad_token_id=student.end_id)  # fmt: skip
    rows = student.network.generate(input_ids=tokens, attention_mask=mask, generation_config=config)
    replies = rows[:, tokens.shape[1] :].tolist()
    ends = [
        next((i + 1 for i, token in enumerate(row) if token in student.end_ids), BUDGET) for row in replies
    ]
    return [row[:end] for row, end in zip(replies, ends, strict=True)]


@pytest.mark.parametrize(("rate", "prompt"), [(0.0, 1), (1.0, 0)])
def test_the_ends_of_the_mixing_rate_equal_generate(smollm, rate, prompt):
    requests = make_requests(smollm, rate)
    expected = by_transformers(smollm, [request.prompts[prompt] for request in requests])
    assert [reply.ids for reply in decode_once(smollm, requests)] == expected


def test_free_generation_equals_generate(smollm):
    prompts = [request.prompts[0] for request in make_requests(smollm, 0.0, count=7)]
    expected = by_transformers(smollm, prompts)
    for batch_size in (3, 64):
        for done, ids in zip(
            generate(smollm, prompts, max_new_tokens=BUDGET, batch_size=batch_size), expected, strict=True
        ):
            assert (done.text, done.tokens) == (smollm.text(ids), len(ids))
            assert done.truncated == (ids[-1] not in smollm.end_ids)


def test_stop_strings_end_a_reply_and_are_cut_off(smollm):
    prompts = [request.prompts[0] for request in make_requests(smollm, 0.0, count=3)]
    whole = generate(smollm, prompts, max_new_tokens=BUDGET, batch_size=3)
    stop = whole[0].text.split()[2]
    cut = generate(smollm, prompts, max_new_tokens=BUDGET, batch_size=3, stop=[stop])
    assert cut[0].text == whole[0].text.split(stop)[0].strip() and cut[0].tokens < whole[0].tokens
    assert not cut[0].truncated


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.8, 20)], ids=str)
def test_batch_size_and_order_do_not_change_the_tokens(tiny, sampling):
    pairs = make_requests(tiny, 0.5, count=7)
    whole = [reply.ids for reply in decode_once(tiny, pairs, sampling)]
    one_by_one = [decode_once(tiny, [pair], sampling)[0].ids for pair in pairs]
    backwards = [reply.ids for reply in decode_once(tiny, pairs[::-1], sampling)][::-1]
    assert whole == one_by_one == backwards


def test_a_finished_pair_leaves_and_the_others_go_on(tiny):
    """Let one token in twenty end a reply, and compare with decoding each pair alone."""
    tiny.end_ids = frozenset(range(0, 256, 20))
    pairs = make_requests(tiny, 0.5, count=8)
    sampling = Sampling(1.0)
    replies = decode_once(tiny, pairs, sampling)
    assert len({len(reply.ids) for reply in replies}) > 1, "pairs must end at different steps"
    assert [r.ids for r in replies] == [decode_once(tiny, [pair], sampling)[0].ids for pair in pairs]
    assert all(reply.ended == (reply.ids[-1] in tiny.end_ids) for reply in replies)
    assert all(token not in tiny.end_ids for reply in replies for token in reply.ids[:-1])


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_joining_leaving_and_retrying_change_no_token(tiny, batch_size):
    """Every attempt of every pair equals the cache-free reference, however the batch was made up."""
    tiny.end_ids = frozenset(range(0, 256, 6))  # a reply ends at every sixth byte or so
    pairs, sampling = make_requests(tiny, 0.5, count=8), Sampling(1.0)
    replies = decode_attempts(tiny, pairs, 4, sampling, batch_size=batch_size)
    lengths = [len(reply.ids) for attempt in replies for reply in attempt]
    assert min(lengths) <= 2 and max(lengths) >= 8, "some must end at once and some late"
    for attempt, row in enumerate(replies):
        for pair, reply in zip(pairs, row, strict=True):
            slow = slow_reference(tiny, pair, sampling, attempt=attempt)
            assert (reply.ids, reply.ended) == (slow.ids, slow.ended)


def test_a_reply_stops_where_the_context_ends(tiny):
    pair = make_requests(tiny, 0.5, count=1)[0]
    tiny.network.config.max_position_embeddings = len(pair.prompts[1]) + 5
    reply = decode_once(tiny, [pair])[0]
    assert len(reply.ids) == 5 and not reply.ended
    tiny.network.config.max_position_embeddings = len(pair.prompts[1])
    with pytest.raises(DataError, match="fills the model's context"):
        decode_once(tiny, [pair])


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
    assert Sampling(0.0).pick(logits, None).tolist() == [0] * 5


def test_sampled_frequencies(tiny):
    logits = torch.tensor([[0.2, 1.0, -0.5]])
    draws = torch.tensor([token_draw(0, "f", 0, t) for t in range(6000)])
    picks = Sampling(1.0).pick(logits.repeat(len(draws), 1), draws)
    shares = torch.bincount(picks, minlength=3) / len(draws)
    assert torch.allclose(shares, torch.softmax(logits[0], 0), atol=0.02)


def test_a_greedy_reply_draws_no_numbers(tiny):
    """Each would be a hash per row and token."""

    def drawn(attempt, position):
        raise AssertionError("greedy")

    pairs = make_requests(tiny, 0.5, count=3)
    silent = [replace(pair, draw=drawn) for pair in pairs]
    expected = [reply.ids for reply in decode_once(tiny, pairs)]
    assert [reply.ids for reply in decode_once(tiny, silent)] == expected
    with pytest.raises(AssertionError, match="greedy"):
        decode_once(tiny, silent, Sampling(1.0))


@pytest.mark.parametrize("batch_size", [2, 64])
def test_replies_come_in_the_order_of_their_requests(tiny, batch_size):
    tiny.end_ids = frozenset(range(0, 256, 20))
    pairs, sampling = make_requests(tiny, 0.5, count=6)[::-1], Sampling(1.0)
    told = {}
    replies = reply_to(
        tiny,
        pairs,
        max_new_tokens=BUDGET,
        batch_size=batch_size,
        sampling=sampling,
        on_reply=told.__setitem__,
    )
    assert replies == decode_once(tiny, pairs, sampling)
    assert told == dict(enumerate(replies))


def test_greedy_replies_are_decoded_once(tiny, records):
    prompts = ["Who?", "What is it called?", "Why?"]
    first = greedy_replies(tiny, prompts[:2], records, max_new_tokens=4, batch_size=2)
    assert first == [tuple(reply.ids) for reply in reply_to(
        tiny, [Request([tiny.prompt_ids(p)]) for p in prompts[:2]], max_new_tokens=4, batch_size=1
    )]  # fmt: skip
    told = []
    again = greedy_replies(tiny, prompts, records, max_new_tokens=4, batch_size=2, on_done=told.append)
    assert again[:2] == first and told == [2, 1]


def test_a_prompt_that_fills_the_context_is_told_before_any_work(tiny):
    context = tiny.network.config.max_position_embeddings
    fits, fills = [5] * (context - 1), [5] * context
    assert longest_prompt_problem(tiny, [fits, [1]], "task=long") == ""
    assert longest_prompt_problem(tiny, [], "task=long") == ""
    said = longest_prompt_problem(tiny, [[1], fills], "task=long")
    assert said.startswith(f"task=long: a prompt of {context} tokens fills the model's context of {context};")
    assert "\n" not in said
