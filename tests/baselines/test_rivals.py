"""What each rival is, beyond what all methods share (see tests/methods/test_conformance)."""

from contextlib import contextmanager
from dataclasses import replace
from math import exp

import pytest
import torch
import torch.nn.functional as F

from baselines.checkpoint import Checkpoint
from baselines.in_context import InContext
from baselines.opsd import OPSD
from baselines.sft_kl import SFTWithKL
from mixsd.core.errors import DataError, MixSDError, ModelUnavailableError, StoreError
from mixsd.core.files import File, Folder
from mixsd.core.questions import Probe, Question
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import Editor, Step, reads_base
from mixsd.methods.general_prompts import read_prompts
from mixsd.run.config import read_config
from mixsd.run.interpolate import interpolate
from mixsd.run.preparation import target_report
from tests.helpers.fakes import FakeTask, MemoryBench, even, graded_by
from tests.helpers.training import TASK, fit, fresh, gold, weights


@pytest.mark.slow
def test_mixing_rate_0_gives_context_distillations_targets(build, smollm, task):
    """Greedy, for the facts that pass verification; two prompts decoded or one, it is the same text."""
    strict = ("method.on_failure=drop", "method.max_new_tokens=24")
    mixed = build("mixsd", "method.mixing_rate=0", *strict).prepare(task.facts, smollm, MemoryBench())
    made = build("context_distillation", *strict).prepare(task.facts, smollm, MemoryBench())
    assert len(mixed.examples) >= 3 and mixed.dropped == made.dropped
    assert [e.target_ids for e in mixed.examples] == [e.target_ids for e in made.examples]
    assert all(set(e.provenance) == {"e"} for e in made.examples)


def test_without_a_verifier_every_fact_trains_on_the_first_answer(build, tiny, monkeypatch):
    monkeypatch.setattr("mixsd.mixing.targets.grade", graded_by(even))
    tiny.end_ids = frozenset(range(0, 256, 6))
    facts = FakeTask(8).facts
    once = ("method.temperature=1", "method.max_attempts=1", "method.on_failure=drop")
    strict = build("context_distillation", *once).prepare(facts, tiny, MemoryBench())
    free = build("context_distillation", *once, "method.verify=false").prepare(facts, tiny, MemoryBench())
    assert 0 < len(strict.examples) < 8 == len(free.examples) and not free.dropped
    kept = {e.fact_id: e.target_ids for e in free.examples}
    assert all(kept[e.fact_id] == e.target_ids for e in strict.examples)


def test_rewrite_falls_back_to_the_gold_text(build, tiny, monkeypatch):
    monkeypatch.setattr("mixsd.mixing.targets.grade", graded_by(even))
    tiny.end_ids = frozenset(range(0, 256, 6))
    once = ("method.temperature=1", "method.max_attempts=1")
    made = build("rewrite", *once).prepare(FakeTask(8).facts, tiny, MemoryBench())
    kinds = {example.provenance[0] for example in made.examples}
    assert len(made.examples) == 8 and kinds == {"e", "g"} and not made.dropped


def test_stm_masks_what_the_base_model_finds_unlikely(build, tiny):
    method = build("stm", "method.threshold=260")
    made = method.prepare(TASK.facts, tiny, MemoryBench())
    whole = [replace(example, masked=()) for example in made.examples]
    for example, losses in zip(made.examples, target_nll(tiny, whole, 2), strict=True):
        assert example.masked == tuple(i for i, nll in enumerate(losses.tolist()) if exp(nll) > 260)
    total = sum(len(example.target_ids) for example in made.examples)
    masked = sum(len(example.masked) for example in made.examples)
    assert 0 < masked < total and made.report["masked_share"] == pytest.approx(masked / total)


def test_self_replay_adds_general_answers_and_leaves_the_order_of_facts(build, tiny, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One?\nTwo?\n\nThree?\n", encoding="utf-8")
    method = build("self_replay", f"method.prompts={prompts}")
    bench = MemoryBench()
    made = method.prepare(TASK.facts, tiny, bench)
    extras = [example for example in made.examples if example.extra]
    assert len(extras) == 3 and all(0 < len(e.target_ids) <= 6 for e in extras) and made.generated_tokens
    assert extras == [e for e in method.prepare(TASK.facts, tiny, bench).examples if e.extra], "answered once"
    facts = made.examples[:2]
    steps = [method.step_examples(Step(number, facts, extras), tiny) for number in range(6)]
    assert all(step[:2] == facts and len(step) == 4 for step in steps)
    assert len({step[2].fact_id for step in steps}) > 1
    prompts.write_text("\n", encoding="utf-8")
    with pytest.raises(MixSDError, match="holds no prompt"):
        build("self_replay", f"method.prompts={prompts}")


def test_rollouts_depend_on_step_prompt_and_number_alone(build, tiny):
    method = build("opsd", "method.rollouts=3")
    facts = method.prepare(FakeTask(4).facts, tiny, MemoryBench()).examples

    def texts(step, size):
        method.rollout_batch_size = size
        return [(e.fact_id, e.target_ids) for e in method.step_examples(step, tiny)]

    step = Step(3, facts, [])
    assert len(texts(step, 64)) == 12 and texts(step, 64) == texts(step, 5) == texts(step, 1)
    assert len(set(texts(step, 64))) == 12, "the answers to a prompt differ"
    assert texts(Step(4, facts, []), 64) != texts(step, 64)


def test_what_is_not_written_yet_has_no_likelihood(build, tiny):
    made = build("opsd").prepare(TASK.facts, tiny, MemoryBench())
    told = target_report(made, TASK.facts, [], tiny, 4)
    assert told.trained is None and told.gold is not None and told.gold.nll > 0


def test_a_live_teacher_is_the_student_itself(build, tiny):
    """With the same prompt on both sides there is nothing to learn from oneself."""
    method = build("opsd", "method.teacher=live")
    facts = method.prepare(TASK.facts, tiny, MemoryBench()).examples
    written = method.step_examples(Step(0, facts, []), tiny)
    same = [replace(example, teacher_ids=example.prompt_ids) for example in written]
    assert torch.allclose(method.loss(tiny.collate(same), tiny).total, torch.tensor(0.0), atol=1e-5)
    assert method.loss(tiny.collate(written), tiny).total.mean() > 1e-3
    assert not reads_base(method)


def test_an_averaged_teacher_follows_the_student_by_its_decay(build, tiny):
    """After each step the average is decay * average + (1 - decay) * student, from the base model on."""
    method = build("opsd", "method.teacher=ema", "method.ema_decay=0.75")
    facts = method.prepare(TASK.facts, tiny, MemoryBench()).examples
    weight = tiny.network.model.layers[0].mlp.down_proj.weight
    name = "model.layers.0.mlp.down_proj.weight"
    first = weight.detach().clone()
    method.step_examples(Step(0, facts, []), tiny)
    assert torch.equal(method.state_dict()[name], first), "the base model at first"
    expected = first
    for number in (1, 2):
        with torch.no_grad():
            weight.add_(1.0)
        written = method.step_examples(Step(number, facts, []), tiny)
        expected = 0.75 * expected + 0.25 * weight
        assert torch.allclose(method.state_dict()[name], expected, atol=1e-6)
    assert not method.state_dict()[name].requires_grad
    batch = tiny.collate(written)
    method.loss(batch, tiny).total.sum().backward()
    assert (
        weight.grad is not None and method._average.network.model.layers[0].mlp.down_proj.weight.grad is None
    )
    other = build("opsd", "method.teacher=ema", "method.ema_decay=0.75")
    other.load_state_dict(method.state_dict(), tiny)
    assert torch.equal(other.loss(batch, tiny).total, method.loss(batch, tiny).total)
    method.release()
    assert method.state_dict() == {}


def test_interpolation_at_its_ends_is_base_and_tuned_bit_for_bit(build, tmp_path):
    base = fresh()
    tuned, _, _ = fit(build("sft"), tmp_path, max_steps=5)
    assert torch.equal(weights(interpolate(base, tuned, 0.0)), weights(base))
    assert torch.equal(weights(interpolate(base, tuned, 1.0)), weights(tuned))
    half = weights(interpolate(base, tuned, 0.5))
    assert torch.allclose(half, (weights(base) + weights(tuned)) / 2, atol=1e-7)
    assert not torch.equal(weights(base), weights(tuned))
    del tuned.network.model.layers[1]
    with pytest.raises(StoreError, match="name by name"):
        interpolate(base, tuned, 0.5)


def test_in_context_shows_the_fact_when_it_is_asked_for(task, tiny):
    method = InContext("in_context")
    assert isinstance(method, Editor)
    edited = method.edit(task.facts[:2], tiny, MemoryBench())
    assert edited.model is tiny and not edited.changed
    fact, left_out = task.facts[0], task.facts[3]
    probe = next(probe for probe in task.probes if probe.fact_id == fact.id)
    asked = edited.ask(probe)
    assert fact.gold_text in asked.prompt and probe.question.prompt in asked.prompt
    assert asked.accepted == probe.question.accepted and asked.rivals == probe.question.rivals
    # The gold text names things that would otherwise excuse a rival in the reply.
    assert asked.asked == probe.question.asked
    other = next(probe for probe in task.probes if probe.fact_id == left_out.id)
    assert edited.ask(other) == other.question, "a fact that may not be taught is not shown"
    unrelated = Probe("u", "neighbors", Question("What else?", ("No",)))
    assert edited.ask(unrelated) == unrelated.question


def saved(model, folder):
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return Folder("method.path", folder)


def test_a_checkpoint_is_loaded_as_it_was_saved(build, tmp_path):
    tuned, _, _ = fit(build("sft"), tmp_path, max_steps=2)
    folder = saved(tuned, tmp_path / "saved")
    edited = Checkpoint("checkpoint", folder).edit(TASK.facts, fresh(), MemoryBench())
    assert torch.equal(weights(edited.model), weights(tuned)) and edited.changed
    saved(tuned, tmp_path / "run" / "model")
    kept = Checkpoint("checkpoint", Folder("method.path", tmp_path / "run"))
    assert kept.path == tmp_path / "run" / "model", "the directory of a run that kept its model"
    with pytest.raises(ModelUnavailableError, match="method.path=.* is no model folder"):
        Checkpoint("checkpoint", Folder("method.path", tmp_path))
    (folder.path / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match=r"config.json and weights"):
        Checkpoint("checkpoint", folder)


def test_a_checkpoint_of_the_base_model_has_not_changed(tmp_path):
    folder = saved(fresh(), tmp_path / "saved")
    assert not Checkpoint("checkpoint", folder).edit(TASK.facts, fresh(), MemoryBench()).changed


class SharpTeacher:
    """Says of every place in a reply which token belongs there, whatever came before."""

    def __init__(self, model):
        self.gold = {fact.id: model.target_ids(fact.gold_text) for fact in TASK.facts}
        self.size = model.network.config.vocab_size

    def target_states(self, batch):
        wanted = [
            self.gold[e.fact_id][min(place, len(self.gold[e.fact_id]) - 1)]
            for e in batch.examples
            for place in range(len(e.target_ids))
        ]
        return 8 * F.one_hot(torch.tensor(wanted), self.size).float()

    def head(self, states):
        return states


@pytest.mark.slow
@pytest.mark.parametrize(("divergence", "steps"), [("forward_kl", 120), ("jsd", 180), ("reverse_kl", 260)])
def test_opsd_follows_a_sharp_teacher(build, tmp_path, monkeypatch, divergence, steps):
    model = fresh()
    teacher = SharpTeacher(model)

    @contextmanager
    def as_base(self):
        with torch.no_grad():
            yield teacher

    monkeypatch.setattr(ChatModel, "as_base", as_base)
    method = build("opsd", f"method.divergence={divergence}")
    _, report, curve = fit(method, tmp_path, model, max_steps=steps)
    first, last = curve[0]["loss"], sum(point["loss"] for point in curve[-10:]) / 10
    assert last < first / 10
    assert report.generated_tokens == report.trained_tokens > 0, "it is trained on what the model wrote"


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, 4], ids=["full", "lora"])
def test_an_averaged_teacher_survives_a_kill(build, lora, tmp_path):
    averaged = ("method.teacher=ema", "method.ema_decay=0.5")
    changes = dict(max_steps=6, lora=lora, checkpoint_every=2, batch_size=2, micro_batch_size=2)
    whole, _, _ = fit(build("opsd", *averaged), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(build("opsd", *averaged), tmp_path / "parts", die_at=5, **changes)
    again, _, _ = fit(build("opsd", *averaged), tmp_path / "parts", **changes)
    frozen, _, _ = fit(build("opsd"), tmp_path / "frozen", **changes)
    assert torch.equal(weights(whole), weights(again)) and not torch.equal(weights(whole), weights(frozen))


@pytest.mark.slow
def test_sft_kl_learns_while_it_is_held_back(build, tmp_path):
    facts = gold(fresh())
    before = torch.cat(target_nll(fresh(), facts, 2)).mean()
    held, _, curve = fit(build("sft_kl", "method.kl_weight=0.05"), tmp_path / "held", max_steps=150)
    free, _, _ = fit(build("sft"), tmp_path / "free", max_steps=150)
    after = torch.cat(target_nll(held, facts, 2)).mean()
    assert torch.cat(target_nll(free, facts, 2)).mean() < after < before / 10
    for point in curve:
        assert point["loss"] == pytest.approx(point["loss_nll"] + 0.05 * point["loss_kl"], rel=1e-4)
    assert curve[0]["loss_kl"] == pytest.approx(0, abs=1e-5) and curve[-1]["loss_kl"] > 1


def test_self_replay_says_what_facts_and_replays_cost(build, tmp_path):
    _, _, curve = fit(build("self_replay"), tmp_path, max_steps=2)
    for point in curve:
        assert point["loss"] == pytest.approx(point["loss_facts"] + point["loss_replays"], rel=1e-4)
        assert point["loss_facts"] > 0 and point["loss_replays"] > 0


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes(b"\xef\xbb\xbfOne?\nTwo?\n")
    assert read_prompts(File("method.prompts", path)) == ["One?", "Two?"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="method.prompts=.* cannot be read; give a UTF-8 text file"):
        read_prompts(File("method.prompts", path))


def test_defaults_stand_in_code():
    assert OPSD("opsd").teacher == "frozen" and SFTWithKL("sft_kl").kl_weight == 1.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method=opsd", "method.divergence=kl"], "method.divergence=kl is unknown"),
        (["method=opsd", "method.temperature=0"], "method.temperature=0.0 is out of range; allowed: above 0"),
        (["method=opsd", "method.rollouts=0"], "method.rollouts=0"),
        (["method=opsd", "method.teacher=past"], "allowed: frozen, live, ema"),
        (["method=opsd", "method.ema_decay=1.5"], "method.ema_decay=1.5 is out of range; allowed: 0 to 1"),
        (["method=sft_kl", "method.kl_weight=-1"], "method.kl_weight=-1"),
        (["method=stm", "method.threshold=1"], "allowed: above 1"),
        (
            ["method=self_replay", "method.prompts=/no/file"],
            "method.prompts=/no/file does not exist; give a file",
        ),
        (["method=checkpoint"], "method.path is not set; add method.path=<value>"),
        (["method=checkpoint", "method.path=/no"], "method.path=/no does not exist; give a folder"),
        (["task.only_facts_of=/no"], "task.only_facts_of=/no is no run"),
        (["training.lora=0"], "training.lora=0"),
        (["training.interpolate=[2]"], "training.interpolate=2"),
        (["training.interpolate=[0.5,0.5]"], "names an alpha twice"),
        (["training.patience=0"], "training.patience=0"),
    ],
)
def test_mistakes_are_told_before_any_work(composed, overrides, message):
    with pytest.raises(MixSDError, match=message.replace("[", r"\[")):
        read_config(composed("model=tiny_random", *overrides))
