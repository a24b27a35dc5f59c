"""What was found, in plain words, by rules: never more than the numbers allow."""

from collections.abc import Sequence

import numpy as np

from mixsd.results.compare import LEVEL, Difference, detectable, primary_family
from mixsd.results.retention_tables import headline
from mixsd.results.runs import Run, by_label
from mixsd.results.stats import CLAIM_SEEDS

COUNTED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NAMES = {"mixsd": "MixSD", "sft": "SFT", "opsd": "OPSD"}


def findings(groups: Sequence[Sequence[Run]]) -> list[list[str]]:
    """Sentences about each group of comparable runs: first what each method learned and kept, then how they
    differ.

    Which differences are told is fixed beforehand (decision 7); p is adjusted over all groups together.
    """
    family = primary_family(groups)
    per_group = len(family) // len(groups) if groups else 0
    return [
        [
            *(_of_label(label, same) for label, same in by_label(group).items()),
            *filter(
                None,
                (_of_difference(d, group) for d in family[number * per_group : (number + 1) * per_group]),
            ),
        ]
        for number, group in enumerate(groups)
    ]


def _of_label(label: str, runs: Sequence[Run]) -> str:
    """`SFT recalls 96% of the facts and keeps 68% [62, 74] of the base model's held-out score (one seed).`"""
    recall = f"{_named(label)} recalls {100 * np.mean([run.recall for run in runs]):.0f}% of the facts"
    short = sum(run.fell_short for run in runs)
    if short:
        goal = runs[0].goal
        recall += f", short of the goal of {100 * (goal or 0):.0f}% in {_count(short)} of {_seeds(len(runs))}"
    value, interval = headline(runs)
    if value is None:
        return f"{recall}; no held-out task counts ({_seeds(len(runs))})."
    ends = f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]" if interval else ""
    kept = f"keeps {100 * value:.0f}%{ends} of the base model's held-out score"
    return f"{recall} and {kept} ({_seeds(len(runs))})."


def _of_difference(found: Difference, group: Sequence[Run]) -> str:
    """One primary comparison; '' where one of the two methods was not run."""
    first, second = _named(found.first), _named(found.second)
    methods = {run.method for run in group}
    if not {found.first.split(" ")[0], found.second.split(" ")[0]} <= methods:
        return ""
    if found.gap is None or found.delta is None or found.interval is None:
        return f"{first} and {second} are not compared: {found.note}."
    low, high = (100 * bound for bound in found.interval)
    numbers = f"{100 * found.delta:+.1f} points [{low:+.1f}, {high:+.1f}]"
    seeds = _seeds(found.seeds)
    if found.p_adjusted is None or found.p_adjusted >= LEVEL:
        effect = detectable(group)
        shown = f"; these documents can show about {100 * effect:.1f} points" if effect is not None else ""
        return (
            f"At matched recall {first} and {second} do not differ beyond noise: {numbers}, {seeds}{shown}."
        )
    more = "more" if found.delta > 0 else "less"
    told = f"At matched recall {first} keeps {abs(100 * found.delta):.1f} points {more} than {second}"
    about = "" if found.seeds >= CLAIM_SEEDS else "; of these checkpoints only, fewer than five seeds"
    return f"{told} [{low:+.1f}, {high:+.1f}], {seeds}{about}."


def _named(label: str) -> str:
    method, _, rest = label.partition(" ")
    return f"{NAMES.get(method, method)} {rest}".strip()


def _count(number: int) -> str:
    return COUNTED[number] if number < len(COUNTED) else str(number)


def _seeds(number: int) -> str:
    return f"{_count(number)} seed{'' if number == 1 else 's'}"
