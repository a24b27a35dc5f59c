"""The mixing sampler beside what decoding both conditionals costs anyway, and beside re-submission.

One attempt per fact, greedy, mixing rate 0.3, the same prompts and coins throughout:

* `sampler`: this project's continuous two-stream decoder.
* `generate`: `model.generate` on the same 2B prompts, for as many tokens as the longest mixed target.
* `resubmit`: no caches; for every token the chosen conditional's whole prefix is read again, batched over
  facts, which is what asking an engine for one token at a time amounts to.

Every rate divides the same count of mixed-target tokens by the seconds taken.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.speed.common import load, release_memory
from benchmarks.tasks.kgfact.task import KGFact
from mixsd.core.questions import Fact
from mixsd.lm.batches import left_pad
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Reply, Request
from mixsd.lm.generate import reply_to
from mixsd.mixing.expert_prompt import wording
from mixsd.mixing.targets import MixSettings, mixed_request
from mixsd.run.meter import Meter
from mixsd.run.workbench import console

RATE, BUDGET, PLACES = 0.3, 48, 64


def measure(
    model: Sequence[str], sizes: Sequence[int], dtypes: Sequence[str], repetitions: int, resubmit_up_to: int
) -> list[dict[str, Any]]:
    """One row per (dtype, size, way), medians over repetitions with the fastest and slowest."""
    base = load(model)
    rows = []
    for dtype in dtypes:
        student = base.in_dtype(dtype)
        for size in sizes:
            rows += _measure_size(student, dtype, size, repetitions, with_resubmit=size <= resubmit_up_to)
    return rows


def compare_batches(
    model: Sequence[str], size: int, dtypes: Sequence[str], batch_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """One row per (dtype, batch size): the share of targets that differ from those decoded one by one."""
    base = load(model)
    rows = []
    for dtype in dtypes:
        student = base.in_dtype(dtype)
        requests = _requests(student, size)
        alone = [reply.ids for reply in _sample(student, requests, places=1)]
        for places in batch_sizes:
            ids = [reply.ids for reply in _sample(student, requests, places)]
            differ = sum(a != b for a, b in zip(ids, alone, strict=True))
            rows.append(
                {
                    "dtype": dtype,
                    "facts": size,
                    "batch size": places,
                    "differ from batch 1": differ,
                    "share": differ / size,
                }
            )
    return rows


def _measure_size(
    student: ChatModel, dtype: str, size: int, repetitions: int, with_resubmit: bool
) -> list[dict[str, Any]]:
    requests = _requests(student, size)
    replies = _sample(student, requests)
    tokens = sum(len(reply.ids) for reply in replies)
    longest = max(len(reply.ids) for reply in replies)
    ways: dict[str, Callable[[], Any]] = {
        "sampler": lambda: _sample(student, requests),
        "generate": lambda: _generate(student, requests, longest),
    }
    if with_resubmit:
        ways["resubmit"] = lambda: _resubmit(student, requests)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    notes: dict[str, tuple[int, int]] = {}
    for number in range(repetitions):
        for way, call in ways.items():  # interleaved, so that a slow minute hits all of them
            release_memory()
            with Meter(student.network) as meter:
                call()
            seconds[way].append(meter.seconds)
            notes[way] = meter.forward_passes, meter.growth_bytes
            console.print(
                f"{dtype}, {size} facts, {way}, {number + 1}: {meter.seconds:.1f} s", highlight=False
            )
    base = statistics.median(seconds["sampler"])
    return [
        {
            "dtype": dtype,
            "facts": size,
            "way": way,
            "tokens": tokens,
            "tokens/s": tokens / statistics.median(taken),
            "slowest": tokens / max(taken),
            "fastest": tokens / min(taken),
            "sampler is faster by": statistics.median(taken) / base,
            "passes/token": notes[way][0] / tokens,
            "peak GiB more": notes[way][1] / 2**30,
        }
        for way, taken in seconds.items()
    ]


def _requests(student: ChatModel, size: int) -> list[Request]:
    """Invented facts, sorted by length; past one world's 525 facts, further worlds."""
    facts: list[Fact] = []
    while len(facts) < size:
        facts += KGFact("speed", 7, 25, seed=len(facts)).facts
    settings = MixSettings(RATE, 0.0, None, 1, (), "answer", 0)
    requests = [mixed_request(fact, wording("answer"), student, settings) for fact in facts[:size]]
    return sorted(requests, key=lambda request: len(request.prompts[1]))


def _sample(student: ChatModel, requests: Sequence[Request], places: int = PLACES) -> list[Reply]:
    return reply_to(student, requests, max_new_tokens=BUDGET, batch_size=places)


@torch.inference_mode()
def _generate(student: ChatModel, requests: Sequence[Request], longest: int) -> None:
    config = GenerationConfig(
        max_new_tokens=longest,
        do_sample=False,
        eos_token_id=sorted(student.end_ids),
        pad_token_id=student.end_id,
    )
    for start in range(0, len(requests), PLACES):
        prompts = [prompt for request in requests[start : start + PLACES] for prompt in request.prompts]
        tokens, mask = left_pad(prompts, student.device)
        student.network.generate(input_ids=tokens, attention_mask=mask, generation_config=config)


@torch.inference_mode()
def _resubmit(student: ChatModel, requests: Sequence[Request]) -> None:
    replies: list[list[int]] = [[] for _ in requests]
    active = list(range(len(requests)))
    for position in range(BUDGET):
        prefixes = [[*requests[i].prompts[requests[i].source(0, position)], *replies[i]] for i in active]
        for start in range(0, len(active), PLACES):
            rows = active[start : start + PLACES]
            tokens, mask = left_pad(prefixes[start : start + PLACES], student.device)
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
            output = student.network(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=1,
            )
            for row, token in zip(rows, output.logits[:, -1].argmax(dim=-1).tolist(), strict=True):
                replies[row].append(token)
        active = [i for i in active if replies[i][-1] not in student.end_ids]
        if not active:
            return
