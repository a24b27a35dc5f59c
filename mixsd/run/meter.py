"""What a stage takes: seconds, peak memory, forward passes."""

import os
import threading
import time
from typing import Any

import psutil
import torch


class ForwardPasses:
    """Counts how often networks, or copies made of them while counting, are run; use as a context manager."""

    def __init__(self, *networks: Any) -> None:
        self.count = 0
        self._watched: list[Any] = []
        self._handles: list[Any] = []
        self._first = networks

    def watch(self, network: Any) -> None:
        """Count the passes of one more network; one that is counted already is not counted twice."""
        # Not the whole model: some losses call the decoder alone and make logits themselves.
        decoder = network.get_decoder()
        if not any(decoder is seen for seen in self._watched):
            self._watched.append(decoder)
            self._handles.append(decoder.register_forward_pre_hook(self))

    def __call__(self, *_: object) -> None:
        """Called before every pass."""
        self.count += 1

    def add(self, passes: int) -> None:
        """Count passes that another process made."""
        self.count += passes

    def __deepcopy__(self, memo: object) -> "ForwardPasses":
        return self  # a copied network reports here too

    def __enter__(self) -> "ForwardPasses":
        for network in self._first:
            self.watch(network)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._watched.clear()
        self._handles.clear()


class Meter:
    """Seconds, peak memory and forward passes of one stage.

    Memory is that of the process on a CPU, allocated memory on a GPU.

    Args:
        networks: Networks whose passes to count (copies made of them in the stage count too).

    Attributes:
        seconds: Time taken.
        peak_memory_bytes: The most memory that was in use.
        growth_bytes: How much of it was not in use when the stage began.
    """

    def __init__(self, *networks: Any) -> None:
        self._passes = ForwardPasses(*networks)

    def __enter__(self) -> "Meter":
        self._passes.__enter__()
        self._start = time.perf_counter()
        self._peak = 0
        self._ended = threading.Event()
        self._before = _memory_in_use()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        # Sampled: the system's own peak is that since the process began, not since the stage did.
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

    def watch(self, network: Any) -> None:
        """Count the passes of a network that was loaded after the stage began."""
        self._passes.watch(network)

    @property
    def forward_passes(self) -> int:
        """Passes so far."""
        return self._passes.count

    def _sample(self) -> None:
        # On a GPU torch keeps the peak itself.
        while not torch.cuda.is_available():
            self._peak = max(self._peak, _memory_in_use())
            if self._ended.wait(0.1):
                return


def _memory_in_use() -> int:
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated()
    return psutil.Process(os.getpid()).memory_info().rss
