"""The tradeoff as a Vega-Lite spec: memorization against retention, a point a run."""

import json
from typing import Any

FIELDS = (
    "recall", "retention", "retention_low", "retention_high",
    "label", "reached", "mixing_rate", "seed", "task",
)  # fmt: skip
"""Columns of `runs.to_frame` that the picture reads; the spec names them `${field:<column>}`, as W&B asks."""


def tradeoff_spec() -> dict[str, Any]:
    """Points coloured by label, hollow where the recall goal was not reached, with 95% intervals over items.

    A line leads through the mean of each mixing rate, in their order: the frontier of MixSD.
    """
    x = {"field": _field("recall"), "type": "quantitative", "title": "memorization: recall over all facts"}
    y = {"type": "quantitative", "title": "retention: held-out score, tuned / base", "scale": {"zero": False}}
    colour = {"field": _field("label"), "type": "nominal", "title": "method"}
    told = [
        {"field": _field(name), "type": "nominal" if name in ("label", "task") else "quantitative"}
        for name in ("label", "task", "seed", "recall", "retention", "retention_low", "retention_high")
    ]
    interval = {
        "mark": {"type": "rule", "opacity": 0.5},
        "encoding": {
            "x": x,
            "y": {**y, "field": _field("retention_low")},
            "y2": {"field": _field("retention_high")},
            "color": colour,
        },
    }
    point = {
        "mark": {"type": "point", "size": 70, "strokeWidth": 2},
        "encoding": {
            "x": {**x, "scale": {"domain": [0, 1.05]}},
            "y": {**y, "field": _field("retention")},
            "color": colour,
            "shape": {"field": _field("label"), "type": "nominal", "title": "method"},
            # Hollow: compared with nobody.
            "fill": {
                "condition": {"test": f"datum['{_field('reached')}']", **colour},
                "value": "transparent",
            },
            "tooltip": told,
        },
    }
    frontier = {
        "transform": [
            {"filter": f"isValid(datum['{_field('mixing_rate')}'])"},
            {
                "aggregate": [
                    {"op": "mean", "field": _field("recall"), "as": "mean_recall"},
                    {"op": "mean", "field": _field("retention"), "as": "mean_retention"},
                ],
                "groupby": [_field("task"), _field("mixing_rate")],
            },
        ],
        "mark": {"type": "line", "strokeDash": [4, 3], "color": "gray", "opacity": 0.8},
        "encoding": {
            "x": {"field": "mean_recall", "type": "quantitative"},
            "y": {"field": "mean_retention", "type": "quantitative"},
            "order": {"field": _field("mixing_rate"), "type": "quantitative"},
            "detail": {"field": _field("task"), "type": "nominal"},
        },
    }
    base = {
        "mark": {"type": "rule", "strokeDash": [2, 2], "color": "gray"},
        "encoding": {"y": {"datum": 1, "type": "quantitative"}},
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"name": "wandb"},
        "width": "container",
        "layer": [base, frontier, interval, point],
    }


def with_rows(spec: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same spec with its data inside and its fields named: what any Vega-Lite renderer draws."""
    text = json.dumps({**spec, "data": {"values": rows}, "width": 480, "height": 340})
    for name in FIELDS:
        text = text.replace(_field(name), name)
    return json.loads(text)


def _field(name: str) -> str:
    return "${field:" + name + "}"
