"""What offline W&B files say, read by W&B's own tool."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def offline_runs(folder: Path) -> list[Path]:
    """The offline W&B runs that lie in a folder, oldest first."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def wandb_summary(offline: Path) -> dict[str, Any]:
    """Name, state and summary of an offline run."""
    return json.loads(_inspect("--summary", "--json", str(offline)))


def wandb_history(offline: Path) -> list[dict[str, Any]]:
    """The points that were logged, without W&B's own keys."""
    records = map(json.loads, _inspect("--json", str(offline)).splitlines())
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    return [{key: value for key, value in item.items() if not key.startswith("_")} for item in items]


def wandb_bytes(folder: Path) -> bytes:
    """All that W&B would send of a folder's runs: the transaction logs and the uploaded files, no debug logs."""
    sent = [path for offline in offline_runs(folder) for path in (offline, *offline.glob("files/**/*"))]
    logs = [path for offline in offline_runs(folder) for path in offline.glob("*.wandb")]
    return b"".join(path.read_bytes() for path in (*sent, *logs) if path.is_file())


def _inspect(*arguments: str) -> str:
    tool = Path(sys.executable).with_name("wandb")
    done = subprocess.run([tool, "leet", "inspect", *arguments], capture_output=True, text=True, check=True)
    return done.stdout
