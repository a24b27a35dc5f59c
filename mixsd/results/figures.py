"""The tradeoff picture: memorization against retention, a point a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

PANELS_A_ROW = 2
MARKERS = "osD^vPX*"
"""A shape a method beside its colour: for print, and for eyes that take two colours for one."""


def plot_tradeoff(frames: list[tuple[str, pd.DataFrame]], curves: list[pd.DataFrame], path: Path) -> None:
    """Draw one panel per group of comparable runs.

    A point is a run, its shape and colour the method: recall over all facts, and retention with its 95%
    interval over held-out items. A hollow point did not reach the recall at which methods are compared. A
    thin line leads through a run's interpolations back to the base model.

    Args:
        frames: (title, one row per run) per group.
        curves: One row per interpolation of each run, per group.
        path: The PNG to write.
    """
    columns = min(len(frames), PANELS_A_ROW)
    rows = -(-len(frames) // columns)
    size = (6.4 * columns, 4.8 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)
    for spare in axes.flat[len(frames) :]:
        spare.set_axis_off()
    colours = plt.get_cmap("tab10")
    labels = sorted({label for _, frame in frames for label in frame["label"]})
    styles = {label: (colours(n % 10), MARKERS[n % len(MARKERS)]) for n, label in enumerate(labels)}
    for axis, (title, frame), curve in zip(axes.flat[: len(frames)], frames, curves, strict=True):
        _panel(axis, title, frame.dropna(subset=["retention"]), curve, styles)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _panel(
    axis: Axes, title: str, frame: pd.DataFrame, curve: pd.DataFrame, styles: Mapping[str, tuple[Any, str]]
) -> None:
    """One panel; `styles` gives the colour and shape of each label, the same in every panel."""
    axis.axhline(1.0, color="grey", linewidth=0.8, linestyle=":")
    axis.annotate("base model", (0.01, 1.0), color="grey", fontsize=8, va="bottom")
    for label, rows in frame.groupby("label", sort=True):
        colour, marker = styles[str(label)]
        for number, row in enumerate(rows.to_dict("records")):
            at = row["recall"], row["retention"]
            axis.errorbar(
                *at,
                yerr=[[at[1] - row["retention_low"]], [row["retention_high"] - at[1]]],
                fmt=marker,
                color=colour,
                capsize=3,
                alpha=0.8,
                markerfacecolor=colour if row["reached"] else "white",
                label=str(label) if number == 0 else None,
            )
    for _, rows in curve.groupby("run_id") if len(curve) else ():
        back = rows.sort_values("alpha")
        axis.plot(
            [back["recall_before"].iloc[0], *back["recall"]],
            [1.0, *back["retention"]],
            color=styles.get(str(rows["label"].iloc[-1]), ("grey", ""))[0],
            linewidth=0.9,
            marker=".",
            alpha=0.6,
        )
    axis.set(
        title=title,
        xlabel="memorization: recall over all facts",
        ylabel="retention: held-out score, tuned / base",
        xlim=(-0.03, 1.12),
    )
    if len(frame):
        axis.legend(loc="best", fontsize=8)
    axis.grid(alpha=0.25)
