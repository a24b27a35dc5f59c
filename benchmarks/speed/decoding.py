"""Decoding with packed weights beside the same decoding without, and whether the tokens are the same.

Greedy replies to boxed questions about invented facts, which a model reasons about at length; both ways read
the same prompts, one after the other in every repetition.
"""

import contextlib
import statistics
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from benchmarks.speed.common import load, release_memory
from benchmarks.tasks.kgfact.task import KGFact
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request
from mixsd.lm.generate import reply_to
from mixsd.run.meter import Meter
from mixsd.run.workbench import console

WAYS = {"packed": contextlib.nullcontext, "as loaded": lambda: patch("mixsd.lm.decode.packed", _unpacked)}


def measure(
    model: Sequence[str], dtypes: Sequence[str], prompts: int, budget: int, repetitions: int, batch_size: int
) -> list[dict[str, Any]]:
    """One row per (dtype, way): tokens per second, medians with the slowest and the fastest."""
    base = load(model)
    rows = []
    for dtype in dtypes:
        reader = base.in_dtype(dtype)
        facts = KGFact("speed", 7, 25, answer_format="boxed").facts[:prompts]
        requests = [Request([reader.prompt_ids(fact.prompt)]) for fact in facts]
        rows += _measure_dtype(reader, dtype, requests, budget, repetitions, batch_size)
    return rows


def _measure_dtype(
    reader: ChatModel, dtype: str, requests: list[Request], budget: int, repetitions: int, batch_size: int
) -> list[dict[str, Any]]:
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    replies: dict[str, list[list[int]]] = {}
    for number in range(repetitions):
        for way, context in WAYS.items():  # interleaved, so that a slow minute hits both
            release_memory()
            with context(), Meter(reader.network) as meter:
                found = reply_to(reader, requests, max_new_tokens=budget, batch_size=batch_size)
            replies[way] = [reply.ids for reply in found]
            rates[way].append(sum(map(len, replies[way])) / meter.seconds)
            console.print(f"{dtype}, {way}, {number + 1}: {meter.seconds:.1f} s", highlight=False)
    same = sum(a == b for a, b in zip(*replies.values(), strict=True))
    plain = statistics.median(rates["as loaded"])
    return [
        {
            "dtype": dtype,
            "way": way,
            "replies": len(requests),
            "same replies": same,
            "tokens/s": statistics.median(found),
            "slowest": min(found),
            "fastest": max(found),
            "times as fast": statistics.median(found) / plain,
        }
        for way, found in rates.items()
    ]


@contextlib.contextmanager
def _unpacked(network: Any) -> Any:
    yield
