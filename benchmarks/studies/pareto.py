"""The front of an optimiser's trials: those to which no other is better in both objectives.

    python -m benchmarks.studies.pareto RUNS_DIR

Recall and the score on validation documents, as the optimiser saw them; test documents decide nothing here
(decision 3). Writes `pareto.svg` and `pareto.png` into RUNS_DIR.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import MixSDError, StoreError
from mixsd.results.charts import pareto, with_rows
from mixsd.results.figures import write_picture
from mixsd.results.runs import Run, load_runs


def main(arguments: list[str] | None = None) -> int:
    """Print the trials, those of the front first, and draw them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.pareto", description=__doc__)
    parser.add_argument("runs_dir", type=Path, help="a folder that holds the runs of one search")
    folder = parser.parse_args(arguments).runs_dir
    try:
        trials = [run for run in load_runs(folder) if run.validation is not None]
        if not trials:
            raise StoreError(f"{folder} holds no run with validation documents (retention.validation_limit)")
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    best = set(front([(run.recall, run.validation or 0.0) for run in trials]))
    order = sorted(range(len(trials)), key=lambda number: (number not in best, trials[number].recall))
    table = Table("trial", "recall", "validation", "on the front")
    for number in order:
        run = trials[number]
        table.add_row(
            Text(_short(run.label)),
            f"{run.recall:.2f}",
            f"{run.validation:.3f}",
            "yes" if number in best else "",
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    rows = [_row(run, number in best) for number, run in enumerate(trials)]
    write_picture(folder / "pareto", with_rows(pareto(), rows))
    print(f"wrote {folder}/pareto.svg, pareto.png")
    return 0


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points are on the front: no other is at least as good in both, and better in one."""

    def beaten(point: tuple[float, float]) -> bool:
        return any(a >= point[0] and b >= point[1] and (a, b) != point for a, b in points)

    return [number for number, point in enumerate(points) if not beaten(point)]


def _short(label: str) -> str:
    """A label with three digits of each number: a search tries what nobody would type."""
    return re.sub(r"(?<==)\d+\.\d+(e-?\d+)?", lambda number: f"{float(number[0]):.3g}", label)


def _row(run: Run, on_front: bool) -> dict[str, object]:
    settings = f"{_short(run.label)} s{run.seed}"
    return {"recall": run.recall, "validation": run.validation, "front": on_front, "settings": settings}


if __name__ == "__main__":
    sys.exit(main())
