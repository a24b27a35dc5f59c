from dataclasses import replace

import pytest
import torch

from mixsd.core.errors import SettingError
from mixsd.mixing.mixsd import MixSD
from mixsd.mixing.targets import Target, make_targets, summarize
from tests.helpers.fakes import FakeTask, MemoryBench, MemoryRecords, even, graded_by
from tests.helpers.mixing import BUDGET, mix, mixsd


@pytest.fixture
def student(tiny):
    """Random bytes, but ending often enough that replies end within the budget."""
    with torch.no_grad():
        tiny.network.lm_head.weight[tiny.end_id] *= 14
    return tiny


@pytest.fixture(autouse=True)
def graded(monkeypatch):
    """About half of what a random model says passes."""
    monkeypatch.setattr("mixsd.mixing.targets.grade", graded_by(even))


def run(facts, student, settings, done=None, batch_size=4):
    return make_targets(
        facts,
        student,
        settings,
        max_new_tokens=BUDGET,
        batch_size=batch_size,
        done=done or MemoryRecords(),
        on_finished=lambda _: None,
    )


def test_targets_pass_the_grader_or_say_why_not(student):
    targets = run(FakeTask(12).facts, student, mix())
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
    whole = run(FakeTask(9).facts, student, mix())
    other = run(FakeTask(9).facts, student, mix(), batch_size=batch_size)
    assert whole == other
    assert run(FakeTask(9).facts[5:][::-1], student, mix()) == whole[5:][::-1]


def test_a_unit_of_bf16_that_was_interrupted_is_written_again_whole(student):
    """What shares a batch changes bits there, so the facts that were finished stand beside the others again."""
    model, facts, done = student.in_dtype("bfloat16"), FakeTask(40).facts, MemoryRecords()
    whole = run(facts, model, mix(), done)
    half = MemoryRecords()
    half.records = dict(list(done.records.items())[::2])
    before = dict(half.records)
    assert run(facts, model, mix(), half) == whole
    assert half.records == done.records and before.items() <= half.records.items()


def test_resume_gives_the_same_targets_and_decodes_only_what_is_missing(student):
    done = MemoryRecords()
    whole = run(FakeTask(8).facts, student, mix(), done)
    half = MemoryRecords()
    half.records = dict(list(done.records.items())[:4])
    assert run(FakeTask(8).facts, student, mix(), half) == whole
    assert half.records == done.records
    student.network = None  # nothing is left to decode
    assert run(FakeTask(8).facts, student, mix(), done) == whole


@pytest.mark.parametrize(("rate", "attempts"), [(0.0, 1), (1.0, 1), (0.5, 4)])
def test_retries_stop_when_nothing_can_change(student, monkeypatch, rate, attempts):
    monkeypatch.setattr("mixsd.mixing.targets.grade", graded_by(lambda _: False))
    targets = run(FakeTask(3).facts, student, mix(mixing_rate=rate, temperature=0.0))
    assert {len(target.rejections) for target in targets} == {attempts}


def test_truncated_never_passes(tiny):
    tiny.end_ids = frozenset()
    targets = run(FakeTask(4).facts, tiny, mix())
    assert all(set(target.rejections) == {"truncated"} and not target.passed for target in targets)


@pytest.mark.parametrize(("policy", "kept"), [("drop", 0), ("gold", 5), ("keep_last", 5)])
def test_failure_policy(student, monkeypatch, policy, kept):
    monkeypatch.setattr("mixsd.mixing.targets.grade", graded_by(lambda _: False))
    facts = FakeTask(5).facts
    made = mixsd(on_failure=policy).prepare(facts, student, MemoryBench())
    assert len(made.examples) == kept and len(made.dropped) == 5 - kept
    assert made.report["pass_rate"] == 0
    if policy == "gold":
        assert [e.text for e in made.examples] == [f.gold_text for f in facts]
        assert set("".join(e.provenance for e in made.examples)) == {"g"}
    if policy == "keep_last":
        assert {e.attempt for e in made.examples} == {3}


def test_changed_settings_never_reuse_old_targets(student):
    bench, facts = MemoryBench(), FakeTask(3).facts
    for changes in ({}, {"seed": 1}, {"mixing_rate": 0.4}, {"max_attempts": 2}, {"reject": ()}):
        mixsd(**changes).prepare(facts, student, bench)
    assert len(bench.files) == 5
    mixsd().prepare(facts, student, bench)
    mixsd(decode_batch_size=2).prepare(facts, student, bench)
    assert len(bench.files) == 5, "in float32 the batch size changes nothing"
    mixsd(decode_dtype="bfloat16", decode_batch_size=2).prepare(facts, student, bench)
    mixsd(decode_dtype="bfloat16", decode_batch_size=3).prepare(facts, student, bench)
    assert len(bench.files) == 7


def test_summary_counts():
    targets = [
        Target("a", (5, 2), "ne", "x", 0, (), True, 2),
        Target("b", (5, 2), "ae", "x", 2, ("wrong", "context_reference"), True, 6),
        Target("c", (5, 5), "ee", "x", 1, ("wrong", "truncated"), False, 4),
    ]
    facts = [replace(fact, id=name) for fact, name in zip(FakeTask(3).facts, "abc", strict=True)]
    report = summarize(targets, facts, mix(mixing_rate=1.0))
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
        ({"reject": ("nonsense",)}, "method.reject=nonsense"),
        ({"on_failure": "dorp"}, "did you mean drop"),
        ({"decode_dtype": "float16"}, "method.decode_dtype"),
        ({"expert_wording": "x"}, "method.expert_wording"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(SettingError, match=message):
        mixsd(**changes)


def test_the_verifier_is_the_grader_of_probes(student, monkeypatch):
    """Nothing but `grade` decides, and it is asked about the question that is trained."""
    asked = []

    def grade(reply, question, *, ended):
        asked.append(question)
        return graded_by(lambda _: True)(reply, question, ended=ended)

    monkeypatch.setattr("mixsd.mixing.targets.grade", grade)
    facts = FakeTask(3).facts
    run(facts, student, mix())
    assert {question.prompt for question in asked} == {fact.question.prompt for fact in facts}
    assert all(question in [fact.question for fact in facts] for question in asked)


def test_the_experts_replies_are_decoded_only_where_they_are_asked_for(student):
    facts, bench = FakeTask(3).facts, MemoryBench()
    made = mixsd(contrast=False).prepare(facts, student, bench)
    assert made.contrasts == {} and len(bench.files) == 1
    made = mixsd().prepare(facts, student, bench)
    assert set(made.contrasts) == {"expert"} and len(bench.files) == 1, "not before they are asked for"
    replies = made.contrasts["expert"]()
    assert [reply.fact_id for reply in replies] == [fact.id for fact in facts] and len(bench.files) == 2
    assert mixsd(mixing_rate=0.0).prepare(facts, student, bench).contrasts == {}


def test_the_defaults_are_the_papers():
    made = MixSD("mixsd")
    assert (made.mixing_rate, made.temperature, made.max_attempts, made.on_failure) == (0.3, 0.0, 11, "drop")
