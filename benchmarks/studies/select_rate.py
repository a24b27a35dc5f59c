"""The learning rate that a grid of runs on a development seed selects, by one rule for all methods.

    python -m benchmarks.studies.select_rate RUNS_DIR

Of the rates at which every method reaches the recall goal, the one with the highest score on validation
documents there, averaged over the methods (decision 3). No test document decides.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mixsd.core.errors import MixSDError
from mixsd.results.runs import Run, load_runs

Grid = Mapping[float, Mapping[str, Run]]


def main(arguments: list[str] | None = None) -> int:
    """Print the grid and what it selects."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.select_rate", description=__doc__)
    parser.add_argument("runs_dir", type=Path, help="a folder that holds the runs of one grid")
    try:
        runs = load_runs(parser.parse_args(arguments).runs_dir)
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    grid, console = grid_of(runs), Console(width=None if sys.stdout.isatty() else 120)
    methods = sorted({run.method for run in runs})
    table = Table(
        "learning rate", *(f"{m}: {what}" for m in methods for what in ("recall", "steps", "validation"))
    )
    for rate, by_method in sorted(grid.items()):
        table.add_row(f"{rate:g}", *(cell for m in methods for cell in _cells(by_method.get(m))))
    console.print(table)
    rate = selected(grid, methods)
    console.print(
        "no rate: at none does every method reach its goal" if rate is None else f"selected: {rate:g}"
    )
    return 0


def grid_of(runs: Sequence[Run]) -> Grid:
    """Runs by learning rate and method."""
    found: dict[float, dict[str, Run]] = {}
    for run in runs:
        found.setdefault(float(run.config["training"]["learning_rate"]), {})[run.method] = run
    return found


def selected(grid: Grid, methods: Sequence[str]) -> float | None:
    """The rate that the rule selects; None where no rate lets every method reach its goal."""
    scores = {
        rate: float(np.mean([run.validation or 0.0 for run in by_method.values()]))
        for rate, by_method in grid.items()
        if set(by_method) == set(methods) and all(run.reached for run in by_method.values())
    }
    # Of equal ones the lowest, which moves the model least.
    return min(scores, key=lambda rate: (-scores[rate], rate)) if scores else None


def _cells(run: Run | None) -> tuple[str, str, str]:
    if run is None:
        return "", "", "not run"
    recall = f"{run.recall:.2f}" + ("" if run.reached else " short")
    validation = "" if run.validation is None else f"{run.validation:.3f}"
    return recall, str(run.results.training.steps), validation


if __name__ == "__main__":
    sys.exit(main())
