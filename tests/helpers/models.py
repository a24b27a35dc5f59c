"""Tiny model folders, each with one thing wrong or unusual, as people have them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from mixsd.lm.tiny import TEMPLATE, tiny_random


def save(folder: Path, model: Any = None, template: str = "", tokenizer: Any = None) -> Path:
    """A model folder: the tiny model with another network, tokenizer or chat template."""
    own, own_tokenizer = tiny_random()
    tokenizer = tokenizer or own_tokenizer
    tokenizer.chat_template = template or tokenizer.chat_template
    (model or own).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def edit(path: Path, **changes: Any) -> None:
    """Change some keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> Path:
    """Rewrite the weights of a folder."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def loud(model: Any) -> Any:
    """Random weights six times as large, so that replies differ from one another."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(6)
    return model


def of_architecture(folder: Path, config: Any, **more: Any) -> Path:
    """A folder with a small random model of another architecture."""
    _, tokenizer = tiny_random()
    shared = {"vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = hf.AutoModelForCausalLM.from_config(config(**shared, **more))
    return save(folder, loud(network))


def end_of_turn_is_not_eos(folder: Path) -> Path:
    """The template closes turns with <|end|>; tokenizer and generation config name another token."""
    model, tokenizer = tiny_random()
    names = ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    tokenizer.eos_token = tokenizer.pad_token = "<|endoftext|>"
    network: Any = model
    network.resize_token_embeddings(len(tokenizer))
    for config in (network.config, network.generation_config):
        config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    return save(folder, network, tokenizer=tokenizer)


PARTS = TEMPLATE.replace("{{ m['content'] }}", "{% for part in m['content'] %}{{ part['text'] }}{% endfor %}")
THOUGHT = TEMPLATE.replace("<|assistant|>{% endif %}", "<|assistant|><think>\n{% endif %}")
DATED = "<|system|>Today is {{ strftime_now('%d %b %Y') }}<|end|>\n" + TEMPLATE
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turns here') }}{% endif %}"
    + TEMPLATE
)
