"""How far training moved a model, and whether it moved where the base model is sensitive.

Displacement is the squared distance of the weights, sum d^2. Weighted by the base model's diagonal Fisher
information, sum F d^2, it counts the directions that matter to the base model. Their ratio R is what the
paper relates to forgetting (its analysis b). KL and agreement on unrelated prompts show forgetting without
any held-out task.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mixsd.core.files import is_sound, seal
from mixsd.core.store import locked
from mixsd.lm.batches import BASE, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.generate import greedy_replies
from mixsd.lm.packed import packed
from mixsd.methods.contract import Workbench
from mixsd.methods.general_prompts import read_prompts
from mixsd.methods.losses import CHUNK, FORWARD_KL, divergence
from mixsd.results.schema import Drift

PROMPTS = "drift_prompts.txt"
BUDGET, BATCH = 32, 20
"""Tokens of an answer, and answers at a time."""


def measure_drift(
    base: ChatModel, tuned: ChatModel, bench: Workbench, asked: Sequence[tuple[str, str]] = ()
) -> Drift:
    """How far a model is from its base; its weights are compared where the two have the same ones.

    Args:
        base: The base model.
        tuned: The model.
        bench: Where answers and Fisher information are kept.
        asked: The task's own questions with the base model's replies.
    """
    answers = base_answers(base, bench)
    apart = distance(base, tuned, answers)
    if asked:
        apart["kl_task"] = distance(base, tuned, _replied(base, asked))["kl_base_tuned"]
    # A checkpoint from elsewhere may have other weights; its answers compare all the same.
    if not same_shape(base, tuned):
        return Drift(**apart)
    read = {"answers": [(answer.prompt_ids, answer.target_ids) for answer in answers]}
    weights = cached_fisher(bench.file("fisher", read, ".safetensors"), base, answers)
    return Drift(**apart, **displacement(base, tuned, weights))


def _replied(base: ChatModel, asked: Sequence[tuple[str, str]]) -> list[Example]:
    replies = [(base.prompt_ids(prompt), base.target_ids(text)[:BUDGET]) for prompt, text in asked]
    return [
        Example(f"asked-{n}", ids, reply, BASE * len(reply), "") for n, (ids, reply) in enumerate(replies)
    ]


def general_fisher(base: ChatModel, bench: Workbench) -> dict[str, Tensor]:
    """Fisher information on the base model's answers to general prompts, for a training to go by.

    Never on those that drift is measured on: what is measured must not be trained on.
    """
    answers = _answers(base, read_prompts(), "replies", bench)
    read = {"answers": [(answer.prompt_ids, answer.target_ids) for answer in answers]}
    return cached_fisher(bench.file("fisher", read, ".safetensors"), base, answers)


def prompts() -> list[str]:
    """Prompts that no task asks and no method trains on."""
    return (files("mixsd.run") / PROMPTS).read_text(encoding="utf-8").splitlines()


def base_answers(base: ChatModel, bench: Workbench) -> list[Example]:
    """The base model's greedy answers to the drift prompts, decoded once."""
    return _answers(base, prompts(), "drift_answers", bench)


def _answers(base: ChatModel, asked: Sequence[str], kind: str, bench: Workbench) -> list[Example]:
    with bench.record_file(kind, {"prompts": list(asked), "max_new_tokens": BUDGET}) as done:
        ids = greedy_replies(base, asked, done, max_new_tokens=BUDGET, batch_size=BATCH)
    return [
        Example(f"{kind}-{n}", base.prompt_ids(prompt), answer, BASE * len(answer), "")
        for n, (prompt, answer) in enumerate(zip(asked, ids, strict=True))
    ]


def cached_fisher(path: Path, base: ChatModel, examples: Sequence[Example]) -> dict[str, Tensor]:
    """`fisher` from a file, or computed and kept there; another process waits its turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        if not is_sound(path):
            temporary = path.with_name(f".{path.name}.tmp")  # the lock makes the name safe
            save_file(fisher(base, examples), temporary)
            temporary.replace(path)
            seal(path)
        return load_file(path)


def fisher(base: ChatModel, examples: Sequence[Example]) -> dict[str, Tensor]:
    """Diagonal Fisher information of the base model, by parameter.

    The mean over examples of the squared gradient of an answer's log-likelihood, on the model's own answers.
    Each value has the shape of its parameter.
    """
    parameters = dict(base.network.named_parameters())
    total = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
    # Put back at the end: a measurement leaves the model as it was.
    trained = [weight.requires_grad for weight in parameters.values()]
    base.network.requires_grad_(True)
    for example in examples:  # one at a time: the square of a sum of gradients is not the sum of squares
        base.network.zero_grad(set_to_none=False)  # kept: to get such memory anew takes longer than the sums
        base.target_losses(base.collate([example])).sum().backward()
        for name, weight in parameters.items():
            if weight.grad is not None:
                # In place: each temporary would be as large as the model.
                total[name].addcmul_(weight.grad, weight.grad, value=1 / len(examples))
    base.network.zero_grad()
    for weight, before in zip(parameters.values(), trained, strict=True):
        weight.requires_grad_(before)
    return {name: value.cpu() for name, value in total.items()}


@torch.no_grad()
def displacement(base: ChatModel, tuned: ChatModel, weights: dict[str, Tensor]) -> dict[str, float]:
    """Squared displacement, plain and Fisher-weighted, and R, their ratio.

    Args:
        base: The base model.
        tuned: A model with the same parameters.
        weights: Fisher information by parameter.

    Returns:
        `raw` = sum d^2, `fisher` = sum F d^2, `ratio` = fisher / raw (0 where nothing moved).
    """
    after = dict(tuned.network.named_parameters())  # names tied weights once, so they count once
    raw = weighted = 0.0
    for name, before in base.network.named_parameters():
        # float64: over a hundred million weights, a float32 sum loses its small terms.
        moved = (after[name].double() - before.double()).square()
        raw += float(moved.sum())
        weighted += float((moved * weights[name].to(moved.device)).sum())
    return {"raw": raw, "fisher": weighted, "ratio": weighted / raw if raw else 0.0}


@torch.no_grad()
def distance(base: ChatModel, tuned: ChatModel, examples: Sequence[Example]) -> dict[str, float]:
    """KL(base || tuned) in nats and top-1 agreement, means over the tokens of the base model's answers."""
    total = agreed = count = 0.0
    with packed(base.network), packed(tuned.network):
        for start in range(0, len(examples), BATCH):
            batch = base.collate(examples[start : start + BATCH])
            states = base.target_states(batch).split(CHUNK), tuned.target_states(batch).split(CHUNK)
            for first, second in zip(*states, strict=True):
                p, q = base.head(first), tuned.head(second)
                total += float(divergence(FORWARD_KL, q, p).sum())
                agreed += float((p.argmax(dim=-1) == q.argmax(dim=-1)).sum())
                count += len(first)
    return {"kl_base_tuned": total / count, "top1_agreement": agreed / count}


def same_shape(base: ChatModel, tuned: ChatModel) -> bool:
    """Whether two models have the same parameters, by name and shape."""
    shapes: list[dict[str, Any]] = [
        {name: weight.shape for name, weight in model.network.named_parameters()} for model in (base, tuned)
    ]
    return shapes[0] == shapes[1]
