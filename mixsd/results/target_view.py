"""Show what a run was trained on, token by token, coloured by who supplied it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import StoreError, at_least
from mixsd.core.provenance import AGREED, BASE, EXPERT, GOLD, NAIVE, STUDENT, UNKNOWN
from mixsd.core.store import read_json, read_jsonl
from mixsd.results.schema import Likelihood, TargetReport, read_targets

LEGEND = {
    NAIVE: ("naive only", "bold yellow"),
    EXPERT: ("expert only", "bold cyan"),
    AGREED: ("both agreed", ""),
    GOLD: ("gold text", ""),
    STUDENT: ("the student", "bold magenta"),
    BASE: ("the base model", "green"),
    UNKNOWN: ("from a file", "dim"),
}
"""Who supplied a token, and its style."""


@dataclass(frozen=True)
class Shown:
    """An example of `examples.jsonl` as far as it is shown.

    Attributes:
        fact_id: The fact it teaches.
        attempt: The attempt that passed verification (0 is the first).
        provenance: A letter per target token.
        pieces: Each target token as text.
    """

    fact_id: str
    attempt: int
    provenance: str
    pieces: tuple[str, ...]


def show_run(run_dir: Path, count: int, console: Console) -> None:
    """Print the run's target statistics and its first examples.

    Args:
        run_dir: A run directory.
        count: How many examples.
        console: Where to.

    Raises:
        StoreError: The folder is no run, or has prepared no examples yet.
        SettingError: The count is below 1.
    """
    at_least("--facts", count, 1)
    if not (run_dir / "preparation.json").exists():
        raise StoreError(
            f"{run_dir} is no run with prepared examples; give a folder below runs/<experiment_name>/"
        )
    prepared = read_json(run_dir / "preparation.json")
    console.print(_statistics(run_dir.name, read_targets(prepared["report"], run_dir)))
    examples = [
        Shown(row["fact_id"], row["attempt"], row["provenance"], tuple(row["pieces"]))
        for row in read_jsonl(run_dir / "examples.jsonl")
    ]
    console.print(_legend({letter for example in examples for letter in example.provenance}))
    for example in examples[:count]:
        line = Text(f"{example.fact_id} (attempt {example.attempt + 1}): ", style="dim")
        for letter, piece in zip(example.provenance, example.pieces, strict=True):
            # A piece without a style of its own would take that of the line.
            line.append(piece, LEGEND[letter][1] or "not dim")
        console.print(line)
    for fact_id, reason in list(prepared["dropped"].items())[:count]:
        console.print(Text(f"{fact_id}: dropped ({reason})", style="red"))


def _legend(used: set[str]) -> Text:
    legend = Text("tokens: ")
    for letter, (who, style) in LEGEND.items():
        if letter in used:
            legend.append(who, style).append("  ")
    return legend


def _statistics(title: str, targets: TargetReport) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in _rows(targets):
        table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    return table


def _rows(targets: TargetReport) -> Iterator[tuple[str, Any]]:
    yield from (
        ("facts", targets.n),
        ("left out by settings", targets.left_out),
        ("dropped", targets.dropped),
    )
    yield from targets.numbers.items()
    yield from _of("targets", targets.trained)
    yield from _of("gold of the same facts", targets.gold)
    for name, found in targets.contrasts.items():
        yield from _of(name, found)
    yield from _of("gold of all facts", targets.gold_of_all)


def _of(what: str, found: Likelihood | None) -> Iterator[tuple[str, Any]]:
    if found is not None:
        yield from ((f"{what}: {key}", value) for key, value in asdict(found).items())
