from dataclasses import replace

import pytest
import torch

from mixsd.core.errors import SettingError
from mixsd.mixing.mixsd import MixSD
from mixsd.mixing.targets import MixSettings, Target, make_targets, summarize
from tests.helpers.fakes import FakeTask, MemoryBench, MemoryRecords


def mix(**changes):
    values = dict(
        mixing_rate=0.5,
        temperature=1.0,
        top_k=None,
        max_attempts=4,
        reject=("context_reference",),
        expert_wording="answer",
        seed=0,
    )
    return MixSettings(**{**values, **changes})


def method(**changes):
    values = dict(
        name="mixsd",
        mixing_rate=0.5,
        temperature=1.0,
        top_k=None,
        max_attempts=4,
        on_failure="drop",
        reject=["context_reference"],
        expert_wording="answer",
        decode_dtype="float32",
        decode_batch_size=4,
        targets=None,
        seed=0,
    )
    return MixSD(**{**values, **changes})


@pytest.fixture
def student(tiny):
    """Random bytes, but ending often enough that replies end within the budget."""
    with torch.no_grad():
        tiny.network.lm_head.weight[tiny.end_id] *= 14
    return tiny


def even(text):
    return len(text) % 2 == 0


def run(task, student, settings, done=None, batch_size=4):
    return make_targets(
        task,
        student,
        settings,
        batch_size=batch_size,
        done=done or MemoryRecords(),
        on_finished=lambda _: None,
    )


def test_targets_pass_the_grader_or_say_why_not(student):
    targets = run(FakeTask(12, even), student, mix())
    assert {target.passed for target in targets} == {True, False}, "the test needs both"
    for target in targets:
        assert len(target.ids) == len(target.provenance)
        assert len(target.rejections) == target.attempt + (not target.passed)
        if target.passed:
            assert even(target.text) and target.ids[-1] == student.end_id
        else:
            assert target.attempt == 3 and set(target.rejections) <= {"wrong", "truncated"}
        assert target.decoded >= len(target.ids) + len(target.rejections) - (not target.passed)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_same_targets_for_every_batch_size_and_subset(student, batch_size):
    whole = run(FakeTask(9, even), student, mix())
    other = run(FakeTask(9, even), student, mix(), batch_size=batch_size)
    assert whole == other
    part = FakeTask(9, even)
    part.facts = part.facts[5:][::-1]
    assert run(part, student, mix()) == whole[5:][::-1]


def test_resume_gives_the_same_targets_and_decodes_only_what_is_missing(student):
    done = MemoryRecords()
    whole = run(FakeTask(8, even), student, mix(), done)
    half = MemoryRecords()
    half.records = dict(list(done.records.items())[:4])
    assert run(FakeTask(8, even), student, mix(), half) == whole
    assert half.records == done.records
    student.network = None  # nothing is left to decode
    assert run(FakeTask(8, even), student, mix(), done) == whole


@pytest.mark.parametrize(("rate", "attempts"), [(0.0, 1), (1.0, 1), (0.5, 4)])
def test_retries_stop_when_nothing_can_change(student, rate, attempts):
    never = FakeTask(3, lambda _: False)
    targets = run(never, student, mix(mixing_rate=rate, temperature=0.0))
    assert {len(target.rejections) for target in targets} == {attempts}


def test_truncated_never_passes(tiny):
    tiny.end_ids = frozenset()
    targets = run(FakeTask(4, lambda _: True), tiny, mix())
    assert all(set(target.rejections) == {"truncated"} and not target.passed for target in targets)


@pytest.mark.parametrize(("policy", "kept"), [("drop", 0), ("gold", 5), ("keep_last", 5)])
def test_failure_policy(student, policy, kept):
    task = FakeTask(5, lambda _: False)
    made = method(on_failure=policy).prepare(task, student, MemoryBench())
    assert len(made.examples) == kept and len(made.dropped) == 5 - kept
    assert made.report["pass_rate"] == 0
    if policy == "gold":
        assert [e.text for e in made.examples] == [f.gold_text for f in task.facts]
        assert set("".join(e.provenance for e in made.examples)) == {"g"}
    if policy == "keep_last":
        assert {e.attempt for e in made.examples} == {3}


def test_changed_settings_never_reuse_old_targets(student):
    bench, task = MemoryBench(), FakeTask(3, even)
    for changes in ({}, {"seed": 1}, {"mixing_rate": 0.4}, {"max_attempts": 2}, {"reject": []}):
        method(**changes).prepare(task, student, bench)
    assert len(bench.files) == 5
    method().prepare(task, student, bench)
    method(decode_batch_size=2).prepare(task, student, bench)
    assert len(bench.files) == 5, "in float32 the batch size changes nothing"
    method(decode_dtype="bfloat16", decode_batch_size=2).prepare(task, student, bench)
    method(decode_dtype="bfloat16", decode_batch_size=3).prepare(task, student, bench)
    assert len(bench.files) == 7


def test_summary_counts():
    targets = [
        Target("a", (5, 2), "ne", "x", 0, (), True, 2),
        Target("b", (5, 2), "ae", "x", 2, ("wrong", "context_reference"), True, 6),
        Target("c", (5, 5), "ee", "x", 1, ("wrong", "truncated"), False, 4),
    ]
    task = FakeTask(3, bool)
    task.facts = [replace(fact, id=name) for fact, name in zip(task.facts, "abc", strict=True)]
    report = summarize(targets, task, mix(mixing_rate=1.0))
    assert report["pass_rate"] == pytest.approx(2 / 3) and report["pass_rate_first"] == pytest.approx(1 / 3)
    assert report["agreed_fraction"] == 0.25 and report["unsupported"] == 0
    assert report["naive_fraction"] == 1.0 and report["passed_at_attempt"] == {"0": 1, "2": 1}
    assert report["rejections"] == {"context_reference": 1, "truncated": 1, "wrong": 2}
    assert report["unsolved"] == {"truncated": 1}


def test_json_round_trip():
    target = Target("a", (5, 2), "ne", "x", 1, ("wrong",), True, 4)
    assert Target.from_json(target.to_json()) == target


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixing_rate": 1.2}, "method.mixing_rate=1.2.*0 to 1"),
        ({"mixing_rate": -0.1}, "method.mixing_rate"),
        ({"max_attempts": 0}, "method.max_attempts"),
        ({"temperature": -1.0}, "method.temperature"),
        ({"reject": ["nonsense"]}, "method.reject=nonsense"),
        ({"on_failure": "dorp"}, "did you mean drop"),
        ({"decode_dtype": "float16"}, "method.decode_dtype"),
        ({"expert_wording": "x"}, "method.expert_wording"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(SettingError, match=message):
        method(**changes)
