"""The workbench of a run: caches that are keyed by content, progress bars, and the run's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mixsd.core.store import Records, content_hash, open_records, read_json, write_json

console = Console(stderr=True)


class Bench:
    """Implements `contract.Workbench` on the cache folder of a run.

    Args:
        cache_dir: Where caches live.
        identity: Part of every fingerprint: the model, the software, and what else moves a bit.
        log: A file that gets every line that is told (None: none does).

    Attributes:
        saved_seconds: Time that the cached work opened so far had taken when it was done.
    """

    def __init__(self, cache_dir: Path, identity: dict[str, Any], log: Path | None = None) -> None:
        self._cache_dir, self._identity, self._log = cache_dir, identity, log
        self.saved_seconds = 0.0

    @contextmanager
    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> Iterator[Records]:
        """Open, under a lock, the records that belong to exactly this fingerprint of this model.

        Beside them stands the time their making took, so that a run that finds them does not look cheap.
        """
        whole = {**self._identity, **fingerprint}
        clock = self.file(kind, fingerprint, ".seconds.json")
        with open_records(self._cache_dir, kind, whole) as done:
            before = read_json(clock) if clock.exists() else 0.0
            count, start = len(done.records), time.perf_counter()
            try:
                yield done
            finally:
                if len(done.records) > count:
                    write_json(clock, before + time.perf_counter() - start)
                self.saved_seconds += before

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        """Where the cache keeps the file that belongs to exactly this fingerprint of this model."""
        return self._cache_dir / kind / f"{content_hash({**self._identity, **fingerprint}, size=12)}{suffix}"

    def say(self, text: str, style: str = "") -> None:
        """Tell the user a line, and keep it in the run's log."""
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
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
        if not console.is_terminal:
            self.say(f"{title}: {total} in {time.perf_counter() - start:.1f} s")
