"""The tables of a report: a row per label, ready to print; everything is read from finished runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from mixsd.results.aggregate import GENERATED
from mixsd.results.compare import Difference, primary_family
from mixsd.results.runs import Run, labels
from mixsd.results.stats import CLAIM_SEEDS, Interval, holm, seeds_interval

MARGIN = 0.02
"""`no drop` needs the lower bound of tuned minus base above minus this (decision 7)."""
PRIMARY = "Primary comparisons (MixSD at mixing rate 0.3 against SFT and OPSD); all others are exploratory"
NOT_REACHED = "goal not reached"
CORRELATED_RUNS = 5
"""Runs from which the correlation of drift and drop is told."""
Rows = list[dict[str, str]]


def summary_rows(runs: Sequence[Run], frame: pd.DataFrame, margin: float = MARGIN) -> Rows:
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
                "verdict": _verdict(same, margin),
                "steps": f"{part['steps'].mean():.0f}",
                "cost": _cost(part),
            }
        )
    return rows


def target_rows(runs: Sequence[Run]) -> Rows:
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
    return _said(rows)


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


def split_rows(runs: Sequence[Run]) -> Rows:
    """Accuracy of every split of probes, before and after, averaged over the seeds that have the split.

    A cell reads `before -> after [95% interval] (n)`. Of a split on the retention axis, the share still right
    of what the base model had right.
    """
    tuned = [run for run in runs if run.alpha == 1]
    axes = {split: after["axis"] for run in tuned for split, after in run.results["probes"].items()}
    rows = []
    for label, same in _by_label(runs).items():
        results = [run.results for run in same]
        taught = {
            column: _share_cell([r["memorization"][key] for r in results if r["memorization"].get(key)])
            for column, key in TAUGHT_COLUMNS.items()
        }
        splits = {
            f"{split} ({axis})": _split_cell([r for r in results if split in r["probes"]], split)
            for split, axis in axes.items()
        }
        rows.append({"method": label, **taught, **splits})
    return _said(rows)


TAUGHT_COLUMNS = {
    "learned": "learned",
    "recall of what the base model missed": "recall_missed",
    "edits of what it knew otherwise": "edit_success",
}
"""Of facts: the first two are what memorization goes by, the third what counts as an edit (decision 9)."""


def _split_cell(results: Sequence[Mapping[str, Any]], split: str) -> str:
    if not results:
        return ""
    before = np.mean([r["probes_before"][split]["accuracy"] for r in results])
    after = [r["probes"][split] for r in results]
    kept = _mean(after, "kept")
    now = _share_cell([{**split_after, "share": split_after["accuracy"]} for split_after in after])
    return f"{before:.2f} -> {now}" + (f", kept {kept}" if kept else "")


def _share_cell(shares: Sequence[dict[str, Any]]) -> str:
    """`share [low, high] (n)`, averaged over seeds.

    However many seeds there are, all of them may recall all of a few facts: the items always count.
    """
    if not shares:
        return ""
    low, high = seeds_interval([s["share"] for s in shares], [s["ci"] for s in shares], claim_seeds=math.inf)
    mean = np.mean([s["share"] for s in shares])
    return f"{mean:.2f} [{max(low, 0):.2f}, {min(high, 1):.2f}] ({shares[0]['n']})"


def _said(rows: Rows) -> Rows:
    """The rows without the columns in which none of them says anything."""
    said = [column for column in rows[0] if any(row[column] for row in rows)] if rows else []
    return [{column: row[column] for column in said} for row in rows]


def task_rows(runs: Sequence[Run], margin: float = MARGIN) -> Rows:
    """Each held-out task: tuned minus base in points, its 95% interval, items; and why answers were wrong.

    `detectable` is the smallest difference in points that so many items can show. Intervals are those of
    `seeds_interval`. `p` is Holm-adjusted over the tasks of a run, and told for one seed
    only. Of runs that did not reach the recall goal there is neither verdict nor p (decision 2). How often a
    trained answer is named is told before and after: the base model may know it too.
    """
    rows = []
    for label, same in _by_label(runs).items():
        for name in same[0].results["retention"]["tasks"]:
            tasks = [run.results["retention"]["tasks"][name] for run in same]
            short = any(_fell_short(run) for run in same)
            adjusted = tasks[0].get("p_holm") if len(tasks) == 1 and not short else None
            rows.append(
                {
                    "method": label,
                    "held-out task": name + ("" if tasks[0]["included"] else " (not counted)"),
                    "tuned minus base": _task_cell(tasks),
                    "verdict": NOT_REACHED if short else _word(_task_interval(tasks), margin, len(tasks)),
                    "detectable": f"{100 * tasks[0]['detectable']:.1f}" if tasks[0]["n"] else "n/a",
                    "p (Holm)": "" if adjusted is None else f"{adjusted:.2g}",
                    "wrong answers": _errors(tasks),
                    "names a trained answer": _named(tasks),
                }
            )
    return rows


def panel_rows(runs: Sequence[Run]) -> Rows:
    """Retention of generated and of likelihood tasks, apart; both ratios with their intervals.

    Intervals are those of `seeds_interval`.
    """
    rows = []
    for label, same in _by_label(runs).items():
        for kind in same[0].results["retention"]["panels"]:
            panels = [run.results["retention"]["panels"][kind] for run in same]
            if panels[0]["ratio"] is not None:
                rows.append(
                    {
                        "method": label,
                        "tasks": kind,
                        "ratio": _ratio_cell(panels, "ratio", "ci"),
                        "above chance": _ratio_cell(panels, "ratio_above_chance", "above_chance_ci"),
                    }
                )
    return rows


def _ratio_cell(panels: Sequence[dict[str, Any]], key: str, interval: str) -> str:
    values = [panel[key] for panel in panels]
    of_items = [panel[interval] for panel in panels if panel[interval]]
    found = seeds_interval(values, of_items) if len(of_items) == len(panels) else None
    return f"{np.mean(values):.2f}" + (f" [{found[0]:.2f}, {found[1]:.2f}]" if found else "")


def drift_rows(runs: Sequence[Run]) -> Rows:
    """How far each method moved the model, and how far its answers to unrelated prompts moved."""
    rows = []
    for label, same in _by_label([run for run in runs if run.results["drift"]]).items():
        drifts = [run.results["drift"] for run in same]
        row = {"method": label}
        for name, key in (
            ("KL(base || tuned)", "kl_base_tuned"),
            ("same top token", "top1_agreement"),
            ("squared displacement", "raw"),
            ("R", "ratio"),
        ):
            values = [drift[key] for drift in drifts if key in drift]
            row[name] = f"{np.mean(values):.3g}" if values else ""
        rows.append(row)
    return rows


def drift_note(runs: Sequence[Run]) -> str:
    """Correlation over runs of each measure of drift with the drop of the held-out score; '' for few runs."""
    with_both = [
        run
        for run in runs
        if run.alpha == 1 and run.results["drift"] and run.results["retention"]["base_mean"] is not None
    ]
    if len(with_both) < CORRELATED_RUNS:
        return ""
    drops = [r.results["retention"]["base_mean"] - r.results["retention"]["tuned_mean"] for r in with_both]
    told = []
    for name, key in (("KL", "kl_base_tuned"), ("R", "ratio"), ("squared displacement", "raw")):
        values = [r.results["drift"][key] for r in with_both if key in r.results["drift"]]
        if len(values) == len(drops) and np.std(values) > 0 and np.std(drops) > 0:
            told.append(f"{name} {pearsonr(values, drops)[0]:+.2f}")
    return f"Correlation with the drop over {len(drops)} runs: {', '.join(told)}." if told else ""


def _by_label(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Tuned runs (not their interpolations) by label, in order of label and seed."""
    tuned = [run for run in runs if run.alpha == 1]
    named = labels(tuned)
    ordered = sorted(tuned, key=lambda run: (named[run.path], run.seed))
    found: dict[str, list[Run]] = {}
    for run in ordered:
        found.setdefault(named[run.path], []).append(run)
    return found


def _task_cell(tasks: Sequence[dict[str, Any]]) -> str:
    """`delta [low, high] (n)` in points; without an interval below 20 shared items."""
    n = tasks[0]["n"]
    deltas = [task["tuned"] - task["base"] for task in tasks if task["n"]]
    if not deltas:
        return "n/a"
    interval = _task_interval(tasks)
    shown = "n/a" if interval is None else f"{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}"
    return f"{100 * np.mean(deltas):+.1f} [{shown}] ({n})"


def _task_interval(tasks: Sequence[dict[str, Any]]) -> Interval | None:
    """Of tuned minus base, by `seeds_interval`; None below 20 shared items."""
    if any(task["ci"] is None for task in tasks):
        return None
    return seeds_interval([task["tuned"] - task["base"] for task in tasks], [task["ci"] for task in tasks])


def _errors(tasks: Sequence[dict[str, Any]]) -> str:
    if tasks[0]["kind"] != GENERATED:
        return ""
    before, after = ([task[key]["errors"] for task in tasks] for key in ("breakdown_base", "breakdown"))
    return ", ".join(
        f"{kind} {np.mean([e[kind] for e in before]):.3g} -> {np.mean([e[kind] for e in after]):.3g}"
        for kind in after[0]
    )


def _named(tasks: Sequence[dict[str, Any]]) -> str:
    """The share of answers that name a trained answer, before and after."""
    if tasks[0]["kind"] != GENERATED:
        return ""
    before, after = (
        _mean([task[key] for task in tasks], "intrusion_rate") for key in ("breakdown_base", "breakdown")
    )
    return f"{before} -> {after}" if after else ""


def _with_interval(part: pd.DataFrame) -> str:
    """Retention with its interval, by `seeds_interval`."""
    ratios = part["retention"].dropna()
    if ratios.empty:
        return "n/a"
    of_items = part.loc[ratios.index, ["retention_low", "retention_high"]]
    if of_items.isna().to_numpy().any():
        return f"{ratios.mean():.2f} (too few items for an interval)"
    low, high = seeds_interval(list(ratios), list(of_items.itertuples(index=False)))
    return f"{ratios.mean():.2f} [{low:.2f}, {high:.2f}]"


def _held_out(part: pd.DataFrame) -> str:
    if part["retention"].isna().all():
        return "n/a"
    return f"{100 * part['held_out_base'].mean():.1f} -> {100 * part['held_out_tuned'].mean():.1f}"


def _verdict(runs: Sequence[Run], margin: float) -> str:
    """The word for a label's runs, where all of them reached the recall goal."""
    intervals = [run.results["retention"]["delta_ci"] for run in runs]
    if not all(intervals):
        return "n/a"
    if any(_fell_short(run) for run in runs):
        return NOT_REACHED
    if not all(run.reached for run in runs):
        return "no goal set"
    kept = [run.results["retention"] for run in runs]
    interval = seeds_interval([r["tuned_mean"] - r["base_mean"] for r in kept], intervals)
    return _word(interval, margin, len(runs))


def _fell_short(run: Run) -> bool:
    """Whether a recall goal was set and not reached."""
    return run.config["training"]["until_recall"] is not None and not run.reached


def _word(interval: Interval | None, margin: float, seeds: int) -> str:
    """`drop`, `no drop` or `inconclusive`, from the interval of tuned minus base (decision 7)."""
    if interval is None:
        return "n/a"
    word = "no drop" if interval[0] > -margin else "drop" if interval[1] < 0 else "inconclusive"
    return word if seeds >= CLAIM_SEEDS else f"{word} (descriptive)"


def primary_rows(groups: Sequence[Sequence[Run]]) -> Rows:
    """The comparisons chosen beforehand, over all tasks, with p-values adjusted for their number.

    One that could not be tested counts in that number: what came out must not decide how many there are.
    """
    family = primary_family(groups)
    adjusted = holm([1.0 if difference.p is None else difference.p for _, difference in family])
    return [
        {
            "task": task,
            **difference_row(difference),
            "p": "n/a" if difference.p is None else f"{difference.p:.2g}",
            "p (Holm)": "n/a" if difference.p is None else f"{held:.2g}",
        }
        for (task, difference), held in zip(family, adjusted, strict=True)
    ]


def difference_row(difference: Difference) -> dict[str, str]:
    """A difference between two labels, in points, with its interval and what it allows to say."""
    shown = "n/a"
    if difference.delta is not None and difference.interval is not None:
        low, high = (100 * bound for bound in difference.interval)
        shown = f"{100 * difference.delta:+.1f} points [{low:+.1f}, {high:+.1f}] (n={difference.items})"
    return {
        "comparison": f"{difference.first} minus {difference.second}",
        "held-out score": shown,
        "reading": difference.note,
    }
