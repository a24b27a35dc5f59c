"""The card of a saved model and the card of a task."""

from dataclasses import replace

from mixsd.core.questions import Probe, Question
from mixsd.core.scores import Scores
from mixsd.results import schema
from mixsd.results.model_card import model_card
from mixsd.results.task_card import task_card
from tests.helpers.fakes import FakeTask
from tests.helpers.made_runs import answer, held_out, make_run


def test_a_model_card_names_the_base_model_as_the_hub_does(tmp_path):
    results = schema.load(make_run(tmp_path, "sft", 0, 0.95, 40))
    card = model_card("Qwen/Qwen3-1.7B", "abc123", results, [])
    assert card.startswith("---\nbase_model: Qwen/Qwen3-1.7B\n---\n")
    assert "`abc123`" in card and "| gate | met, or not asked for |" in card
    assert "0.950 of 20" in card and "| recall | memorization | 0.000 | 0.950 | 20 |" in card
    assert "Lunbel" not in card and "Orrin" not in card, "numbers only"
    assert "| gate | a; b |" in model_card("m", "", results, ["a", "b"])


def test_a_task_card_counts_and_hides_text_where_it_must():
    task = FakeTask(3)
    base = Scores({"recall": [answer(f"p{i}", i == 0) for i in range(3)]}, {"t": held_out([1, 0])})
    card = task_card(task, task.probes, base, overrides=["task=fake"], model="hub/m", seed=7, log_text=True)
    assert "3 facts, 3 probes; seed 7" in card and "`python -m mixsd card task=fake`" in card
    assert "| recall | memorization | 3 |  | 0.333 |" in card and "base model: hub/m" in card
    assert "What is 0?" in card
    assert "- kinds of answers: 3 name (as guessed from the answers)\n" in card and "-> A0 (name)" in card
    hidden = task_card(task, task.probes, base, overrides=[], model="m", seed=7, log_text=False)
    assert "What is 0?" not in hidden and "## Samples" not in hidden


def test_a_task_card_tells_which_kinds_are_not_those_that_answers_look_like():
    task = FakeTask(3)
    kinds = [(("12",), "name"), (("12",), "number"), (("Ann",), "name")]
    task.facts = [
        replace(fact, question=Question("What?", accepted, kind=kind))
        for fact, (accepted, kind) in zip(task.facts, kinds, strict=True)
    ]
    base = Scores({"recall": [answer(f"p{i}", True) for i in range(3)]}, {})
    card = task_card(task, task.probes, base, overrides=[], model="m", seed=0, log_text=False)
    assert "kinds of answers: 2 name, 1 number (as guessed from the answers, but 1 given otherwise)" in card


def test_a_task_card_tells_prompts_that_are_asked_again():
    task = FakeTask(1)
    base = Scores({"recall": [answer("p", True)], "paraphrase": [answer("q", True)]}, {})
    task.axes = {**task.axes, "paraphrase": task.axes["recall"]}
    task.probes = [*task.probes, Probe("again", "paraphrase", task.facts[0].question, "f0")]
    arguments = {"overrides": [], "model": "m", "seed": 0, "log_text": False}
    assert "asked exactly as trained: paraphrase 1" in task_card(task, task.probes, base, **arguments)
    question = Question("What is 0?", ("A0",), system="Other.")
    task.probes[-1] = Probe("again", "paraphrase", question, "f0")
    assert "no probe outside `recall`" in task_card(task, task.probes, base, **arguments)
