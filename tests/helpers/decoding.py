"""Decoding in tests: requests about invented facts, and a reference that keeps no cache."""

import torch

from benchmarks.tasks.kgfact.task import KGFact
from mixsd.lm.decode import Reply, Sampling, decode
from mixsd.mixing.expert_prompt import wording
from mixsd.mixing.targets import MixSettings, mixed_request

BUDGET = 16


def make_requests(student, rate, count=6):
    task = KGFact("k", 5, 10, count, "plain", BUDGET, 0)
    settings = MixSettings(rate, 0.0, None, 1, (), "answer", 0)
    return [mixed_request(fact, wording("answer"), student, settings) for fact in task.facts]


def decode_once(student, pairs, sampling=Sampling(), budget=BUDGET, batch_size=64):  # noqa: B008
    """One attempt each, as a list."""
    return decode_attempts(student, pairs, 1, sampling, budget, batch_size)[0]


def decode_attempts(student, pairs, attempts, sampling=Sampling(), budget=BUDGET, batch_size=64):  # noqa: B008
    """Every pair decoded `attempts` times over: replies[attempt][pair]."""
    replies = [[Reply()] * len(pairs) for _ in range(attempts)]
    seen = [0] * len(pairs)

    def again(index, reply):
        replies[seen[index]][index] = reply
        seen[index] += 1
        return seen[index] < attempts

    decode(
        student.network,
        pairs,
        sampling=sampling,
        max_new_tokens=budget,
        end_ids=student.end_ids,
        batch_size=batch_size,
        try_again=again,
    )
    assert seen == [attempts] * len(pairs)
    return replies


@torch.no_grad()
def slow_reference(student, pair, sampling, budget=BUDGET, attempt=0) -> Reply:
    """Re-run the chosen conditional from scratch, alone and without padding, for every token."""
    reply = Reply()
    for position in range(budget):
        source = pair.source(attempt, position)
        prompt = pair.prompts[source]
        logits = student.network(torch.tensor([[*prompt, *reply.ids]])).logits[:, -1]
        token = int(sampling.pick(logits, torch.tensor([pair.draw(attempt, position)]))[0])
        reply.ids.append(token)
        reply.provenance += "ne"[source]
        if token in student.end_ids:
            reply.ended = True
            break
    return reply
