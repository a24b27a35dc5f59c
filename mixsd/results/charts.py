"""Every figure as one Vega-Lite spec: live in the page, as PNG and SVG, and in W&B.

A spec has no data of its own; `with_rows` puts rows in. Colours are Okabe and Ito's, which people with any
colour vision tell apart; shapes tell methods apart in print.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Records = Sequence[Mapping[str, Any]]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
FIELDS = (
    "recall", "retention", "retention_low", "retention_high",
    "label", "reached", "mixing_rate", "seed", "task",
)  # fmt: skip
"""Columns of `runs.to_frame` that the tradeoff reads."""
MEMORIZATION = "memorization: recall over all facts"
RETENTION = "retention: held-out score, tuned / base"


def tradeoff(labels: Sequence[str], *, rates: bool = True, frontier: bool = False) -> Spec:
    """Memorization against retention, a point a run with its 95% interval over held-out items.

    A hollow point did not reach the recall at which methods are compared. A dashed line leads through the
    mean of each mixing rate, a thin one through a run's interpolations back to the base model.

    Args:
        labels: Of the methods, in the order of their colours; the same in every figure. None: as they come.
        rates: Whether to lead a line through the mixing rates, where there may be several.
        frontier: Whether there are rows of interpolations, with `alpha`.
    """
    x = _number("recall", MEMORIZATION, scale={"domain": [0, 1.05]})
    y = _number("retention", RETENTION, scale={"zero": True})
    colour = _colour(labels)
    runs = {"filter": "datum.alpha == null || datum.alpha == 1"}
    base = {
        "mark": {"type": "rule", "strokeDash": [2, 2], "color": "gray"},
        "encoding": {"y": {"datum": 1, "type": "quantitative"}},
    }
    through_rates = {
        "transform": [
            {"filter": "datum.alpha == null || datum.alpha == 1"},
            {"filter": "isValid(datum.mixing_rate)"},
            {
                "aggregate": [
                    {"op": "mean", "field": "recall", "as": "mean_recall"},
                    {"op": "mean", "field": "retention", "as": "mean_retention"},
                ],
                "groupby": ["task", "mixing_rate"],
            },
        ],
        "mark": {"type": "line", "strokeDash": [4, 3], "color": "gray", "opacity": 0.8},
        "encoding": {
            "x": {"field": "mean_recall", "type": "quantitative"},
            "y": {"field": "mean_retention", "type": "quantitative"},
            "order": {"field": "mixing_rate", "type": "quantitative"},
            "detail": {"field": "task", "type": "nominal"},
        },
    }
    between = {
        "transform": [{"filter": "isValid(datum.alpha)"}],
        "mark": {"type": "line", "point": {"size": 12}, "strokeWidth": 1, "opacity": 0.55},
        "encoding": {
            "x": x,
            "y": y,
            "order": {"field": "alpha", "type": "quantitative"},
            "detail": {"field": "run_id", "type": "nominal"},
            "color": colour,
        },
    }
    interval = {
        "transform": [runs],
        "mark": {"type": "rule", "opacity": 0.5},
        "encoding": {
            "x": x,
            "y": {**y, "field": "retention_low"},
            "y2": {"field": "retention_high"},
            "color": colour,
        },
    }
    point = {
        "transform": [runs],
        "mark": {"type": "point", "size": 75, "strokeWidth": 2, "cursor": "pointer"},
        "encoding": {
            "x": x,
            "y": y,
            "color": colour,
            "shape": _shape(labels),
            "fillOpacity": {"condition": {"test": "datum.reached", "value": 0.85}, "value": 0},
            "fill": colour,
            "tooltip": [
                {"field": "label", "type": "nominal", "title": "method"},
                {"field": "seed", "type": "quantitative"},
                *({"field": name, "type": "quantitative", "format": ".2f"} for name in FIELDS[:4]),
            ],
        },
    }
    return _spec(
        layer=[base, *([through_rates] if rates else []), *([between] if frontier else []), interval, point]
    )


def learning_curves(labels: Sequence[str], x: str, title: str) -> Spec:
    """Recall and validation score while training, a line a run (decision 2: by step, token and second).

    Rows: label, run_id, measure, value and the column `x`.
    """
    return _spec(
        mark={"type": "line", "point": {"size": 16}, "opacity": 0.8},
        encoding={
            "x": _number(x, title),
            "y": _number("value", "share right", scale={"domain": [0, 1]}),
            "color": _colour(labels),
            "detail": {"field": "run_id", "type": "nominal"},
            "strokeDash": {"field": "measure", "type": "nominal", "title": "measure"},
            "tooltip": [
                {"field": "label", "type": "nominal", "title": "method"},
                {"field": "measure", "type": "nominal"},
                {"field": x, "type": "quantitative"},
                {"field": "value", "type": "quantitative", "format": ".2f"},
            ],
        },
    )


def error_kinds() -> Spec:
    """What wrong held-out answers are, before and after: share of all documents, a bar a label.

    Rows: task, label, kind, share.
    """
    return {
        "$schema": SCHEMA,
        "data": {"name": "rows"},
        "facet": {"field": "task", "type": "nominal", "title": None, "columns": 2},
        "columns": 2,
        "spec": {
            "height": {"step": 22},
            "width": 240,
            "mark": "bar",
            "encoding": {
                "y": {"field": "label", "type": "nominal", "title": None, "sort": None},
                "x": _number("share", "wrong, share of documents", stack="zero", scale={"domain": [0, 1]}),
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "scale": {
                        "domain": ["format", "leakage", "collapse", "genuine"],
                        "range": [COLOURS[4], COLOURS[1], COLOURS[3], COLOURS[0]],
                    },
                },
                "tooltip": [
                    {"field": "label", "type": "nominal"},
                    {"field": "kind", "type": "nominal"},
                    {"field": "share", "type": "quantitative", "format": ".2f"},
                ],
            },
        },
    }


def target_likelihood(labels: Sequence[str]) -> Spec:
    """Target NLL under the base model against retention, a point a run (the paper's analysis a)."""
    return _spec(
        mark={"type": "point", "filled": True, "size": 70, "cursor": "pointer"},
        encoding={
            "x": _number("target_nll", "target NLL under the base model, nats a token"),
            "y": _number("retention", RETENTION),
            "color": _colour(labels),
            "shape": _shape(labels),
            "tooltip": [
                {"field": "label", "type": "nominal", "title": "method"},
                {"field": "seed", "type": "quantitative"},
                {"field": "target_nll", "type": "quantitative", "format": ".2f"},
                {"field": "retention", "type": "quantitative", "format": ".2f"},
            ],
        },
    )


def forgetting_map() -> Spec:
    """Documents that the base model has right, by method: how many seeds still have them right.

    Rows: label, task, doc_id, rank (0: lost by most), kept (share of seeds).
    """
    return _spec(
        mark={"type": "rect", "cursor": "pointer"},
        encoding={
            "x": {
                "field": "rank",
                "type": "ordinal",
                "title": "held-out documents that the base model has right, those lost by most first",
                "axis": {"labels": False, "ticks": False},
            },
            "y": {"field": "label", "type": "nominal", "title": None},
            "color": {
                "field": "kept",
                "type": "quantitative",
                "title": "still right",
                "scale": {"domain": [0, 1], "range": [COLOURS[1], "#f2f2f2", COLOURS[0]]},
            },
            "tooltip": [
                {"field": "task", "type": "nominal"},
                {"field": "doc_id", "type": "nominal", "title": "document"},
                {"field": "label", "type": "nominal", "title": "method"},
                {"field": "kept", "type": "quantitative", "title": "still right in (share of seeds)"},
            ],
        },
        height={"step": 26},
    )


def pareto() -> Spec:
    """Trials of an optimiser: recall against the score on validation documents, a line through the front.

    Rows: recall, validation, front (whether no other trial is better in both), settings.
    """
    x, y = _number("recall", MEMORIZATION), _number("validation", "score on validation documents")
    colour = {
        "field": "front",
        "type": "nominal",
        "title": "on the front",
        "scale": {"domain": [True, False], "range": [COLOURS[0], "#b0b0b0"]},
    }
    line = {
        "transform": [{"filter": "datum.front"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": COLOURS[0], "opacity": 0.6},
        "encoding": {"x": x, "y": y, "order": {"field": "recall", "type": "quantitative"}},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {"x": x, "y": y, "color": colour, "tooltip": {"field": "settings", "type": "nominal"}},
    }
    return _spec(layer=[line, point])


def with_rows(spec: Spec, rows: Records) -> Spec:
    """A spec with its data inside: what any Vega-Lite renderer draws."""
    return {**spec, "data": {"values": list(rows)}}


def for_wandb(spec: Spec) -> Spec:
    """A spec as W&B's custom charts ask for it: columns as `${field:<column>}`, data by W&B's name."""
    text = json.dumps({**spec, "data": {"name": "wandb"}, "width": "container"})
    for name in FIELDS:
        text = text.replace(f'"field": "{name}"', f'"field": "{_template(name)}"')
        text = re.sub(rf"datum\.{name}\b", f"datum['{_template(name)}']", text)
    return json.loads(text)


def _template(name: str) -> str:
    return "${field:" + name + "}"


def _spec(**parts: Any) -> Spec:
    return {"$schema": SCHEMA, "data": {"name": "rows"}, "width": 480, "height": 340, **parts}


def _number(field: str, title: str, **more: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}, **more}


def _colour(labels: Sequence[str]) -> dict[str, Any]:
    ring = [COLOURS[number % len(COLOURS)] for number in range(len(labels) or len(COLOURS))]
    return {
        "field": "label",
        "type": "nominal",
        "title": "method",
        "scale": {**_domain(labels), "range": ring},
    }


def _shape(labels: Sequence[str]) -> dict[str, Any]:
    return {"field": "label", "type": "nominal", "title": "method", "scale": _domain(labels)}


def _domain(labels: Sequence[str]) -> dict[str, Any]:
    return {"domain": list(labels)} if labels else {}
