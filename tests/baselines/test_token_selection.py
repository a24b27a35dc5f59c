"""TIP's scores by hand, and that a step is trained on the kept tokens alone; exposure of the gold text."""

import pytest
import torch

from baselines.opsd import exposed
from baselines.token_selection import masked, token_scores
from mixsd.core.errors import SettingError
from mixsd.methods.contract import Step
from tests.helpers.fakes import FakeTask, MemoryBench
from tests.helpers.training import TASK, fit, weights


def test_scores_of_four_tokens_by_hand():
    entropies = [torch.tensor([0.0, 0.5]), torch.tensor([1.0, 0.25])]
    distances = [torch.tensor([4.0, 0.0]), torch.tensor([2.0, 1.0])]
    # The 0.98 quantile of 0, 0.25, 0.5, 1 lies 0.94 of the way from 0.5 to 1.
    top = 0.5 + 0.94 * 0.5
    h, d = [0.0, 0.5 / top, 1.0, 0.25 / top], [1.0, 0.0, 0.5, 0.25]
    wanted = {
        "entropy": h,
        "soft_or": [a + b - a * b for a, b in zip(h, d, strict=True)],
        "q3": [(1 - a) * b for a, b in zip(h, d, strict=True)],
    }
    for kind, values in wanted.items():
        found = token_scores(kind, entropies, distances)
        assert [len(part) for part in found] == [2, 2]
        assert torch.cat(found).tolist() == pytest.approx(values)


def test_where_all_are_alike_nobody_stands_out():
    alike = [torch.full((3,), 0.7)]
    assert token_scores("soft_or", alike, alike)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("scores", "keep", "wanted"),
    [
        ([0.1, 0.9, 0.5, 0.7], 0.5, (0, 2)),
        ([0.3, 0.3, 0.3, 0.3], 0.5, (2, 3)),  # ties: the earlier stay
        ([0.1, 0.9], 0.2, (0,)),  # never none
        ([0.4], 0.01, ()),
        ([0.1, 0.2, 0.3], 0.99, (0,)),
    ],
)
def test_the_largest_scores_stay(scores, keep, wanted):
    assert masked(torch.tensor(scores), keep) == wanted


@pytest.fixture
def chosen(build, tiny):
    """The examples of a first step, with these settings."""
    tiny.keep_base_copy("float32")

    def of(*settings: str):
        method = build("opsd", "method.rollouts=3", *settings)
        facts = method.prepare(FakeTask(3).facts, tiny, MemoryBench()).examples
        return method.step_examples(Step(1, facts, []), tiny)

    return of


@pytest.mark.parametrize("score", ["entropy", "soft_or", "q3", "random"])
def test_a_share_of_each_answer_stays(chosen, score):
    found = chosen("method.keep=0.5", f"method.score={score}")
    assert all(example.trained_tokens == max(1, len(example.target_ids) // 2) for example in found)
    assert [e.target_ids for e in found] == [e.target_ids for e in chosen()], "the answers are the same"
    assert found == chosen("method.keep=0.5", f"method.score={score}")


def test_the_control_keeps_other_tokens_than_the_scores(chosen):
    kept = [[e.masked for e in chosen("method.keep=0.4", f"method.score={s}")] for s in ("soft_or", "random")]
    assert kept[0] != kept[1]


def test_what_is_kept_does_not_hang_on_micro_batches(build, tmp_path):
    settings = ("method.rollouts=2", "method.keep=0.5")
    sizes = [fit(build("opsd", *settings), tmp_path / str(size), micro_batch_size=size) for size in (1, 8)]
    apart = (weights(sizes[0][0]) - weights(sizes[1][0])).abs()
    assert float(apart.max()) < 3e-4 and float(apart.mean()) < 1e-6, "another token would move 1e-3 a step"
    assert len({report.trained_tokens for _, report, _ in sizes}) == 1
    whole = fit(build("opsd", "method.rollouts=2"), tmp_path / "whole")[1]
    assert sizes[0][1].trained_tokens < whole.trained_tokens


@pytest.mark.parametrize("teacher", ["live", "ema"])
def test_every_teacher_can_score(build, tmp_path, teacher):
    """A live teacher reads the expert prompt too, so it is not the student."""
    method = build("opsd", "method.rollouts=2", "method.keep=0.5", f"method.teacher={teacher}")
    _, report, _ = fit(method, tmp_path, max_steps=2)
    assert report.steps == 2


TEXT = "First add 2. Then double it! Is it even? The answer is 10."


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        (1.0, TEXT),
        (0.7, "First add 2. Then double it! The answer is 10."),
        (0.34, "First add 2. The answer is 10."),
        (0.0, "The answer is 10."),
    ],
)
def test_the_teacher_sees_the_first_sentences_and_always_the_answer(share, wanted):
    assert exposed(TEXT, share) == wanted
    assert exposed("It is 3.5 m.", share) == "It is 3.5 m."
    assert exposed("a\nb\nc", 0.5) == "a c"


def test_exposure_is_in_the_teachers_prompt_alone_and_reported(build, tiny):
    facts = [TASK.facts[0], *[f.__class__(f.id, f.question, TEXT) for f in TASK.facts[1:]]]
    whole, part = (
        build("opsd", *s).prepare(facts, tiny, MemoryBench()) for s in ((), ("method.exposure=0",))
    )
    assert part.report == {"shown_in_part": 1} and not whole.report
    same, other = zip(whole.examples, part.examples, strict=True)
    assert same[0] == same[1]
    assert other[0].prompt_ids == other[1].prompt_ids and len(other[1].teacher_ids) < len(
        other[0].teacher_ids
    )


def test_settings_that_change_nothing_are_no_part_of_the_run(build):
    assert build("opsd").inert == {"keep", "score", "exposure"}
    assert not build("opsd", "method.keep=0.5", "method.exposure=0.5").inert
    for override in ("method.keep=0", "method.score=best", "method.exposure=1.5"):
        with pytest.raises(SettingError, match=override.partition("=")[0]):
            build("opsd", override)
