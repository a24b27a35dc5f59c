"""Tool use: choose one of twelve invented functions, and call it with its arguments in its own order.

What is injected is which function does what and how it is called. It is tested by requests with arguments
that were never trained, and in other words. Calls are read as any answer is: quotes and spaces do not matter,
names of arguments are wrong, and an argument too many at the end is not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase, take
from mixsd.core.draws import uniform
from mixsd.core.errors import at_least
from mixsd.core.formats import find_format
from mixsd.core.questions import Axis, Fact, Probe

ABOUT = "Functions and requests made up for this benchmark (Apache-2.0)."
TEST = "test"
AXES = {**COMMON, TEST: Axis.GENERALIZATION}
ASKS = "Request: {request}\nWhich call of our functions, such as name(argument, argument), answers it?"
NUMBERS = {
    "hour": (8, 12), "hour2": (13, 18), "people": (2, 9), "count": (3, 60), "amount": (20, 900),
    "number": (1000, 9999), "degrees": (17, 24), "days": (2, 14), "seats": (2, 7), "floor": (1, 12),
    "years": (3, 15),
}  # fmt: skip
"""What numbers may be, both ends included."""


@dataclass(frozen=True)
class Tool:
    """An invented function.

    Attributes:
        name: What it is called by.
        does: What it does, in words.
        takes: Its arguments, in its order.
        requests: How it is asked for, with its arguments in braces; the first is trained.
    """

    name: str
    does: str
    takes: tuple[str, ...]
    requests: tuple[str, ...]

    def call(self, values: Mapping[str, str]) -> str:
        """The call with some arguments."""
        return f"{self.name}({', '.join(values[key] for key in self.takes)})"


@cache
def tools() -> tuple[list[Tool], Mapping[str, list[str]]]:
    """The functions, and the words that arguments may be."""
    held: Any = yaml.safe_load(
        (files("benchmarks.tasks.tool_use") / "tools.yaml").read_text(encoding="utf-8")
    )
    found = [
        Tool(tool["name"], tool["does"], tuple(tool["takes"]), tuple(tool["requests"]))
        for tool in held["tools"]
    ]
    return found, held["values"]


class ToolUse:
    """Requests that are answered by a call of an invented function.

    Args:
        name: The task's name in run ids.
        facts: Trained requests, in turn over the functions (None: `each` of every function).
        each: Trained requests of a function.
        test: Requests of a function with arguments that were never trained.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws arguments.

    Raises:
        SettingError: A setting is out of range.
    """

    def __init__(
        self,
        name: str = "tool_use",
        facts: int | None = None,
        each: int = 5,
        test: int = 4,
        answer_format: str = "plain",
        max_new_tokens: int = 48,
        seed: int = 0,
    ) -> None:
        self.name, self.about, self.axes = name, ABOUT, AXES
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        at_least("task.each", each, 1)
        at_least("task.test", test, 0)
        self._format, self._seed = find_format(answer_format), seed
        known, _ = tools()
        items = [self._fact(tool, index) for index in range(each) for tool in known]
        self.facts = take(items, facts, "this task")
        trained = {fact.answer for fact in items}
        self.probes = [
            *common_probes(self.facts, self._format),
            *(self._reworded(fact) for fact in self.facts),
            *(probe for tool in known for probe in self._tests(tool, each, test, trained)),
        ]

    def _fact(self, tool: Tool, index: int) -> Fact:
        values = self._drawn(tool, index)
        call = tool.call(values)
        asks = ASKS.format(request=tool.requests[0].format(**values))
        question = self._format.question(asks, (call,))
        sentence = f"{tool.name} {tool.does}. The call is {call}."
        return Fact(
            f"{tool.name} {index}", question, self._format.gold_text(sentence, call), category=tool.name
        )

    def _drawn(self, tool: Tool, index: int) -> dict[str, str]:
        """The arguments of a request, by their names."""
        _, words = tools()

        def value(key: str) -> str:
            draw = uniform("tool use", self._seed, tool.name, index, key)
            if key in words:
                return words[key][int(draw * len(words[key]))]
            low, high = NUMBERS[key]
            return str(low + int(draw * (high - low + 1)))

        return {key: value(key) for key in tool.takes}

    def _reworded(self, fact: Fact) -> Probe:
        """The same request in other words."""
        name, _, index = fact.id.rpartition(" ")
        tool = next(tool for tool in tools()[0] if tool.name == name)
        request = tool.requests[1].format(**self._drawn(tool, int(index)))
        return paraphrase(fact, ASKS.format(request=request), self._format, "reworded")

    def _tests(self, tool: Tool, first: int, count: int, trained: set[str]) -> list[Probe]:
        """Requests with arguments that no trained request has; a function's stand and fall together."""
        probes: list[Probe] = []
        seen, index = set(trained), first
        while len(probes) < count:
            fact = self._fact(tool, index)
            index += 1
            if fact.answer not in seen:
                seen.add(fact.answer)
                probes.append(Probe(f"{fact.id} / test", TEST, fact.question, unit=tool.name, kind=tool.name))
        return probes
