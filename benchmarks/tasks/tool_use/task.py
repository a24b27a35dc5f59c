"""Tool use: choose one of twelve invented functions, and call it with its arguments in its own order.

What is injected is which function does what and how it is called. It is tested by requests with arguments
that were never trained, and in other words. Calls are read as any answer is: quotes and spaces do not matter,
names of arguments are wrong, and an argument too many at the end is not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

import yaml

from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase, take
from mixsd.core.draws import uniform
from mixsd.core.errors import SettingError, at_least
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
        known, _ = tools()
        most = min(map(_calls, known)) // 2
        if each + test > most:
            raise SettingError(
                f"task.each={each} and task.test={test} want too many calls of a function; allowed: {most} "
                "together"
            )
        self._format, self._seed = find_format(answer_format), seed
        self._arguments = {tool.name: self._distinct(tool, each + test) for tool in known}
        self.facts = take([self._fact(tool, n) for n in range(each) for tool in known], facts, "this task")
        taught = {fact.category for fact in self.facts}
        self.probes = [
            *common_probes(self.facts, self._format),
            *(self._reworded(fact) for fact in self.facts),
            *(
                self._test(tool, each + index)
                for tool in known
                if tool.name in taught  # of the others nothing was ever said
                for index in range(test)
            ),
        ]

    def _fact(self, tool: Tool, index: int) -> Fact:
        values = self._arguments[tool.name][index]
        call = tool.call(values)
        asks = ASKS.format(request=tool.requests[0].format(**values))
        sentence = f"{tool.name} {tool.does}. The call is {call}."
        gold, question = self._format.gold_text(sentence, call), self._format.question(asks, (call,))
        return Fact(f"{tool.name} {index}", question, gold, category=tool.name)

    def _distinct(self, tool: Tool, count: int) -> list[dict[str, str]]:
        """Arguments of so many calls, no two of them alike."""
        found: dict[str, dict[str, str]] = {}
        index = 0
        while len(found) < count:
            values = self._drawn(tool, index)
            found.setdefault(tool.call(values), values)
            index += 1
        return list(found.values())

    def _drawn(self, tool: Tool, index: int) -> dict[str, str]:
        """Arguments by their names."""

        def value(key: str) -> str:
            draw, allowed = uniform("tool use", self._seed, tool.name, index, key), _values(key)
            return str(allowed[int(draw * len(allowed))])

        return {key: value(key) for key in tool.takes}

    def _reworded(self, fact: Fact) -> Probe:
        """The same request in other words."""
        name, _, index = fact.id.rpartition(" ")
        tool = next(tool for tool in tools()[0] if tool.name == name)
        request = tool.requests[1].format(**self._arguments[name][int(index)])
        return paraphrase(fact, ASKS.format(request=request), self._format, "reworded")

    def _test(self, tool: Tool, index: int) -> Probe:
        """A request with arguments that no trained one has; those of a function stand and fall together."""
        fact = self._fact(tool, index)
        return Probe(f"{fact.id} / test", TEST, fact.question, unit=tool.name, kind=tool.name)


def _values(key: str) -> Sequence[Any]:
    """What an argument may be."""
    _, words = tools()
    if key in words:
        return words[key]
    low, high = NUMBERS[key]
    return range(low, high + 1)


def _calls(tool: Tool) -> int:
    """How many calls of a function there are."""
    return prod(len(_values(key)) for key in tool.takes)
