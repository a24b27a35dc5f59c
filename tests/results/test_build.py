"""Which facts count as new, and which edits count at all."""

from types import SimpleNamespace

from benchmarks.tasks.mquake.task import MQuAKE
from mixsd.results.build import _known_before, missed
from mixsd.run.measure import Scores


def scores(task, texts, outcomes):
    facts = task.facts[: len(texts)]
    rows = [
        {"fact_id": fact.id, "prompt": fact.prompt, "text": text, "outcome": outcome}
        for fact, text, outcome in zip(facts, texts, outcomes, strict=True)
    ]
    return Scores({"recall": rows}, {})


def test_missed_facts_and_edits_whose_old_answer_the_base_gives():
    task = MQuAKE("m", None, 4, 0, "plain", 32)
    first, second, third, fourth = task.facts
    texts = [f"It is {first.replaces[0]}.", f"It is {second.answer}.", "I do not know.", fourth.replaces[0]]
    base = scores(task, texts, ["wrong", "correct", "wrong", "truncated"])
    assert missed(base) == {first.id, third.id, fourth.id}
    known = _known_before(SimpleNamespace(task=task), base)  # type: ignore[arg-type]
    assert known == {first.id}, "the new answer, no answer and a truncated one are not the old answer"
