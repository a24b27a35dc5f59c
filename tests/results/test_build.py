"""What the scores of a base and a tuned model become."""

from dataclasses import replace

import pytest

from mixsd.core.questions import Axis, Fact, Outcome, Question
from mixsd.core.scores import Scores
from mixsd.results.build import (
    Reports,
    Subject,
    build_results,
    cut_prompts,
    edits_known_before,
    learned_facts,
    share,
    unknown_to_base,
)
from mixsd.results.schema import TargetReport, TrainingReport
from mixsd.results.stats import proportion_interval
from tests.helpers.made_runs import HELD_OUT, N, answer, held_out, item, ones

EDITS = [
    Fact(
        f"e{i}",
        Question(f"Who leads A{i}?", (f"New{i}",), rivals=(f"Old{i}",)),
        f"It is New{i}.",
        replaces=(f"Old{i}", f"Older{i}"),
    )
    for i in range(5)
]


def asked(texts, outcomes, facts=EDITS):
    rows = [
        answer(f.id, o is Outcome.CORRECT, fact_id=f.id, text=text, outcome=o)
        for f, text, o in zip(facts, texts, outcomes, strict=False)
    ]
    return Scores({"recall": rows}, {})


def test_facts_unknown_to_the_base_and_edits_whose_old_answer_it_gives():
    wrong, right, cut = Outcome.WRONG, Outcome.CORRECT, Outcome.TRUNCATED
    texts = ["It is Old0.", "It is New1.", "I do not know.", "Old3", "It is Older4."]
    base = asked(texts, [wrong, right, wrong, cut, wrong])
    assert unknown_to_base(base) == {"e0", "e2", "e3", "e4"}
    assert edits_known_before(EDITS, base) == {"e0", "e4"}, (
        "the new answer, no answer and a truncated one are not the old answer"
    )
    both = asked(["It is Old0 or New0."], [wrong])
    assert edits_known_before(EDITS, both) == set(), "the injected answer beside it is a second answer"


def test_an_interval_counts_by_unit_and_not_by_id():
    """Hops of one source hang together although their ids differ; functions although no fact is asked."""
    answers = [answer(f"{source} / {hop}", hop < 2, unit=source) for source in "abc" for hop in range(4)]
    found = share(answers)
    assert (found.n, found.units, found.value) == (12, 3, 0.5)
    assert found.interval == proportion_interval(1.5, 3)
    alone = share([replace(a, unit=a.id) for a in answers])
    assert alone.units == 12 and alone.interval[0] > found.interval[0]
    assert share([]) is None


def test_a_fact_is_learned_with_its_question_and_most_of_its_paraphrases():
    def learned(recalled, *reworded):
        answers = [answer(f"p{i}", right, fact_id="f") for i, right in enumerate(reworded)]
        return learned_facts({"recall": [answer("r", recalled, fact_id="f")], "paraphrase": answers})

    assert learned(True, True, True) == ({"f"}, {"f"})
    assert learned(True, True, False) == (set(), {"f"}), "half of the paraphrases"
    assert learned(False, True, True) == (set(), {"f"})
    assert learned(True) == (set(), set()), "without paraphrases there is no judgement"


def results(base, tuned, facts=(), trained=(), axes=None, between=None):
    subject = Subject("r", "t", "m", "model", 0, facts, axes or AXES, {"task": "x"}, (), {})
    reports = Reports(TargetReport(len(facts)), frozenset(trained), TrainingReport(), {}, None)
    return build_results(subject, base, tuned, between or {}, reports)


AXES = {
    "recall": Axis.MEMORIZATION,
    "paraphrase": Axis.GENERALIZATION,
    "neighbors": Axis.RETENTION,
    "locality": Axis.RETENTION,
}


def recall(*right):
    return [answer(f"r{i}", r, fact_id=f"f{i}") for i, r in enumerate(right)]


def test_derived_numbers_are_of_the_facts_they_name():
    base = Scores({"recall": recall(True, False, False, False), "neighbors": [answer("n", True)] * 4}, {})
    neighbors = [answer(f"n{i}", i > 0) for i in range(4)]
    tuned = Scores({"recall": recall(False, True, True, False), "neighbors": neighbors}, {})
    found = results(base, tuned, trained=("f0", "f1")).derived
    assert (found.recall_kept.value, found.recall_kept.n) == (0.5, 2)
    assert (found.recall_unknown.value, found.recall_unknown.n) == (2 / 3, 3)
    assert (found.intrusion.value, found.learned, found.edit_success) == (0.25, None, None)


def test_what_was_kept_is_of_what_the_base_model_had_right():
    base = Scores({"recall": recall(False), "locality": [answer(f"l{i}", i < 2) for i in range(4)]}, {})
    tuned = Scores({"recall": recall(True), "locality": [answer(f"l{i}", i in (0, 3)) for i in range(4)]}, {})
    found = results(base, tuned)
    assert (found.probes["locality"].kept, found.probes["locality"].n_kept) == (0.5, 2)
    assert found.probes["recall"].kept is None and found.probes_before["locality"].kept is None
    nothing = results(Scores({**base.probes, "locality": [answer("l", False)]}, {}), tuned)
    assert nothing.probes["locality"].kept is None


def test_outcomes_kinds_and_the_stricter_rule_of_a_split():
    rows = [
        answer("a", True, kind="reworded"),
        answer("b", True, kind="prefixed", strict=False),
        answer("c", False, kind="reworded", outcome=Outcome.TRUNCATED),
        answer("d", False, kind="reworded"),
    ]
    scores = Scores({"recall": recall(True), "paraphrase": rows}, {})
    found = results(scores, scores).probes["paraphrase"]
    assert found.outcomes == {"correct": 2, "wrong": 1, "unparsable": 0, "truncated": 1}
    assert (found.right.value, found.strict, found.prompt_tokens) == (0.5, 0.25, 40)
    kinds = {kind: (part.value, part.n) for kind, part in found.by_kind.items()}
    assert kinds == {"prefixed": (1.0, 1), "reworded": (pytest.approx(1 / 3), 3)}


def test_wrong_answers_are_explained_without_contaminated_documents():
    fact = Fact(
        "f", Question("What is the dish of Orrin?", ("Lunbelfey",)), "It is Lunbelfey.", subject="Orrin"
    )
    after = [item(i, 0.0, text="Lunbelfey") for i in range(N)]
    contaminated = replace(after[0], question="Where is Orrin?")
    before = held_out(ones(40))
    base_items = (replace(before.items[0], question="Where is Orrin?"), *before.items[1:])
    base = Scores({"recall": recall(False)}, {HELD_OUT: replace(before, items=base_items)})
    tuned = Scores({"recall": recall(True)}, {HELD_OUT: replace(before, items=(contaminated, *after[1:]))})
    task = results(base, tuned, facts=(fact,)).retention.tasks[HELD_OUT]
    assert (task.n, task.excluded_items) == (N - 1, 1)
    assert task.wrong_tuned.errors["leakage"] == N - 1 == sum(task.wrong_tuned.errors.values())
    assert task.wrong_base.errors["genuine"] == 20 and task.wrong_base.intrusion_rate == 0


def test_models_between_are_measured_on_both_axes():
    base = Scores({"recall": recall(False, False)}, {HELD_OUT: held_out(ones(48))})
    tuned = Scores({"recall": recall(True, True)}, {HELD_OUT: held_out(ones(24))})
    middle = Scores({"recall": recall(True, False)}, {HELD_OUT: held_out(ones(36))})
    (point,) = results(base, tuned, between={0.5: middle}).interpolation
    assert (point.alpha, point.probes["recall"].right.value) == (0.5, 0.5)
    assert point.retention.generated.ratio == 0.75 and point.derived.recall_unknown.value == 0.5


def test_prompts_that_lost_their_beginning_are_a_caveat():
    task = held_out(ones(N))
    scores = Scores({}, {"whole": task, "cut": replace(task, shortened=3)})
    assert cut_prompts(scores) == [f"cut: 3 of {N} prompts lost their beginning to make room for a reply"]
