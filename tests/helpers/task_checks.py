"""What every task must do, whoever wrote it: each check takes a task."""

import json
from dataclasses import asdict

from mixsd.core.grading import grade
from mixsd.core.questions import Axis, Fact, Outcome, Probe, Question, Task, described

SHOWS_ITS_ANSWER = {"retrieval"}
QUESTION = {"prompt", "accepted", "rivals", "asks", "kind", "format", "system", "history"}
FACT = {"id", "question", "gold_text", "category", "subject", "replaces"}
PROBE = {"id", "split", "question", "fact_id", "unit", "kind"}
LISTS = {"accepted", "rivals", "replaces"}


def has_unique_ids_and_axes(task):
    assert isinstance(task, Task) and task.name and task.about and task.max_new_tokens > 0
    assert len({fact.id for fact in task.facts}) == len(task.facts) > 0
    assert len({probe.id for probe in task.probes}) == len(task.probes)
    facts = {fact.id for fact in task.facts}
    for probe in task.probes:
        assert task.axes[probe.split] in Axis and probe.question.prompt and probe.counted_as
        assert probe.question.accepted or probe.split == "neighbors"
        assert not probe.fact_id or probe.fact_id in facts


def asks_what_it_trains(task):
    recall = [probe for probe in task.probes if probe.split == "recall"]
    assert [(probe.fact_id, probe.question) for probe in recall] == [(f.id, f.question) for f in task.facts]
    assert task.axes["recall"] is Axis.MEMORIZATION


def grades_its_gold_texts_as_right(task):
    for fact in task.facts:
        assert grade(fact.gold_text, fact.question, ended=True).outcome is Outcome.CORRECT, fact.gold_text
        assert grade(fact.gold_text, fact.question, ended=False).outcome is Outcome.TRUNCATED


def gives_no_answer_away(task):
    for item in [*task.facts, *task.probes]:
        # Numbers may coincide.
        answers = [a for a in item.question.accepted if any(char.isalpha() for char in a)]
        if getattr(item, "split", "") not in SHOWS_ITS_ANSWER:
            assert not any(answer in item.question.prompt for answer in answers), item.question.prompt


def is_json_with_known_fields(task):
    """The schema that others read: which fields there are, and of what type each is."""
    fields = {Fact: FACT, Probe: PROBE, Question: QUESTION}
    for item in [*task.facts, *task.probes]:
        for part in (item, item.question):
            record = json.loads(json.dumps(asdict(part)))
            assert set(record) == fields[type(part)]
            for key, value in record.items():
                if key in LISTS:
                    assert all(isinstance(text, str) and text for text in value)
                elif key == "history":
                    assert all(len(turn) == 2 for turn in value)
                elif key != "question":
                    assert isinstance(value, str), (key, value)
        assert item.id
    assert json.loads(json.dumps(described(task.probes)))["items"]


CHECKS = (
    has_unique_ids_and_axes,
    asks_what_it_trains,
    grades_its_gold_texts_as_right,
    gives_no_answer_away,
    is_json_with_known_fields,
)
