"""No tracker: the local files are all there is."""

from collections.abc import Mapping

from mixsd.trackers.tracker import RunInfo, Summary


class NoTracker:
    """Shows nothing."""

    def start(self, run: RunInfo) -> None:
        """Do nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish(self, results: Summary | None, error: str = "") -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
