"""Conditions that a tuned model must meet before it is kept: the bad end of each interval counts."""

from collections.abc import Collection
from dataclasses import dataclass

from mixsd.core.errors import at_least, within
from mixsd.core.questions import NEIGHBORS, PARAPHRASE
from mixsd.results.schema import Interval, RunResults, Share

EXIT_STATUS = 3


@dataclass(frozen=True)
class GateSettings:
    """What a run must reach; None asks for nothing.

    Attributes:
        learned: The share of facts learned (trained question and most other wordings right) is at least
            this, by the lower end of its 95% interval.
        retention: Held-out score, tuned over base, is at least this, by the lower end.
        intrusion: The share of neighbors answered with an injected answer is at most this, by the upper end.
    """

    learned: float | None = None
    retention: float | None = None
    intrusion: float | None = None

    def __post_init__(self) -> None:
        for name in ("learned", "intrusion"):
            if getattr(self, name) is not None:
                within(f"gate.{name}", getattr(self, name), 0, 1)
        if self.retention is not None:
            at_least("gate.retention", self.retention, 0)


def unmeasurable(
    gate: GateSettings, splits: Collection[str], task_name: str, suite_name: str, generated: Collection[str]
) -> list[str]:
    """What a gate asks for that a run could not measure, a sentence each.

    Args:
        gate: The conditions.
        splits: Splits of probes that the task has.
        task_name: The task, for messages.
        suite_name: The held-out suite, for messages.
        generated: Its tasks whose answers are generated.
    """
    told = []
    if gate.learned is not None and PARAPHRASE not in splits:
        told.append(
            f"gate.learned={gate.learned} needs paraphrases, and task={task_name} has none; leave it out"
        )
    if gate.intrusion is not None and NEIGHBORS not in splits:
        told.append(
            f"gate.intrusion={gate.intrusion} needs neighbors, and task={task_name} has none; leave it out"
        )
    if gate.retention is not None and not generated:
        told.append(
            f"gate.retention={gate.retention} needs held-out tasks whose answers are generated, and "
            f"retention={suite_name} has none; choose retention=pocket, or leave it out"
        )
    return told


def unmet(results: RunResults, gate: GateSettings) -> list[str]:
    """What of the gate a run's results do not meet, a sentence each; what was not measured is unmet."""
    learned, intrusion = _interval(results.derived.learned), _interval(results.derived.intrusion)
    told = [
        _at_least("the share of facts learned", learned, "gate.learned", gate.learned),
        _at_least("retention", results.retention.generated.ratio_interval, "gate.retention", gate.retention),
        _at_most("intrusion", intrusion, "gate.intrusion", gate.intrusion),
    ]
    return [sentence for sentence in told if sentence]


def _interval(share: Share | None) -> Interval | None:
    return share.interval if share else None


def _at_least(what: str, interval: Interval | None, setting: str, wanted: float | None) -> str:
    if wanted is None or (interval is not None and interval[0] >= wanted):
        return ""
    shown = "was not measured" if interval is None else f"has a lower end of {interval[0]:.2f}"
    return f"{what} {shown}, {setting}={wanted}"


def _at_most(what: str, interval: Interval | None, setting: str, wanted: float | None) -> str:
    if wanted is None or (interval is not None and interval[1] <= wanted):
        return ""
    shown = "was not measured" if interval is None else f"has an upper end of {interval[1]:.2f}"
    return f"{what} {shown}, {setting}={wanted}"
