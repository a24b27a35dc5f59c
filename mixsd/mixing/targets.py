"""Decode, verify, retry, keep or drop: from facts to the targets the student is trained on.

Paper section 3: the answer extracted from a target must match the gold answer, else the target is
decoded again with fresh coins; what never passes is dropped. The verifier is the task's own grader, so
a target passes exactly when the same reply would count as recall.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from mixsd.errors import at_least, one_of, within
from mixsd.knowledge import Fact, Outcome, Task
from mixsd.method import RecordFile, Student
from mixsd.mixing.coins import coin_is_naive, token_draw
from mixsd.mixing.contexts import ExpertWording, context_reference, unsupported, wording
from mixsd.mixing.decoding import Pair, Reply, Sampling, decode_pairs

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
        expert_wording: A name in `contexts.WORDINGS`.
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
    """What became of one fact.

    Attributes:
        fact_id: The fact.
        ids: Token ids of the last attempt, end of turn included where it came.
        provenance: A letter per token, see `decoding.Reply`.
        text: The same as text.
        attempt: The last attempt, from 0.
        rejections: Why each rejected attempt was rejected, in order.
        passed: Whether the last attempt passed.
    """

    fact_id: str
    ids: tuple[int, ...]
    provenance: str
    text: str
    attempt: int
    rejections: tuple[str, ...]
    passed: bool

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Target":
        """Rebuild a target from what `to_json` gave."""
        lists = {key: tuple(record[key]) for key in ("ids", "rejections")}
        return cls(**{**record, **lists})

    def to_json(self) -> dict[str, Any]:
        """A record that JSON can hold."""
        return asdict(self)


def rejection(
    reply: Reply, text: str, fact: Fact, task: Task, expert: ExpertWording, reject: Sequence[str]
) -> str:
    """Why a decoded reply may not be trained on, or '' if it may.

    The reasons are the grader's outcomes (`truncated`, `unparsable`, `wrong`) and the checks that
    `reject` names.
    """
    verdict = task.grade(text, fact.answers, prompt=fact.prompt, truncated=not reply.ended)
    if verdict.outcome is not Outcome.CORRECT:
        return verdict.outcome.value
    if "context_reference" in reject and context_reference(text, fact, expert):
        return "context_reference"
    if "unsupported" in reject and unsupported(text, fact):
        return "unsupported"
    return ""


def make_targets(
    task: Task,
    student: Student,
    settings: MixSettings,
    *,
    batch_size: int,
    done: RecordFile,
    on_finished: Callable[[Target], None],
) -> tuple[list[Target], int]:
    """Make a target for every fact of a task; finished ones are appended to `done` at once.

    Args:
        task: Brings the facts and the grader.
        student: The frozen base model.
        settings: How to decode and judge.
        batch_size: Pairs decoded at a time. In float32 it does not change the targets.
        done: Targets that an earlier, interrupted call finished, by fact id.
        on_finished: Called once per fact, for progress.

    Returns:
        The targets in the order of the facts, and the number of tokens decoded by this call.
    """
    expert = wording(settings.expert_wording)
    finished: dict[str, Target] = {}
    generated = 0

    def finish(target: Target) -> None:
        finished[target.fact_id] = target
        on_finished(target)

    for record in done.records.values():
        finish(Target.from_json(record))
    waiting = [fact for fact in task.facts if fact.id not in finished]
    rejections: dict[str, list[str]] = {fact.id: [] for fact in waiting}
    prompts = {fact.id: _prompt_pair(fact, expert, student) for fact in waiting}
    # Rows of like length share a batch, so that little is padded.
    waiting.sort(key=lambda fact: len(prompts[fact.id][1]))
    for attempt in range(settings.attempts):
        failed: list[Fact] = []
        for batch in _chunks(waiting, batch_size):
            pairs = [_pair(fact, prompts[fact.id], settings, attempt) for fact in batch]
            replies = decode_pairs(
                student.model,
                pairs,
                sampling=Sampling(settings.temperature, settings.top_k),
                max_new_tokens=task.max_new_tokens,
                end_ids=student.end_ids,
            )
            for fact, reply in zip(batch, replies, strict=True):
                generated += len(reply.ids)
                text = student.text(reply.ids)
                reason = rejection(reply, text, fact, task, expert, settings.reject)
                if reason:
                    rejections[fact.id].append(reason)
                if reason and attempt + 1 < settings.attempts:
                    failed.append(fact)
                    continue
                target = Target(
                    fact.id,
                    tuple(reply.ids),
                    reply.provenance,
                    text,
                    attempt,
                    tuple(rejections[fact.id]),
                    passed=not reason,
                )
                done.append(fact.id, target.to_json())
                finish(target)
        waiting = failed
    return [finished[fact.id] for fact in task.facts], generated


def naive_coins(target: Target, settings: MixSettings) -> int:
    """How many tokens of a target the coin gave to the naive conditional, agreed ones included."""
    coin = partial(coin_is_naive, settings.mixing_rate, settings.seed, target.fact_id, target.attempt)
    return sum(coin(position) for position in range(len(target.ids)))


def summarize(targets: Sequence[Target], settings: MixSettings) -> dict[str, Any]:
    """Numbers worth reporting about a set of targets.

    `naive_fraction` is the realised share of naive coins among passed targets: retries favour coins
    that fell to the expert, so it lies below the mixing rate.
    """
    passed = [target for target in targets if target.passed]
    tokens = sum(len(target.ids) for target in passed)
    return {
        "n": len(targets),
        "pass_rate": len(passed) / len(targets),
        "pass_rate_first": sum(target.attempt == 0 for target in passed) / len(targets),
        "dropped": len(targets) - len(passed),
        "naive_fraction": sum(naive_coins(t, settings) for t in passed) / tokens if tokens else None,
        "passed_at_attempt": dict(sorted(Counter(str(t.attempt) for t in passed).items())),
        "rejections": dict(sorted(Counter(r for t in targets for r in t.rejections).items())),
        "unsolved": dict(sorted(Counter(t.rejections[-1] for t in targets if not t.passed).items())),
    }


def _prompt_pair(
    fact: Fact, expert: ExpertWording, student: Student
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return student.prompt_ids(fact.prompt), student.prompt_ids(expert.render(fact))


def _pair(
    fact: Fact, prompts: tuple[tuple[int, ...], tuple[int, ...]], settings: MixSettings, attempt: int
) -> Pair:
    naive_ids, expert_ids = prompts
    return Pair(
        naive_ids,
        expert_ids,
        coin=partial(coin_is_naive, settings.mixing_rate, settings.seed, fact.id, attempt),
        draw=partial(token_draw, settings.seed, fact.id, attempt),
    )


def _chunks(items: Sequence[Fact], size: int) -> Iterable[Sequence[Fact]]:
    return (items[start : start + size] for start in range(0, len(items), size))
