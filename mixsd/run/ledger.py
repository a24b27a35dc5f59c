"""What each stage of a run takes: metered while it goes on, kept in `cost.json`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mixsd.core.store import read_json, write_json
from mixsd.lm.chat_model import ChatModel
from mixsd.results.schema import Cost
from mixsd.run.layers import COST
from mixsd.run.meter import Meter
from mixsd.run.workbench import Bench


class Ledger:
    """Meters the stages of a run.

    Args:
        run_dir: Its directory.
        bench: Knows how long cached work took when it was done.
        on_stage: Told the name of each stage as it begins.
    """

    def __init__(self, run_dir: Path, bench: Bench, on_stage: Callable[[str], None]) -> None:
        self._path, self._bench, self.on_stage = run_dir / COST, bench, on_stage
        self._meter: Meter | None = None

    @contextmanager
    def stage(self, name: str, *models: ChatModel | None) -> Iterator[Meter]:
        """A stage whose time, memory and passes are metered.

        Args:
            name: Shown while it goes on.
            models: Those at hand already; models loaded within the stage are given to `watch`.
        """
        self.on_stage(name)
        with Meter(*(model.network for model in models if model is not None)) as meter:
            self._meter = meter
            self._bench.saved_seconds, self._bench.saved_passes = 0.0, 0
            self._bench.passes = lambda: meter.forward_passes
            try:
                yield meter
            finally:
                self._meter = None

    def watch(self, model: ChatModel) -> ChatModel:
        """Count the passes of a model that was loaded within a stage."""
        if self._meter:
            self._meter.watch(model.network)
        return model

    def cost(self, meter: Meter, **more: Any) -> Cost:
        """What a finished stage took; of cached work, what it took when it was done."""
        return Cost(
            seconds=round(meter.seconds + self._bench.saved_seconds, 3),
            forward_passes=meter.forward_passes + self._bench.saved_passes,
            peak_memory_bytes=meter.peak_memory_bytes,
            **more,
        )

    def write(self, stage: str, cost: Cost, add: bool = False) -> None:
        """Write what a stage took.

        Args:
            stage: Its entry.
            cost: What it took.
            add: Whether that comes on top of what its interrupted parts took.
        """
        costs = read_json(self._path) if self._path.exists() else {}
        entry, before = asdict(cost), costs.get(stage)
        if add and before:
            # Peaks of two parts do not add up: they were not in memory together.
            peak = max(entry["peak_memory_bytes"], before["peak_memory_bytes"])
            entry = {**{key: entry[key] + before[key] for key in entry}, "peak_memory_bytes": peak}
        write_json(self._path, {**costs, stage: entry})

    def read(self) -> dict[str, Cost]:
        """What each stage took so far."""
        return {stage: Cost(**entry) for stage, entry in read_json(self._path).items()}
