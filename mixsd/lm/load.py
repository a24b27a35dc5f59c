"""Load a model with its tokenizer, in float32, and look whether it is whole."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mixsd.core.errors import ModelUnavailableError
from mixsd.lm import sources
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.check import see_that_it_decodes, see_that_it_is_whole
from mixsd.lm.convert import converted, folder_of, tokenizer_of
from mixsd.lm.sources import EMBEDDED, TINY, ModelSettings
from mixsd.lm.template import ChatTemplate
from mixsd.lm.tiny import tiny_random


def load(settings: ModelSettings, cache_dir: Path) -> ChatModel:
    """Load a model in float32 with its tokenizer, onto the GPU if there is one, and check it.

    Args:
        settings: Which model.
        cache_dir: Where models that are converted are kept.

    Raises:
        ModelUnavailableError: The model is not on this machine, can't be fetched, is not whole, or cannot be
            decoded here.
    """
    if settings.name == TINY:
        network, tokenizer = tiny_random()
        return _chat_model(network, ChatTemplate(tokenizer, **settings.rendering, name=TINY))
    template = template_of(settings, cache_dir)
    model = _chat_model(_network_of(settings, cache_dir), template)
    see_that_it_decodes(model)
    return model


def load_folder(folder: Path, rendering: Mapping[str, Any]) -> ChatModel:
    """Load weights and tokenizer from a folder that a run or its like wrote, in float32.

    Args:
        folder: Where they are.
        rendering: How prompts are rendered (`ModelSettings.rendering`).

    Raises:
        ModelUnavailableError: They cannot be read, or are not whole.
    """
    name = str(folder)
    return _chat_model(_network(name, name), ChatTemplate(_tokenizer(name), **rendering, name=name))


def template_of(settings: ModelSettings, cache_dir: Path) -> ChatTemplate:
    """A model's chat template alone, without its weights.

    Raises:
        ModelUnavailableError: The tokenizer cannot be read, or its template cannot be used.
    """
    if settings.name == TINY:
        return ChatTemplate(tiny_random()[1], **settings.rendering, name=TINY)
    source = Path(settings.source)
    if sources.is_adapter(source) and not (source / "tokenizer_config.json").exists():
        base = sources.base_of(settings)
        return ChatTemplate(template_of(base, cache_dir).tokenizer, **settings.rendering, name=settings.name)
    file = _gguf(settings)
    folder = folder_of(file, settings.label, cache_dir) if file else source
    if file and not folder.exists():
        tokenizer = tokenizer_of(file)
    else:
        tokenizer = _tokenizer(str(folder) if folder.exists() else settings.source)
    return ChatTemplate(tokenizer, **settings.rendering, name=settings.name)


def without_weights(config: PretrainedConfig) -> Any:
    """The network that a config describes, its tensors without contents."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def config_of(settings: ModelSettings, cache_dir: Path) -> PretrainedConfig:
    """A model's config alone, without its weights; a GGUF file is converted first.

    Raises:
        ModelUnavailableError: It cannot be read.
    """
    if settings.name == TINY:
        return tiny_random()[0].config
    if sources.is_adapter(Path(settings.source)):
        return config_of(sources.base_of(settings), cache_dir)
    file = _gguf(settings)
    folder = str(converted(file, settings.label, cache_dir)) if file else settings.source
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(folder, "config", error) from error


def _gguf(settings: ModelSettings) -> Path | None:
    """The GGUF file that a model is read from, where it is one."""
    if settings.name == EMBEDDED:
        return sources.embedded_file()
    path = Path(settings.source)
    return sources.gguf_file(path) if path.is_file() else None


def _network_of(settings: ModelSettings, cache_dir: Path) -> PreTrainedModel:
    """The weights of a model, in whatever form it comes; a LoRA adapter is merged into its base."""
    source = Path(settings.source)
    if sources.is_adapter(source):
        return _merged(source, _network_of(sources.base_of(settings), cache_dir))
    file = _gguf(settings)
    folder = converted(file, settings.label, cache_dir) if file else settings.source
    return _network(str(folder), settings.name)


def _merged(folder: Path, base: PreTrainedModel) -> PreTrainedModel:
    from peft import PeftModel  # heavy, and only needed here

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            adapted: Any = PeftModel.from_pretrained(base, str(folder))  # type: ignore[arg-type]
        except Exception as error:  # shapes, names, versions: peft raises errors of many kinds
            said = " ".join(str(error).split())[:160]
            raise ModelUnavailableError(
                f"model.name={folder}: the adapter does not fit its base ({said}); merge it where it was "
                "trained and give the merged model"
            ) from error
    # What is missing would be drawn anew, or be nothing: the base would pass for the adapted model.
    if any("missing adapter keys" in str(warning.message) for warning in told):
        raise ModelUnavailableError(
            f"model.name={folder}: the adapter's file lacks weights that its {sources.ADAPTER} names; give "
            "all of it, as save_pretrained writes it"
        )
    return adapted.merge_and_unload()


def _chat_model(network: PreTrainedModel, template: ChatTemplate) -> ChatModel:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    see_that_it_is_whole(network, template)
    return ChatModel(network.to(device).eval(), template)  # type: ignore[arg-type]


def _tokenizer(name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(name, "tokenizer", error) from error


def _network(folder: str, name: str) -> PreTrainedModel:
    try:
        # float32 whatever the checkpoint holds: in bf16, updates of 2e-5 round to nothing.
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise _unreadable(folder, "model", error) from error
    network, told = loaded
    # Keys that are merely too many belong to something else.
    lacking = sorted({*told["missing_keys"], *(key for key, *_ in told.get("mismatched_keys", ()))})
    if lacking:
        shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        raise ModelUnavailableError(
            f"model.name={name} lacks weights ({shown}), which would be drawn at random; "
            "give a folder with all of them, as save_pretrained writes it"
        )
    return network


def _unreadable(name: str, what: str, error: Exception) -> ModelUnavailableError:
    if not Path(name).is_dir():
        return sources.unavailable(name)
    said = " ".join(str(error).split())[:200]
    if "mismatched_sizes" in said:  # its table of them goes to the log
        said = "weights of other shapes than its config.json says"
    return ModelUnavailableError(
        f"{name} holds no {what} that can be loaded ({said}); give one that save_pretrained wrote"
    )
