"""How likely targets are under a model."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.packed import packed
from mixsd.lm.shares import Tell, share, units


def target_nll(model: ChatModel, examples: Sequence[Example], batch_size: int) -> list[Tensor]:
    """NLL in nats of each trained token given prompt and earlier targets.

    Args:
        model: The model that reads them.
        examples: Prompts with their targets.
        batch_size: Examples at a time.

    Returns:
        One float32 tensor per example, (trained tokens,).
    """
    losses: dict[str, list[Tensor]] = {}
    parts = {str(number): unit for number, unit in enumerate(units(examples, batch_size))}
    share(partial(_read, batch_size), model, list(parts.items()), losses.update)
    return [loss for part in parts for loss in losses[part]]


@torch.no_grad()
def _read(batch_size: int, model: ChatModel, unit: tuple[str, Sequence[Example]], tell: Tell) -> None:
    name, examples = unit
    losses: list[Tensor] = []
    with packed(model.network):
        for start in range(0, len(examples), batch_size):
            chunk = examples[start : start + batch_size]
            flat = model.target_losses(model.collate(chunk)).cpu()
            losses += flat.split([example.trained_tokens for example in chunk])
    tell({name: losses})
