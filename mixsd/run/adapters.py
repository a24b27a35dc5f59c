"""LoRA adapters, also such as are kept out of what the base weights do most."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mixsd.lm.chat_model import ChatModel
from mixsd.run.settings import TrainingSettings
from mixsd.run.trainable import layers


def add_adapters(model: ChatModel, settings: TrainingSettings, seed: int) -> None:
    """Put LoRA adapters on the model, whose own weights stay as they are.

    Args:
        model: The model; its network is then one of peft.
        settings: Rank, scale, where adapters go, and what they avoid.
        seed: Draws their first weights.
    """
    from peft import LoraConfig, get_peft_model  # heavy, and only needed here

    config = LoraConfig(
        r=settings.lora,  # type: ignore[arg-type]
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]
        target_modules=layers(model.network, settings.only) if settings.only else "all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):  # nothing else may depend on how many numbers peft draws
        torch.manual_seed(seed)
        model.network = get_peft_model(model.network, config)
    if settings.lora_avoids:
        for _, layer, name in adapted(model.network):
            _keep_out(layer, name, settings.lora_avoids)


def adapted(network: Any) -> Iterator[tuple[str, Any, str]]:
    """The layers of a network that have an adapter: name in the base model, layer, name of the adapter."""
    from peft.tuners.lora import LoraLayer  # heavy, and only needed here

    for name, layer in network.named_modules():
        if isinstance(layer, LoraLayer):
            (adapter,) = layer.active_adapters
            yield name.removeprefix("base_model.model."), layer, adapter


def change_of(layer: Any, adapter: str) -> Tensor:
    """What an adapter adds to its layer's weight, (d_out, d_in), with a gradient to both of its parts."""
    return layer.scaling[adapter] * layer.lora_B[adapter].weight @ layer.lora_A[adapter].weight


def _keep_out(layer: Any, adapter: str, count: int) -> None:
    """Let an adapter add nothing to the first singular directions of its layer's weight (OPLoRA).

    With W = U S V^T the change is P_U B A P_V, where P_U and P_V take the first `count` directions out. They
    are taken out as the weights are read: to project gradients would not do, for AdamW and weight decay leak.
    """
    left, _, right = torch.linalg.svd(layer.get_base_layer().weight.detach().float(), full_matrices=False)
    parametrize.register_parametrization(layer.lora_B[adapter], "weight", _Without(left[:, :count]))
    parametrize.register_parametrization(
        layer.lora_A[adapter], "weight", _Without(right[:count].T, rows=True)
    )


class _Without(nn.Module):
    """A matrix without what lies in some directions of its columns, or of its rows.

    Args:
        basis: (d, k) orthonormal.
        rows: Whether they are directions of its rows.
    """

    def __init__(self, basis: Tensor, rows: bool = False) -> None:
        super().__init__()
        # Not saved: it follows from the base weights, and is as large as an adapter.
        self.register_buffer("basis", basis.contiguous(), persistent=False)
        self.rows = rows

    def forward(self, weight: Tensor) -> Tensor:
        basis: Any = self.basis
        # In bf16 a hundredth of what is taken out would stay.
        with torch.autocast(weight.device.type, enabled=False):
            if self.rows:
                return weight - (weight @ basis) @ basis.T
            return weight - basis @ (basis.T @ weight)
