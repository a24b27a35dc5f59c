"""What is trained on: the examples as a file, and how likely their tokens are under the base model."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from mixsd.core.questions import Task
from mixsd.core.store import read_jsonl, write_jsonl
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation, gold_example

UNLIKELY = 5.0
"""Nats: a token the base model gives less than 0.7%."""


def report(made: Preparation, task: Task, model: ChatModel, batch_size: int) -> dict[str, Any]:
    """The numbers of `results.json` under `targets`.

    NLL is under the base model, over target tokens: `nll` of what is trained on, `gold_nll` of the gold
    texts of all facts, `<name>_nll` of each contrast; shares count tokens above 5 nats (paper, analysis a).
    """
    gold = [gold_example(fact, model) for fact in task.facts]
    contrasts: dict[str, Any] = {}
    for name, make in made.contrasts.items():
        contrasts |= likelihood(f"{name}_", make(), model, batch_size)
    return {
        "n": len(task.facts),
        "dropped": len(made.dropped),
        **made.report,
        **likelihood("", made.examples, model, batch_size),
        **likelihood("gold_", gold, model, batch_size),
        **contrasts,
    }


def write_examples(path: Path, examples: Sequence[Example], model: ChatModel) -> None:
    """Write the examples, with each target token as text for people."""
    records = [
        {**asdict(example), "pieces": [model.tokenizer.decode([token]) for token in example.target_ids]}
        for example in examples
    ]
    write_jsonl(path, records)


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote."""
    names = [field.name for field in fields(Example)]
    return [Example(**{name: _frozen(record[name]) for name in names}) for record in read_jsonl(path)]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def likelihood(prefix: str, examples: Sequence[Example], model: ChatModel, batch_size: int) -> dict[str, Any]:
    """Mean NLL per target token under the model, the share above 5 nats, and how many there are."""
    examples = [example for example in examples if example.trained_tokens]
    if not examples:
        return {f"{prefix}nll": None, f"{prefix}unlikely_share": None, f"{prefix}tokens": 0}
    losses = torch.cat(model.target_nll(examples, batch_size))
    return {
        f"{prefix}nll": float(losses.mean()),
        f"{prefix}unlikely_share": float((losses > UNLIKELY).float().mean()),
        f"{prefix}tokens": len(losses),
    }
