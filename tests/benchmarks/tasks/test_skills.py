"""Chains of functions and calls of tools: what is asked and answered, worked out again by other means."""

import re

import pytest

from benchmarks.tasks.chains import Chains
from benchmarks.tasks.kgfunc import FUNCTIONS
from benchmarks.tasks.tool_use.task import ToolUse, tools
from mixsd.core.errors import SettingError
from mixsd.core.grading import grade
from mixsd.core.questions import Outcome

CHAIN = re.compile(r"Let y = (\w)\((\d+)\) ([+-]) (\d+) and z = (\w)\(y\) ([+-]) (\d+)\. What is (\w)\(z\)\?")


def solved(asks: str) -> int:
    """A chain's answer, from its question alone."""
    first, number, sign, by, second, sign_too, by_too, third = CHAIN.fullmatch(asks).groups()
    y = FUNCTIONS[first](int(number)) + int(f"{sign}{by}")
    z = FUNCTIONS[second](y) + int(f"{sign_too}{by_too}")
    assert 0 <= y <= 99 and 0 <= z <= 99
    return FUNCTIONS[third](z)


def test_chains_answer_what_they_ask():
    task = Chains()
    chained = [p for p in task.probes if p.split in ("test", "other_order")]
    for question in [*(fact.question for fact in task.facts), *(probe.question for probe in chained)]:
        assert question.accepted == (str(solved(question.asked)),)
    assert len(task.facts) == 64 and len(chained) == 2 * 12 * 4


def test_every_step_of_a_chain_is_worked_out():
    fact = Chains().facts[0]
    first, number, _, _, second, _, _, third = CHAIN.fullmatch(fact.question.asked).groups()
    for part in (f"{first}({number}): ", "So y = ", f"{second}(", "So z = ", f"{third}("):
        assert part in fact.gold_text
    assert fact.gold_text.endswith(f"The answer is {fact.answer}.")


def test_what_is_tested_was_never_trained():
    task = Chains()
    trained = {fact.category for fact in task.facts}
    asked = {fact.question.asked for fact in task.facts}
    kinds = {split: {p.kind for p in task.probes if p.split == split} for split in ("test", "other_order")}
    assert kinds["test"] == trained and not kinds["other_order"] & trained
    assert len(kinds["test"] | kinds["other_order"]) == 24, "all orders of three of four"
    assert not asked & {p.question.asked for p in task.probes if p.split in ("test", "other_order")}
    assert {p.kind for p in task.probes if p.split == "single_step"} == set("DFGH")


def test_no_input_is_shown_solved_and_of_few_facts_only_what_they_teach_is_tested():
    task = Chains(facts=4)
    taught = {fact.category for fact in task.facts}
    assert {p.kind for p in task.probes if p.split == "test"} == taught
    assert not taught & {p.kind for p in task.probes if p.split == "other_order"}
    for probe in [p for p in Chains(max_input=9).probes if p.split in ("single_step", "test")]:
        (number,) = re.findall(r"\w\((\d+)\)", probe.question.asked)
        assert f"({number}) = " not in probe.question.prompt
    tools_taught = ToolUse(facts=5)
    names = {fact.category for fact in tools_taught.facts}
    assert {p.kind for p in tools_taught.probes if p.split == "test"} == names and len(names) == 5


def test_no_two_requests_want_the_same_call():
    for seed in range(20):
        task = ToolUse(seed=seed, each=9, test=9)
        calls = [f.answer for f in task.facts] + [
            p.question.accepted[0] for p in task.probes if p.split == "test"
        ]
        assert len(set(calls)) == len(calls) == 12 * 18
    with pytest.raises(SettingError, match="allowed: 18 together"):
        ToolUse(test=40)


@pytest.mark.parametrize("functions", ["DF", "DDF", "DFX", ""])
def test_three_functions_or_more(functions):
    with pytest.raises(SettingError, match="give 3 letters or more"):
        Chains(functions=functions)


def call_of(request: str) -> str:
    """The call that answers a trained request, from the request alone."""
    for tool in tools()[0]:
        pattern = re.escape(tool.requests[0])
        for name in tool.takes:
            pattern = pattern.replace(re.escape(f"{{{name}}}"), rf"(?P<{name}>\w+)")
        if found := re.fullmatch(pattern, request):
            return f"{tool.name}({', '.join(found[name] for name in tool.takes)})"
    raise AssertionError(request)


def test_requests_are_answered_by_the_right_call():
    task = ToolUse()
    tested = [probe.question for probe in task.probes if probe.split == "test"]
    for question in [*(fact.question for fact in task.facts), *tested]:
        request = question.asked.splitlines()[0].removeprefix("Request: ")
        assert question.accepted == (call_of(request),)
    assert not {q.accepted for q in tested} & {fact.question.accepted for fact in task.facts}
    assert len({fact.category for fact in task.facts}) == 12 and len(task.facts) == 60 and len(tested) == 48


def test_no_function_takes_its_arguments_in_the_order_of_the_request():
    """Else copying would do."""
    for tool in tools()[0]:
        asked = sorted(tool.takes, key=lambda name, tool=tool: tool.requests[0].index(f"{{{name}}}"))
        assert list(tool.takes) != asked, tool.name
        assert all(set(re.findall(r"{(\w+)}", request)) == set(tool.takes) for request in tool.requests)


def test_a_request_in_other_words_wants_the_same_call():
    task = ToolUse()
    by_id = {fact.id: fact for fact in task.facts}
    reworded = [probe for probe in task.probes if probe.split == "paraphrase"]
    assert len(reworded) == 60
    for probe in reworded:
        fact = by_id[probe.fact_id]
        assert (
            probe.question.accepted == fact.question.accepted and probe.question.asked != fact.question.asked
        )
        values = re.findall(r"\w+", fact.answer)[1:]
        assert all(value in probe.question.asked for value in values)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("zelvo reserves a room. The call is zelvo(10, Granite, 8).", Outcome.CORRECT),
        ('```\nzelvo(10,"Granite",8)\n```', Outcome.CORRECT),
        ("zelvo(Granite, 10, 8)", Outcome.WRONG),
        ("zelvo(10, Granite)", Outcome.WRONG),
        ("zelvo(10, Granite, 9)", Outcome.WRONG),
        ("brask(10, Granite, 8)", Outcome.WRONG),
        ("Not zelvo(10, Granite, 8), but brask(10, Granite, 8)", Outcome.WRONG),
    ],
)
def test_how_calls_are_read(reply, outcome):
    question = next(f.question for f in ToolUse().facts if f.answer == "zelvo(10, Granite, 8)")
    assert grade(reply, question, ended=True).outcome == outcome


def test_seeds_draw_other_arguments_and_the_same_ones_again():
    calls = [[fact.answer for fact in ToolUse(seed=seed).facts] for seed in (0, 0, 1)]
    assert calls[0] == calls[1] != calls[2]
    chains = [[fact.question.asked for fact in Chains(seed=seed).facts] for seed in (0, 0, 1)]
    assert chains[0] == chains[1] != chains[2]
