"""Models with windows, linear attention or both: decoded and trained like any other, one row at a time."""

import pytest
import torch
import transformers as hf

from mixsd.core.store import read_json
from mixsd.lm.batches import collate
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Sampling
from mixsd.lm.load import load
from mixsd.lm.row_caches import has_full_attention
from mixsd.run.config import compose_run
from mixsd.run.stages import run_experiment
from tests.conftest import SMALL, settings
from tests.helpers.decoding import decode_attempts, decode_once, make_requests, slow_reference
from tests.helpers.models import of_architecture
from tests.helpers.training import END, example, fit_sft, gold, make

SHARED = {
    "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
}  # fmt: skip
WINDOW = 8
ARCHITECTURES = {
    "windows and full attention": (
        hf.Gemma3TextConfig,
        {**SHARED, "num_hidden_layers": 4, "sliding_window": WINDOW, "pad_token_id": None,
         "layer_types": ["sliding_attention", "full_attention"] * 2},
    ),
    "windows alone, named for all layers": (
        hf.MistralConfig, {**SHARED, "num_hidden_layers": 2, "sliding_window": WINDOW},
    ),
    "linear and full attention": (
        hf.Qwen3NextConfig,
        {**SHARED, "num_hidden_layers": 4, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
         "linear_key_head_dim": 8, "linear_value_head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
         "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    ),
}  # fmt: skip


@pytest.fixture(params=ARCHITECTURES)
def folder(request, tmp_path):
    config, more = ARCHITECTURES[request.param]
    return of_architecture(tmp_path / "m", config, **more)


@pytest.fixture
def model(folder, tmp_path) -> ChatModel:
    """Loaded as a user's is, with the check that it decodes."""
    return load(settings(str(folder)), tmp_path)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.8, 20)], ids=str)
def test_mixed_replies_equal_the_slow_reference(model, sampling):
    assert not has_full_attention(model.network.config)
    pairs = make_requests(model, 0.4)
    assert min(len(prompt) for pair in pairs for prompt in pair.prompts) > WINDOW
    for pair, reply in zip(pairs, decode_once(model, pairs, sampling, batch_size=4), strict=True):
        slow = slow_reference(model, pair, sampling)
        assert (reply.ids, reply.ended) == (slow.ids, slow.ended)


def test_a_reply_that_is_tried_again_begins_at_its_prompt(model):
    pairs = make_requests(model, 0.5, count=3)
    first, second = decode_attempts(model, pairs, 2, Sampling(1.0))
    for attempt, replies in enumerate((first, second)):
        for pair, reply in zip(pairs, replies, strict=True):
            assert reply.ids == slow_reference(model, pair, Sampling(1.0), attempt=attempt).ids
    assert first != second


def test_what_is_trained_is_what_each_example_gives_alone(model):
    """Padding on the right moves no value and no gradient, also where examples share a prompt."""
    rows = [example(12, length, f"f{length}") for length in (1, 4, 6)] + [example(9, 3)]
    found = []
    for parts in ([rows], [[row] for row in rows]):
        model.network.zero_grad()
        model.network.requires_grad_(True)
        states = torch.cat([model.target_states(collate(part, END)) for part in parts])
        states.pow(2).sum().backward()
        gradients = [w.grad.flatten() for w in model.network.parameters() if w.grad is not None]
        found.append((states.detach(), torch.cat(gradients)))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-4)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-2, rtol=1e-3)


def test_it_learns(model, tmp_path):
    _, curve = fit_sft(model, make(max_steps=30, learning_rate=3e-3), tmp_path / "scratch", gold(model))
    assert curve[-1]["loss"] < curve[0]["loss"] / 2


def test_a_whole_run(folder, tmp_path):
    config = compose_run([
        *SMALL, f"model.name={folder}", "method=mixsd", "method.on_failure=keep_last", "tracking=none",
        "retention.tasks=[pocket_knowledge]", "retention.limit=2", "task.splits=[]", "training.max_steps=2",
        "drift=none", "training.dtype=float32", "model.scoring_dtype=float32",
        f"runs_dir={tmp_path}/runs", f"cache_dir={tmp_path}/cache",
    ])  # fmt: skip
    run_experiment(config)
    assert read_json(config.run_dir / "results.json")["training"]["steps"] == 2


def test_which_layers_attend_to_everything():
    assert has_full_attention(hf.LlamaConfig()) and has_full_attention(hf.Qwen2Config())
    assert has_full_attention(hf.MistralConfig(sliding_window=None)) and has_full_attention(hf.GPT2Config())
    assert not has_full_attention(hf.MistralConfig(sliding_window=4096))
    assert not has_full_attention(hf.Qwen2Config(use_sliding_window=True, max_window_layers=0))
    assert not has_full_attention(hf.Gemma3Config()), "a model of text and pictures has them in its text part"
