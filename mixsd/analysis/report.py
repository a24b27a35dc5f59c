"""The report of a folder of runs: table on the terminal and as CSV, picture, and a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from rich.console import Console
from rich.table import Table

from mixsd.analysis.compare import CLAIM_SEEDS, Difference, detectable, differences
from mixsd.analysis.plots import plot_tradeoff
from mixsd.analysis.runs import Run, comparable_groups, load_runs, to_frame
from mixsd.analysis.stats import t_interval
from mixsd.engine.store import write_text

MARGIN = 0.02
"""`no drop` needs the lower bound of tuned minus base above minus this (decision 7)."""
SHOWN_ANSWERS = 6
ASKED_FIRST = "What is the capital of France?"


def write_report(folder: Path, console: Console) -> None:
    """Print the table and write `tradeoff.csv`, `tradeoff.png` and `report.html` into the folder.

    Args:
        folder: Holds run directories, at any depth.
        console: Where the table goes.

    Raises:
        StoreError: There is no finished run.
    """
    runs = load_runs(folder)
    groups = comparable_groups(runs)
    frames = [(_title(group), to_frame(group)) for group in groups]
    sections = []
    for group, (title, frame) in zip(groups, frames, strict=True):
        section = {
            "title": title,
            "rows": summary_rows(group, frame),
            "differences": [_difference_row(d) for d in differences(group)],
            "note": _note(group),
            "answers": answers(group),
        }
        sections.append(section)
        _print_section(console, section)
    if len(groups) > 1:
        console.print("Runs that differ in task, model or held-out suite stand in separate tables.")
    csv = pd.concat([frame for _, frame in frames], ignore_index=True).to_csv(index=False)
    write_text(folder / "tradeoff.csv", csv)
    plot_tradeoff(frames, folder / "tradeoff.png")
    write_text(folder / "report.html", _page(sections))
    console.print(f"wrote {folder}/tradeoff.csv, tradeoff.png, report.html")


def summary_rows(runs: Sequence[Run], frame: pd.DataFrame) -> list[dict[str, str]]:
    """One row per label, averaged over seeds, ready to print."""
    rows = []
    for label, part in frame.groupby("label", sort=True):
        same = [run for run in runs if run.results["run_id"] in set(part["run_id"])]
        reached = int(part["reached"].sum())
        rows.append(
            {
                "method": str(label),
                "seeds": str(len(part)),
                "recall": f"{part['recall'].mean():.2f}"
                + ("" if reached == len(part) else f" (goal reached by {reached} of {len(part)})"),
                "dropped": f"{part['dropped'].mean():.3g} of {part['facts'].iloc[0]}",
                "paraphrase": f"{part['paraphrase'].mean():.2f}" if "paraphrase" in part else "",
                "retention": _with_interval(part),
                "held-out base -> tuned": _held_out(part),
                "verdict": _verdict(same),
                "steps": f"{part['steps'].mean():.0f}",
                "tokens": f"{part['trained_tokens'].mean():,.0f}",
                "seconds": f"{(part['prepare_seconds'] + part['train_seconds']).mean():.0f}",
            }
        )
    return rows


def answers(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Held-out questions with the base model's answer and each method's, the first seed of each."""
    first: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        first.setdefault(run.method, run)
    tables = {method: run.held_out.get("pocket_knowledge", []) for method, run in first.items()}
    if not tables or not all(tables.values()):
        return []
    shared = next(iter(tables.values()))
    order = sorted(range(len(shared)), key=lambda row: not shared[row]["prompt"].startswith(ASKED_FIRST))
    return [
        {
            "prompt": shared[row]["prompt"],
            "base": shared[row]["base"],
            "tuned": {method: rows[row]["tuned"] for method, rows in tables.items()},
        }
        for row in order[:SHOWN_ANSWERS]
    ]


def _title(runs: Sequence[Run]) -> str:
    results = runs[0].results
    return f"{results['task']} ({results['n_facts']} facts) on {results['model']}"


def _with_interval(part: pd.DataFrame) -> str:
    """Retention with its interval: over held-out items for one seed, over seeds for several."""
    ratios = part["retention"].dropna()
    if ratios.empty:
        return "n/a"
    if len(ratios) == 1:
        low, high = part["retention_low"].iloc[0], part["retention_high"].iloc[0]
    else:
        low, high = t_interval(list(ratios))
    return f"{ratios.mean():.2f} [{low:.2f}, {high:.2f}]"


def _held_out(part: pd.DataFrame) -> str:
    if part["retention"].isna().all():
        return "n/a"
    return f"{100 * part['held_out_base'].mean():.1f} -> {100 * part['held_out_tuned'].mean():.1f}"


def _verdict(runs: Sequence[Run]) -> str:
    """`drop`, `no drop` or `inconclusive`, from the interval of tuned minus base (decision 7)."""
    intervals = [run.results["retention"]["delta_ci"] for run in runs]
    if not all(intervals):
        return "n/a"
    if not all(run.reached for run in runs):
        return "goal not reached"
    if len(runs) == 1:
        low, high = intervals[0]
    else:
        kept = [run.results["retention"] for run in runs]
        low, high = t_interval([r["tuned_mean"] - r["base_mean"] for r in kept])
    word = "no drop" if low > -MARGIN else "drop" if high < 0 else "inconclusive"
    return word if len(runs) >= CLAIM_SEEDS else f"{word} (descriptive)"


def _difference_row(difference: Difference) -> dict[str, str]:
    shown = "n/a"
    if difference.delta is not None and difference.interval is not None:
        low, high = (100 * bound for bound in difference.interval)
        shown = f"{100 * difference.delta:+.1f} points [{low:+.1f}, {high:+.1f}] (n={difference.items})"
    return {
        "comparison": f"{difference.first} minus {difference.second}",
        "held-out score": shown,
        "reading": difference.note,
    }


def _note(runs: Sequence[Run]) -> str:
    retention = runs[0].results["retention"]
    effect = detectable(runs)
    parts = []
    if effect is not None:
        parts.append(f"These held-out items can show a difference of about {100 * effect:.1f} points.")
    excluded = retention["excluded"]["tasks"]
    if excluded:
        parts.append(f"Not counted (base model not clearly above chance): {', '.join(excluded)}.")
    parts.append("Retention is over generated tasks; recall is over all facts, dropped ones included.")
    return " ".join(parts)


def _print_section(console: Console, section: dict[str, Any]) -> None:
    console.print(_table(section["title"], section["rows"]))
    if section["differences"]:
        console.print(_table("", section["differences"]))
    console.print(section["note"], style="dim")


def _table(title: str, rows: Sequence[dict[str, str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*row.values())
    return table


def _page(sections: Sequence[dict[str, Any]]) -> str:
    """The HTML page; model output in it is escaped."""
    environment = Environment(loader=PackageLoader("mixsd.analysis"), autoescape=True)
    return environment.get_template("report.html.j2").render(sections=sections)
