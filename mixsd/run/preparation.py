"""What is trained on: the examples as a file, and how likely their tokens are under the base model."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from mixsd.core.errors import StoreError
from mixsd.core.questions import Fact
from mixsd.core.store import read_jsonl, write_jsonl
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import Preparation, gold_example
from mixsd.results.schema import Likelihood, TargetReport

UNLIKELY = 5.0
"""Nats: a token that the base model gives less than 0.7%."""


def target_report(
    made: Preparation,
    facts: Sequence[Fact],
    left_out: Collection[str],
    model: ChatModel,
    batch_size: int,
) -> TargetReport:
    """Report what is trained on, and how likely the base model finds it (the paper's analysis a).

    The likelihoods of the targets, of the gold texts and of each contrast are over the same facts, those
    that were kept: a method drops the hard facts, so any other comparison would flatter it.

    Args:
        made: What the method prepared.
        facts: All facts of the task.
        left_out: Ids of the facts that the user's settings left out; the method did not see them.
        model: The frozen base model.
        batch_size: Examples at a time.
    """
    gold = {fact.id: gold_example(fact, model) for fact in facts}
    # Replayed answers and rows of a file that belong to no fact have no gold text to be compared with.
    trained = [example for example in made.examples if example.fact_id in gold and not example.extra]
    kept = {example.fact_id for example in trained}
    # One pass over all gold texts serves both of their likelihoods.
    losses = dict(zip(gold, target_nll(model, list(gold.values()), batch_size), strict=True))
    contrasts = {
        name: likelihood([example for example in make() if example.fact_id in kept], model, batch_size)
        for name, make in made.contrasts.items()
    }
    return TargetReport(
        n=len(facts),
        left_out=len(left_out),
        dropped=len(made.dropped.keys() - set(left_out)),
        trained=likelihood(trained, model, batch_size),
        gold=_summed_up([loss for fact_id, loss in losses.items() if fact_id in kept]),
        contrasts={name: found for name, found in contrasts.items() if found is not None},
        gold_of_all=_summed_up(list(losses.values())),
        numbers=made.report,
    )


def likelihood(examples: Sequence[Example], model: ChatModel, batch_size: int) -> Likelihood | None:
    """How likely the trained tokens are under the model; None where there are none."""
    written = [example for example in examples if example.trained_tokens]
    return _summed_up(target_nll(model, written, batch_size))


def _summed_up(losses: Sequence[torch.Tensor]) -> Likelihood | None:
    """The numbers of some NLLs, one tensor of nats per example."""
    if not losses:
        return None
    flat = torch.cat(list(losses))
    return Likelihood(
        nll=float(flat.mean()), unlikely_share=float((flat > UNLIKELY).float().mean()), tokens=len(flat)
    )


def write_examples(path: Path, examples: Sequence[Example], model: ChatModel) -> None:
    """Write the examples, with each target token as text for people."""
    records = [
        {**asdict(example), "pieces": [model.tokenizer.decode([token]) for token in example.target_ids]}
        for example in examples
    ]
    write_jsonl(path, records)


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote.

    Raises:
        StoreError: It is none of ours.
    """
    names = [field.name for field in fields(Example)]
    try:
        return [Example(**{name: _frozen(record[name]) for name in names}) for record in read_jsonl(path)]
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path} holds a line that is no example of ours (it lacks {error})") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
