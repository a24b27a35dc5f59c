"""The estimate of memory against what was in use."""

import pytest
from transformers import LlamaConfig

from mixsd.cli import main
from mixsd.core.store import read_json
from mixsd.lm.load import config_of
from mixsd.run import memory
from mixsd.run.memory import Lengths, activations, estimate, shape_of, stages_of, verdict
from tests.conftest import SMALL

TRAINED = (
    "method=sft", "task.facts=6", "task.retrieval=0", "task.splits=[]", "training.max_steps=2",
    "training.eval_every=2", "training.batch_size=6", "training.micro_batch_size=6", "retention=none", "tracking=none", "sweep.report=false", "drift=none",
    "threads=1", "training.dtype=float32", "model.scoring_dtype=float32",
)  # fmt: skip


@pytest.fixture
def read(composed):
    from mixsd.run.config import read_config

    return lambda *overrides: read_config(composed(*overrides))


def test_the_shape_of_a_model_is_counted_without_making_it(tiny):
    found = shape_of(tiny.network.config)
    assert found.parameters == sum(weight.numel() for weight in tiny.network.parameters())
    tied = LlamaConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=50, tie_word_embeddings=True,
    )  # fmt: skip
    found = shape_of(tied)
    layer = 8 * 8 * 2 + 8 * 4 * 2 + 3 * 8 * 16
    assert found.parameters == 50 * 8 + 3 * (layer + 2 * 8) + 8, "tied weights once, norms too"
    assert (found.linear, found.output) == (3 * layer + 50 * 8, 50 * 8)
    assert found.adapters == 3 * (16 + 16 + 12 + 12 + 3 * 24)
    assert found.cached == 2 * 3 * 4


def test_activations_grow_by_the_layer_and_by_the_row():
    def kept(layers, rows=2):
        network = LlamaConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            vocab_size=100,
        )
        return activations(network, rows, 16, 4, "float32")

    assert kept(7) - kept(6) == kept(3) - kept(2) > 2 * 16 * 32 * 4
    assert kept(3, 4) / kept(3, 2) == pytest.approx(2, rel=0.05)


def test_the_parts_are_those_of_the_config(read, cache_dir):
    sizes = Lengths(context=30, example=30, target=10)

    def parts(*overrides):
        config = read(*SMALL, "tracking=none", *overrides)
        network = config_of(config.model, config.cache_dir)
        found = stages_of(config, network, sizes)
        return {stage.name: stage for stage in found}, 4 * shape_of(network).parameters

    whole, weights = parts("method=sft")
    assert whole["training"].parts["AdamW"] == 2 * weights and whole["training"].parts["the base model"] == 0
    assert whole["drift"].bytes == 4 * weights
    assert "interpolation" not in whole
    lora, _ = parts("method=sft", "training.lora=2")
    assert 0 < lora["training"].parts["AdamW"] < weights
    assert lora["training"].parts["gradient of the output layer"] == 0
    copied, _ = parts("method=sft_kl", "training.dtype=bfloat16")
    assert copied["training"].parts["the base model"] == weights // 2
    assert (
        copied["training"].parts["gradients of the logits"]
        < whole["training"].parts["gradients of the logits"]
    )
    several, _ = parts("method=sft", "training.micro_batch_size=2")
    assert several["training"].parts["gradients"] == weights, "of the micro-batches before"
    rollouts, _ = parts("method=opsd", "method.rollouts=3")
    assert rollouts["training"].parts["gradients"] == weights, "three answers to each of four facts"
    helped, _ = parts("method=sft", "devices=3")
    own = sum(size for name, size in helped["scoring"].parts.items() if name != "helpers")
    assert helped["scoring"].parts["helpers"] == 2 * own, "a helper on a CPU takes what this process takes"
    half, _ = parts("method=sft", "model.scoring_dtype=bfloat16", "training.interpolate=[0.5]", "drift=none")
    assert half["scoring"].parts["a copy in the scoring dtype"] == weights // 2 and "drift" not in half
    assert half["interpolation"].parts["three models"] == 3 * weights
    assert set(parts("method=in_context")[0]) == {"scoring", "drift"}


@pytest.mark.slow
def test_the_estimate_is_within_a_tenth_of_what_was_in_use(cli, read, cache_dir, tmp_path):
    """Of a training on the embedded model, in a process whose allocator gives memory back at once."""
    at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = cli("run.py", *TRAINED, f"runs_dir={tmp_path}/runs", MIXSD_CACHE_DIR=str(cache_dir), **at_once)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("runs/*/*/cost.json")
    cost = read_json(path)
    config = read(*TRAINED, f"cache_dir={cache_dir}")
    stages = {stage.name: stage for stage in estimate(config)}
    weights = stages["scoring"].parts["weights"]
    # While examples are written, the process holds its libraries and the weights.
    libraries = cost["examples"]["peak_memory_bytes"] - weights
    for stage, entry in (("training", "training"), ("scoring", "base_scores")):
        in_use = cost[entry]["peak_memory_bytes"] - libraries
        assert stages[stage].bytes == pytest.approx(in_use, rel=0.1), stage


def test_a_run_that_does_not_fit_is_told_before_its_model_is_loaded(read, monkeypatch):
    config = read(*SMALL, "tracking=none", "method=sft")
    assert memory.warning(config) == ""
    monkeypatch.setattr(memory, "there", lambda: 10**6)
    assert memory.warning(config).startswith("does not fit by this estimate")
    monkeypatch.setattr(memory, "activations", lambda *_: 1 / 0)
    assert memory.warning(config) == "", "what cannot be estimated may still run"


def test_the_verdict_says_what_makes_it_smaller():
    stages = [memory.Stage("training", {"weights": 3 * 10**9}), memory.Stage("drift", {"weights": 10**9})]
    assert verdict(stages, 4 * 10**9) == (
        "fits by this estimate: 3.0 GB at its peak (training), of 4.0 GB on this device"
    )
    assert verdict(stages, 2 * 10**9).startswith("does not fit") and "training.lora=16" in verdict(stages, 1)


def test_the_command_tells_every_stage_and_what_it_leaves_out(monkeypatch, capsys):
    overrides = ["memory", *SMALL, "tracking=none", "method=sft"]
    assert main(overrides) == 0
    told = capsys.readouterr().out
    assert all(stage in told for stage in ("scoring", "training", "evaluation in training", "drift"))
    assert "fits by this estimate" in told and "not counted: held-out tasks" in told
    monkeypatch.setattr(memory, "there", lambda: 10**5)
    assert main(overrides) == 1 and "does not fit" in capsys.readouterr().out
    assert main(["memory", "task=nonsense"]) == 2 and "nonsense" in capsys.readouterr().err
