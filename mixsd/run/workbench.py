"""The workbench of a run: caches that are keyed by content, and progress bars."""

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mixsd.core.store import Records, content_hash, open_records
from mixsd.run.config import RESULTS_VERSION, RunConfig

console = Console(stderr=True)


def software() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    return {name: version(name) for name in ("torch", "transformers", "lm_eval")}


def device_name() -> str:
    """The kind of processor that models run on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()


class Bench:
    """Implements `method.Workbench` on the cache folder of a run.

    Args:
        config: The run. Its model and the software's versions are part of every fingerprint.
    """

    def __init__(self, config: RunConfig) -> None:
        self._cache_dir = config.cache_dir
        self._identity = {
            "model": config.model_fingerprint,
            "template_options": config.model.template_options,
            "software": software(),
            "device": device_name(),
            "results_version": RESULTS_VERSION,
        }

    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> AbstractContextManager[Records]:
        """Open, under a lock, the records that belong to exactly this fingerprint of this model."""
        return open_records(self._cache_dir, kind, {**self._identity, **fingerprint})

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        """Where the cache keeps the file that belongs to exactly this fingerprint of this model."""
        return self._cache_dir / kind / f"{content_hash({**self._identity, **fingerprint}, size=12)}{suffix}"

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
            console.print(f"{title}: {total} in {time.perf_counter() - start:.1f} s", highlight=False)


class ForwardPasses:
    """Counts how often a model, or a copy made of it while counting, is run; use as a context manager."""

    def __init__(self, model: Any) -> None:
        self.count = 0
        self._decoder = model.get_decoder()

    def __call__(self, *_: object) -> None:
        """Called before every pass."""
        self.count += 1

    def __deepcopy__(self, memo: object) -> "ForwardPasses":
        return self  # a copied model reports here too

    def __enter__(self) -> "ForwardPasses":
        self._handle = self._decoder.register_forward_pre_hook(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


class Meter:
    """Seconds, peak memory and forward passes of one stage.

    Memory is that of the process on a CPU, allocated memory on a GPU.

    Args:
        model: The model whose passes to count (copies made of it in the stage count too).

    Attributes:
        seconds: Time taken.
        peak_memory_bytes: The most memory that was in use.
        growth_bytes: How much of it was not in use when the stage began.
    """

    def __init__(self, model: Any) -> None:
        self._passes = ForwardPasses(model)

    def __enter__(self) -> "Meter":
        self._passes.__enter__()
        self._start = time.perf_counter()
        self._peak = 0
        self._ended = threading.Event()
        self._before = _memory_in_use()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        self._passes.__exit__()
        self.seconds = time.perf_counter() - self._start
        self.peak_memory_bytes = (
            torch.cuda.max_memory_allocated() if torch.cuda.is_available() else self._peak
        )
        self.growth_bytes = max(0, self.peak_memory_bytes - self._before)

    @property
    def forward_passes(self) -> int:
        """Passes so far."""
        return self._passes.count

    def _sample(self) -> None:
        while not torch.cuda.is_available():
            self._peak = max(self._peak, _memory_in_use())
            if self._ended.wait(0.1):
                return


def _memory_in_use() -> int:
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated()
    return psutil.Process(os.getpid()).memory_info().rss
