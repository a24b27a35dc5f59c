"""From items to task, panel, ratio and gap, on made-up scores."""

from dataclasses import replace

import numpy as np
import pytest

from mixsd.core.errors import StoreError
from mixsd.core.scores import GENERATED, LIKELIHOOD
from mixsd.results.aggregate import effective_items, gap, paired, ratio, retention
from mixsd.results.stats import Cells, crossed, mcnemar, smallest_detectable, wilcoxon_p
from tests.helpers.made_runs import held_out, ones


def by_doc(reference, score):
    return {i: (float(a), float(b)) for i, (a, b) in enumerate(zip(reference, score, strict=True))}


def test_ratio_is_the_ratio_of_means():
    base = {"a": held_out(ones(80, 100)), "b": held_out(ones(40, 100))}
    tuned = {"a": held_out(ones(40, 100)), "b": held_out(ones(40, 100))}
    found = retention(base, tuned, {})
    panel = found.generated
    assert panel.base == pytest.approx(0.6) and panel.tuned == pytest.approx(0.4)
    assert panel.ratio == pytest.approx(0.4 / 0.6) == panel.above_chance
    low, high = panel.ratio_interval
    assert low < panel.ratio < high
    low, high = found.tasks["b"].interval
    assert found.tasks["a"].interval[1] < 0 and low == -high and 0 < high < 0.03, (
        "nothing changed, as far as 100 items tell"
    )
    assert found.tasks["a"].n == 100 and found.tasks["a"].discordance == 0.4


def test_ratio_above_chance_keeps_negatives_and_panels_are_apart():
    base = {"g": held_out(ones(50, 100)), "l": held_out(ones(75, 100), LIKELIHOOD, 0.5)}
    tuned = {"g": held_out(ones(50, 100)), "l": held_out(ones(40, 100), LIKELIHOOD, 0.5)}
    found = retention(base, tuned, {})
    assert found.generated.ratio == 1.0, "the headline is the generated panel"
    panel = found.likelihood
    assert panel.ratio == pytest.approx(0.4 / 0.75)
    assert panel.above_chance == pytest.approx(-0.2 / 0.5)
    low, high = panel.above_chance_interval
    assert low < -0.2 / 0.5 < high < 1, "corrected for chance, with its own interval"


@pytest.mark.parametrize(
    ("right", "chance", "included"), [(75, 0.5, True), (58, 0.5, False), (9, 0.0, False), (20, 0.0, True)]
)
def test_a_task_counts_only_if_the_base_is_clearly_above_chance(right, chance, included):
    kind = LIKELIHOOD if chance else GENERATED
    base, tuned = (held_out(ones(n, 100), kind, chance) for n in (right, 1))
    found = retention({"t": base}, {"t": tuned}, {})
    assert found.tasks["t"].included is included
    assert found.not_counted == (() if included else ("t",))


def test_contaminated_items_leave_both_sides():
    base, tuned = {"t": held_out([1, 1, 0, 1] * 10)}, {"t": held_out([0, 1, 0, 1] * 10)}
    found = retention(base, tuned, {"t": set(range(0, 40, 4))})
    assert found.tasks["t"].n == 30 and found.generated.ratio == 1.0
    assert found.excluded_items == found.tasks["t"].excluded_items == 10


def test_other_documents_are_never_paired():
    scores = held_out([1, 0])
    other = replace(scores, items=(scores.items[0], replace(scores.items[1], question="another question")))
    with pytest.raises(StoreError, match="different documents"):
        retention({"t": scores}, {"t": other}, {})


def test_the_same_question_in_a_template_that_prints_the_date_is_the_same():
    def on(day):
        items = (
            replace(item, prompt=f"Today is {day}. Why?", question="Why?") for item in held_out([1, 0]).items
        )
        return replace(held_out([1, 0]), items=tuple(items))

    assert retention({"t": on("1 May")}, {"t": on("2 May")}, {}).tasks["t"].n == 2


def test_few_items_have_no_interval_and_no_tasks_no_ratio():
    few = retention({"t": held_out(ones(9, 10))}, {"t": held_out(ones(9, 10))}, {})
    task = few.tasks["t"]
    assert (task.interval, task.p, task.p_holm) == (None, None, None)
    panel = few.generated
    assert (panel.ratio, panel.ratio_interval, panel.delta_interval) == (1.0, None, None)
    assert retention({}, {}, {}).generated.ratio is None


def test_a_task_that_is_contaminated_throughout_counts_nowhere():
    scores = {"t": held_out(ones(9, 10))}
    found = retention(scores, scores, {"t": set(range(10))})
    task = found.tasks["t"]
    assert (task.n, task.included, task.base, task.detectable) == (0, False, None, None)


def test_identical_scores_have_an_interval_of_one():
    scores = {"t": held_out(ones(60, 100))}
    panel = retention(scores, scores, {}).generated
    assert panel.ratio == 1.0 and np.allclose(panel.ratio_interval, 1.0)
    assert panel.delta_interval[0] == -panel.delta_interval[1] < 0


def test_the_test_of_a_task_goes_by_its_own_scores():
    """A task of fractions changes nothing for one of right and wrong answers beside it."""
    base = {"right": held_out(ones(60, 100)), "parts": held_out([0.5] * 40)}
    tuned = {"right": held_out(ones(50, 100)), "parts": held_out([0.25] * 20 + [0.75] * 20)}
    both = retention(base, tuned, {})
    alone = retention({"right": base["right"]}, {"right": tuned["right"]}, {})
    assert both.tasks["right"].interval == alone.tasks["right"].interval
    assert both.tasks["right"].p == mcnemar(0, 10)
    gaps = np.array([-0.25] * 20 + [0.25] * 20)
    assert both.tasks["parts"].p == pytest.approx(wilcoxon_p(gaps))
    low, high = both.tasks["parts"].interval
    assert low < 0 < high and high - low > 0.1


def test_items_that_all_agree_are_no_certainty_where_another_task_has_fractions():
    base = {"right": held_out(ones(15, 30)), "parts": held_out([0.5] * 30)}
    tuned = {"right": held_out(ones(15, 30)), "parts": held_out([0.5] * 29 + [1.0])}
    low, _ = retention(base, tuned, {}).generated.delta_interval
    assert low < -0.02, "30 items of each cannot show that nothing was lost"


def test_fractions_of_one_task_leave_the_interval_of_another_as_it_is():
    right = paired([by_doc(ones(60, 100), ones(50, 100))])
    parts = paired([by_doc([0.5] * 40, [0.25] * 20 + [1.0] * 20)])
    kinds = [Cells(right.score - right.reference, True), Cells(parts.score - parts.reference, False)]
    assert gap([right, parts]).interval == crossed(kinds).interval()


def test_gap_interval_p_and_detectable_size_are_of_the_same_mean_over_tasks():
    large = by_doc(ones(700, 1400), ones(620, 1400))
    small = by_doc(ones(10, 30), ones(22, 30))
    found = gap([paired([large]), paired([small])])
    assert found.mean == pytest.approx((-80 / 1400 + 12 / 30) / 2)
    low, high = found.interval
    assert low < found.mean < high and (low > 0) == (found.p < 0.05)
    assert found.items == 1430
    assert found.detectable == smallest_detectable(effective_items([1400, 30]))
    assert effective_items([100]) == pytest.approx(100) and effective_items([100, 100]) == pytest.approx(200)
    assert effective_items([1400, 30]) < 120, "the small task decides how much the mean can show"


def test_seeds_that_change_nothing_say_as_much_as_one():
    one = by_doc(ones(30, 60), ones(40, 60))
    found, alone = gap([paired([one] * 5)]), gap([paired([one])])
    assert found == alone and found.seeds == 1


def test_seeds_whose_means_do_not_vary_make_no_claim():
    rows = [by_doc([0] * 60, np.roll(ones(20, 60), shift)) for shift in range(5)]
    found = gap([paired(rows)])
    assert found.seeds == 5 and found.p is None


def test_five_seeds_have_a_p_of_seeds_and_items_and_two_have_none():
    rng = np.random.default_rng(0)
    rows = [by_doc(np.zeros(60), rng.random(60) < 0.3 + 0.02 * seed) for seed in range(5)]
    found = gap([paired(rows)])
    assert found.seeds == 5 and found.p < 0.01 and found.interval[0] > 0
    assert gap([paired(rows[:2])]).p is None
    wide = found.interval[1] - found.interval[0]
    means = [np.mean([b for _, b in row.values()]) for row in rows]
    assert wide > 2 * 2.776 * np.std(means, ddof=1) / 5**0.5, "wider than t over seeds: items are drawn too"


def test_documents_are_lined_up_by_their_number():
    pair = paired([{3: (1.0, 0.0), 1: (0.0, 1.0)}, {1: (0.0, 0.0)}])
    assert pair.items == 2 and pair.score.tolist()[0] == [1.0, 0.0] and np.isnan(pair.score[1, 1])


def test_a_ratio_over_seeds_is_crossed():
    base = ones(48, 60)
    rows = [by_doc(base, ones(30 + 2 * seed, 60)) for seed in range(5)]
    value, (low, high) = ratio([paired(rows)])
    assert value == pytest.approx(np.mean([30, 32, 34, 36, 38]) / 48) and low < value < high
    one, (one_low, one_high) = ratio([paired(rows[2:3])])
    assert one == pytest.approx(value)
    assert high - low > 0.9 * (one_high - one_low), "five seeds do not narrow what the items allow"
    assert ratio([]) == (None, None) and ratio([paired([by_doc([0] * 30, [1] * 30)])]) == (None, None)
