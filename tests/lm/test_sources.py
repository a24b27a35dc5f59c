"""Models in the forms that people have: adapters, shards, .bin, bf16, GGUF; what identifies each."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from mixsd.core.errors import ModelUnavailableError
from mixsd.lm.load import load, template_of
from mixsd.lm.sources import fingerprint
from mixsd.lm.tiny import tiny_random
from tests.conftest import settings
from tests.helpers.models import edit, save


def logits(model):
    ids = torch.tensor([model.prompt_ids("Who founded Marlow?")])
    with torch.no_grad():
        return model.network(input_ids=ids).logits


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path / "base")


@pytest.mark.parametrize(
    "name", ["merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "vocab.tiktoken",
             "chat_template.jinja",
             "additional_chat_templates/tools.jinja", "special_tokens_map.json"],
)  # fmt: skip
def test_every_file_that_a_tokenizer_reads_identifies_a_folder(folder, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    seen = set()
    for content in ("a b", "b a"):
        path.write_text(content)
        seen.add(fingerprint(settings(str(folder))))
    renamed = path.with_name("x" + path.name)
    path.rename(renamed)
    seen.add(fingerprint(settings(str(folder))))
    assert len(seen) == 3


def test_notes_and_optimiser_states_do_not_identify_a_folder(folder):
    before = fingerprint(settings(str(folder)))
    for name in ("README.md", "training_args.bin", "events.log"):
        (folder / name).write_text("x")
    assert fingerprint(settings(str(folder))) == before


def test_shards_bin_files_and_half_precision_are_read(folder, tmp_path):
    whole = logits(load(settings(str(folder)), tmp_path))
    network, tokenizer = tiny_random()
    shards = tmp_path / "shards"
    network.save_pretrained(shards, max_shard_size="60KB")
    tokenizer.save_pretrained(shards)
    assert len(list(shards.glob("model-*.safetensors"))) > 1
    assert torch.equal(logits(load(settings(str(shards)), tmp_path)), whole)
    binary = tmp_path / "binary"
    shutil.copytree(folder, binary)
    (binary / "model.safetensors").unlink()
    torch.save(network.state_dict(), binary / "pytorch_model.bin")
    assert torch.equal(logits(load(settings(str(binary)), tmp_path)), whole)
    for dtype in (torch.bfloat16, torch.float16):
        half = save(tmp_path / str(dtype), tiny_random()[0].to(dtype))
        model = load(settings(str(half)), tmp_path)
        assert model.network.dtype == torch.float32 and torch.allclose(logits(model), whole, atol=0.1)


def test_a_shard_that_is_missing_is_told(tmp_path):
    network, tokenizer = tiny_random()
    network.save_pretrained(tmp_path / "m", max_shard_size="60KB")
    tokenizer.save_pretrained(tmp_path / "m")
    max((tmp_path / "m").glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelUnavailableError, match=r"model-000\d\d-of"):
        load(settings(str(tmp_path / "m")), tmp_path)


@pytest.fixture
def adapter(folder, tmp_path):
    torch.manual_seed(1)
    adapted = get_peft_model(
        tiny_random()[0], LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    )
    adapted.peft_config["default"].base_model_name_or_path = str(folder)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", adapted.merge_and_unload()


def test_an_adapter_is_merged_onto_its_base(adapter, folder, tmp_path):
    path, merged = adapter
    model = load(settings(str(path)), tmp_path)
    assert torch.allclose(
        logits(model), merged(input_ids=torch.tensor([model.prompt_ids("Who founded Marlow?")])).logits
    )
    assert not torch.allclose(logits(model), logits(load(settings(str(folder)), tmp_path)))
    assert not model.has_adapter and model.prompt_ids("Hi") == load(
        settings(str(folder)), tmp_path
    ).prompt_ids("Hi")
    assert template_of(settings(str(path)), tmp_path).ids(
        [{"role": "user", "content": "Hi"}], reply_follows=True
    ) == (model.prompt_ids("Hi"))


def test_an_adapter_is_identified_with_its_base(adapter, folder):
    path, _ = adapter
    before = fingerprint(settings(str(path)))
    edit(folder / "generation_config.json", temperature=0.5)
    assert fingerprint(settings(str(path))) != before


def test_a_base_beside_its_adapter_is_found_from_anywhere(adapter, folder, tmp_path, monkeypatch):
    path, _ = adapter
    edit(path / "adapter_config.json", base_model_name_or_path="../base")
    monkeypatch.chdir("/")
    assert load(settings(str(path)), tmp_path)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (None, "names no base model"),
        (
            "nobody/nothing",
            "is a LoRA adapter on nobody/nothing .*of which: model.name=nobody/nothing is neither",
        ),
    ],
)
def test_an_adapter_without_its_base_is_one_line(adapter, base, said):
    path, _ = adapter
    edit(path / "adapter_config.json", base_model_name_or_path=base)
    with pytest.raises(ModelUnavailableError, match=said):
        fingerprint(settings(str(path)))


def test_an_adapter_of_another_model_is_one_line(adapter, tmp_path):
    path, _ = adapter
    edit(path / "adapter_config.json", target_modules=["no_such_proj"])
    with pytest.raises(ModelUnavailableError, match="does not fit its base"):
        load(settings(str(path)), tmp_path)


def test_an_adapter_that_lacks_weights_is_no_base_model_in_disguise(adapter, tmp_path):
    path, _ = adapter
    whole = load_file(path / "adapter_model.safetensors")
    for changed in (
        {k: v for k, v in whole.items() if "lora_B" not in k},
        {f"other.{k}": v for k, v in whole.items()},
    ):
        save_file(changed, path / "adapter_model.safetensors")
        with pytest.raises(ModelUnavailableError, match="adapter's file lacks weights"):
            load(settings(str(path)), tmp_path)


def test_an_adapter_with_a_template_serves_a_base_without_one(adapter, folder, tmp_path):
    path, _ = adapter
    tiny_random()[1].save_pretrained(path)
    (folder / "chat_template.jinja").unlink()
    assert load(settings(str(path)), tmp_path).prompt_ids("Hi")


def test_an_adapter_on_an_adapter_or_on_quantised_weights_is_one_line(adapter, folder, tmp_path):
    path, _ = adapter
    edit(folder / "config.json", quantization_config={"quant_method": "bitsandbytes"})
    with pytest.raises(ModelUnavailableError, match=r"of which: .* is quantised \(bitsandbytes\)"):
        fingerprint(settings(str(path)))
    shutil.copytree(path, tmp_path / "other")
    edit(path / "adapter_config.json", base_model_name_or_path=str(tmp_path / "other"))
    with pytest.raises(ModelUnavailableError, match="is a LoRA adapter on another one"):
        fingerprint(settings(str(path)))


def test_a_file_that_is_no_safetensors_is_one_line(folder, tmp_path):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelUnavailableError, match="holds no model that can be loaded"):
        load(settings(str(folder)), tmp_path)


def test_an_adapter_beside_weights_is_one_line(adapter, folder):
    path, _ = adapter
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(path / name, folder / name)
    with pytest.raises(ModelUnavailableError, match="a whole model and a LoRA adapter"):
        fingerprint(settings(str(folder)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.gguf", b"PK", "no GGUF file"),
        ("model.safetensors", b"PK", "give a .gguf file or a model folder"),
        ("m-00001-of-00003.gguf", b"GGUF", "a part of a model"),
        ("torn.gguf", b"GGUF\3\0\0\0", "cannot be read"),
    ],
)
def test_a_file_that_is_no_model_is_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=said) as caught:
        fingerprint(settings(str(tmp_path / name)))
        load(settings(str(tmp_path / name)), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_too_long_is_one_line():
    with pytest.raises(ModelUnavailableError, match=r"model.name=m{60}\.\.\. is neither"):
        fingerprint(settings("m" * 3000))


def test_a_folder_of_gguf_files_names_the_file(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnavailableError, match=r"give the file: .*a\.gguf"):
        fingerprint(settings(str(tmp_path)))


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_config_that_cannot_be_read_is_told(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json"):
        fingerprint(settings(str(folder)))


def test_a_gguf_file_is_converted_once_and_keeps_its_template(smollm, cache_dir, tmp_path):
    from mixsd.lm.sources import embedded_file

    file = tmp_path / "own.gguf"
    file.symlink_to(embedded_file())
    chosen = settings(str(file))
    assert fingerprint(chosen).startswith("gguf-") and chosen.label == "own"
    model = load(chosen, tmp_path)
    assert model.prompt_ids("Hi") == smollm.prompt_ids("Hi") and model.same_weights(smollm)
    (made,) = (tmp_path / "models").glob("own-*/")
    config = json.loads((made / "config.json").read_text())
    assert config["tie_word_embeddings"] and "quantization_config" not in config
