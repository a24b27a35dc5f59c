"""Editors that no config file lists, named by their path in a test's config."""

import torch

from mixsd.methods.contract import Edited


class Louder:
    """Changes the base model in place: all weights times `factor`."""

    def __init__(self, name: str, factor: float = 1.5) -> None:
        self.name, self.factor = name, factor

    @torch.no_grad()
    def edit(self, facts, model, bench):
        for weight in model.network.parameters():
            weight.mul_(self.factor)
        dropped = {fact.id: "not this one" for fact in facts[:1]}
        return Edited(model, changed=True, dropped=dropped, report={"told": len(facts)})
