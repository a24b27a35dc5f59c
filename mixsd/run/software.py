"""Packages, processor and the state of the code, told without importing torch."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

MOVES_NUMBERS = ("torch", "transformers", "lm_eval", "tokenizers", "accelerate", "peft")
"""Packages whose version can change a number."""
ROOT = Path(__file__).parents[2]
LONGEST_DIFF = 200_000
_GPUS = Path("/proc/driver/nvidia/gpus")


def software() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    return {name: version(name) for name in MOVES_NUMBERS}


def processor_name() -> str:
    """The model name of the CPU."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_flags() -> str:
    """The instructions that the CPU says it has; '' where nothing tells."""
    return _cpuinfo("flags") or _cpuinfo("Features")


def _cpuinfo(key: str) -> str:
    """An entry of the first CPU."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that the driver lists, by their places; which of them a process sees is its own matter."""
    return sorted(place.name for place in _GPUS.iterdir()) if _GPUS.is_dir() else []


def code_state() -> dict[str, Any]:
    """The commit of this code, whether it was changed since, and the change; {} outside a checkout of it."""
    # An environment may lie inside another project's checkout: ask whether this very file is tracked there.
    if _git("ls-files", "--error-unmatch", "mixsd/__init__.py") is None:
        return {}
    commit, diff = _git("rev-parse", "HEAD"), _git("diff", "HEAD") or ""
    state: dict[str, Any] = {"commit": (commit or "").strip(), "dirty": bool(diff.strip())}
    return {**state, "diff": diff[:LONGEST_DIFF]} if state["dirty"] else state


def _git(*arguments: str) -> str | None:
    """What git prints, or None where it refuses or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
