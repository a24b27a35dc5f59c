"""The arithmetic of retention on made-up scores."""

import numpy as np
import pytest

from mixsd.core.errors import StoreError
from mixsd.results.aggregate import GENERATED, LIKELIHOOD, TaskScores, summarize


def scores(values, kind=GENERATED, chance=0.0):
    items = [
        {"doc_id": i, "score": float(v), "outcome": "correct" if v else "wrong", "prompt": "", "text": ""}
        for i, v in enumerate(values)
    ]
    return TaskScores("acc", kind, chance, items)


def ones(right, total):
    return [1] * right + [0] * (total - right)


def test_ratio_is_the_ratio_of_means():
    base = {"a": scores(ones(80, 100)), "b": scores(ones(40, 100))}
    tuned = {"a": scores(ones(40, 100)), "b": scores(ones(40, 100))}
    result = summarize(base, tuned, {})
    assert result["base_mean"] == pytest.approx(0.6) and result["tuned_mean"] == pytest.approx(0.4)
    assert result["ratio"] == pytest.approx(0.4 / 0.6) == result["ratio_above_chance"]
    low, high = result["ci"]
    assert low < result["ratio"] < high
    low, high = result["tasks"]["b"]["ci"]
    assert result["tasks"]["a"]["ci"][1] < 0 and low == -high and 0 < high < 0.03, (
        "nothing changed, as far as 100 items tell"
    )
    assert result["tasks"]["a"]["n"] == 100 and result["tasks"]["a"]["discordance"] == 0.4


def test_ratio_above_chance_keeps_negatives_and_panels_are_apart():
    base = {"g": scores(ones(50, 100)), "l": scores(ones(75, 100), LIKELIHOOD, 0.5)}
    tuned = {"g": scores(ones(50, 100)), "l": scores(ones(40, 100), LIKELIHOOD, 0.5)}
    result = summarize(base, tuned, {})
    assert result["ratio"] == 1.0, "the headline is the generated panel"
    assert result["panels"][LIKELIHOOD]["ratio"] == pytest.approx(0.4 / 0.75)
    panel = result["panels"][LIKELIHOOD]
    assert panel["ratio_above_chance"] == pytest.approx(-0.2 / 0.5)
    low, high = panel["above_chance_ci"]
    assert low < -0.2 / 0.5 < high < 1, "corrected for chance, with its own interval"


@pytest.mark.parametrize(
    ("right", "chance", "included"), [(75, 0.5, True), (58, 0.5, False), (9, 0.0, False), (20, 0.0, True)]
)
def test_a_task_counts_only_if_the_base_is_clearly_above_chance(right, chance, included):
    kind = LIKELIHOOD if chance else GENERATED
    result = summarize(
        {"t": scores(ones(right, 100), kind, chance)}, {"t": scores(ones(1, 100), kind, chance)}, {}
    )
    assert result["tasks"]["t"]["included"] is included
    assert result["excluded"]["tasks"] == ([] if included else ["t"])


def test_contaminated_items_leave_both_sides():
    base, tuned = {"t": scores([1, 1, 0, 1] * 10)}, {"t": scores([0, 1, 0, 1] * 10)}
    skip = {"t": set(range(0, 40, 4))}
    result = summarize(base, tuned, skip)
    assert result["tasks"]["t"]["n"] == 30 and result["ratio"] == 1.0
    assert result["excluded"]["items"] == 10


def test_other_documents_are_never_paired():
    base, tuned = {"t": scores([1, 0])}, {"t": scores([1, 0])}
    tuned["t"].items[1]["prompt"] = "another question"
    with pytest.raises(StoreError, match="different documents"):
        summarize(base, tuned, {})


def test_the_same_question_in_a_template_that_prints_the_date_is_the_same():
    base, tuned = {"t": scores([1, 0])}, {"t": scores([1, 0])}
    for side, day in ((base, "1 May"), (tuned, "2 May")):
        for item in side["t"].items:
            item |= {"prompt": f"Today is {day}. Why?", "question": "Why?"}
    assert summarize(base, tuned, {})["tasks"]["t"]["n"] == 2


def test_few_items_have_no_interval_and_no_tasks_no_ratio():
    assert summarize({"t": scores(ones(9, 10))}, {"t": scores(ones(9, 10))}, {})["tasks"]["t"]["ci"] is None
    assert summarize({}, {}, {})["ratio"] is None
    few = summarize({"t": scores(ones(9, 10))}, {"t": scores(ones(9, 10))}, {})
    assert (few["ratio"], few["ci"], few["delta_ci"]) == (1.0, None, None)


def test_identical_scores_have_an_interval_of_one():
    values = ones(60, 100)
    result = summarize({"t": scores(values)}, {"t": scores(values)}, {})
    assert result["ratio"] == 1.0 and np.allclose(result["ci"], 1.0)
    assert result["delta_ci"][0] == -result["delta_ci"][1] < 0
