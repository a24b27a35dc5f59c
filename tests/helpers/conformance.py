"""What every method must do, whatever it minimises or edits: checks that know no method by its name."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from mixsd.lm.batches import Batch, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request
from mixsd.lm.generate import reply_to
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import ChoosesExamples, Editor, GradientMethod, Preparation, Step, reads_base
from mixsd.results.schema import TargetReport
from mixsd.run.preparation import read_examples, target_report, write_examples
from tests.helpers.fakes import MemoryBench
from tests.helpers.training import TASK, fit, fresh, weights

Builder = Callable[[], Any]
"""Gives a new object of the method under test at each call."""
SMALL: dict[str, Any] = {"max_steps": 6, "checkpoint_every": 2, "batch_size": 2, "micro_batch_size": 2}


def first_batch(method: GradientMethod, model: ChatModel) -> Batch:
    """What a method trains on at its first step, one example a prompt."""
    prepared = method.prepare(TASK.facts, model, MemoryBench()).examples
    if isinstance(method, ChoosesExamples):
        scheduled = [example for example in prepared if not example.extra]
        extras = [example for example in prepared if example.extra]
        prepared = method.step_examples(Step(0, scheduled, extras), model)
    if reads_base(method):
        model.keep_base_copy("float32")
    # Examples that share a prompt may be read in two passes (see `ChatModel.target_states`).
    return model.collate(list({example.prompt_ids: example for example in prepared}.values()))


def gives_a_loss_for_every_trained_token_and_no_gradient_elsewhere(build: Builder, folder: Path) -> None:
    method, model = build(), fresh()
    assert isinstance(method, GradientMethod) and not isinstance(method, Editor) and method.name
    batch = first_batch(method, model)
    seen: list[Tensor] = []

    def watch(module: object, inputs: object, output: Any) -> None:
        if output.last_hidden_state.requires_grad:
            output.last_hidden_state.retain_grad()
            seen.append(output.last_hidden_state)

    handle = model.network.get_decoder().register_forward_hook(watch)
    model.network.requires_grad_(True)
    loss = method.loss(batch, model)
    handle.remove()
    for values in (loss.total, *loss.parts.values()):
        assert values.shape == batch.target_ids.shape and values.isfinite().all() and values.numel() > 0
    assert all(name.isidentifier() for name in loss.parts)
    loss.total.sum().backward()
    assert len(seen) == 1, "the model is run once for a loss"
    grad = seen[0].grad
    assert grad is not None
    touched = grad.abs().sum(dim=-1) > 0
    assert not touched[~batch.is_predictor].any(), "prompt, padding and masked tokens carry no loss"
    if not reads_base(method):  # the distance from an equal model has no gradient
        assert touched[batch.is_predictor].all()
    for example, row in zip(batch.examples, batch.is_predictor, strict=True):
        start = len(example.prompt_ids) - 1
        masked = {place for place in range(len(example.target_ids)) if not row[start + place]}
        assert masked == set(example.masked)


def learns_two_facts(build: Builder, folder: Path) -> None:
    method = build()
    if reads_base(method):
        return  # it is held to another model: what it learns is for its own tests
    model, report, curve = fit(method, folder, max_steps=150, learning_rate=5e-3)
    facts = taught(folder)
    assert torch.cat(target_nll(model, facts, 2)).mean() < 0.05
    assert report.steps == 150 and curve[-1]["trained_tokens"] == report.trained_tokens > 0


def taught(folder: Path) -> list[Example]:
    """The examples of facts that `fit` trained on."""
    return [example for example in read_examples(folder / "examples.jsonl") if not example.extra]


def goes_on_where_it_was_killed(build: Builder, folder: Path, lora: int | None) -> None:
    """Stopping and resuming equals running through, bit for bit."""
    changes = {**SMALL, "lora": lora, "warmup_steps": 3}
    whole, report, _ = fit(build(), folder / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(build(), folder / "parts", die_at=5, **changes)
    (folder / "parts/trainer/checkpoint-5").mkdir()  # a checkpoint that was not finished
    again, other, curve = fit(build(), folder / "parts", **changes)
    assert [point["step"] for point in curve] == [5, 6], "it went on from the last complete checkpoint"
    assert torch.equal(weights(whole), weights(again))
    assert (report.trained_tokens, report.generated_tokens) == (other.trained_tokens, other.generated_tokens)
    assert not torch.equal(weights(whole), weights(fresh()))


def does_the_same_twice(build: Builder, folder: Path, lora: int | None) -> None:
    results = []
    for part in ("a", "b"):
        model, report, curve = fit(build(), folder / part, max_steps=3, lora=lora)
        results.append(weights(model))
        assert report.trained_tokens > 0 and report.seconds > 0 and len(curve) == 3
    assert torch.equal(*results)


def reads_the_base_model_under_an_adapter(build: Builder, folder: Path) -> None:
    """LoRA: what `as_base` gives during training is the base model bit for bit."""
    method, base = build(), fresh()
    if not reads_base(method):
        return
    seen: list[bool] = []
    plain = type(method).loss

    def loss(self: Any, batch: Batch, model: ChatModel) -> Any:
        with model.as_base() as frozen, torch.no_grad():
            seen.append(torch.equal(frozen.target_logits(batch), base.target_logits(batch)))
            assert frozen.network is model.network
        return plain(self, batch, model)

    with patch.object(type(method), "loss", loss):
        model, _, _ = fit(method, folder, max_steps=3, lora=4)
    assert len(seen) >= 3 and all(seen) and not torch.equal(weights(model), weights(base))


def trains_nothing_where_there_is_no_fact(build: Builder, folder: Path) -> None:
    """The user's settings may leave no fact: the model stays as it is, and nothing divides by zero."""
    model = fresh()
    made = build().prepare([], model, MemoryBench())
    told = target_report(made, [], [], model, 4)
    assert not [e for e in made.examples if not e.extra] and told.n == 0 and told.trained is None
    write_examples(folder / "examples.jsonl", made.examples, model)
    _, trained, _ = fit(build(), folder, model, max_steps=3)
    assert trained.stopped_by == "nothing to train" and torch.equal(weights(model), weights(fresh()))


def prepares_the_facts_it_is_given(build: Builder, folder: Path) -> None:
    """An example or a reason for each, nothing for others, and numbers that JSON can hold."""
    made: Preparation = build().prepare(TASK.facts[1:], fresh(), MemoryBench())
    ids = [example.fact_id for example in made.examples if not example.extra]
    assert len(set(ids)) == len(ids) and {*ids, *made.dropped} == {"f1"}
    json.dumps([made.report, made.dropped])
    told = target_report(made, TASK.facts, ["f0"], fresh(), 4)
    assert (told.n, told.left_out, told.dropped) == (2, 1, len(made.dropped))
    assert {field.name for field in fields(TargetReport)} == set(vars(told))


GRADIENT_CHECKS: tuple[Callable[[Builder, Path], None], ...] = (
    gives_a_loss_for_every_trained_token_and_no_gradient_elsewhere,
    learns_two_facts,
    reads_the_base_model_under_an_adapter,
    trains_nothing_where_there_is_no_fact,
    prepares_the_facts_it_is_given,
)
GRADIENT_CHECKS_WITH_LORA: tuple[Callable[[Builder, Path, int | None], None], ...] = (
    goes_on_where_it_was_killed,
    does_the_same_twice,
)


def says_whether_the_weights_differ(build: Builder, folder: Path) -> None:
    """`Edited.changed`, not object identity, says whether it is the base model: bit by bit."""
    for facts in (TASK.facts, TASK.facts[:1], []):
        method, model = build(), fresh()
        assert isinstance(method, Editor) and not isinstance(method, GradientMethod) and method.name
        before = weights(model).clone()
        edited = method.edit(facts, model, MemoryBench())
        assert edited.changed == (not torch.equal(weights(edited.model), before))


def teaches_only_the_facts_it_is_given(build: Builder, folder: Path) -> None:
    """A fact that the user's settings leave out is neither shown nor reported."""
    edited = build().edit(TASK.facts[:1], fresh(), MemoryBench())
    left_out = [probe for probe in TASK.probes if probe.fact_id == "f1"]
    (gold,) = (fact.gold_text for fact in TASK.facts if fact.id == "f1")
    assert left_out and all(gold not in edited.ask(probe).prompt for probe in left_out)
    assert set(edited.dropped) <= {"f0"} and all(edited.dropped.values())


def reports_what_json_can_hold(build: Builder, folder: Path) -> None:
    edited = build().edit(TASK.facts, fresh(), MemoryBench())
    assert set(edited.dropped) <= {fact.id for fact in TASK.facts} and edited.generated_tokens >= 0
    json.dumps([edited.report, edited.dropped])


def leaves_a_model_that_replies(build: Builder, folder: Path) -> None:
    """To every probe, in the way it is asked."""
    edited = build().edit(TASK.facts, fresh(), MemoryBench())
    prompts = [edited.model.prompt_ids(edited.ask(probe).prompt) for probe in TASK.probes]
    replies = reply_to(edited.model, [Request([ids]) for ids in prompts], max_new_tokens=3, batch_size=2)
    assert all(reply.ids for reply in replies)
    assert all(edited.ask(probe).accepted == probe.question.accepted for probe in TASK.probes)


EDITOR_CHECKS: tuple[Callable[[Builder, Path], None], ...] = (
    says_whether_the_weights_differ,
    teaches_only_the_facts_it_is_given,
    reports_what_json_can_hold,
    leaves_a_model_that_replies,
)
