"""Small stand-ins for what a run gives a method."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from mixsd.core.questions import Axis, Fact, Outcome, Probe, Question, Verdict
from mixsd.core.store import content_hash


class MemoryRecords:
    """A record file that lives in memory."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}

    def append(self, key: str, record: dict[str, Any]) -> None:
        self.records[key] = record


class MemoryBench:
    """A workbench without a cache folder: records in memory by fingerprint, files where nobody looks."""

    def __init__(self) -> None:
        self.files: dict[str, MemoryRecords] = {}
        self._folder = tempfile.TemporaryDirectory()

    @contextmanager
    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> Iterator[MemoryRecords]:
        yield self.files.setdefault(f"{kind} {content_hash(fingerprint)}", MemoryRecords())

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        return Path(self._folder.name) / f"{kind}-{content_hash(fingerprint)}{suffix}"

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda _: None


class FakeTask:
    """A task with short made-up facts: "What is 3?" is answered "It is A3."."""

    name = "fake"
    about = "Made up."
    max_new_tokens = 12
    identity: ClassVar[dict[str, Any]] = {}
    axes: ClassVar[Mapping[str, Axis]] = {"recall": Axis.MEMORIZATION}

    def __init__(self, count: int) -> None:
        self.facts = [
            Fact(f"f{i}", Question(f"What is {i}?", (f"A{i}",)), gold_text=f"It is A{i}.")
            for i in range(count)
        ]
        self.probes = [Probe(f"p{i}", "recall", f.question, f.id) for i, f in enumerate(self.facts)]


def graded_by(accept: Callable[[str], bool]) -> Callable[..., Verdict]:
    """A stand-in for `mixsd.core.grading.grade` that goes by the text of a complete reply alone."""

    def grade(reply: str, question: Question, *, ended: bool) -> Verdict:
        if not ended:
            return Verdict(Outcome.TRUNCATED)
        return Verdict(Outcome.CORRECT if accept(reply) else Outcome.WRONG, reply)

    return grade


def even(text: str) -> bool:
    """Accepts about half of the replies of a random model."""
    return len(text) % 2 == 0
