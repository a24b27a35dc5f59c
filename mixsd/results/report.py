"""The report of a folder of runs: table on the terminal and as CSV, picture, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from mixsd.core.errors import within
from mixsd.core.store import write_text
from mixsd.results.compare import detectable, differences
from mixsd.results.figures import Figure, figures_of, write_pictures
from mixsd.results.page_file import render, write_page
from mixsd.results.retention_tables import MARGIN, Row, Rows, panel_rows, task_rows
from mixsd.results.runs import Run, comparable_groups, differing, load_runs, one_a_seed, to_frame, tuned_only
from mixsd.results.sentences import findings
from mixsd.results.tables import (
    PRIMARY,
    difference_row,
    drift_note,
    drift_rows,
    primary_rows,
    split_rows,
    summary_rows,
    target_rows,
)

PAGE, MARKDOWN = "report.html", "report.md"
RECALL_SHARE = 0.9
"""Where a method falls short of the recall goal, all could be compared at this share of its ceiling."""
OVERVIEW = ("method", "seeds", "recall", "dropped", "retention", "verdict", "steps")
"""Columns of the first table of a report over several tasks or models."""


@dataclass(frozen=True)
class Section:
    """What a report says of one group of comparable runs."""

    title: str
    rows: Rows
    more: Mapping[str, Rows]
    differences: Rows
    note: str
    sentences: Sequence[str]
    figures: Sequence[Figure]


def write_report(
    folder: Path,
    console: Console,
    margin: float = MARGIN,
    out: Path | None = None,
    with_text: bool = False,
) -> None:
    """Print the tables and write `tradeoff.csv`, the pictures, the page and the same as Markdown.

    Args:
        folder: Holds run directories, at any depth.
        console: Where the tables go.
        margin: A drop smaller than this, as a share, is called no drop.
        out: The folder to write to (None: the one that is read).
        with_text: Whether the page holds answers also of runs that keep their text to themselves.

    Raises:
        StoreError: There is no finished run.
        SettingError: The margin is no share.
    """
    within("--margin", 100 * margin, 0, 100)
    out = out or folder
    groups, notes = _groups(load_runs(folder))
    found = findings(list(groups.values()))
    sections = [
        _section(title, group, margin, told)
        for (title, group), told in zip(groups.items(), found, strict=True)
    ]
    for section in sections:
        _print_section(console, section)
    overview, family = _overview(sections), primary_rows(groups)
    for title, rows in (("Overview", overview), (PRIMARY, family)):
        if rows:
            console.print(_table(title, rows))
    for note in notes:
        console.print(note)
    _write_points(groups, out)
    pictures = write_pictures({section.title: section.figures for section in sections}, out)
    shown = {"sections": sections, "overview": overview, "family": family, "primary": PRIMARY, "notes": notes}
    write_page(out / PAGE, groups, folder.resolve().name, with_text, **shown)
    write_text(out / MARKDOWN, render(MARKDOWN, **shown))
    console.print(f"wrote {out}/tradeoff.csv, {', '.join(pictures)}, {MARKDOWN}")
    console.print(f"page: {(out / PAGE).resolve()}", soft_wrap=True)


def _groups(runs: Sequence[Run]) -> tuple[dict[str, list[Run]], list[str]]:
    """Comparable runs by title, one a seed, with their interpolations at the goal; and what to note."""
    chosen = [one_a_seed(group) for group in comparable_groups(runs)]
    groups = [group for group, _ in chosen]
    titled = dict(zip(titles(groups), groups, strict=True))
    notes = [*apart(titled), *(line for _, left_out in chosen for line in left_out)]
    # After the titles and the twins: an interpolated model is no run of its own there.
    between = {title: [*group, *(p for run in group for p in run.at_goal)] for title, group in titled.items()}
    return between, notes


def _section(title: str, group: Sequence[Run], margin: float, sentences: Sequence[str]) -> Section:
    return Section(
        title=title,
        rows=summary_rows(group, margin),
        more={
            "what was learned and kept": split_rows(group),
            "held-out tasks": task_rows(group, margin),
            "what was trained on, under the base model": target_rows(group),
            "retention, plain and corrected for chance": panel_rows(group),
            "drift": drift_rows(group),
        },
        differences=[difference_row(difference) for difference in differences(group)],
        note=_note(group),
        sentences=sentences,
        figures=figures_of(group),
    )


def _overview(sections: Sequence[Section]) -> Rows:
    """One table of all groups, where there are several."""
    return [
        {"runs": section.title, **{column: row[column] for column in OVERVIEW}}
        for section in (sections if len(sections) > 1 else [])
        for row in section.rows
    ]


def _write_points(groups: Mapping[str, Sequence[Run]], out: Path) -> None:
    """Write `tradeoff.csv`: a row for every scored model."""
    frames = [(title, to_frame(group)) for title, group in groups.items()]
    curves = [to_frame([point for run in group for point in _curve(run)]) for group in groups.values()]
    points = zip(frames, curves, strict=True)
    csv = pd.concat([_one_a_point(frame, c).assign(runs=title) for (title, frame), c in points])
    write_text(out / "tradeoff.csv", csv.to_csv(index=False))


def _curve(run: Run) -> list[Run]:
    """A tuned run with all its interpolations, from the base's side; nothing where there is only the run."""
    return [*run.frontier, run] if run.alpha == 1 and run.frontier else []


def _one_a_point(frame: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Every scored model once: the runs, and all their interpolations."""
    if curve.empty:
        return frame
    return pd.concat([curve, frame]).drop_duplicates(["run_id", "alpha"])


def apart(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """Why groups of runs are not compared with the first: what they were measured by differs."""
    (first, head), *others = ((title, group[0].results.measured_by) for title, group in groups.items())
    return [
        f"{title} is not compared with {first}: they differ in {', '.join(differing([head, own]))}."
        for title, own in others
    ]


def titles(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A title for each group: task and model, and what tells groups of the same task and model apart."""
    plain = [_plain_title(group) for group in groups]
    return [
        ", ".join(
            [title, *_marks(group, [g for g, other in zip(groups, plain, strict=True) if other == title])]
        )
        for title, group in zip(plain, groups, strict=True)
    ]


def _plain_title(runs: Sequence[Run]) -> str:
    results, data = runs[0].results, runs[0].data
    of = f"{results.n_facts} facts of {data}" if data else f"{results.n_facts} facts"
    return f"{results.task} ({of}) on {results.model}"


def _marks(group: Sequence[Run], alike: Sequence[Sequence[Run]]) -> list[str]:
    own, goal = group[0].results.measured_by, group[0].goal
    apart_in = differing([other[0].results.measured_by for other in alike])
    # Of other parts only a hash is known; it still tells one table from the next.
    return [
        f"recall goal {goal}" if name == "recall goal" else f"{name} {own.get(name, 'unknown')}"
        for name in apart_in
    ]


def _note(runs: Sequence[Run]) -> str:
    results = runs[0].results
    parts = [f"{caveat}." for caveat in results.caveats]
    effect = detectable(runs)
    if effect is not None:
        parts.append(f"These held-out items can show a difference of about {100 * effect:.1f} points.")
    if results.retention.not_counted:
        names = ", ".join(results.retention.not_counted)
        parts.append(f"Not counted (base model not clearly above chance): {names}.")
    parts.append(_fallback(runs))
    parts.append(drift_note(runs))
    parts.append("Retention is over generated tasks; recall is over all facts, dropped ones included.")
    return " ".join(part for part in parts if part)


def _fallback(runs: Sequence[Run]) -> str:
    """At which recall all methods could be compared, where one did not reach the goal (decision 2)."""
    short = [run for run in tuned_only(runs) if run.fell_short]
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


def _print_section(console: Console, section: Section) -> None:
    console.print(_table(section.title, section.rows))
    for sentence in section.sentences:
        console.print(sentence, markup=False, highlight=False)
    for title, rows in section.more.items():
        if rows:
            console.print(_table(title, rows))
    if section.differences:
        console.print(_table("", section.differences))
    console.print(section.note, style="dim")


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*row.values())
    return table
