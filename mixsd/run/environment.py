"""What a run was made by, with the device and threads that torch computes on."""

import datetime
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from mixsd import __version__
from mixsd.lm.shares import company_of
from mixsd.run.software import MOVES_NUMBERS, code_state, processor_name, software

RECORDED = (*MOVES_NUMBERS, "datasets", "numpy", "scipy", "hydra-core", "safetensors", "gguf", "wandb")
X86 = ("x86_64", "AMD64")


@cache
def device_name() -> str:
    """The processor that models run on, by its model name."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return processor_name()


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
    company = company_of(dtypes)
    if torch.cuda.is_available():
        return {"device": device_name(), **company}
    return {**_processor(), **company} if company else {}


def _processor() -> dict[str, Any]:
    # Machines of one name may have other instructions, as rented ones do.
    instructions = f"{torch.backends.cpu.get_cpu_capability()}, {native_dtype()}"
    return {"device": device_name(), "instructions": instructions, "threads": torch.get_num_threads()}


def made_by() -> dict[str, Any]:
    """Software and device of this process; work that stopped half-way under another begins anew."""
    return {**software(), **_processor()}


def environment() -> dict[str, Any]:
    """The content of `environment.json`."""
    return {
        "mixsd_bench": __version__,
        **{key: value for key, value in code_state().items() if key != "diff"},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **_processor(),
        "packages": {name: _version(name) for name in RECORDED},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
