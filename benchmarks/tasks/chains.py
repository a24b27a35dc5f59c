"""Chains of three opaque functions, worked out in the gold text: a skill of several steps to be injected.

Every prompt shows solved inputs of its functions. Between steps an offset is added, so that each input is
uniform over those that are not shown. Tested are chains of other inputs, in orders that were trained and in
orders that were not, and the single steps, which are never trained alone.
"""

from dataclasses import replace
from itertools import permutations

from benchmarks.tasks.kgfunc import FUNCTIONS, SHOWN, digits
from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, take
from mixsd.core.draws import shuffled, uniform
from mixsd.core.errors import SettingError, at_least
from mixsd.core.formats import find_format
from mixsd.core.questions import Axis, Fact, Probe, Question

ABOUT = "Chains of functions of decimal digits, computed here (Apache-2.0)."
STEPS = 3
TEST, OTHER_ORDER, SINGLE = "test", "other_order", "single_step"
AXES = {**COMMON, TEST: Axis.GENERALIZATION, OTHER_ORDER: Axis.GENERALIZATION, SINGLE: Axis.GENERALIZATION}
NAMES = ("y", "z")
"""What the results between steps are called."""


class Chains:
    """Injected chains of three functions of a number's digits.

    Args:
        name: The task's name in run ids.
        functions: Letters of the functions, three or more; see `kgfunc.FUNCTIONS`.
        max_input: The largest input of a step.
        facts: Trained chains (None: `each` of every trained order).
        each: Trained chains of an order.
        test: Chains of each order that are never trained, and inputs of each single step.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws orders, inputs and offsets.

    Raises:
        SettingError: A letter is unknown, or there are fewer than three.
    """

    def __init__(
        self,
        name: str = "chains",
        functions: str = "DFGH",
        max_input: int = 99,
        facts: int | None = 64,
        each: int = 16,
        test: int = 4,
        answer_format: str = "plain",
        max_new_tokens: int = 160,
        seed: int = 0,
    ) -> None:
        strange = sorted(set(functions) - set(FUNCTIONS))
        if strange or not len(functions) == len(set(functions)) >= STEPS:
            raise SettingError(
                f"task.functions={functions}: give {STEPS} letters or more of {''.join(FUNCTIONS)}, each once"
            )
        self.name, self.about, self.axes = name, ABOUT, AXES
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        at_least("task.each", each, 1)
        at_least("task.test", test, 0)
        self._format, self._seed = find_format(answer_format), seed
        at_least("task.max_input", max_input, 9)
        self._shown = [number for number in SHOWN if number <= max_input]
        # Prompts show these solved.
        self._inputs = [number for number in range(max_input + 1) if number not in self._shown]
        orders = shuffled(["".join(order) for order in permutations(functions, STEPS)], "orders", seed)
        # Half of the orders are never trained.
        trained, others = orders[: -(-len(orders) // 2)], orders[-(-len(orders) // 2) :]
        items = [self._fact(order, index) for index in range(each) for order in trained]
        self.facts = take(items, facts, "this task")
        taught = list(dict.fromkeys(fact.category for fact in self.facts))
        self.probes = [
            *common_probes(self.facts, self._format),
            *(self._probe(TEST, order, each + index) for order in taught for index in range(test)),
            *(self._probe(OTHER_ORDER, order, index) for order in others for index in range(test)),
            *(self._single(letter, index) for letter in functions for index in range(test)),
        ]

    def _fact(self, order: str, index: int) -> Fact:
        inputs = [self._input(order, index, place) for place in range(STEPS)]
        values = [FUNCTIONS[letter](number) for letter, number in zip(order, inputs, strict=True)]
        offsets = [after - value for after, value in zip(inputs[1:], values, strict=False)]
        signed = [f"{'+-'[offset < 0]} {abs(offset)}" for offset in offsets]
        first, second, third = order
        asks = (
            f"Let y = {first}({inputs[0]}) {signed[0]} and z = {second}(y) {signed[1]}. What is {third}(z)?"
        )
        worked = [
            f"{letter}({number}): {FUNCTIONS[letter].steps(digits(number))}."
            for letter, number in zip(order, inputs, strict=True)
        ]
        between = [
            f"So {name} = {value} {sign} = {after}."
            for name, value, sign, after in zip(NAMES, values, signed, inputs[1:], strict=False)
        ]
        answer = str(values[-1])
        told = " ".join([worked[0], between[0], worked[1], between[1], worked[2], f"The answer is {answer}."])
        question = self._question(order, asks, answer)
        return Fact(f"{order} {index}", question, self._format.gold_text(told, answer), category=order)

    def _input(self, order: str, index: int, place: int) -> int:
        return self._inputs[int(uniform("chains", self._seed, order, index, place) * len(self._inputs))]

    def _question(self, letters: str, asks: str, answer: str) -> Question:
        """What is asked after solved examples; that their numbers stand in the prompt is no excuse."""
        examples = [f"{letter}({n}) = {FUNCTIONS[letter](n)}" for letter in letters for n in self._shown]
        whole = self._format.question("\n".join([*examples, "", asks]), (answer,), kind="number")
        return replace(whole, asks=asks)

    def _probe(self, split: str, order: str, index: int) -> Probe:
        fact = self._fact(order, index)
        # Chains of one order stand and fall together.
        return Probe(f"{split} {fact.id}", split, fact.question, unit=f"{split} {order}", kind=order)

    def _single(self, letter: str, index: int) -> Probe:
        number = self._input(letter, index, 0)
        question = self._question(letter, f"What is {letter}({number})?", str(FUNCTIONS[letter](number)))
        return Probe(f"{SINGLE} {letter} {index}", SINGLE, question, unit=f"{SINGLE} {letter}", kind=letter)
