"""The report of a folder of runs: tables on the terminal and as CSV, pictures, and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from mixsd.core.errors import within
from mixsd.core.store import write_text
from mixsd.results.figures import write_pictures
from mixsd.results.page_file import render, write_page
from mixsd.results.retention_tables import MARGIN
from mixsd.results.runs import Run, load_runs, to_frame
from mixsd.results.sections import Section, read_report
from mixsd.results.tables import PRIMARY
from mixsd.results.terminal import printed

PAGE, MARKDOWN = "report.html", "report.md"
POINTS, MEASURES = "tradeoff.csv", "measures.csv"


def write_report(
    folder: Path,
    console: Console,
    margin: float = MARGIN,
    out: Path | None = None,
    with_text: bool = False,
) -> None:
    """Print the tables and write them as CSV, the pictures, the page and the same as Markdown.

    `tradeoff.csv` has a row for every scored model, `measures.csv` one for every number of the tables.

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
    report = read_report(load_runs(folder), margin)
    for section in report.sections:
        _print_section(console, section)
    for title, rows in (("Overview", report.overview), (PRIMARY, report.family)):
        if rows:
            console.print(printed(title, rows))
    for note in report.notes:
        console.print(note)
    _write_points(report.groups, out)
    write_text(out / MEASURES, report.measures().to_csv(index=False))
    pictures = write_pictures({section.title: section.figures for section in report.sections}, out)
    write_page(out / PAGE, report, folder.resolve().name, with_text)
    write_text(out / MARKDOWN, render(MARKDOWN, report=report, primary=PRIMARY))
    console.print(f"wrote {out}/{POINTS}, {MEASURES}, {', '.join(pictures)}, {MARKDOWN}")
    console.print(f"page: {(out / PAGE).resolve()}", soft_wrap=True)


def _write_points(groups: Mapping[str, Sequence[Run]], out: Path) -> None:
    """Write `tradeoff.csv`: a row for every scored model."""
    frames = [(title, to_frame(group)) for title, group in groups.items()]
    curves = [to_frame([point for run in group for point in _curve(run)]) for group in groups.values()]
    points = zip(frames, curves, strict=True)
    csv = pd.concat([_one_a_point(frame, c).assign(runs=title) for (title, frame), c in points])
    write_text(out / POINTS, csv.to_csv(index=False))


def _curve(run: Run) -> list[Run]:
    """A tuned run with all its interpolations, from the base's side; nothing where there is only the run."""
    return [*run.frontier, run] if run.alpha == 1 and run.frontier else []


def _one_a_point(frame: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Every scored model once: the runs, and all their interpolations."""
    if curve.empty:
        return frame
    return pd.concat([curve, frame]).drop_duplicates(["run_id", "alpha"])


def _print_section(console: Console, section: Section) -> None:
    console.print(printed(section.title, section.rows))
    for sentence in section.sentences:
        console.print(sentence, markup=False, highlight=False)
    for title, rows in section.more.items():
        if rows:
            console.print(printed(title, rows))
    if section.differences:
        console.print(printed("", section.differences))
    console.print(section.note, style="dim")
