"""Scoring by several processes beside one, and the price of units of work in one; all with the same threads.

Greedy replies to boxed questions about invented facts; all ways read the same prompts, one after the other in
every repetition. `whole` decodes them without units, as one process does in float32.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.speed.common import load, release_memory
from benchmarks.tasks.kgfact.task import KGFact
from mixsd.lm import processes, shares
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request
from mixsd.lm.generate import reply_to
from mixsd.run.meter import Meter
from mixsd.run.workbench import console

Ask = Callable[[], list[list[int]]]
WHOLE, UNITS = "one process, whole", "one process, units"


def measure(
    model: Sequence[str],
    dtypes: Sequence[str],
    prompts: int,
    budget: int,
    repetitions: int,
    batch_size: int,
    devices: int,
    threads: int,
) -> list[dict[str, Any]]:
    """One row per (dtype, way): tokens per second, medians with the slowest and the fastest."""
    torch.set_num_threads(threads)
    base = load(model)
    processes.lead(devices, threads)
    rows = []
    for dtype in dtypes:
        reader = base.in_dtype(dtype)
        asked = [reader.prompt_ids(text) for text in _questions(prompts)]
        rows += _measure_dtype(reader, dtype, asked, budget, repetitions, batch_size, devices)
    processes.lead(1, threads)
    return rows


def _questions(count: int) -> list[str]:
    """So many different ones, of as many invented worlds as that takes."""
    found: dict[str, None] = {}
    for seed in itertools.count():
        for probe in KGFact("speed", 7, 25, answer_format="boxed", seed=seed).probes:
            found.setdefault(probe.question.prompt)
        if len(found) >= count:
            return list(found)[:count]
    raise AssertionError  # it counts for ever


def _measure_dtype(
    reader: ChatModel,
    dtype: str,
    prompts: Sequence[Sequence[int]],
    budget: int,
    repetitions: int,
    batch_size: int,
    devices: int,
) -> list[dict[str, Any]]:
    def ask() -> list[list[int]]:
        requests = [Request([prompt]) for prompt in prompts]
        replies = reply_to(reader, requests, max_new_tokens=budget, batch_size=batch_size)
        return [reply.ids for reply in replies]

    together = f"{devices} processes"
    ways: dict[str, Callable[[], list[list[int]]]] = {
        WHOLE: lambda: _alone(ask, lambda items, *_: [items]),
        UNITS: lambda: _alone(ask, lambda items, _, size: shares.units(items, size)),
        together: ask,
    }
    ask()  # helpers are there, and have the weights
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    replies: dict[str, list[list[int]]] = {}
    for number in range(repetitions):
        for way, run in ways.items():  # interleaved, so that a slow minute hits all
            release_memory()
            with Meter() as meter:
                replies[way] = run()
            seconds[way].append(meter.seconds)
            console.print(f"{dtype}, {way}, {number + 1}: {meter.seconds:.1f} s", highlight=False)
    reference = statistics.median(seconds[UNITS])
    return [
        {
            "dtype": dtype,
            "way": way,
            "replies": len(prompts),
            "as in units": sum(a == b for a, b in zip(replies[way], replies[UNITS], strict=True)),
            "tokens/s": sum(map(len, replies[way])) / statistics.median(found),
            "seconds": f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})",
            "times as fast": reference / statistics.median(found),
        }
        for way, found in seconds.items()
    ]


def _alone(ask: Ask, cut: Callable[..., Any]) -> list[list[int]]:
    """Without helpers, cut in another way."""
    with (
        patch("mixsd.lm.shares.helpers", lambda: []),
        patch("mixsd.lm.generate.reply_units", cut),
    ):
        return ask()
