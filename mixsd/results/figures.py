"""The figures of a group of comparable runs: specs with their rows, drawn in the page and as files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixsd.core.store import write_text
from mixsd.results import charts
from mixsd.results.page_data import curve_rows
from mixsd.results.runs import Run, by_label, to_frame, tuned_only
from mixsd.results.wrong_answers import KINDS

VEGA_LITE = "6.4"
RIGHT = 0.5
"""A document with at least this score counts as right in the forgetting map."""
MOST_CELLS = 6000
"""Of a forgetting map; with more it tells nothing and is slow."""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: Of its file.
        caption: What it shows.
        spec: Vega-Lite, without rows.
        rows: Its rows.
    """

    name: str
    caption: str
    spec: charts.Spec
    rows: list[dict[str, Any]]


def figures_of(group: Sequence[Run]) -> list[Figure]:
    """The figures that a group has rows for."""
    tuned = tuned_only(group)
    labels = list(by_label(tuned))
    curves = [row for run in tuned for row in curve_rows(run)]
    by = {
        "step": "optimiser step",
        "trained_tokens": "trained target tokens",
        "seconds": "seconds of training",
    }
    found = [
        Figure(
            "tradeoff",
            "A point a run, with the 95% interval over held-out items. Hollow: the recall goal was not "
            "reached. Dashed: mixing rates; thin: interpolation back to the base model.",
            charts.tradeoff(
                labels,
                rates=len({run.mixing_rate for run in tuned} - {None}) > 1,
                frontier=any(run.frontier for run in tuned),
            ),
            list(_tradeoff_rows(tuned)),
        ),
        *(
            Figure(
                f"curve_{x}",
                f"Recall, and the score on validation documents, by {title}.",
                charts.learning_curves(labels, x, title),
                [row for row in curves if row[x] is not None],
            )
            for x, title in by.items()
        ),
        Figure(
            "errors",
            "What wrong answers to held-out tasks are: no answer that can be read, a trained answer named, "
            "the bare answer where reasoning was asked for, or a mistake.",
            charts.error_kinds(),
            list(_error_rows(tuned)),
        ),
        Figure(
            "targets",
            "How likely the trained text is under the base model, and what is kept.",
            charts.target_likelihood(labels),
            [row for row in _points(tuned) if row["target_nll"] is not None and row["retention"] is not None],
        ),
        Figure(
            "forgetting",
            "Forgetting map: each column a held-out document that the base model has right; blue where a "
            "method still has it right in every seed.",
            charts.forgetting_map(),
            list(_forgetting_rows(tuned)),
        ),
    ]
    return [figure for figure in found if figure.rows]


def _points(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row a run; what was not measured is None."""
    rows = to_frame(runs).to_dict("records") if runs else []
    return [
        {str(key): None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
        for row in rows
    ]


def _tradeoff_rows(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for run, row in zip(runs, _points(runs), strict=True):
        if row["retention"] is None:
            continue
        # Without a frontier a point needs no alpha, which would draw a line of one.
        yield {**row, "run_id": run.results.run_id, "alpha": 1.0 if run.frontier else None}
        if run.frontier:
            common = {"label": run.label, "run_id": run.results.run_id, "seed": run.seed, "task": row["task"]}
            yield {**common, "alpha": 0.0, "recall": row["recall_before"], "retention": 1.0}
            for point in _points(run.frontier):
                yield {**common, **{key: point[key] for key in ("alpha", "recall", "retention")}}


def _error_rows(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """The base model once a task, then each label, averaged over seeds."""
    if not runs:
        return
    tasks = [name for name, task in runs[0].results.retention.tasks.items() if task.wrong_tuned is not None]
    for name in tasks:
        having = [run for run in runs if name in run.results.retention.tasks]
        yield from _shares(name, "base model", having[:1], "base")
        for label, same in by_label(having).items():
            yield from _shares(name, label, same, "tuned")


def _shares(name: str, label: str, runs: Sequence[Run], side: str) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        shares = []
        for run in runs:
            task = run.task(name)
            wrong, outcomes = getattr(task, f"wrong_{side}"), getattr(task, f"outcomes_{side}")
            if wrong is not None:
                shares.append(wrong.errors[kind] / max(sum(outcomes.values()), 1))
        if shares:
            yield {"task": name, "label": label, "kind": kind, "share": float(np.mean(shares))}


def _forgetting_rows(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Documents that the base model has right, those lost by most labels first."""
    labels = by_label(runs)
    kept: dict[tuple[str, int], dict[str, list[bool]]] = {}
    for label, same in labels.items():
        for run in same:
            for name in run.counted:
                for doc_id, (before, after) in run.scores(name).items():
                    if before >= RIGHT:
                        kept.setdefault((name, doc_id), {}).setdefault(label, []).append(after >= RIGHT)
    if len(kept) * len(labels) > MOST_CELLS:
        return
    means = {
        document: {label: float(np.mean(v)) for label, v in found.items()} for document, found in kept.items()
    }
    order = sorted(means, key=lambda document: (np.mean(list(means[document].values())), document))
    for rank, document in enumerate(order):
        for label, share in means[document].items():
            yield {"label": label, "task": document[0], "doc_id": document[1], "rank": rank, "kept": share}


def write_picture(path: Path, spec: charts.Spec) -> None:
    """Write a spec with its rows as `<path>.svg` and `<path>.png`."""
    import vl_convert  # a renderer of 40 MB, needed by few commands

    write_text(path.with_suffix(".svg"), vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))
    path.with_suffix(".png").write_bytes(vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=2))


def write_pictures(groups: Mapping[str, Sequence[Figure]], out: Path) -> list[str]:
    """Write `tradeoff.png` and `.svg`, a panel a group, and the others into `figures/`; gives their names."""
    panels = [
        {"title": title, **charts.with_rows(figure.spec, figure.rows)}
        for title, figures in groups.items()
        for figure in figures
        if figure.name == "tradeoff"
    ]
    written = []

    def write(path: Path, spec: charts.Spec) -> None:
        write_picture(path, spec)
        written.extend(str(path.with_suffix(suffix).relative_to(out)) for suffix in (".png", ".svg"))

    if panels:
        write(out / "tradeoff", {"$schema": charts.SCHEMA, "concat": panels, "columns": 2})
    for number, figures in enumerate(groups.values(), 1):
        for figure in figures:
            if figure.name != "tradeoff":
                (out / "figures").mkdir(exist_ok=True)
                name = figure.name if len(groups) == 1 else f"{number}_{figure.name}"
                write(out / "figures" / name, charts.with_rows(figure.spec, figure.rows))
    return written
