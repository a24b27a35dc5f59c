"""Small stand-ins for what the engine gives a method."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from mixsd.core.questions import Axis, Fact, Outcome, Probe, Verdict


class MemoryRecords:
    """A record file that lives in memory."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}

    def append(self, key: str, record: dict[str, Any]) -> None:
        self.records[key] = record


class MemoryBench:
    """A workbench that lives in memory: records by fingerprint, no progress bars."""

    def __init__(self) -> None:
        self.files: dict[str, MemoryRecords] = {}

    @contextmanager
    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> Iterator[MemoryRecords]:
        yield self.files.setdefault(f"{kind} {fingerprint!r}", MemoryRecords())

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda _: None


class FakeTask:
    """A task with short made-up facts whose grader is a function of the reply."""

    name = "fake"
    about = "Made up."
    max_new_tokens = 12
    identity: ClassVar[dict[str, Any]] = {}

    def __init__(self, count: int, accept: Callable[[str], bool]) -> None:
        self.facts = [
            Fact(f"f{i}", f"What is {i}?", f"What is {i}?", f"A{i}", f"It is A{i}.") for i in range(count)
        ]
        self.probes = [Probe(f"p{i}", "recall", f.prompt, f.answers, f.id) for i, f in enumerate(self.facts)]
        self._accept = accept

    def axis(self, split: str) -> Axis:
        return Axis.MEMORIZATION

    def grade(self, text: str, answers: Sequence[str], *, prompt: str, truncated: bool) -> Verdict:
        if truncated:
            return Verdict(Outcome.TRUNCATED)
        return Verdict(Outcome.CORRECT if self._accept(text) else Outcome.WRONG, text)
