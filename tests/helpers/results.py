"""What a run found, without what it took."""

from pathlib import Path
from typing import Any

from mixsd.core.store import read_json


def numbers(run_dir: Path) -> dict[str, Any]:
    """The results of a run without what it took."""
    found = read_json(run_dir / "results.json")
    for part in (found["training"], found):
        for key in ("seconds", "evaluation_seconds", "cost"):
            part.pop(key, None)
    return found
