"""A pull back to where a training starts, as hard as each weight matters to the base model (EWC, 1612.00796).

The penalty is (w / 2) sum_i F_i / mean(F) d_i^2, with F the diagonal Fisher information of the base model on
its own answers to general prompts, and d the change of the weights; with LoRA, of those that adapters are on
(EWC-LoRA, arXiv 2602.17559). Divided by its mean, F carries over from one model to another. A training starts
at the base weights, unless an edit came first.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mixsd.run.adapters import adapted, change_of


class ElasticWeights:
    """The penalty of one training.

    Args:
        network: The model before its first step, adapters included.
        fisher: Fisher information by name of the base model's weights.
        weight: w.
    """

    def __init__(self, network: Any, fisher: Mapping[str, Tensor], weight: float) -> None:
        layers = list(adapted(network))
        self._layers = [(layer, adapter, fisher[f"{name}.weight"]) for name, layer, adapter in layers]
        # Kept as they are now: they will move.
        self._weights = (
            []
            if layers
            else [
                (parameter, parameter.detach().clone(), fisher[name].to(parameter.device))
                for name, parameter in network.named_parameters()
                if parameter.requires_grad
            ]
        )
        of_all = [values for *_, values in (self._layers or self._weights)]
        mean = sum(float(v.double().sum()) for v in of_all) / max(1, sum(v.numel() for v in of_all))
        self._scale = weight / mean if mean else 0.0

    def add(self) -> Tensor:
        """Add the penalty's gradient to what the weights have, and return the penalty."""
        total = torch.zeros((), dtype=torch.float64)
        for parameter, start, values in self._weights:
            with torch.no_grad():
                pull = self._scale * values * (parameter - start)
                total += float((pull * (parameter - start)).sum()) / 2
                parameter.grad = pull if parameter.grad is None else parameter.grad.add_(pull)
        for layer, adapter, values in self._layers:
            # One layer at a time: a change is as large as its weight.
            change = change_of(layer, adapter)
            part = self._scale / 2 * (values.to(change.device) * change.square()).sum()
            part.backward()
            total += float(part.detach())
        return total
