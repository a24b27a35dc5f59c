"""What is found out of a model when it is loaded: weights, embeddings, decoding."""

import pytest
import torch
import transformers as hf

from mixsd.core.errors import ModelUnavailableError
from mixsd.lm import load as models
from mixsd.lm import sources
from mixsd.lm.load import load
from tests.conftest import settings
from tests.helpers.models import change_weights, edit, end_of_turn_is_not_eos, of_architecture, save

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}


def loaded(folder, cache):
    sources.fingerprint(settings(str(folder)))
    return load(settings(str(folder)), cache)


def refused(folder, cache, said):
    with pytest.raises(ModelUnavailableError, match=said) as caught:
        loaded(folder, cache)
    assert "\n" not in str(caught.value)


def without(*ends):
    return lambda weights: {name: w for name, w in weights.items() if not name.endswith(ends)}


def test_weights_that_a_file_lacks_are_told(tmp_path):
    folder = save(tmp_path / "m")
    change_weights(folder, without("layers.1.mlp.down_proj.weight"))
    refused(folder, tmp_path, r"lacks weights \(model.layers.1.mlp.down_proj.weight\)")
    edit(save(tmp_path / "deep") / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3)
    refused(tmp_path / "deep", tmp_path, r"lacks weights \(.*and \d more\)")
    renamed = change_weights(save(tmp_path / "renamed"), lambda w: {f"module.{k}": v for k, v in w.items()})
    refused(renamed, tmp_path, "lacks weights")


def test_a_head_that_a_file_lacks_is_told(tmp_path):
    config = hf.LlamaConfig.from_pretrained(save(tmp_path / "tied"))
    config.tie_word_embeddings = False
    folder = save(tmp_path / "m", hf.LlamaForCausalLM(config))
    change_weights(folder, without("lm_head.weight"))
    refused(folder, tmp_path, r"lacks weights \(lm_head.weight\)")


def test_weights_of_other_shapes_are_told(tmp_path):
    folder = save(tmp_path / "m")
    edit(folder / "config.json", intermediate_size=256)
    refused(folder, tmp_path, "other shapes")


def test_keys_that_are_too_many_are_allowed(tmp_path):
    folder = change_weights(save(tmp_path / "m"), lambda w: {**w, "rotary_emb.inv_freq": torch.zeros(8)})
    assert loaded(folder, tmp_path).network.config.num_hidden_layers == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_told(tmp_path, value):
    def spoil(weights):
        weights["model.layers.1.mlp.up_proj.weight"][0, 0] = value
        return weights

    refused(change_weights(save(tmp_path / "m"), spoil), tmp_path, r"NaN.*layers.1.mlp.up_proj.weight")


def test_tokens_without_an_embedding_are_told(tmp_path):
    _, tokenizer = models.tiny_random()
    tokenizer.add_tokens(["<|turn|>"])
    refused(save(tmp_path / "m", tokenizer=tokenizer), tmp_path, "261 tokens, the model 260 embeddings")
    _, tokenizer = models.tiny_random()
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    assert loaded(save(tmp_path / "padded", tokenizer=tokenizer), tmp_path), "padding is masked"


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors"])
def test_quantised_weights_are_told_before_they_are_read(tmp_path, method):
    folder = save(tmp_path / "m")
    edit(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(ModelUnavailableError, match=rf"is quantised \({method}\)"):
        sources.fingerprint(settings(str(folder)))


@pytest.mark.parametrize(
    ("config", "more"),
    [
        (hf.GPT2Config, {"n_layer": 2, "n_head": 4, "n_embd": 64, "n_positions": 512}),
        (hf.BloomConfig, {"n_layer": 2, "n_head": 4, "hidden_size": 64}),
        (hf.MptConfig, {"n_layers": 2, "n_heads": 4, "d_model": 64}),
    ],
)
def test_architectures_that_decode_right_are_allowed(tmp_path, config, more):
    assert loaded(of_architecture(tmp_path / "m", config, **more), tmp_path)


@pytest.mark.parametrize(
    ("config", "more"),
    [(hf.FalconConfig, SMALL), (hf.FalconConfig, {**SMALL, "alibi": True}),
     (hf.RwkvConfig, {"num_hidden_layers": 2, "hidden_size": 64})],
)  # fmt: skip
def test_architectures_that_would_decode_wrong_are_told(tmp_path, config, more):
    refused(of_architecture(tmp_path / "m", config, **more), tmp_path, "cannot be decoded here")


def test_a_reply_ends_as_the_template_closes_a_turn(tmp_path):
    model = loaded(end_of_turn_is_not_eos(tmp_path / "m"), tmp_path)
    end = model.tokenizer.convert_tokens_to_ids("<|end|>")
    assert model.end_id == end and {end, model.tokenizer.eos_token_id} == model.end_ids
    assert model.target_ids("Petra.")[-1] == end
    assert any("replies end with <|end|>" in note for note in model.template.notes)


def test_a_model_that_names_no_end_is_told(tmp_path):
    network, tokenizer = models.tiny_random()
    tokenizer.eos_token = None
    for config in (network.config, network.generation_config):
        config.eos_token_id = None
    template = str(tokenizer.chat_template).replace("<|end|>", "</turn>")
    refused(save(tmp_path / "m", network, template, tokenizer), tmp_path, "names no token that ends a reply")
