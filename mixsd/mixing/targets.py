"""Decode, verify, retry, keep or drop: from facts to the targets the student is trained on.

Paper section 3: the answer extracted from a target must match the gold answer, else the target is
decoded again with fresh coins; what never passes is dropped. The verifier is the grader of probes, so a
target passes exactly when the same reply would count as recall.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from mixsd.core.errors import at_least, one_of, within
from mixsd.core.grading import grade
from mixsd.core.questions import Fact, Outcome
from mixsd.core.store import RecordFile
from mixsd.lm.batches import AGREED, EXPERT
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Reply, Request, Sampling, decode
from mixsd.lm.shares import Tell, reply_units, share
from mixsd.mixing.coins import coin_is_naive, token_draw
from mixsd.mixing.expert_prompt import ExpertWording, context_reference, unsupported, wording

CHECKS = ("context_reference", "unsupported")
POLICIES = ("drop", "gold", "keep_last")


@dataclass(frozen=True)
class MixSettings:
    """How targets are decoded and judged. Every field changes the targets, so all are in their fingerprint.

    Attributes:
        mixing_rate: P(naive), the paper's lambda.
        temperature: 0 is greedy.
        top_k: Tokens to sample among (None: all).
        max_attempts: First try and retries.
        reject: Checks beyond the answer's correctness, of `CHECKS`; empty restores the paper.
        expert_wording: A name in `expert_prompt.WORDINGS`.
        seed: Draws coins and tokens.

    Raises:
        SettingError: A field is outside its range.
    """

    mixing_rate: float
    temperature: float
    top_k: int | None
    max_attempts: int
    reject: tuple[str, ...]
    expert_wording: str
    seed: int

    def __post_init__(self) -> None:
        within("method.mixing_rate", self.mixing_rate, 0, 1)
        at_least("method.temperature", self.temperature, 0)
        at_least("method.max_attempts", self.max_attempts, 1)
        if self.top_k is not None:
            at_least("method.top_k", self.top_k, 1)
        for check in self.reject:
            one_of("method.reject", check, CHECKS)
        wording(self.expert_wording)

    @property
    def attempts(self) -> int:
        """Attempts that can differ: greedy with a coin that always falls the same way has one."""
        fixed = self.temperature == 0 and self.mixing_rate in (0, 1)
        return 1 if fixed else self.max_attempts


@dataclass(frozen=True)
class Target:
    """The target of one fact, with its attempts.

    Attributes:
        fact_id: The fact.
        ids: Token ids of the last attempt, end of turn included where it came.
        provenance: A letter per token, see `decode.Reply`.
        text: The same as text.
        attempt: The last attempt, from 0.
        rejections: Why each rejected attempt was rejected, in order.
        passed: Whether the last attempt passed.
        decoded: Tokens decoded over all attempts.
    """

    fact_id: str
    ids: tuple[int, ...]
    provenance: str
    text: str
    attempt: int
    rejections: tuple[str, ...]
    passed: bool
    decoded: int

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Target":
        """Rebuild a target from what `to_json` gave."""
        lists = {key: tuple(record[key]) for key in ("ids", "rejections")}
        return cls(**{**record, **lists})

    def to_json(self) -> dict[str, Any]:
        """A record that JSON can hold."""
        return asdict(self)


def rejection(reply: Reply, text: str, fact: Fact, expert: ExpertWording, reject: Sequence[str]) -> str:
    """Why a decoded reply may not be trained on, or '' if it may.

    The reasons are the grader's outcomes (`truncated`, `unparsable`, `wrong`) and the checks that
    `reject` names.
    """
    verdict = grade(text, fact.question, ended=reply.ended)
    if verdict.outcome is not Outcome.CORRECT:
        return verdict.outcome.value
    if "context_reference" in reject and context_reference(text, fact, expert):
        return "context_reference"
    if "unsupported" in reject and unsupported(text, fact):
        return "unsupported"
    return ""


def mixed_request(fact: Fact, expert: ExpertWording, model: ChatModel, settings: MixSettings) -> Request:
    """A reply to a fact's prompt, mixed by its own coins (prompt 0 is the naive one, 1 the expert one)."""

    def source(attempt: int, position: int) -> int:
        coin = coin_is_naive(settings.mixing_rate, settings.seed, fact.id, attempt, position)
        return 0 if coin else 1

    return Request(
        [model.prompt_ids(fact.prompt), model.prompt_ids(expert.render(fact))],
        source,
        draw=partial(token_draw, settings.seed, fact.id),
    )


def expert_request(fact: Fact, expert: ExpertWording, model: ChatModel, settings: MixSettings) -> Request:
    """The expert's own reply; the naive conditional is not asked."""
    prompts = [model.prompt_ids(expert.render(fact))]
    return Request(prompts, lambda *_: 0, partial(token_draw, settings.seed, fact.id), letters=EXPERT)


RequestMaker = Callable[[Fact, ExpertWording, ChatModel, MixSettings], Request]


@dataclass(frozen=True)
class _Writing:
    """Writes the targets of a unit of facts; see `make_targets` for its settings."""

    settings: MixSettings
    max_new_tokens: int
    batch_size: int
    request: RequestMaker
    verify: bool

    def __call__(self, model: ChatModel, unit: Sequence[Fact], tell: Tell) -> None:
        expert = wording(self.settings.expert_wording)
        rejections: list[list[str]] = [[] for _ in unit]
        decoded = [0] * len(unit)

        def judge(index: int, reply: Reply) -> bool:
            """Verify a complete reply; True: decode the fact again, with the coins of the next attempt."""
            fact, text, rejected = unit[index], model.text(reply.ids), rejections[index]
            decoded[index] += len(reply.ids)
            attempt = len(rejected)
            reason = rejection(reply, text, fact, expert, self.settings.reject) if self.verify else ""
            if reason:
                rejected.append(reason)
                if len(rejected) < self.settings.attempts:
                    return True
            ids, provenance = tuple(reply.ids), reply.provenance
            passed = not reason
            tell(Target(fact.id, ids, provenance, text, attempt, tuple(rejected), passed, decoded[index]))
            return False

        decode(
            model.network,
            [self.request(fact, expert, model, self.settings) for fact in unit],
            sampling=Sampling(self.settings.temperature, self.settings.top_k),
            max_new_tokens=self.max_new_tokens,
            end_ids=model.end_ids,
            batch_size=self.batch_size,
            try_again=judge,
        )


def make_targets(
    facts: Sequence[Fact],
    model: ChatModel,
    settings: MixSettings,
    *,
    max_new_tokens: int,
    batch_size: int,
    done: RecordFile,
    on_finished: Callable[[Target], None],
    request: RequestMaker = mixed_request,
    verify: bool = True,
) -> list[Target]:
    """Make a target for every fact; each is appended to `done` as soon as it is finished.

    Args:
        facts: What to make targets for.
        model: The frozen base model.
        settings: How to decode and judge.
        max_new_tokens: Budget of a target, its end included.
        batch_size: Facts decoded at a time; the model reads twice as many rows. In float32 it does not
            change the targets.
        done: Targets that an earlier, interrupted call finished, by fact id.
        on_finished: Called once per fact, for progress.
        request: Makes the decoding request of a fact.
        verify: Whether to reject; without, the first reply of every fact passes.

    Returns:
        The targets in the order of the facts.
    """
    expert = wording(settings.expert_wording)
    finished = {fact_id: Target.from_json(record) for fact_id, record in done.records.items()}
    for target in finished.values():
        on_finished(target)

    def keep(target: Target) -> None:
        if target.fact_id in finished:
            return
        done.append(target.fact_id, target.to_json())  # at once: what is finished survives a kill
        finished[target.fact_id] = target
        on_finished(target)

    missing = {fact.id for fact in facts} - finished.keys()
    if missing:
        # Coins depend on seed, fact, attempt and position alone, so in float32 a target is the same in any
        # company. Elsewhere a unit that was interrupted is written again whole, to the same end.
        alone = model.network.dtype == torch.float32
        waiting = [fact for fact in facts if fact.id in missing or not alone]
        # Prompts of like length join together, so that little is padded.
        waiting.sort(key=lambda fact: max(map(len, request(fact, expert, model, settings).prompts)))
        todo = reply_units(waiting, model, batch_size)
        writing = _Writing(settings, max_new_tokens, batch_size, request, verify)
        share(writing, model, [unit for unit in todo if missing & {fact.id for fact in unit}], keep)
    return [finished[fact.id] for fact in facts]


def naive_coins(target: Target, settings: MixSettings) -> int:
    """How many tokens of a target the coin gave to the naive conditional, agreed ones included."""
    coin = partial(coin_is_naive, settings.mixing_rate, settings.seed, target.fact_id, target.attempt)
    return sum(coin(position) for position in range(len(target.ids)))


def summarize(targets: Sequence[Target], facts: Sequence[Fact], settings: MixSettings) -> dict[str, Any]:
    """Numbers worth reporting about the targets of some facts.

    `naive_fraction` is the realised share of naive coins among passed targets: retries favour coins
    that fell to the expert, so it lies below the mixing rate. `agreed_fraction` is the share of tokens
    that both conditionals would have given. `unsupported` counts passed targets that name what neither
    question nor gold text holds. The shares of `context_reference` and `unsupported` are over attempts with
    the right answer, rejected for it or not, so that they can be compared across mixing rates.
    """
    by_id = {fact.id: fact for fact in facts}
    passed = [target for target in targets if target.passed]
    rejections = Counter(reason for target in targets for reason in target.rejections)
    # The grader comes first, so an attempt that a check rejected had the right answer.
    right = len(passed) + sum(rejections[check] for check in CHECKS)
    expert = wording(settings.expert_wording)
    found = {
        "context_reference": sum(bool(context_reference(t.text, by_id[t.fact_id], expert)) for t in passed),
        "unsupported": sum(bool(unsupported(t.text, by_id[t.fact_id])) for t in passed),
    }
    tokens = sum(len(target.ids) for target in passed)
    return {
        "pass_rate": len(passed) / len(targets) if targets else None,
        "pass_rate_first": sum(t.attempt == 0 for t in passed) / len(targets) if targets else None,
        "naive_fraction": sum(naive_coins(t, settings) for t in passed) / tokens if tokens else None,
        "agreed_fraction": sum(t.provenance.count(AGREED) for t in passed) / tokens if tokens else None,
        "unsupported": found["unsupported"],
        **{f"{c}_share": (rejections[c] + found[c]) / right if right else None for c in CHECKS},
        "attempts": len(passed) + rejections.total(),
        "passed_at_attempt": dict(sorted(Counter(str(t.attempt) for t in passed).items())),
        "rejections": dict(sorted(rejections.items())),
        "unsolved": dict(sorted(Counter(t.rejections[-1] for t in targets if not t.passed).items())),
    }
