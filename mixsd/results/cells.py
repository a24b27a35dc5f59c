"""Cells of a report's tables: numbers stay numbers, with what stands beside them, until they are shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixsd.results.schema import Interval

KEYS = ("runs", "method", "held-out task", "tasks", "comparison")
"""Columns that say what a row is about; all others tell something of it."""
COLUMNS = ("runs", "table", "label", "of", "measure", "value", "before", "low", "high", "n", "note")


@dataclass(frozen=True)
class Measure:
    """A number, and how it is written.

    Attributes:
        value: The number, in the unit in which it is shown (None: there is none, shown as n/a).
        form: A format specification of Python.
        before: The same of the base model.
        interval: 95%, in the unit of the value.
        n: Items that it is over.
        note: What is to be read with it.
    """

    value: float | None
    form: str = ".2f"
    before: float | None = None
    interval: Interval | None = None
    n: int | None = None
    note: str = ""

    def __str__(self) -> str:
        """`before -> value [low, high] (n=items) note`."""
        if self.value is None:
            return " ".join(filter(None, ("n/a", self.note)))
        shown = format(self.value, self.form)
        if self.before is not None:
            shown = f"{format(self.before, self.form)} -> {shown}"
        if self.interval is not None:
            shown += f" [{', '.join(format(bound, self.form) for bound in self.interval)}]"
        if self.n is not None:
            shown += f" (n={self.n})"
        return " ".join(filter(None, (shown, self.note)))


Cell = Measure | Mapping[str, Measure] | str | None
"""A number, several by name, words, or nothing."""
Row = dict[str, Cell]
Rows = list[Row]


def shown(cell: Cell) -> str:
    """A cell as text: several numbers are `name number, name number`."""
    if isinstance(cell, Mapping):
        return ", ".join(f"{name} {measure}".strip() for name, measure in cell.items())
    return "" if cell is None else str(cell)


def sorted_by(cell: Cell) -> float | str:
    """What a table sorts a cell by: its first number, else its words."""
    found = next(iter(cell.values()), None) if isinstance(cell, Mapping) else cell
    if isinstance(found, Measure) and found.value is not None:
        return found.value
    return shown(cell)


def mean(values: Sequence[float], form: str = ".2f", note: str = "") -> Measure | None:
    """The mean of some numbers; nothing of none."""
    return Measure(float(np.mean(values)), form, note=note) if values else None


def filled(rows: Rows) -> Rows:
    """The rows with the same columns, without those in which none of them has anything."""
    columns = dict.fromkeys(column for row in rows for column in row)
    kept = [column for column in columns if any(shown(row.get(column)) for row in rows)]
    return [{column: row.get(column) for column in kept} for row in rows]


def tidy(tables: Mapping[tuple[str, str], Rows]) -> pd.DataFrame:
    """All numbers of some tables, one a row, with its label, measure, interval and items; words are notes.

    Args:
        tables: By the runs that they are about, and title.
    """
    records = [
        {"runs": runs, "table": title, **record}
        for (runs, title), rows in tables.items()
        for row in rows
        for record in _records(row)
    ]
    return pd.DataFrame(records, columns=list(COLUMNS))


def _records(row: Row) -> Iterator[dict[str, Any]]:
    keys = {name: shown(row[name]) for name in KEYS if name in row}
    about: dict[str, Any] = {
        **({"runs": keys["runs"]} if "runs" in keys else {}),
        "label": keys.get("method") or keys.get("comparison", ""),
        "of": keys.get("held-out task") or keys.get("tasks", ""),
    }
    for column, cell in row.items():
        if column not in KEYS:
            for name, measure in _measures(column, cell):
                yield {**about, "measure": name, **measure}


def _measures(column: str, cell: Cell) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(cell, Mapping):
        for name, measure in cell.items():
            yield f"{column}: {name}" if name else column, _numbers(measure)
    elif isinstance(cell, Measure):
        yield column, _numbers(cell)
    elif cell:
        yield column, {"note": cell}


def _numbers(measure: Measure) -> dict[str, Any]:
    low, high = measure.interval or (None, None)
    return {
        "value": measure.value,
        "before": measure.before,
        "low": low,
        "high": high,
        "n": measure.n,
        "note": measure.note,
    }
