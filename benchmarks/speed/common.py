"""What the speed benchmarks share."""

import ctypes
import gc
import sys

from mixsd.engine import models
from mixsd.engine.config import compose_run
from mixsd.student import Student


def load(model: str) -> Student:
    """The model of a config of the model group, in float32."""
    config = compose_run([f"model={model}", "retention=none", "tracking.mode=disabled"])
    return models.load(config.model, config.cache_dir)


def release_memory() -> None:
    """Give freed memory back to the system, so that the next peak is the next call's own."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
