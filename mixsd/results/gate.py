"""Conditions that a tuned model must meet before it is kept: the bad end of each interval counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixsd.core.errors import at_least, within
from mixsd.core.questions import NEIGHBORS, PARAPHRASE, Task
from mixsd.results.aggregate import RetentionSuite

EXIT_STATUS = 3


@dataclass(frozen=True)
class GateSettings:
    """What a run must reach; None asks for nothing.

    Attributes:
        recall: The share of facts learned (trained question and most other wordings right) is at least
            this, by the lower end of its 95% interval.
        retention: Held-out score, tuned over base, is at least this, by the lower end.
        intrusion: The share of neighbors answered with an injected answer is at most this, by the upper end.
    """

    recall: float | None = None
    retention: float | None = None
    intrusion: float | None = None

    def __post_init__(self) -> None:
        for name in ("recall", "intrusion"):
            if getattr(self, name) is not None:
                within(f"gate.{name}", getattr(self, name), 0, 1)
        if self.retention is not None:
            at_least("gate.retention", self.retention, 0)


def unmeasurable(gate: GateSettings, task: Task, suite: RetentionSuite) -> list[str]:
    """What a gate asks for that a run could not measure, a sentence each."""
    splits = {probe.split for probe in task.probes}
    told = []
    if gate.recall is not None and PARAPHRASE not in splits:
        told.append(
            f"gate.recall={gate.recall} needs paraphrases, and task={task.name} has none; leave it out"
        )
    if gate.intrusion is not None and NEIGHBORS not in splits:
        told.append(
            f"gate.intrusion={gate.intrusion} needs neighbors, and task={task.name} has none; leave it out"
        )
    if gate.retention is not None and not suite.generated:
        told.append(
            f"gate.retention={gate.retention} needs held-out tasks whose answers are generated, and "
            f"retention={suite.name} has none; choose retention=pocket, or leave it out"
        )
    return told


def misses(results: Mapping[str, Any], gate: GateSettings) -> list[str]:
    """What a run's results miss of the gate, a sentence each; what was not measured is missed."""
    learned, retention = results["memorization"]["learned"], results["retention"]
    intrusion = results["memorization"]["intrusion"]
    told = []
    if gate.recall is not None:
        low = learned["ci"][0] if learned else None
        if low is None or low < gate.recall:
            shown = "was not measured" if low is None else f"has a lower end of {low:.2f}"
            told.append(f"the share of facts learned {shown}, gate.recall={gate.recall}")
    if gate.retention is not None:
        low = retention["ci"][0] if retention["ci"] else None
        if low is None or low < gate.retention:
            shown = "was not measured" if low is None else f"has a lower end of {low:.2f}"
            told.append(f"retention {shown}, gate.retention={gate.retention}")
    if gate.intrusion is not None:
        high = intrusion["ci"][1] if intrusion else None
        if high is None or high > gate.intrusion:
            shown = "was not measured" if high is None else f"has an upper end of {high:.2f}"
            told.append(f"intrusion {shown}, gate.intrusion={gate.intrusion}")
    return told
