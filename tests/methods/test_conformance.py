"""What every gradient method must do, whatever it minimises; a new method is found by its config file."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mixsd.core.questions import TaskView
from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import ChoosesExamples, Method, Step
from mixsd.run.config import read_config
from mixsd.run.preparation import read_examples, report, write_examples
from mixsd.run.train import Evaluation, train
from mixsd.run.workbench import Meter
from tests.conftest import ROOT, settings
from tests.helpers.fakes import FakeTask, MemoryBench
from tests.run.test_train import make, weights

OVERRIDES = {
    # A random model never ends its replies, so what it writes is kept although it is wrong.
    "mixsd": ["method.on_failure=keep_last"],
    "context_distillation": ["method.on_failure=keep_last"],
    "stm": ["method.threshold=270"],
    "self_replay": ["method.max_new_tokens=6", "method.replays=2"],
    "opsd": ["method.rollouts=3"],
}
NAMES = sorted(path.stem for path in (ROOT / "conf/method").glob("*.yaml"))
TASK = FakeTask(2, bool)


@pytest.fixture
def build(composed):
    """The method of a config file, for the tiny model in float32."""

    def of(name, *more):
        overrides = [
            f"method={name}",
            "model=tiny_random",
            "training.dtype=float32",
            *OVERRIDES.get(name, []),
        ]
        return read_config(composed(*overrides, "task.max_new_tokens=12", "retention=none", *more)).method

    return of


def gradient_methods():
    editors = {"in_context", "checkpoint"}
    assert editors < set(NAMES)
    return [name for name in NAMES if name not in editors]


every_method = pytest.mark.parametrize("name", gradient_methods())
full_and_lora = pytest.mark.parametrize("lora", [None, 4], ids=["full", "lora"])


def fresh() -> ChatModel:
    return models.load(settings("tiny_random"), Path("/nowhere"))


def fit(method, tmp_path, student=None, die_at=None, **changes):
    """Prepare and train; optionally die after a step, as a killed process does."""
    student = student or fresh()
    listed = tmp_path / "examples.jsonl"
    if not listed.exists():
        write_examples(listed, method.prepare(TASK, student, MemoryBench()).examples, student)
    steps, curve = 0, []

    def on_step(count):
        nonlocal steps
        steps += count
        if steps == die_at:
            raise KeyboardInterrupt

    report = train(
        method,
        student,
        read_examples(listed),
        make(**changes),
        seed=0,
        scratch=tmp_path / "trainer",
        log=curve.append,
        evaluate=lambda *_: Evaluation(0.0),
        on_step=on_step,
    )
    return student, report, curve


def some_batch(method, student):
    prepared = method.prepare(TASK, student, MemoryBench()).examples
    if isinstance(method, ChoosesExamples):
        facts = [example for example in prepared if not example.extra]
        step = Step(0, facts, [example for example in prepared if example.extra])
        prepared = method.step_examples(step, student)
    if method.reads_base:
        student.keep_base_copy("float32")
    return student.collate(prepared)


@every_method
def test_a_finite_loss_per_trained_token_and_no_gradient_elsewhere(build, name):
    # One answer a prompt: what several answers share is read in another way (see test_method).
    method, student = build(name, *(["method.rollouts=1"] if name == "opsd" else [])), fresh()
    assert isinstance(method, Method) and method.name
    batch = some_batch(method, student)
    seen = []

    def watch(module, inputs, output):
        if output.last_hidden_state.requires_grad:
            output.last_hidden_state.retain_grad()
            seen.append(output.last_hidden_state)

    handle = student.network.get_decoder().register_forward_hook(watch)
    student.network.requires_grad_(True)
    losses = method.loss(batch, student)
    handle.remove()
    assert losses.shape == batch.target_ids.shape and losses.isfinite().all() and losses.numel() > 0
    losses.sum().backward()
    assert len(seen) == 1, "the student is run once for a loss"
    states = seen[0]
    touched = states.grad.abs().sum(dim=-1) > 0
    assert not touched[~batch.is_predictor].any(), "prompt, padding and masked tokens carry no loss"
    if name not in ("opsd", "sft_kl"):
        assert touched[batch.is_predictor].all()
    for example, row in zip(batch.examples, batch.is_predictor, strict=True):
        start = len(example.prompt_ids) - 1
        masked = {place for place in range(len(example.target_ids)) if not row[start + place]}
        assert masked == set(example.masked)


@pytest.mark.parametrize("name", [name for name in gradient_methods() if name not in ("opsd", "sft_kl")])
def test_learns_two_facts(build, name, tmp_path):
    student, report, curve = fit(build(name), tmp_path, max_steps=250)
    facts = [e for e in read_examples(tmp_path / "examples.jsonl") if not e.extra]
    assert torch.cat(student.target_nll(facts, 2)).mean() < 0.05
    assert report.steps == 250 and curve[-1]["trained_tokens"] == report.trained_tokens > 0


def test_sft_kl_learns_while_it_is_held_back(build, tmp_path):
    method = build("sft_kl", "method.kl_weight=0.05")
    before = torch.cat(fresh().target_nll(method.prepare(TASK, fresh(), MemoryBench()).examples, 2)).mean()
    student, _, _ = fit(method, tmp_path, max_steps=250)
    facts = read_examples(tmp_path / "examples.jsonl")
    (tmp_path / "free").mkdir()
    free, _, _ = fit(build("sft"), tmp_path / "free", max_steps=250)
    assert torch.cat(student.target_nll(facts, 2)).mean() < before / 10
    assert torch.cat(student.target_nll(facts, 2)).mean() > torch.cat(free.target_nll(facts, 2)).mean()


class SharpTeacher:
    """Says of every place in a reply which token belongs there, whatever came before."""

    def __init__(self, student):
        self.gold = {fact.id: student.target_ids(fact.gold_text) for fact in TASK.facts}
        self.size = student.network.config.vocab_size

    def target_states(self, batch):
        wanted = [
            self.gold[e.fact_id][min(place, len(self.gold[e.fact_id]) - 1)]
            for e in batch.examples
            for place in range(len(e.target_ids))
        ]
        return 8 * F.one_hot(torch.tensor(wanted), self.size).float()

    def head(self, states):
        return states


@pytest.mark.parametrize(("divergence", "steps"), [("forward_kl", 150), ("jsd", 250), ("reverse_kl", 400)])
def test_opsd_follows_a_sharp_teacher(build, tmp_path, monkeypatch, divergence, steps):
    student = fresh()
    teacher = SharpTeacher(student)

    @contextmanager
    def as_base(self):
        with torch.no_grad():
            yield teacher

    monkeypatch.setattr(ChatModel, "as_base", as_base)
    method = build("opsd", f"method.divergence={divergence}")
    _, report, curve = fit(method, tmp_path, student, max_steps=steps)
    first, last = curve[0]["loss"], sum(point["loss"] for point in curve[-10:]) / 10
    assert last < first / 10
    assert report.generated_tokens == report.trained_tokens > 0, "it is trained on what the student wrote"


@every_method
@full_and_lora
def test_stopping_and_resuming_equals_running_through(build, name, lora, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    changes = dict(
        max_steps=6, lora=lora, checkpoint_every=2, warmup_steps=3, batch_size=2, micro_batch_size=2
    )
    whole, report, _ = fit(build(name), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(build(name), tmp_path / "parts", die_at=5, **changes)
    torn = tmp_path / "parts/trainer/checkpoint-5"
    torn.mkdir()  # a checkpoint that was not finished
    again, other, curve = fit(build(name), tmp_path / "parts", **changes)
    assert [point["step"] for point in curve] == [5, 6], "it went on from the last complete checkpoint"
    assert torch.equal(weights(whole), weights(again))
    assert (report.trained_tokens, report.generated_tokens) == (other.trained_tokens, other.generated_tokens)
    assert not torch.equal(weights(whole), weights(fresh()))


@full_and_lora
def test_an_averaged_teacher_survives_a_kill(build, lora, tmp_path):
    averaged = ("method.teacher=ema", "method.ema_decay=0.5")
    changes = dict(max_steps=6, lora=lora, checkpoint_every=2, batch_size=2, micro_batch_size=2)
    for folder in ("whole", "parts", "frozen"):
        (tmp_path / folder).mkdir()
    whole, _, _ = fit(build("opsd", *averaged), tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(build("opsd", *averaged), tmp_path / "parts", die_at=5, **changes)
    again, _, _ = fit(build("opsd", *averaged), tmp_path / "parts", **changes)
    frozen, _, _ = fit(build("opsd"), tmp_path / "frozen", **changes)
    assert torch.equal(weights(whole), weights(again)) and not torch.equal(weights(whole), weights(frozen))


@every_method
@full_and_lora
def test_same_seed_same_weights_and_the_cost_is_reported(build, name, lora, tmp_path):
    results = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        student = fresh()
        with Meter(student.network) as meter:
            student, report, _ = fit(build(name), tmp_path / folder, student, max_steps=3, lora=lora)
        results.append(weights(student))
        assert meter.forward_passes >= 3 and meter.seconds > 0 and meter.peak_memory_bytes > 0
        assert report.trained_tokens > 0 and report.seconds > 0
    assert torch.equal(*results)


@pytest.mark.parametrize("name", ["opsd", "sft_kl"])
def test_with_an_adapter_the_base_model_is_the_same_weights(build, name, tmp_path, monkeypatch):
    """LoRA: what `as_base` gives during training is the base model bit for bit."""
    base, seen = fresh(), []
    method = build(name)
    plain = method.loss

    def loss(batch, student):
        with student.as_base() as frozen, torch.no_grad():
            seen.append(torch.equal(frozen.target_logits(batch), base.target_logits(batch)))
            assert frozen.network is student.network
        return plain(batch, student)

    monkeypatch.setattr(method, "loss", loss)
    student, _, _ = fit(method, tmp_path, max_steps=3, lora=4)
    assert len(seen) >= 3 and all(seen) and not torch.equal(weights(student), weights(base))


@every_method
def test_with_no_fact_to_teach_nothing_is_trained(build, name, tmp_path):
    """`task.only_missed` may leave none: the model stays as it is, and nothing divides by zero."""
    none = TaskView(TASK, kept=set())
    student = fresh()
    made = build(name).prepare(none, student, MemoryBench())
    told = report(made, none, student, 4)
    assert not [e for e in made.examples if not e.extra] and told["n"] == 0
    write_examples(tmp_path / "examples.jsonl", made.examples, student)
    _, trained, _ = fit(build(name), tmp_path, student, max_steps=3)
    assert trained.stopped_by == "nothing to train" and torch.equal(weights(student), weights(fresh()))
