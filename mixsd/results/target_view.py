"""Show what a run was trained on, token by token, coloured by who supplied it."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import StoreError, at_least
from mixsd.core.store import read_json, read_jsonl
from mixsd.lm.batches import AGREED, BASE, EXPERT, GOLD, NAIVE, STUDENT, UNKNOWN

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
    console.print(_statistics(run_dir.name, prepared["report"]))
    examples = read_jsonl(run_dir / "examples.jsonl")
    used = {letter for example in examples for letter in example["provenance"]}
    legend = Text("tokens: ")
    for letter, (who, style) in LEGEND.items():
        if letter in used:
            legend.append(who, style).append("  ")
    console.print(legend)
    for example in examples[:count]:
        line = Text(f"{example['fact_id']} (attempt {example['attempt'] + 1}): ", style="dim")
        for letter, piece in zip(example["provenance"], example["pieces"], strict=True):
            line.append(piece, LEGEND[letter][1] or "not dim")
        console.print(line)
    for fact_id, reason in list(prepared["dropped"].items())[:count]:
        console.print(Text(f"{fact_id}: dropped ({reason})", style="red"))


def _statistics(title: str, report: dict[str, object]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in report.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(key, shown)
    return table
