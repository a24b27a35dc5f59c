"""The workbench of a run: caches that are keyed by content, progress bars, and the run's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mixsd.core.errors import StoreError
from mixsd.core.store import Records, content_hash, is_held, lock_of, open_records, read_json, write_json

console = Console(stderr=True)


def _taken(path: Path) -> dict[str, Any]:
    """What making the records beside a file took so far; nothing where that is not known any more."""
    nothing = {"seconds": 0.0, "forward_passes": 0}
    try:
        return {**nothing, **read_json(path)} if path.exists() else nothing
    except (StoreError, TypeError):
        return nothing


class Bench:
    """Implements `contract.Workbench` on the cache folder of a run.

    Args:
        cache_dir: Where caches live.
        identity: Part of every fingerprint: the model, the software, and what else moves a bit.
        log: A file that gets every line that is told (None: none does).

    Attributes:
        saved_seconds: Time that the cached work opened so far had taken when it was done.
        saved_passes: Forward passes that it had taken.
        passes: Counts the forward passes of this process.
        on_progress: Told (title, done, total) as work goes on, beside its bar.
    """

    def __init__(self, cache_dir: Path, identity: dict[str, Any], log: Path | None = None) -> None:
        self._cache_dir, self._identity, self._log = cache_dir, identity, log
        self.saved_seconds, self.saved_passes = 0.0, 0
        self.passes: Callable[[], int] = lambda: 0
        self.on_progress: Callable[[str, int, int], None] = lambda *_: None

    @contextmanager
    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> Iterator[Records]:
        """Open, under a lock, the records that belong to exactly this fingerprint of this model.

        Beside them stands what their making took, so that a run that finds them does not look cheap.
        """
        whole = {**self._identity, **fingerprint}
        beside = self.file(kind, fingerprint, ".cost.json")
        asked = time.perf_counter()
        with open_records(self._cache_dir, kind, whole) as done:
            # Another run's work is counted as what it took there, not as the waiting for it.
            self.saved_seconds -= time.perf_counter() - asked
            if done.damaged:
                self.say(
                    f"{self.file(kind, fingerprint, '.jsonl')}: {done.damaged} damaged records are made anew",
                    "yellow",
                )
            before = _taken(beside)
            count, start, passes = len(done.records), time.perf_counter(), self.passes()
            try:
                yield done
            finally:
                # Also after an interruption: what was finished stays in the records.
                if len(done.records) > count:
                    seconds = before["seconds"] + time.perf_counter() - start
                    taken = before["forward_passes"] + self.passes() - passes
                    write_json(beside, {"seconds": seconds, "forward_passes": taken})
                self.saved_seconds += before["seconds"]
                self.saved_passes += before["forward_passes"]

    def is_busy(self, kind: str, fingerprint: dict[str, Any]) -> bool:
        """Whether another process has the records of exactly this fingerprint open."""
        return is_held(lock_of(self.file(kind, fingerprint, ".jsonl")))

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        """Where the cache keeps the file that belongs to exactly this fingerprint of this model."""
        return self._cache_dir / kind / f"{content_hash({**self._identity, **fingerprint}, size=12)}{suffix}"

    def say(self, text: str, style: str = "") -> None:
        """Tell the user a line, and keep it in the run's log."""
        # `markup=False`: a line may hold brackets, which rich would read as styles.
        console.print(text, style=style or None, markup=False, highlight=False)
        if self._log:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on stderr; where that is no terminal, a line when the work is done."""
        start = time.perf_counter()
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task, done = bar.add_task(title, total=total), 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                bar.advance(task, count)
                self.on_progress(title, done, total)

            self.on_progress(title, 0, total)
            yield advance
        if not console.is_terminal:
            self.say(f"{title}: {total} in {time.perf_counter() - start:.1f} s")
