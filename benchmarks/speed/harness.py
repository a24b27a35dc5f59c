"""What the harness itself takes: commands that train nothing, a finished sweep, a run beside its stages."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixsd.core.store import read_json
from mixsd.run.plan import COST
from mixsd.run.state import DONE

ROOT = Path(__file__).parents[2]
TINY = (
    "model=tiny_random", "task.facts=4", "task.retrieval=8", "task.max_new_tokens=8", "training.max_steps=2",
    "training.eval_every=2", "training.batch_size=4", "training.micro_batch_size=4", "retention=none",
    "drift=none", "tracking=none", "sweep.report=false", "method.on_failure=keep_last",
)  # fmt: skip


def measure(runs: int, repetitions: int, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Seconds of each command, median with the fastest and slowest.

    Args:
        runs: Of the sweep, an even number.
        repetitions: Of each command.
        overrides: Of the run whose time is held against its stages.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sweep = ["-m", *TINY, f"runs_dir={place}/sweep", "method=sft,mixsd", f"seed=range(0,{runs // 2})"]
        _seconds(sweep, place)
        whole = _seconds([*overrides, f"runs_dir={place}/one"], place)
        return [
            _row("--help", [_seconds(["--help"], place) for _ in range(repetitions)]),
            _row("--cfg job", [_seconds(["--cfg", "job"], place) for _ in range(repetitions)]),
            _row(f"a finished sweep of {runs}", [_seconds(sweep, place) for _ in range(repetitions)]),
            _beside_stages(" ".join(overrides), whole, place / "one"),
        ]


def _seconds(arguments: Sequence[str], place: Path) -> float:
    start = time.perf_counter()
    variables = {**os.environ, "MIXSD_CACHE_DIR": str(place / "cache")}
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return time.perf_counter() - start


def _row(what: str, seconds: Sequence[float]) -> dict[str, Any]:
    middle = statistics.median(seconds)
    return {
        "command": what,
        "seconds": f"{middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        "share": "",
    }


def _beside_stages(what: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Everything that is no stage: imports, the config, files, the tracker."""
    (marker,) = folder.glob(f"*/*/{DONE}")
    stages = sum(cost["seconds"] for cost in read_json(marker.parent / COST).values())
    return {
        "command": f"outside the stages of `{what}`",
        "seconds": f"{seconds - stages:.1f} of {seconds:.0f}",
        "share": f"{(seconds - stages) / seconds:.1%}",
    }
