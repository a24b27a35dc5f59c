"""What each rival is, beyond what all gradient methods share (see test_conformance)."""

import shutil
from dataclasses import replace
from math import exp

import pytest
import torch

from baselines.checkpoint import Checkpoint
from baselines.in_context import InContext
from mixsd.core.errors import MixSDError, ModelUnavailableError, StoreError
from mixsd.methods.contract import Editor, Step
from mixsd.run.config import read_config
from mixsd.run.interpolate import interpolate
from mixsd.run.preparation import report
from tests.helpers.fakes import FakeTask, MemoryBench
from tests.methods.test_conformance import TASK, build, fit, fresh  # noqa: F401  (build is a fixture)
from tests.run.test_train import weights


def even(text):
    return len(text) % 2 == 0


def test_mixing_rate_0_gives_context_distillations_targets(build, smollm, task):  # noqa: F811
    """Greedy, for the facts that pass verification; two prompts decoded or one, it is the same text."""
    mixed = build("mixsd", "method.mixing_rate=0", "method.on_failure=drop").prepare(
        task, smollm, MemoryBench()
    )
    distilled = build("context_distillation", "method.on_failure=drop")
    made = distilled.prepare(task, smollm, MemoryBench())
    assert len(mixed.examples) >= 3 and mixed.dropped == made.dropped
    assert [e.target_ids for e in mixed.examples] == [e.target_ids for e in made.examples]
    assert all(set(e.provenance) == {"e"} for e in made.examples)


def test_without_a_verifier_every_fact_trains_on_the_first_answer(build, tiny):  # noqa: F811
    tiny.end_ids = frozenset(range(0, 256, 6))
    task = FakeTask(8, even)
    once = ("method.temperature=1", "method.max_attempts=1", "method.on_failure=drop")
    strict = build("context_distillation", *once).prepare(task, tiny, MemoryBench())
    free = build("context_distillation", *once, "method.verify=false").prepare(task, tiny, MemoryBench())
    assert 0 < len(strict.examples) < 8 == len(free.examples) and not free.dropped
    kept = {e.fact_id: e.target_ids for e in free.examples}
    assert all(kept[e.fact_id] == e.target_ids for e in strict.examples)


def test_rewrite_falls_back_to_the_gold_text(build, tiny):  # noqa: F811
    tiny.end_ids = frozenset(range(0, 256, 6))
    once = ("method.temperature=1", "method.max_attempts=1")
    made = build("rewrite", *once).prepare(FakeTask(8, even), tiny, MemoryBench())
    kinds = {example.provenance[0] for example in made.examples}
    assert len(made.examples) == 8 and kinds == {"e", "g"} and not made.dropped


def test_stm_masks_what_the_base_model_finds_unlikely(build, tiny):  # noqa: F811
    method = build("stm", "method.threshold=260")
    made = method.prepare(TASK, tiny, MemoryBench())
    whole = [replace(example, masked=()) for example in made.examples]
    for example, losses in zip(made.examples, tiny.target_nll(whole, 2), strict=True):
        assert example.masked == tuple(i for i, nll in enumerate(losses.tolist()) if exp(nll) > 260)
    total = sum(len(example.target_ids) for example in made.examples)
    masked = sum(len(example.masked) for example in made.examples)
    assert 0 < masked < total and made.report["masked_share"] == pytest.approx(masked / total)


def test_self_replay_adds_general_answers_and_leaves_the_order_of_facts(build, tiny, tmp_path):  # noqa: F811
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One?\nTwo?\n\nThree?\n", encoding="utf-8")
    method = build("self_replay", f"method.prompts={prompts}")
    bench = MemoryBench()
    made = method.prepare(TASK, tiny, bench)
    extras = [example for example in made.examples if example.extra]
    assert len(extras) == 3 and all(0 < len(e.target_ids) <= 6 for e in extras) and made.generated_tokens
    assert extras == [e for e in method.prepare(TASK, tiny, bench).examples if e.extra], "answered once"
    facts = made.examples[:2]
    steps = [method.step_examples(Step(number, facts, extras), tiny) for number in range(6)]
    assert all(step[:2] == facts and len(step) == 4 for step in steps)
    assert len({step[2].fact_id for step in steps}) > 1
    prompts.write_text("\n", encoding="utf-8")
    with pytest.raises(MixSDError, match="holds no prompt"):
        build("self_replay", f"method.prompts={prompts}")


def test_rollouts_depend_on_step_prompt_and_number_alone(build, tiny):  # noqa: F811
    method = build("opsd", "method.rollouts=3")
    facts = method.prepare(FakeTask(4, bool), tiny, MemoryBench()).examples

    def texts(step, size):
        method.rollout_batch_size = size
        return [(e.fact_id, e.target_ids) for e in method.step_examples(step, tiny)]

    step = Step(3, facts, [])
    assert len(texts(step, 64)) == 12 and texts(step, 64) == texts(step, 5) == texts(step, 1)
    assert len(set(texts(step, 64))) == 12, "the answers to a prompt differ"
    assert texts(Step(4, facts, []), 64) != texts(step, 64)


def test_what_is_not_written_yet_has_no_likelihood(build, tiny):  # noqa: F811
    made = build("opsd").prepare(TASK, tiny, MemoryBench())
    told = report(made, TASK, tiny, 4)
    assert told["nll"] is None and told["tokens"] == 0 and told["gold_nll"] > 0


def test_a_live_teacher_is_the_student_itself(build, tiny):  # noqa: F811
    """With the same prompt on both sides there is nothing to learn from oneself."""
    method = build("opsd", "method.teacher=live")
    facts = method.prepare(TASK, tiny, MemoryBench()).examples
    written = method.step_examples(Step(0, facts, []), tiny)
    same = [replace(example, teacher_ids=example.prompt_ids) for example in written]
    assert torch.allclose(method.loss(tiny.collate(same), tiny), torch.tensor(0.0), atol=1e-5)
    assert method.loss(tiny.collate(written), tiny).mean() > 1e-3
    assert not method.reads_base


def test_an_averaged_teacher_follows_the_student_by_its_decay(build, tiny):  # noqa: F811
    """After each step the average is decay * average + (1 - decay) * student, from the base model on."""
    method = build("opsd", "method.teacher=ema", "method.ema_decay=0.75")
    facts = method.prepare(TASK, tiny, MemoryBench()).examples
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
    method.loss(batch, tiny).sum().backward()
    assert (
        weight.grad is not None and method._average.network.model.layers[0].mlp.down_proj.weight.grad is None
    )
    other = build("opsd", "method.teacher=ema", "method.ema_decay=0.75")
    other.load_state_dict(method.state_dict(), tiny)
    assert torch.equal(other.loss(batch, tiny), method.loss(batch, tiny))
    method.release()
    assert method.state_dict() == {}


def test_interpolation_at_its_ends_is_base_and_tuned_bit_for_bit(build, tmp_path):  # noqa: F811
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
    method = InContext("in_context", "answer")
    assert isinstance(method, Editor) and method.edit(task, tiny, MemoryBench()) is tiny
    fact = task.facts[0]
    probe = next(probe for probe in task.probes if probe.fact_id == fact.id)
    asked = method.asked(probe, task)
    assert fact.gold_text in asked.prompt and probe.prompt in asked.prompt and asked.id == probe.id
    unrelated = replace(probe, fact_id="")
    assert method.asked(unrelated, task) is unrelated


def test_a_checkpoint_is_loaded_as_it_was_saved(build, tmp_path):  # noqa: F811
    tuned, _, _ = fit(build("sft"), tmp_path, max_steps=2)
    folder = tmp_path / "saved"
    tuned.network.save_pretrained(folder)
    tuned.tokenizer.save_pretrained(folder)
    method = Checkpoint("checkpoint", str(folder))
    assert torch.equal(weights(method.edit(TASK, fresh(), MemoryBench())), weights(tuned))
    before = method.identity
    (tmp_path / "run").mkdir()
    shutil.copytree(folder, tmp_path / "run" / "model")
    assert Checkpoint("checkpoint", str(tmp_path / "run")).identity == before, "a run that kept its model"
    fit(build("sft"), tmp_path, max_steps=3)[0].network.save_pretrained(folder)
    assert Checkpoint("checkpoint", str(folder)).identity != before, "identified by content"
    with pytest.raises(ModelUnavailableError, match="method.path=.* is no model folder"):
        Checkpoint("checkpoint", str(tmp_path))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match=r"config.json and weights"):
        Checkpoint("checkpoint", str(folder))


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
        (["method=self_replay", "method.prompts=/no/file"], "method.prompts=/no/file cannot be read"),
        (["method=checkpoint"], "method.path is not set; add method.path=<value>"),
        (["method=checkpoint", "method.path=/no"], "method.path=/no is no model folder"),
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
