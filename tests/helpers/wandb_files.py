"""What offline W&B files say, read by W&B's own tool."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60
"""W&B's service writes the end of a run to disk some time after `finish` has returned."""


def offline_runs(folder: Path, of: str = "") -> list[Path]:
    """The offline W&B runs of an experiment's folder, or of one run; oldest first, each written to its end."""
    found = sorted((folder / "wandb").glob(f"offline-run-*{of}*" if of else "offline-run-*"))
    for offline in found:
        _records(offline)
    return found


def wandb_summary(offline: Path) -> dict[str, Any]:
    """Name, state and summary of an offline run."""
    return json.loads(_inspect("--summary", "--json", str(offline)))


def wandb_history(offline: Path) -> list[dict[str, Any]]:
    """The points that were logged, without W&B's own keys."""
    items = [record["history"]["item"] for record in _records(offline) if record["type"] == "history"]
    return [{key: value for key, value in item.items() if not key.startswith("_")} for item in items]


def wandb_bytes(folder: Path) -> bytes:
    """All that W&B would send of a folder's runs: the transaction logs and the uploaded files, no debug logs."""
    runs = offline_runs(folder)
    sent = [path for run in runs for path in (*run.glob("*.wandb"), *run.glob("files/**/*"))]
    return b"".join(path.read_bytes() for path in sent if path.is_file())


def _records(offline: Path) -> list[dict[str, Any]]:
    """The records of a run that has ended; an empty folder has none."""
    end = time.monotonic() + PATIENCE_S
    while any(offline.iterdir()):
        records = [json.loads(line) for line in _inspect("--json", str(offline), check=False).splitlines()]
        if any(record["type"] == "exit" for record in records):
            return records
        assert time.monotonic() < end, f"{offline} has no end: {records[-1:]}"
        time.sleep(0.1)
    return []


def _inspect(*arguments: str, check: bool = True) -> str:
    tool = Path(sys.executable).with_name("wandb")
    command = [tool, "leet", "inspect", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check).stdout
