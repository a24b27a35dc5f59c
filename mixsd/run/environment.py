"""What a run was made by: versions, device, threads, and the state of the code."""

import datetime
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mixsd import __version__

MOVES_NUMBERS = ("torch", "transformers", "lm_eval", "tokenizers", "accelerate", "peft")
"""Packages whose version can change a number."""
RECORDED = (*MOVES_NUMBERS, "datasets", "numpy", "scipy", "hydra-core", "safetensors", "gguf", "wandb")
ROOT = Path(__file__).parents[2]
X86 = ("x86_64", "AMD64")
LONGEST_DIFF = 200_000


def software() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    return {name: version(name) for name in MOVES_NUMBERS}


@cache
def device_name() -> str:
    """The processor that models run on, by its model name."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def native_dtype() -> str:
    """`bfloat16` where the processor multiplies it in hardware, else `float32`.

    A processor without such instructions takes several times as long in bfloat16 as in float32.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif platform.machine() in X86:
        # oneDNN calls bfloat16 supported wherever AVX-512 can imitate it.
        native = torch.cpu._is_avx512_bf16_supported()
    else:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if native else "float32"


def arithmetic(dtypes: set[str]) -> dict[str, Any]:
    """What moves a bit beyond settings and seeds; in float32 on a CPU, nothing that is known beforehand.

    In bfloat16 the processor picks the kernel and the threads split the sums: the base model's score moves by
    about a point.
    """
    if torch.cuda.is_available():
        return {"device": device_name()}
    return {"device": device_name(), "threads": torch.get_num_threads()} if "bfloat16" in dtypes else {}


def made_by() -> dict[str, Any]:
    """Software and device of this process; work that stopped half-way under another begins anew."""
    return {**software(), "device": device_name(), "threads": torch.get_num_threads()}


def environment() -> dict[str, Any]:
    """The content of `environment.json`."""
    return {
        "mixsd_bench": __version__,
        **{key: value for key, value in code_state().items() if key != "diff"},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in RECORDED},
    }


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


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
