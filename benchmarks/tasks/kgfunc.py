"""Arithmetic functions: opaque letters for functions of a number's digits (the paper's KGFunc).

The prompt gives solved inputs of the function without working, then asks for a new input; the gold text
works the steps out. What is injected is the function: its test is inputs that were never trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import recall_probe, shifted_probes, take
from mixsd.core.draws import shuffled, uniform
from mixsd.core.errors import SettingError, at_least
from mixsd.core.formats import find_format
from mixsd.core.questions import Axis, Fact, Probe, Question

ABOUT = "Functions of decimal digits, computed here (Apache-2.0)."
SHOWN = (328, 41, 45, 87397, 242, 1, 9935, 21395, 2, 2679)
"""The solved inputs of every prompt, the same for all functions."""
TEST, CHAIN_SAME, CHAIN_MIXED, UNSEEN = "test", "chain_same", "chain_mixed", "unseen_functions"
SHIFTED = 100
"""Facts asked again in other circumstances; with long prompts, all of them would take most of the time."""
AXES = {
    **COMMON,
    TEST: Axis.GENERALIZATION,
    CHAIN_SAME: Axis.GENERALIZATION,
    CHAIN_MIXED: Axis.GENERALIZATION,
    UNSEEN: Axis.RETENTION,
}
UNSEEN_LETTER = "K"
TRAINED_INPUTS = 6250
"""Inputs that training items are drawn from, per function, as in the paper."""
Digits = list[int]


@dataclass(frozen=True)
class Function:
    """A function of a number's decimal digits.

    Attributes:
        value: Digits from the left -> value.
        steps: The same, worked out in words.
    """

    value: Callable[[Digits], int]
    steps: Callable[[Digits], str]

    def __call__(self, number: int) -> int:
        """The value at a number."""
        return self.value(digits(number))


def digits(number: int) -> Digits:
    """Decimal digits from the left."""
    return [int(char) for char in str(number)]


def _sum(terms: Sequence[str], values: Sequence[int]) -> str:
    """`t1 + t2 = v1 + v2 = total`, without what says the same twice."""
    parts = [" + ".join(terms), " + ".join(map(str, values)), str(sum(values))]
    return " = ".join(dict.fromkeys(parts))


def _alternating(d: Digits) -> int:
    return sum((-1) ** i * x * x for i, x in enumerate(d))


def _prime_square(x: int) -> int:
    return x * x if x in (2, 3, 5, 7) else x


def _rotations(d: Digits) -> list[str]:
    text = "".join(map(str, d))
    return [text[i:] + text[:i] for i in range(len(text))]


FUNCTIONS: Mapping[str, Function] = {
    "B": Function(
        lambda d: sum((x - min(d)) ** 2 for x in d),
        lambda d: (
            f"The least digit is {min(d)}. "
            + _sum([f"({x}-{min(d)})^2" for x in d], [(x - min(d)) ** 2 for x in d])
        ),
    ),
    "C": Function(
        lambda d: abs(_alternating(d)),
        lambda d: (
            "Signs alternate: "
            + " ".join(f"{'+-'[i % 2]} {x}^2" for i, x in enumerate(d)).removeprefix("+ ")
            + f" = {_alternating(d)}, without its sign {abs(_alternating(d))}"
        ),
    ),
    "D": Function(
        lambda d: sum(map(_prime_square, d)),
        lambda d: (
            "Squares of 2, 3, 5 and 7, other digits as they are: "
            + _sum([f"{x}^2" if x in (2, 3, 5, 7) else str(x) for x in d], [_prime_square(x) for x in d])
        ),
    ),
    "E": Function(
        lambda d: sum(a * b for a, b in zip(d, reversed(d), strict=True)),
        lambda d: (
            "Times the reversed digits: "
            + _sum(
                [f"{a}*{b}" for a, b in zip(d, reversed(d), strict=True)],
                [a * b for a, b in zip(d, reversed(d), strict=True)],
            )
        ),
    ),
    "F": Function(
        lambda d: sum(accumulate(d, max)),
        lambda d: "The largest so far, added up: " + _sum([], list(accumulate(d, max))).removeprefix(" = "),
    ),
    "G": Function(
        lambda d: sum(x * (x + 1) // 2 for x in d),
        lambda d: _sum([f"{x}*{x + 1}/2" for x in d], [x * (x + 1) // 2 for x in d]),
    ),
    "H": Function(
        lambda d: min(map(int, _rotations(d))),
        lambda d: (
            f"The rotations are {', '.join(_rotations(d))}; the least is {min(map(int, _rotations(d)))}"
        ),
    ),
}
"""The functions that are injected."""


def _digital_root(d: Digits) -> int:
    total = sum(d)
    return total if total < 10 else _digital_root(digits(total))


def _product_of_non_zero(d: Digits) -> int:
    product = 1
    for x in d:
        product *= x or 1
    return product


EASY: Mapping[str, Callable[[Digits], int]] = {
    "digit sum": sum,
    "product of the non-zero digits": _product_of_non_zero,
    "digit count": len,
    "largest digit": max,
    "smallest digit": min,
    "first digit": lambda d: d[0],
    "last digit": lambda d: d[-1],
    "largest minus smallest": lambda d: max(d) - min(d),
    "reversed integer": lambda d: int("".join(map(str, reversed(d)))),
    "first plus last": lambda d: d[0] + d[-1],
    "count of even digits": lambda d: sum(x % 2 == 0 for x in d),
    "count of odd digits": lambda d: sum(x % 2 for x in d),
    "count of distinct digits": lambda d: len(set(d)),
    "digital root": _digital_root,
    "sum of squares": lambda d: sum(x * x for x in d),
    "digits in ascending order": lambda d: int("".join(map(str, sorted(d)))),
    "digits in descending order": lambda d: int("".join(map(str, sorted(d, reverse=True)))),
    "count of zeros": lambda d: d.count(0),
    "twice the digit sum": lambda d: 2 * sum(d),
    "first times last": lambda d: d[0] * d[-1],
}
"""Functions that are never trained: can the model still read one off its examples?"""


class KGFunc:
    """Injected functions of a number's digits.

    Args:
        name: The task's name in run ids.
        functions: Letters of the functions to inject.
        max_input: The largest input.
        facts: Training items, drawn over functions and up to 6,250 inputs (None: all of them).
        test: Inputs per function that are never trained, asked of every function.
        chains: Two-step chains per function with itself, and as many again of mixed functions.
        unseen: Inputs asked of each of twenty easy functions that are never trained.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws inputs, items and offsets.

    Raises:
        SettingError: A letter is unknown, or the inputs do not suffice.
    """

    def __init__(
        self,
        name: str = "kgfunc",
        functions: str = "BCDEFGH",
        max_input: int = 99_999,
        facts: int | None = None,
        test: int = 25,
        chains: int = 200,
        unseen: int = 25,
        answer_format: str = "plain",
        max_new_tokens: int = 256,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.about = ABOUT
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        for key, value in (("test", test), ("chains", chains), ("unseen", unseen)):
            at_least(f"task.{key}", value, 0)
        at_least("task.max_input", max_input, 9)
        strange = sorted(set(functions) - set(FUNCTIONS))
        if strange or not functions or len(set(functions)) < len(functions):
            raise SettingError(
                f"task.functions={functions} is unknown; allowed: letters of {''.join(FUNCTIONS)}, each once"
            )
        self._format = find_format(answer_format)
        self.axes = AXES
        self._shown = [number for number in SHOWN if number <= max_input]
        free = _drawn_inputs(max_input, self._shown, seed)
        if test >= len(free):
            raise SettingError(f"task.test={test} is out of range; allowed: 0 to {len(free) - 1}")
        # The same inputs are tested for every function, so functions differ by their difficulty alone.
        tested, trained = free[:test], free[test : test + TRAINED_INPUTS]
        pairs = {f"{letter}({number})": (letter, number) for letter in functions for number in trained}
        order = take(shuffled(pairs, "items", seed), facts, "this task")
        self.facts = [self._fact(*pairs[key]) for key in order]
        self.probes = [
            *(recall_probe(fact) for fact in self.facts),
            *(probe for fact in self.facts[:SHIFTED] for probe in shifted_probes(fact, self._format)),
            *(self._test(letter, number) for letter in functions for number in tested),
            *self._chains(functions, max_input, chains, seed),
            *self._unseen(free[:unseen]),
        ]

    def _fact(self, letter: str, number: int) -> Fact:
        function = FUNCTIONS[letter]
        question, value = f"What is {letter}({number})?", str(function(number))
        worked = f"The digits of {number} are {', '.join(map(str, digits(number)))}. "
        sentence = f"{worked}{function.steps(digits(number))}. The answer is {value}."
        asked = self._question({letter: function}, question, value)
        return Fact(f"{letter}({number})", asked, self._format.gold_text(sentence, value), category=letter)

    def _question(self, functions: Mapping[str, Callable[[int], int]], asks: str, answer: str) -> Question:
        """What is asked after solved examples; that their numbers stand in the prompt is no excuse."""
        examples = [f"{name}({n}) = {f(n)}" for name, f in functions.items() for n in self._shown]
        whole = self._format.question("\n".join([*examples, "", asks]), (answer,), kind="number")
        return replace(whole, asks=asks)

    def _test(self, letter: str, number: int) -> Probe:
        fact = self._fact(letter, number)
        return Probe(f"{fact.id} / test", TEST, fact.question, kind=letter)

    def _chains(self, functions: str, max_input: int, count: int, seed: int) -> list[Probe]:
        """Two steps; an offset between them makes the second input uniform over all inputs."""
        same = [(letter, letter, CHAIN_SAME, i) for letter in functions for i in range(count)]
        mixed = [
            (*_two_of(functions, seed, i), CHAIN_MIXED, i) for i in range(count if len(functions) > 1 else 0)
        ]
        probes = []
        for first, second, split, index in [*same, *mixed]:
            draws = [uniform(split, seed, first, second, index, place) for place in ("input", "second")]
            number, wanted = (int(draw * (max_input + 1)) for draw in draws)
            # Values of a function are small; the offset spreads the second input over all inputs.
            offset = wanted - FUNCTIONS[first](number)
            question = f"Let y = {first}({number}) {'+-'[offset < 0]} {abs(offset)}. What is {second}(y)?"
            answer = str(FUNCTIONS[second](wanted))
            asked = self._question({name: FUNCTIONS[name] for name in (first, second)}, question, answer)
            name = f"{split} {first}{second} {index}"
            probes.append(Probe(name, split, asked, kind=f"{first}{second}"))
        return probes

    def _unseen(self, numbers: Sequence[int]) -> list[Probe]:
        """Questions about the easy functions that the examples tell apart."""
        probes, seen = [], set()
        for name, value in EASY.items():
            function = Function(value, str)
            shown = tuple(map(function, self._shown))
            if (
                shown in seen
            ):  # on these inputs two functions may agree: the examples would tell neither apart
                continue
            seen.add(shown)
            for number in numbers:
                asks, answer = f"What is {UNSEEN_LETTER}({number})?", str(function(number))
                asked = self._question({UNSEEN_LETTER: function}, asks, answer)
                # One unit a function: its inputs stand and fall together.
                probes.append(Probe(f"{name}({number})", UNSEEN, asked, unit=name, kind=name))
        return probes


def _drawn_inputs(max_input: int, shown: Sequence[int], seed: int) -> list[int]:
    """All inputs that prompts do not show solved, in a drawn order."""
    free = [str(number) for number in range(max_input + 1) if number not in shown]
    return [int(number) for number in shuffled(free, "inputs", seed)]


def _two_of(functions: str, seed: int, index: int) -> tuple[str, str]:
    first, second = shuffled(functions, "mixed", seed, index)[:2]
    return first, second
