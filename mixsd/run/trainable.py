"""Which weights a training may change."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from mixsd.core.errors import SettingError, did_you_mean


def named(names: Iterable[str], only: Sequence[str]) -> list[str]:
    """The names that `only` allows; all where it is empty.

    Args:
        names: Of weights or of modules, in dotted parts.
        only: Patterns of whole parts, anywhere in a name: `down_proj`, `layers.6.mlp`, `layers.*.self_attn`.
            A star stands for anything within a part.
    """
    if not only:
        return list(names)
    patterns = [re.compile(rf"(?:^|\.){_as_regex(pattern)}(?:\.|$)") for pattern in only]
    return [name for name in names if any(pattern.search(name) for pattern in patterns)]


def layers(network: Any, only: Sequence[str]) -> list[str]:
    """The linear layers that `only` allows, but the output layer: those that get adapters.

    Args:
        network: A causal language model.
        only: See `named`.
    """
    output = network.get_output_embeddings()
    linear = (
        name
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer is not output
    )
    return named(linear, only)


def see_that_they_are_there(only: Sequence[str], lora: bool, network: Any) -> None:
    """Look each pattern up in a model.

    Args:
        only: The patterns.
        lora: Whether adapters are trained.
        network: The model; no weight is read.

    Raises:
        SettingError: A pattern allows nothing.
    """
    known = layers(network, ()) if lora else [name for name, _ in network.named_parameters()]
    for pattern in only:
        if not named(known, [pattern]):
            parts = sorted({part for name in known for part in name.split(".") if not part.isdigit()})
            what = "linear layer" if lora else "weight"
            raise SettingError(
                f"training.only={list(only)}: {pattern} is in the name of no {what}; "
                f"{did_you_mean(pattern, parts)}allowed: parts of names such as {known[len(known) // 2]}"
            )


def see_that_something_is_left(avoids: int, only: Sequence[str], network: Any) -> None:
    """Look whether adapters that avoid some directions can add anything.

    Args:
        avoids: How many singular directions of each weight they avoid.
        only: What is trained.
        network: The model; no weight is read.

    Raises:
        SettingError: A layer has no more directions.
    """
    modules = dict(network.named_modules())
    least = min(min(modules[name].in_features, modules[name].out_features) for name in layers(network, only))
    if avoids >= least:
        raise SettingError(
            f"training.lora_avoids={avoids} leaves adapters nothing: the smallest layer has {least} "
            f"directions; allowed: 1 to {least - 1}"
        )


def _as_regex(pattern: str) -> str:
    return re.escape(pattern.removesuffix(".")).replace(r"\*", r"[^.]*")
