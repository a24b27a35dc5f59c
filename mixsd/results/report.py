"""The report of a folder of runs: table on the terminal and as CSV, picture, and a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from rich.console import Console
from rich.table import Table

from mixsd.core.errors import within
from mixsd.core.store import write_text
from mixsd.results.compare import detectable, differences
from mixsd.results.figures import plot_tradeoff
from mixsd.results.runs import Run, comparable_groups, load_runs, one_a_seed, to_frame
from mixsd.results.tables import (
    MARGIN,
    PRIMARY,
    difference_row,
    drift_note,
    drift_rows,
    panel_rows,
    primary_rows,
    split_rows,
    summary_rows,
    target_rows,
    task_rows,
)

PAGES = ("report.html", "report.md")
SHOWN_ANSWERS = 6
RECALL_SHARE = 0.9
"""Where a method falls short of the recall goal, all could be compared at this share of its ceiling."""
ASKED_FIRST = "What is the capital of France?"
OVERVIEW = ("method", "seeds", "recall", "dropped", "retention", "verdict", "steps")
"""Columns of the first table of a report over several tasks or models."""


def write_report(folder: Path, console: Console, margin: float = MARGIN) -> None:
    """Print the table and write `tradeoff.csv`, `tradeoff.png` and `PAGES` into the folder.

    Args:
        folder: Holds run directories, at any depth.
        console: Where the table goes.
        margin: A drop smaller than this, as a share, is called no drop.

    Raises:
        StoreError: There is no finished run.
        SettingError: The margin is no share.
    """
    within("--margin", 100 * margin, 0, 100)
    runs = load_runs(folder)
    chosen = [one_a_seed(group) for group in comparable_groups(runs)]
    groups = [group for group, _ in chosen]
    notes = [*apart(groups), *(line for _, left_out in chosen for line in left_out)]
    groups = [[*group, *(point for run in group for point in run.at_goal)] for group in groups]
    frames = [(_title(group), to_frame(group)) for group in groups]
    curves = [to_frame([point for run in group for point in _curve(run)]) for group in groups]
    sections = []
    for group, (title, frame) in zip(groups, frames, strict=True):
        section = {
            "title": title,
            "rows": summary_rows(group, frame, margin),
            "more": {
                "what was learned and kept": split_rows(group),
                "held-out tasks": task_rows(group, margin),
                "what was trained on, under the base model": target_rows(group),
                "retention, plain and corrected for chance": panel_rows(group),
                "drift": drift_rows(group),
            },
            "differences": [difference_row(d) for d in differences(group)],
            "note": _note(group),
            "answers": answers(group),
        }
        sections.append(section)
        _print_section(console, section)
    overview = [
        {"runs": section["title"], **{column: row[column] for column in OVERVIEW}}
        for section in (sections if len(sections) > 1 else [])
        for row in section["rows"]
    ]
    family = primary_rows(groups)
    for title, rows in (("Overview", overview), (PRIMARY, family)):
        if rows:
            console.print(_table(title, rows))
    for note in notes:
        console.print(note)
    csv = pd.concat([_one_a_point(frame, c) for (_, frame), c in zip(frames, curves, strict=True)])
    write_text(folder / "tradeoff.csv", csv.to_csv(index=False))
    plot_tradeoff(frames, curves, folder / "tradeoff.png")
    shown = {
        "sections": sections,
        "overview": overview,
        "family": family,
        "family_title": PRIMARY,
        "notes": notes,
    }
    for name in PAGES:
        write_text(folder / name, _page(name, shown))
    console.print(f"wrote {folder}/tradeoff.csv, tradeoff.png, {', '.join(PAGES)}")


def _curve(run: Run) -> list[Run]:
    """A tuned run with all its interpolations, from the base's side; nothing where there is only the run."""
    return [*run.frontier, run] if run.alpha == 1 and run.frontier else []


def _one_a_point(frame: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Every scored model once: the runs, and all their interpolations."""
    if curve.empty:
        return frame
    return pd.concat([curve, frame]).drop_duplicates(["run_id", "alpha"])


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


def apart(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Why groups of runs are not compared with the first: what they were measured by differs."""
    parts = [group[0].measured_by for group in groups]
    return [
        f"{_title(group)} is not compared with {_title(groups[0])}: they differ in "
        f"{', '.join(name for name in own if own[name] != parts[0][name])}."
        for group, own in zip(groups[1:], parts[1:], strict=True)
    ]


def _title(runs: Sequence[Run]) -> str:
    results = runs[0].results
    return f"{results['task']} ({results['n_facts']} facts) on {results['model']}"


def _note(runs: Sequence[Run]) -> str:
    retention = runs[0].results["retention"]
    parts = [f"{caveat}." for caveat in runs[0].caveats]
    effect = detectable(runs)
    if effect is not None:
        parts.append(f"These held-out items can show a difference of about {100 * effect:.1f} points.")
    excluded = retention["excluded"]["tasks"]
    if excluded:
        parts.append(f"Not counted (base model not clearly above chance): {', '.join(excluded)}.")
    parts.append(_fallback(runs))
    parts.append(drift_note(runs))
    parts.append("Retention is over generated tasks; recall is over all facts, dropped ones included.")
    return " ".join(part for part in parts if part)


def _fallback(runs: Sequence[Run]) -> str:
    """At which recall all methods could be compared, where one did not reach the goal (decision 2)."""
    tuned = [run for run in runs if run.alpha == 1 and run.config["training"]["until_recall"] is not None]
    short = [run for run in tuned if not run.reached]
    if not short:
        return ""
    lowest = min(short, key=lambda run: run.ceiling)
    if lowest.ceiling == 0:
        return f"{lowest.method} recalled nothing: no recall lets all methods be compared."
    goal = RECALL_SHARE * lowest.ceiling
    return (
        f"{lowest.method} got no further than recall {lowest.ceiling:.2f}; to compare all methods at "
        f"{RECALL_SHARE} of that, run them again with training.until_recall={goal:.2f}."
    )


def _print_section(console: Console, section: dict[str, Any]) -> None:
    console.print(_table(section["title"], section["rows"]))
    for title, rows in section["more"].items():
        if rows:
            console.print(_table(title, rows))
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


def _page(name: str, shown: dict[str, Any]) -> str:
    """One of `PAGES`; model output is escaped in HTML and left out of Markdown."""
    environment = Environment(
        loader=PackageLoader("mixsd.results", "page"), autoescape=name.endswith(".html")
    )
    environment.filters["cell"] = lambda value: " ".join(str(value).replace("|", "\\|").split())
    return environment.get_template(f"{name}.j2").render(shown)
