"""What a sweep is going to do, how long that takes by earlier runs, and how far it is; read without torch."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from mixsd.core.errors import StoreError
from mixsd.core.store import read_json
from mixsd.run.ended import WHOLE, EndedJob
from mixsd.run.state import DONE, FAILED, KILLED, RUNNING, is_done, state_of

COST = "cost.json"
BASE_SCORES = "base_scores"
"""The stage whose product all runs of a model, task and seed share."""
_END = re.compile(r"-s(\d+)-[0-9a-f]+$")
"""Of a run's name: seed and hash. What stands before them names task, method and model."""


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: What it sets.
        run_dir: Its run's directory.
        measured: The hash of what it measures.
        was_done: Whether it was finished before the sweep began.
        base: What its base scores hang on: jobs with the same share them.
        targets: What the examples that it trains on hang on, likewise.
    """

    overrides: tuple[str, ...]
    run_dir: Path
    measured: str
    was_done: bool
    base: str = ""
    targets: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it is finished by now."""
        return is_done(self.run_dir, self.measured)


@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep.

    Attributes:
        jobs: In the order in which they were given.
        side_by_side: How many run at once.
    """

    jobs: Sequence[Job]
    side_by_side: int = 1

    @property
    def to_run(self) -> list[Job]:
        """The jobs that are not done."""
        return [job for job in self.jobs if not job.is_done]

    def in_turn(self) -> list[Job]:
        """The jobs in an order in which those that come first share as little as can be.

        Of jobs that share targets or base scores one makes them while the others wait; so the first of each
        kind come first. Targets count before base scores, whose parts several jobs can make at once.
        """
        seen: Counter[tuple[str, str]] = Counter()
        turns = []
        for job in self.jobs:
            shares = ("targets", job.targets), ("base", job.base)
            turns.append(tuple(seen[share] for share in shares))
            seen.update(shares)
        return [job for _, job in sorted(zip(turns, self.jobs, strict=True), key=lambda pair: pair[0])]

    def seconds(self) -> tuple[float, int]:
        """How long the jobs that are not done take by earlier runs, and of how many nothing is known.

        An earlier run with the same task, method and model tells, of the same experiment if there is one.
        Base scores count once for the jobs that share them.
        """
        total, unknown = 0.0, 0
        bases = {job.base for job in self.jobs if job.base and job.is_done}
        earlier = Earlier({job.run_dir.parent.parent for job in self.jobs})
        for job in self.to_run:
            found = earlier.seconds(job.run_dir)
            if found is None:
                unknown += 1
                continue
            base, own = found
            total += own + (base if job.base not in bases else 0)
            bases.add(job.base)
        return total / max(1, min(self.side_by_side, len(self.to_run))), unknown

    def told(self) -> str:
        """The plan in one line."""
        done = len(self.jobs) - len(self.to_run)
        states = [state_of(job.run_dir).state for job in self.to_run]
        begun = [
            f"{count} {word}"
            for word, names in (("begun", (RUNNING, KILLED, "interrupted")), ("failed before", (FAILED,)))
            if (count := sum(state in names for state in states))
        ]
        parts = [f"{len(self.to_run)} to run" + (f" ({', '.join(begun)})" if begun else ""), f"{done} done"]
        if self.side_by_side > 1:
            parts.append(f"{self.side_by_side} side by side")
        return f"sweep of {len(self.jobs)}: {', '.join(parts)}{self._time()}"

    def _time(self) -> str:
        seconds, unknown = self.seconds()
        count = len(self.to_run)
        if not count:
            return ""
        if unknown == count:
            return "; how long it takes is not known: no earlier run of these"
        more = f" and {unknown} of which no earlier run tells" if unknown else ""
        return f"; about {duration(seconds)} by earlier runs{more}"


def progress(plan: Plan, ended: Sequence[EndedJob]) -> str:
    """How far a sweep is, in one line.

    Args:
        plan: The sweep.
        ended: Its jobs that ended so far; on another machine one may be another run than was planned.
    """
    whole = {tuple(job.overrides) for job in ended if job.state in WHOLE}
    failed = {tuple(job.overrides) for job in ended if job.state == FAILED} - whole
    left = [job for job in plan.to_run if job.overrides not in whole]
    seconds, unknown = replace(plan, jobs=left).seconds()
    more = f"; about {duration(seconds)} left" if left and not unknown else ""
    done = len(plan.jobs) - len(left)
    return f"{done} of {len(plan.jobs)} done{f', {len(failed)} failed' if failed else ''}{more}"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Earlier:
    """What finished runs took.

    Args:
        folders: Those that hold experiments.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._found: dict[tuple[Path | None, str], list[tuple[float, float]]] = {}
        for marker in (marker for folder in set(folders) for marker in folder.glob(f"*/*/{DONE}")):
            self._add(marker.parent)

    def _add(self, run_dir: Path) -> None:
        if not (run_dir / COST).exists():
            return
        try:
            costs = {stage: float(cost["seconds"]) for stage, cost in read_json(run_dir / COST).items()}
        except (StoreError, KeyError, TypeError, AttributeError, ValueError):  # it tells of no run of ours
            return
        base = costs.pop(BASE_SCORES, 0.0)
        for experiment in (run_dir.parent, None):
            key = (experiment, _END.sub("", run_dir.name))
            self._found.setdefault(key, []).append((base, sum(costs.values())))

    def seconds(self, run_dir: Path) -> tuple[float, float] | None:
        """What base scores and all else took on average in runs of the same task, method and model.

        Args:
            run_dir: A run that is not done; runs of its own experiment tell before others.
        """
        name = _END.sub("", run_dir.name)
        found = self._found.get((run_dir.parent, name)) or self._found.get((None, name))
        if not found:
            return None
        bases, others = zip(*found, strict=True)
        return fmean(bases), fmean(others)
