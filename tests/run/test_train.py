from collections import Counter

import pytest
import torch

from baselines.sft import SFT
from mixsd.core.errors import SettingError
from mixsd.methods.contract import gold_example
from mixsd.run.train import Evaluation, TrainingSettings, schedule, train
from tests.helpers.fakes import FakeTask


def make(**changes):
    values = dict(
        learning_rate=3e-3,
        warmup_steps=0,
        max_steps=4,
        batch_size=4,
        micro_batch_size=4,
        weight_decay=0.0,
        betas=(0.9, 0.95),
        clip=1.0,
        dtype="float32",
        loss_average="token",
        eval_every=100,
        until_recall=None,
        max_trained_tokens=None,
        patience=None,
        lora=None,
        lora_alpha=32.0,
        interpolate=(),
        checkpoint_every=None,
        save_model=False,
    )
    return TrainingSettings(**{**values, **changes})


def gold(student, count=2):
    return [gold_example(fact, student) for fact in FakeTask(count, bool).facts]


def fit(student, settings, tmp_path, examples=None, evaluate=lambda *_: Evaluation(0.0), seed=0):
    curve = []
    report = train(
        SFT("sft"),
        student,
        examples if examples is not None else gold(student),
        settings,
        seed=seed,
        scratch=tmp_path,
        log=curve.append,
        evaluate=evaluate,
    )
    return report, curve


def weights(student):
    return torch.cat([parameter.detach().flatten() for parameter in student.network.parameters()])


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
    report, curve = fit(tiny, make(max_steps=200), tmp_path)
    losses = torch.cat(tiny.target_nll(gold(tiny), 2))
    assert losses.mean() < 0.05
    assert report.steps == 200 == len(curve) and curve[-1]["loss"] < 0.1 < curve[0]["loss"]
    tokens = sum(len(e.target_ids) for e in gold(tiny)) * 2 * 200
    assert report.trained_tokens == tokens == curve[-1]["trained_tokens"]


@pytest.mark.parametrize("average", ["token", "sequence"])
def test_accumulation_changes_neither_loss_nor_weights(tiny, tmp_path, average):
    from mixsd.lm import load as models
    from tests.conftest import settings

    examples = [gold_example(f, tiny) for f in FakeTask(12, bool).facts]  # unequal lengths
    _, whole = fit(tiny, make(loss_average=average, max_steps=3), tmp_path, examples)
    other = models.load(settings("tiny_random"), tmp_path)
    _, parts = fit(other, make(loss_average=average, max_steps=3, micro_batch_size=1), tmp_path, examples)
    assert [p["loss"] for p in parts] == pytest.approx([w["loss"] for w in whole], rel=1e-4)
    assert torch.allclose(weights(tiny), weights(other), atol=1e-4)


def test_first_loss_is_the_mean_nll_of_the_base_model(tiny, tmp_path):
    examples = gold(tiny, 4)
    expected = torch.cat(tiny.target_nll(examples, 4)).mean().item()
    _, curve = fit(tiny, make(max_steps=1), tmp_path, examples)
    assert curve[0]["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_same_seed_same_weights_and_masters_stay_float32(tiny, tmp_path, dtype):
    from mixsd.lm import load as models
    from tests.conftest import settings

    other = models.load(settings("tiny_random"), tmp_path)
    for student in (tiny, other):
        fit(student, make(dtype=dtype), tmp_path)
    assert torch.equal(weights(tiny), weights(other))
    assert tiny.network.dtype == torch.float32


def test_a_bf16_learning_rate_is_not_rounded_away(tiny, tmp_path):
    before = weights(tiny).clone()
    fit(tiny, make(dtype="bfloat16", learning_rate=1e-6, max_steps=1), tmp_path)
    moved = (weights(tiny) - before).abs()
    assert 0 < moved.max() < 1e-5


def test_no_steps_or_no_examples_change_nothing(tiny, tmp_path):
    before = weights(tiny).clone()
    assert fit(tiny, make(max_steps=0), tmp_path)[0].steps == 0
    assert fit(tiny, make(), tmp_path, examples=[])[0].stopped_by == "nothing to train"
    assert torch.equal(before, weights(tiny))


def test_evaluates_on_schedule_and_stops_at_the_goal(tiny, tmp_path):
    seen = []

    def evaluate(step, so_far):
        assert not tiny.network.training
        seen.append((step, so_far.trained_tokens))
        return Evaluation(step / 10, stop="until_recall" if step >= 6 else "")

    report, _ = fit(tiny, make(max_steps=20, eval_every=2), tmp_path, evaluate=evaluate)
    assert [step for step, _ in seen] == [2, 4, 6]
    assert (report.steps, report.stopped_by, report.recall) == (6, "until_recall", 0.6)
    seen.clear()
    report, _ = fit(tiny, make(max_steps=5, eval_every=2), tmp_path, evaluate=evaluate)
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
