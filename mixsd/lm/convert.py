"""Models in other forms as normal model folders: GGUF files, converted once into the cache, by content."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mixsd.core.errors import ModelUnavailableError
from mixsd.core.files import is_sound, seal
from mixsd.core.store import atomic_folder, discard, locked
from mixsd.lm.sources import digest

_SAME = 0.5
"""Two copies of one matrix, quantised apart, differ by less than this share of its norm; others by more."""


def converted(file: Path, name: str, cache_dir: Path) -> Path:
    """A GGUF file as a model folder with plain weights; made on first use (20 s at 135M parameters).

    Args:
        file: The file.
        name: What the folder's name begins with.
        cache_dir: Where it is kept.

    Raises:
        ModelUnavailableError: transformers cannot read the file.
    """
    folder = folder_of(file, name, cache_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A second process waits here instead of converting as well.
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not is_sound(folder):
            discard(folder)
            model, tokenizer = _read(file)
            with atomic_folder(folder) as target:
                model.save_pretrained(target)
                tokenizer.save_pretrained(target)
            seal(folder)
    return folder


def folder_of(file: Path, name: str, cache_dir: Path) -> Path:
    """Where the converted model is, or will be."""
    return cache_dir / "models" / f"{name}-{digest(file)}"


def tokenizer_of(file: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a GGUF file; read once a process, for it takes seconds and every job of a sweep asks.

    Raises:
        ModelUnavailableError: transformers cannot read it.
    """
    return _tokenizer_of(file, digest(file))


@lru_cache(maxsize=4)
def _tokenizer_of(file: Path, digest: str) -> PreTrainedTokenizerBase:  # another file, another key
    try:
        return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:  # its readers raise errors of many kinds
        raise _unreadable(file, error) from error


def _read(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    tokenizer = tokenizer_of(file)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32
        )
    except Exception as error:
        raise _unreadable(file, error) from error
    # The weights are plain float32 now; these leftovers of the reader forbid saving.
    for leftover in ("hf_quantizer", "quantization_method"):
        if hasattr(model, leftover):
            delattr(model, leftover)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
    _tie(model, file)
    return model, tokenizer


def _tie(model: Any, file: Path) -> None:
    """Tie embeddings again that the file holds twice, quantised apart: the finer copy serves both.

    A file made of a model with tied embeddings may hold them a second time as its output layer. Loaded as two
    matrices they would be trained apart, and the coarser one would be read.
    """
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    if embedding is head or embedding.shape != head.shape:
        return
    with torch.no_grad():
        apart = float((embedding - head).norm() / head.norm())
    if apart > _SAME:
        return  # a model whose embeddings never were tied
    bits = _bits(file)
    finer = head if bits.get("output.weight", 0) >= bits.get("token_embd.weight", 0) else embedding
    with torch.no_grad():
        embedding.copy_(finer)
    model.config.tie_word_embeddings = True
    model.tie_weights()


def _bits(file: Path) -> dict[str, float]:
    """Bits a weight of each tensor in a GGUF file."""
    from gguf import GGML_QUANT_SIZES, GGUFReader  # only needed for a conversion

    sizes = {tensor.name: GGML_QUANT_SIZES[tensor.tensor_type] for tensor in GGUFReader(file).tensors}
    return {name: 8 * size / count for name, (count, size) in sizes.items()}


def _unreadable(file: Path, error: Exception) -> ModelUnavailableError:
    said = " ".join(str(error).split())[:160]
    return ModelUnavailableError(
        f"model.name={file} cannot be read ({type(error).__name__}: {said}); "
        "give another GGUF file of an architecture that transformers knows, or a model folder"
    )
