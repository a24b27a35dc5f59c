import gc
import weakref
from collections import Counter

import pytest
import torch

from mixsd.core.errors import SettingError
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import TokenLoss, gold_example
from mixsd.run import train as training
from mixsd.run.checkpoints import COMPLETE, last_checkpoint
from mixsd.run.train import Evaluation, schedule, train, warmed_up
from tests.helpers.fakes import FakeTask
from tests.helpers.training import SFT, fit_sft, fresh, gold, make, weights


def test_schedule_covers_all_facts_and_keeps_the_shared_order(tiny):
    examples = gold(tiny, 5)
    settings = make(max_steps=5, batch_size=4)
    order = [e.fact_id for e in schedule(examples, settings, seed=0)]
    assert len(order) == 20 and set(Counter(order).values()) == {4}
    assert order[:5] != order[5:10], "every pass is shuffled anew"
    assert order != [e.fact_id for e in schedule(examples, settings, seed=1)]
    kept = [e.fact_id for e in schedule(examples[:3], make(max_steps=3, batch_size=4), seed=0)]
    assert kept == [fact_id for fact_id in order if fact_id in {"f0", "f1", "f2"}]


def test_learns_two_facts(tiny, tmp_path):
    report, curve = fit_sft(tiny, make(max_steps=200), tmp_path)
    losses = torch.cat(target_nll(tiny, gold(tiny), 2))
    assert losses.mean() < 0.05
    assert report.steps == 200 == len(curve) and curve[-1]["loss"] < 0.1 < curve[0]["loss"]
    tokens = sum(len(e.target_ids) for e in gold(tiny)) * 2 * 200
    assert report.trained_tokens == tokens == curve[-1]["trained_tokens"]


@pytest.mark.parametrize("average", ["token", "sequence"])
def test_accumulation_changes_neither_loss_nor_weights(tiny, tmp_path, average):
    examples = [gold_example(f, tiny) for f in FakeTask(12).facts]  # unequal lengths
    _, whole = fit_sft(tiny, make(loss_average=average, max_steps=3), tmp_path, examples)
    other = fresh()
    _, parts = fit_sft(other, make(loss_average=average, max_steps=3, micro_batch_size=1), tmp_path, examples)
    assert [p["loss"] for p in parts] == pytest.approx([w["loss"] for w in whole], rel=1e-4)
    assert torch.allclose(weights(tiny), weights(other), atol=1e-4)


def test_first_loss_is_the_mean_nll_of_the_base_model(tiny, tmp_path):
    examples = gold(tiny, 4)
    expected = torch.cat(target_nll(tiny, examples, 4)).mean().item()
    _, curve = fit_sft(tiny, make(max_steps=1), tmp_path, examples)
    assert curve[0]["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_same_seed_same_weights_and_masters_stay_float32(tiny, tmp_path, dtype):
    other = fresh()
    for student in (tiny, other):
        fit_sft(student, make(dtype=dtype), tmp_path)
    assert torch.equal(weights(tiny), weights(other))
    assert tiny.network.dtype == torch.float32


def test_a_bf16_learning_rate_is_not_rounded_away(tiny, tmp_path):
    before = weights(tiny).clone()
    fit_sft(tiny, make(dtype="bfloat16", learning_rate=1e-6, max_steps=1), tmp_path)
    moved = (weights(tiny) - before).abs()
    assert 0 < moved.max() < 1e-5


def test_no_steps_or_no_examples_change_nothing(tiny, tmp_path):
    before = weights(tiny).clone()
    assert fit_sft(tiny, make(max_steps=0), tmp_path)[0].steps == 0
    assert fit_sft(tiny, make(), tmp_path, examples=[])[0].stopped_by == "nothing to train"
    assert torch.equal(before, weights(tiny))


def test_evaluates_on_schedule_and_stops_at_the_goal(tiny, tmp_path):
    seen = []

    def evaluate(step, so_far):
        assert not tiny.network.training
        seen.append((step, so_far.trained_tokens))
        return Evaluation(step / 10, stop="until_recall" if step >= 6 else "")

    report, _ = fit_sft(tiny, make(max_steps=20, eval_every=2), tmp_path, evaluate=evaluate)
    assert [step for step, _ in seen] == [2, 4, 6]
    assert (report.steps, report.stopped_by, report.recall) == (6, "until_recall", 0.6)
    seen.clear()
    report, _ = fit_sft(tiny, make(max_steps=5, eval_every=2), tmp_path, evaluate=evaluate)
    assert [step for step, _ in seen] == [2, 4, 5], "the last step is always evaluated"
    assert report.stopped_by == "max_steps"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": -1e-5}, "training.learning_rate=-1e-05.*above 0"),
        ({"learning_rate": 0.0}, "training.learning_rate"),
        ({"max_steps": -1}, "training.max_steps"),
        ({"batch_size": 0}, "training.batch_size=0"),
        ({"micro_batch_size": 0}, "training.micro_batch_size=0"),
        ({"dtype": "bf16"}, "training.dtype=bf16.*did you mean bfloat16"),
        ({"loss_average": "tokens"}, "did you mean token"),
        ({"until_recall": 1.5}, "training.until_recall"),
        ({"eval_every": 0}, "training.eval_every"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(SettingError, match=message):
        make(**changes)


def stop_at(step):
    def evaluate(now, so_far):
        return Evaluation(0.5, stop="until_recall" if now >= step else "")

    return evaluate


@pytest.mark.parametrize("lora", [None, 4], ids=["full", "lora"])
def test_a_training_that_was_stopped_is_not_gone_on_with(tmp_path, lora):
    """Killed after the checkpoint at which an evaluation ended it: the next start only loads the weights."""
    settings = make(max_steps=8, eval_every=2, checkpoint_every=2, lora=lora)
    first, again = fresh(), fresh()
    report, curve = fit_sft(first, settings, tmp_path, evaluate=stop_at(4))
    assert len(curve) == 4 and last_checkpoint(tmp_path).name == "checkpoint-4"
    other, rest = fit_sft(again, settings, tmp_path, evaluate=stop_at(4))
    assert rest == [] and (other.steps, other.stopped_by) == (4, "until_recall") and other.recall == 0.5
    assert torch.equal(weights(first), weights(again)) and other.trained_tokens == report.trained_tokens


def test_a_training_that_was_complete_is_not_gone_on_with(tmp_path):
    settings = make(max_steps=4, checkpoint_every=2)
    first, again = fresh(), fresh()
    fit_sft(first, settings, tmp_path)
    report, rest = fit_sft(again, settings, tmp_path)
    assert rest == [] and (report.steps, report.stopped_by) == (4, "max_steps")
    assert torch.equal(weights(first), weights(again))


def test_the_first_step_trains(tiny, tmp_path):
    before = weights(tiny).clone()
    _, curve = fit_sft(tiny, make(max_steps=1, warmup_steps=5, learning_rate=6e-3), tmp_path)
    assert not torch.equal(before, weights(tiny))
    assert curve[0]["learning_rate"] == pytest.approx(1e-3)


def test_warm_up_is_linear_then_constant(tmp_path):
    assert [warmed_up(step, 3) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert warmed_up(0, 0) == 1.0
    settings = make(max_steps=5, warmup_steps=3, learning_rate=4e-3)
    _, curve = fit_sft(fresh(), settings, tmp_path)
    assert [point["learning_rate"] for point in curve] == pytest.approx([1e-3, 2e-3, 3e-3, 4e-3, 4e-3])


def test_evaluations_are_not_charged_to_the_training(tiny, tmp_path, monkeypatch):
    """On a clock that moves by one with every step and by a hundred with every evaluation."""
    now, made = 0.0, 0

    def evaluate(step, so_far):
        nonlocal now, made
        now, made = now + 100, made + 1000
        return Evaluation(0.0)

    def on_step(count):
        nonlocal now, made
        now, made = now + count, made + count

    monkeypatch.setattr(training.time, "perf_counter", lambda: now)
    settings = make(max_steps=6, eval_every=2, checkpoint_every=2)
    report, _ = fit_sft(tiny, settings, tmp_path, evaluate=evaluate, on_step=on_step, passes=lambda: made)
    assert (report.seconds, report.forward_passes) == (6, 6)
    assert (report.evaluation_seconds, report.evaluation_passes) == (300, 3000)


def test_what_interrupted_parts_took_adds_up(tmp_path):
    made = 7  # passes of this process before the training are not its own

    def on_step(count):
        nonlocal made
        made += 1
        if made == 7 + 3:
            raise KeyboardInterrupt

    settings = make(max_steps=4, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        fit_sft(fresh(), settings, tmp_path, on_step=on_step, passes=lambda: made)
    made = 0  # another process
    report, _ = fit_sft(fresh(), settings, tmp_path, on_step=lambda _: None, passes=lambda: made)
    assert report.forward_passes == 2, "those before the checkpoint"


class InParts(SFT):
    """NLL that says of itself what it is made of."""

    def loss(self, batch, model):
        losses = model.target_losses(batch)
        return TokenLoss(losses, {"third": losses / 3, "rest": losses * 2 / 3})


@pytest.mark.parametrize("average", ["token", "sequence"])
def test_named_parts_are_averaged_as_the_loss_is_and_logged(tmp_path, average):
    examples, curves = gold(fresh(), 12), []
    for size in (12, 5):  # micro-batches of 5, 5 and 2
        curve = []
        settings = make(loss_average=average, max_steps=2, batch_size=12, micro_batch_size=size)
        train(InParts("parts"), fresh(), examples, settings, seed=0, scratch=tmp_path / str(size),
              log=curve.append, evaluate=lambda *_: Evaluation(0.0))  # fmt: skip
        curves.append(curve)
        for point in curve:
            assert point["loss_third"] == pytest.approx(point["loss"] / 3, rel=1e-5)
            assert point["loss_rest"] == pytest.approx(point["loss"] * 2 / 3, rel=1e-5)
    assert curves[0][0]["loss_third"] == pytest.approx(curves[1][0]["loss_third"], rel=1e-4)


def test_trainer_and_optimiser_are_gone_when_the_training_returns(tiny, tmp_path, monkeypatch):
    """They hold twice the weights in moments; nobody may have to wait for the collector."""
    made = []
    create = training._Trainer.create_optimizer

    def watched(self, *args):
        optimizer = create(self, *args)
        made.extend([weakref.ref(optimizer), weakref.ref(self)])
        return optimizer

    monkeypatch.setattr(training._Trainer, "create_optimizer", watched)
    gc.disable()
    try:
        fit_sft(tiny, make(checkpoint_every=2), tmp_path)
    finally:
        gc.enable()
    assert len(made) == 2 and all(reference() is None for reference in made)
    assert all(parameter.grad is None for parameter in tiny.network.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_evaluation_reads_what_the_final_scores_are_of(tmp_path, dtype):
    """With LoRA too: the adapter is merged for an evaluation just as it is at the end, bit for bit."""
    model, seen = fresh(), []

    def evaluate(step, so_far):
        read = model.in_dtype(dtype)
        assert not read.has_adapter and model.has_adapter
        seen.append(weights(read))
        return Evaluation(0.0)

    fit_sft(model, make(lora=4, max_steps=3, eval_every=1), tmp_path, evaluate=evaluate)
    assert torch.equal(seen[-1], weights(model.in_dtype(dtype))) and not torch.equal(seen[0], seen[-1])


def test_a_checkpoint_without_its_marker_is_passed_over(tmp_path):
    fit_sft(fresh(), make(checkpoint_every=2), tmp_path)
    newest = last_checkpoint(tmp_path)
    assert newest.name == "checkpoint-4" and [p.name for p in tmp_path.glob("checkpoint-*")] == [newest.name]
    (newest / COMPLETE).unlink()
    assert last_checkpoint(tmp_path) is None
