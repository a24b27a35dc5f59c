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
from mixsd.analysis.runs import Run, comparable_groups, labels, load_runs, to_frame
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
    groups = [[*group, *(point for run in group for point in run.at_goal)] for group in groups]
    frames = [(_title(group), to_frame(group)) for group in groups]
    curves = [to_frame([point for run in group for point in _curve(run)]) for group in groups]
    sections = []
    for group, (title, frame) in zip(groups, frames, strict=True):
        section = {
            "title": title,
            "rows": summary_rows(group, frame),
            "targets": target_rows(group),
            "differences": [_difference_row(d) for d in differences(group)],
            "note": _note(group),
            "answers": answers(group),
        }
        sections.append(section)
        _print_section(console, section)
    if len(groups) > 1:
        console.print("Runs that differ in task, model or held-out suite stand in separate tables.")
    csv = pd.concat([_one_a_point(frame, c) for (_, frame), c in zip(frames, curves, strict=True)])
    write_text(folder / "tradeoff.csv", csv.to_csv(index=False))
    plot_tradeoff(frames, curves, folder / "tradeoff.png")
    write_text(folder / "report.html", _page(sections))
    console.print(f"wrote {folder}/tradeoff.csv, tradeoff.png, report.html")


def summary_rows(runs: Sequence[Run], frame: pd.DataFrame) -> list[dict[str, str]]:
    """One row per label, averaged over seeds, ready to print."""
    rows = []
    for label, part in frame.groupby("label", sort=True):
        keys = set(zip(part["run_id"], part["alpha"], strict=True))
        same = [run for run in runs if (run.results["run_id"], run.alpha) in keys]
        reached = int(part["reached"].sum())
        rows.append(
            {
                "method": str(label),
                **({"alpha": f"{part['alpha'].mean():.3g}"} if (frame["alpha"] < 1).any() else {}),
                "seeds": str(len(part)),
                "recall": f"{part['recall'].mean():.2f}"
                + ("" if reached == len(part) else f" (goal reached by {reached} of {len(part)})"),
                "dropped": f"{part['dropped'].mean():.3g} of {part['facts'].iloc[0]}",
                "paraphrase": f"{part['paraphrase'].mean():.2f}" if "paraphrase" in part else "",
                "retention": _with_interval(part),
                "held-out base -> tuned": _held_out(part),
                "verdict": _verdict(same),
                "steps": f"{part['steps'].mean():.0f}",
                "cost": _cost(part),
            }
        )
    return rows


def target_rows(runs: Sequence[Run]) -> list[dict[str, str]]:
    """What each method trains on: how likely it is under the base model, and how it came about.

    NLL is in nats per token, with the share of tokens above 5 nats. Shares of context references and of
    unsupported names are over attempts with the right answer.
    """
    rows = []
    tuned = [run for run in runs if run.alpha == 1 and run.results["targets"].get("nll") is not None]
    named = labels(tuned)
    for label in sorted(set(named.values())):
        reports = [run.results["targets"] for run in tuned if named[run.path] == label]
        rows.append({"method": label, **{name: _mean(reports, key) for name, key in TARGET_COLUMNS.items()}})
    said = [name for name in ("method", *TARGET_COLUMNS) if any(row[name] for row in rows)]
    return [{name: row[name] for name in said} for row in rows]


TARGET_COLUMNS = {
    "NLL": "nll",
    "over 5 nats": "unlikely_share",
    "NLL of gold": "gold_nll",
    "gold over 5": "gold_unlikely_share",
    "NLL of expert": "expert_nll",
    "expert over 5": "expert_unlikely_share",
    "pass rate": "pass_rate",
    "at first try": "pass_rate_first",
    "naive share": "naive_fraction",
    "context reference": "context_reference_share",
    "unsupported": "unsupported_share",
}


def _mean(reports: Sequence[dict[str, Any]], key: str) -> str:
    values = [report[key] for report in reports if report.get(key) is not None]
    return f"{sum(values) / len(values):.2f}" if values else ""


def _cost(part: pd.DataFrame) -> str:
    """What a run's examples and training took, averaged over seeds."""
    mean = part.mean(numeric_only=True)
    return (
        f"{mean['trained_tokens']:,.0f} trained, {mean['generated_tokens']:,.0f} written, "
        f"{mean['forward_passes']:,.0f} passes, {mean['seconds']:.0f} s, "
        f"{mean['peak_memory_bytes'] / 2**30:.1f} GiB; {mean['prompt_tokens']:.0f} a prompt"
    )


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
    if section["targets"]:
        console.print(_table("what was trained on, under the base model", section["targets"]))
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
