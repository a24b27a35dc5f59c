"""What is seen of a training while it runs, and when it ends.

The stop rules keep no state: they read the points in `trajectory.jsonl`. So a training that resumes ends
where an uninterrupted one does.
"""

from pathlib import Path
from typing import Any

from mixsd.core.store import append_jsonl, read_jsonl, write_jsonl
from mixsd.run.settings import TrainingSettings


class Trajectory:
    """The points of a run: step, trained_tokens, generated_tokens, recall, retention_validation.

    Args:
        path: Where they are written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, point: dict[str, Any]) -> None:
        """Write a point."""
        append_jsonl(self._path, point)

    def stop(self, settings: TrainingSettings, last: dict[str, Any]) -> str:
        """Why the training ends where the next point is `last`, which is not written yet, or ''."""
        earlier = read_jsonl(self._path) if self._path.exists() else []
        recalls = [point["recall"] for point in [*earlier, last]]
        if settings.until_recall is not None and last["recall"] >= settings.until_recall:
            return "until_recall"
        if settings.max_trained_tokens and last["trained_tokens"] >= settings.max_trained_tokens:
            return "max_trained_tokens"
        # The first point is the base model: until recall rises above it, patience waits.
        risen = max(recalls) > recalls[0]
        # Since the first best point: to reach the same recall again is no rise.
        since_best = len(recalls) - 1 - recalls.index(max(recalls))
        if settings.patience and risen and since_best >= settings.patience:
            return "patience"
        return ""


def keep_until(path: Path, step: int) -> None:
    """Cut a file of records by step off after a step; what came later will be done again."""
    records = read_jsonl(path) if path.exists() else []
    write_jsonl(path, [record for record in records if record["step"] <= step])
