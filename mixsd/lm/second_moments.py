"""Second moments of what a linear layer reads: C = E[k k^T], uncentred, the mean over tokens.

Editors weigh by C what a change does to everything else that the layer reads. It lies in the cache by
weights, layers, texts and tokens.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mixsd.core.draws import uniform
from mixsd.core.errors import DataError
from mixsd.core.files import File, is_sound, seal
from mixsd.core.store import locked
from mixsd.lm.batches import left_pad
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request, Sampling
from mixsd.lm.generate import reply_to

WINDOW = 512
"""Tokens of a corpus that are read together."""
REPLY = 128
"""Tokens of a text that the model writes itself, at most."""
ROWS = 16


def cached_moments(
    path: Path,
    model: ChatModel,
    layers: Sequence[nn.Linear],
    texts: Callable[[], Sequence[Sequence[int]]],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Tensor]:
    """`second_moments` from a file, or computed and kept there; another process waits its turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        if not is_sound(path):
            found = second_moments(model, layers, texts(), on_done)
            temporary = path.with_name(f".{path.name}.tmp")  # the lock makes the name safe
            save_file({str(place): moment for place, moment in enumerate(found)}, temporary)
            temporary.replace(path)
            seal(path)
        kept = load_file(path)
    return [kept[str(place)] for place in range(len(layers))]


@torch.no_grad()
def second_moments(
    model: ChatModel,
    layers: Sequence[nn.Linear],
    texts: Sequence[Sequence[int]],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Tensor]:
    """The second moment of each layer's input over all tokens of some texts.

    Args:
        model: It reads them.
        layers: Some of its linear layers, in the order in which it runs them.
        texts: Token ids.
        on_done: Told how many more texts are read.

    Returns:
        One float32 matrix (d_in, d_in) per layer, on the CPU.
    """
    sums = [torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64) for layer in layers]
    count = 0
    # Texts of like length together: padding is read for nothing.
    ordered = sorted(texts, key=len)
    for start in range(0, len(ordered), ROWS):
        rows = ordered[start : start + ROWS]
        ids, mask = left_pad(rows, model.device)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        with inputs_of(layers) as read:
            run_up_to(layers[-1], model, input_ids=ids, attention_mask=mask, position_ids=positions)
        for total, seen in zip(sums, read, strict=True):
            keys = seen[mask.bool()].float()
            total += (keys.T @ keys).double().cpu()
        count += int(mask.sum())
        on_done(len(rows))
    return [(total / max(count, 1)).float() for total in sums]


@contextmanager
def inputs_of(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """What each layer is given, (B, T, d), once the model has run in the block."""
    read: list[Any] = [None] * len(layers)

    def keep(place: int, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        read[place] = given[0].detach()

    handles = [layer.register_forward_pre_hook(partial(keep, place)) for place, layer in enumerate(layers)]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


class _Enough(Exception):
    """Ends a forward pass."""


def run_up_to(last: nn.Module, model: ChatModel, **inputs: Any) -> None:
    """Run a model until a module has run: what comes after it is not looked at."""

    def stop(*_: Any) -> None:
        raise _Enough

    handle = last.register_forward_hook(stop)
    try:
        model.network.get_decoder()(**inputs, use_cache=False)
    except _Enough:
        pass
    finally:
        handle.remove()


def self_written(model: ChatModel, prompts: Sequence[str], tokens: int, batch_size: int) -> list[list[int]]:
    """Chats of the model's own, prompt and reply: what it reads when it is asked.

    The first reply to a prompt is greedy, more are drawn at temperature 1 by (prompt, round), until there are
    enough tokens.

    Args:
        model: It replies.
        prompts: User turns.
        tokens: At least so many, in whole rounds.
        batch_size: Replies decoded at a time.
    """
    asked = [model.prompt_ids(prompt) for prompt in prompts]
    texts: list[list[int]] = []
    number = 0
    while sum(map(len, texts)) < tokens:
        replies = reply_to(
            model,
            [
                Request([ids], draw=partial(uniform, "second moments", place, number))
                for place, ids in enumerate(asked)
            ],
            max_new_tokens=REPLY,
            batch_size=batch_size,
            sampling=Sampling(1.0) if number else Sampling(),
        )
        texts += [[*ids, *reply.ids] for ids, reply in zip(asked, replies, strict=True)]
        number += 1
    return texts


def corpus(model: ChatModel, file: File, tokens: int) -> list[list[int]]:
    """Plain text of a file in windows, from its beginning.

    Args:
        model: Its tokenizer reads them.
        file: See `corpus_text`.
        tokens: So many, or all that there are.
    """
    # More characters than tokens are wanted of would only be read for nothing.
    text = corpus_text(file)[: 16 * tokens]
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"][:tokens]
    return [ids[start : start + WINDOW] for start in range(0, len(ids), WINDOW)]


def corpus_text(file: File) -> str:
    """The text of a file.

    Args:
        file: Text, or JSON lines with a `text` each, as in a clone of WikiText.

    Raises:
        DataError: The file cannot be read, or holds no text.
    """
    try:
        text = file.path.read_text(encoding="utf-8-sig")
        if file.path.suffix == ".jsonl":
            text = "\n".join(json.loads(line)["text"] for line in text.splitlines() if line.strip())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file.setting}={file} cannot be read; give UTF-8 text, or JSON lines with a text each"
        ) from error
    if not text.strip():
        raise DataError(f"{file.setting}={file} holds no text")
    return text
