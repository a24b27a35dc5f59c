"""What the speed benchmarks share."""

import ctypes
import gc
import sys
from collections.abc import Sequence

from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.run.config import compose_run


def load(model: Sequence[str]) -> ChatModel:
    """The model of a config of the model group, with changes such as `model.name=<folder>`, in float32."""
    name, *changes = model
    config = compose_run([f"model={name}", *changes, "retention=none", "tracking=none"])
    return models.load(config.model, config.cache_dir)


def release_memory() -> None:
    """Give freed memory back to the system, so that the next peak is the next call's own."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
