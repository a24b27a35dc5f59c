"""What a report says, as data: comparable runs, tables of numbers, sentences and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mixsd.results.cells import Rows, tidy
from mixsd.results.compare import detectable, differences
from mixsd.results.figures import Figure, figures_of
from mixsd.results.retention_tables import panel_rows, task_rows
from mixsd.results.runs import Run, comparable_groups, differing, one_a_seed, tuned_only
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

SUMMARY, DIFFERENCES = "summary", "differences at matched recall, exploratory"
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


@dataclass(frozen=True)
class Report:
    """What is said of some runs.

    Attributes:
        groups: Comparable runs by title, one a seed, with their interpolations at the goal.
        sections: One a group.
        overview: All groups in one table; empty where there is one group.
        family: The primary comparisons (decision 7).
        notes: What was left out or stands apart.
    """

    groups: Mapping[str, Sequence[Run]]
    sections: Sequence[Section]
    overview: Rows
    family: Rows
    notes: Sequence[str]

    def measures(self) -> pd.DataFrame:
        """Every number of every table, one a row: `cells.COLUMNS`."""
        tables: dict[tuple[str, str], Rows] = {("", PRIMARY): self.family}
        for section in self.sections:
            told = {SUMMARY: section.rows, **section.more, DIFFERENCES: section.differences}
            tables |= {(section.title, title): rows for title, rows in told.items()}
        return tidy(tables)


def read_report(runs: Sequence[Run], margin: float, *, files: bool = True) -> Report:
    """What is to be said of some runs.

    Args:
        runs: Finished ones, as `load_runs` gives them.
        margin: A drop smaller than this, as a share, is called no drop.
        files: Whether titles name the file that a task reads.
    """
    groups, notes = _groups(runs, files)
    found = findings(list(groups.values()))
    sections = [
        _section(title, group, margin, told)
        for (title, group), told in zip(groups.items(), found, strict=True)
    ]
    return Report(groups, sections, _overview(sections), primary_rows(groups), notes)


def _groups(runs: Sequence[Run], files: bool) -> tuple[dict[str, list[Run]], list[str]]:
    """Comparable runs by title, one a seed, with their interpolations at the goal; and what to note."""
    chosen = [one_a_seed(group) for group in comparable_groups(runs)]
    groups = [group for group, _ in chosen]
    titled = dict(zip(titles(groups, files), groups, strict=True))
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


def apart(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """Why groups of runs are not compared with the first: what they were measured by differs."""
    (first, head), *others = ((title, group[0].results.measured_by) for title, group in groups.items())
    return [
        f"{title} is not compared with {first}: they differ in {', '.join(differing([head, own]))}."
        for title, own in others
    ]


def titles(groups: Sequence[Sequence[Run]], files: bool = True) -> list[str]:
    """A title for each group: task and model, and what tells groups of the same task and model apart."""
    plain = [_plain_title(group, files) for group in groups]
    return [
        ", ".join(
            [title, *_marks(group, [g for g, other in zip(groups, plain, strict=True) if other == title])]
        )
        for title, group in zip(plain, groups, strict=True)
    ]


def _plain_title(runs: Sequence[Run], files: bool) -> str:
    results, data = runs[0].results, runs[0].data if files else ""
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
