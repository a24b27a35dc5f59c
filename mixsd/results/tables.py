"""The tables of a report: a row per label, ready to print; everything is read from finished runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from mixsd.core.questions import PARAPHRASE
from mixsd.results.compare import RIVALS, Difference, primary_family
from mixsd.results.retention_tables import MARGIN, Row, Rows, held_out_cell, retention_cell, verdict
from mixsd.results.runs import Run, by_label, to_frame, tuned_only
from mixsd.results.schema import Likelihood, Share, SplitResult, TargetReport
from mixsd.results.stats import correlation, shares_interval

PRIMARY = "Primary comparisons (MixSD at mixing rate 0.3 against SFT and OPSD); all others are exploratory"
CORRELATED_RUNS = 5
"""Runs from which the correlation of drift and drop is told."""


def summary_rows(runs: Sequence[Run], margin: float = MARGIN) -> Rows:
    """One row per label, averaged over seeds."""
    some_between = any(run.alpha < 1 for run in runs)
    rows = []
    for label, same in by_label(runs).items():
        reached, alpha = sum(run.reached for run in same), np.mean([run.alpha for run in same])
        steps = np.mean([run.results.training.steps for run in same])
        rows.append(
            {
                "method": label,
                **({"alpha": f"{alpha:.3g}"} if some_between else {}),
                "seeds": str(len(same)),
                "recall": f"{np.mean([run.recall for run in same]):.2f}"
                + ("" if reached == len(same) else f" (goal reached by {reached} of {len(same)})"),
                "dropped": _dropped(same),
                "paraphrase": _paraphrase(same),
                "retention": retention_cell(same),
                "held-out base -> tuned": held_out_cell(same),
                "verdict": verdict(same, margin),
                "steps": f"{steps:.0f}",
                "cost": _cost(same),
            }
        )
    return rows


def _dropped(runs: Sequence[Run]) -> str:
    """What the method dropped, of the facts that it was given; what settings left out is not its doing."""
    targets = [run.results.targets for run in runs]
    dropped = np.mean([report.dropped for report in targets])
    # Facts that the method never saw are not in the number that it dropped from.
    given = np.mean([report.n - report.left_out for report in targets])
    return f"{dropped:.3g} of {given:.3g}"


def _paraphrase(runs: Sequence[Run]) -> str:
    values = [r.results.probes[PARAPHRASE].right.value for r in runs if PARAPHRASE in r.results.probes]
    return f"{np.mean(values):.2f}" if values else ""


def _cost(runs: Sequence[Run]) -> str:
    """What a run's examples and training took, averaged over seeds."""
    mean = to_frame(runs).mean(numeric_only=True)
    return (
        f"{mean['trained_tokens']:,.0f} trained, {mean['generated_tokens']:,.0f} written, "
        f"{mean['forward_passes']:,.0f} passes, {mean['seconds']:.0f} s, "
        f"{mean['peak_memory_bytes'] / 2**30:.1f} GiB; {mean['prompt_tokens']:.0f} a prompt"
    )


def target_rows(runs: Sequence[Run]) -> Rows:
    """What each method trains on: how likely it is under the base model, and how it came about.

    NLL is in nats per token, with the share of tokens above 5 nats; of targets, gold texts and contrasts over
    the same facts, those that were kept. Shares of context references and of unsupported names are over
    attempts with the right answer.
    """
    rows = []
    for label, same in by_label(tuned_only(runs)).items():
        reports = [run.results.targets for run in same if run.results.targets.trained is not None]
        if reports:
            contrasts = sorted({name for report in reports for name in report.contrasts})
            rows.append(
                {
                    "method": label,
                    **_likelihood("", [report.trained for report in reports]),
                    **_likelihood(" of gold", [report.gold for report in reports]),
                    **{
                        column: cell
                        for name in contrasts
                        for column, cell in _likelihood(
                            f" of {name}", [report.contrasts.get(name) for report in reports]
                        ).items()
                    },
                    "NLL of gold, all facts": _mean([r.gold_of_all.nll for r in reports if r.gold_of_all]),
                    **{column: _mean(_numbers(reports, key)) for column, key in TARGET_NUMBERS.items()},
                }
            )
    return _filled(rows)


TARGET_NUMBERS = {
    "pass rate": "pass_rate",
    "at first try": "pass_rate_first",
    "naive share": "naive_fraction",
    "context reference": "context_reference_share",
    "unsupported": "unsupported_share",
}
"""What methods report of their targets, by column."""


def _likelihood(what: str, found: Sequence[Likelihood | None]) -> Row:
    there = [likelihood for likelihood in found if likelihood is not None]
    return {
        f"NLL{what}": _mean([likelihood.nll for likelihood in there]),
        f"over 5 nats{what}": _mean([likelihood.unlikely_share for likelihood in there]),
    }


def _numbers(reports: Sequence[TargetReport], key: str) -> list[float]:
    return [report.numbers[key] for report in reports if report.numbers.get(key) is not None]


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f}" if values else ""


def split_rows(runs: Sequence[Run]) -> Rows:
    """The share right of every split of probes, before and after, averaged over the seeds that have it.

    A cell reads `before -> after [95% interval] (n)`. Of a split on the retention axis, also the share still
    right of what the base model had right.
    """
    tuned = tuned_only(runs)
    axes = {split: found.axis.value for run in tuned for split, found in run.results.probes.items()}
    rows = []
    for label, same in by_label(tuned).items():
        derived = [run.results.derived for run in same]
        taught = {
            "learned": [d.learned for d in derived],
            "recall of what the base model missed": [d.recall_unknown for d in derived],
            "edits of what it knew otherwise": [d.edit_success for d in derived],
        }
        splits = {f"{split} ({axis})": _split_cell(same, split) for split, axis in axes.items()}
        cells = {column: _share_cell([s for s in shares if s]) for column, shares in taught.items()}
        rows.append({"method": label, **cells, **splits})
    return _filled(rows)


def _split_cell(runs: Sequence[Run], split: str) -> str:
    having = [run.results for run in runs if split in run.results.probes]
    if not having:
        return ""
    before = np.mean([results.probes_before[split].right.value for results in having])
    after: list[SplitResult] = [results.probes[split] for results in having]
    kept = _mean([found.kept for found in after if found.kept is not None])
    shown = f"{before:.2f} -> {_share_cell([found.right for found in after])}"
    return shown + (f", kept {kept}" if kept else "")


def _share_cell(shares: Sequence[Share]) -> str:
    """`share [low, high] (n)`, averaged over seeds."""
    if not shares:
        return ""
    values = [share.value for share in shares]
    # Seeds may have drawn facts of other numbers of units; the fewest promise the least.
    low, high = shares_interval(values, min(share.units for share in shares))
    return f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}] ({shares[0].n})"


def _filled(rows: Rows) -> Rows:
    """The rows with the same columns, without those in which none of them has anything."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    filled = [column for column in columns if any(row.get(column) for row in rows)]
    return [{column: row.get(column, "") for column in filled} for row in rows]


DRIFT_COLUMNS = {
    "KL(base || tuned)": "kl_base_tuned",
    "same top token": "top1_agreement",
    "squared displacement": "raw",
    "R": "ratio",
}


def drift_rows(runs: Sequence[Run]) -> Rows:
    """How far each method moved the model, and how far its answers to unrelated prompts moved."""
    rows = []
    for label, same in by_label(run for run in tuned_only(runs) if run.results.drift).items():
        row = {"method": label}
        for column, key in DRIFT_COLUMNS.items():
            values = [v for run in same if (v := getattr(run.results.drift, key)) is not None]
            row[column] = f"{np.mean(values):.3g}" if values else ""
        rows.append(row)
    return rows


def drift_note(runs: Sequence[Run]) -> str:
    """Correlation over runs of each measure of drift with the drop of the held-out score.

    With its 95% interval, without which so few runs would say anything; '' for fewer than `CORRELATED_RUNS`.
    """
    told = []
    for name, key in (("KL", "kl_base_tuned"), ("R", "ratio"), ("squared displacement", "raw")):
        points = [
            (getattr(run.results.drift, key), panel.base - panel.tuned)
            for run in tuned_only(runs)
            if (panel := run.results.retention.generated).base is not None
            and panel.tuned is not None
            and getattr(run.results.drift, key, None) is not None
        ]
        # Interpolated models would each repeat the drift of the run that they come from.
        found = correlation(*zip(*points, strict=True)) if len(points) >= CORRELATED_RUNS else None
        if found:
            r, (low, high) = found
            told.append(f"{name} {r:+.2f} [{low:+.2f}, {high:+.2f}] over {len(points)} runs")
    return f"Correlation with the drop, all methods and seeds together: {', '.join(told)}." if told else ""


def primary_rows(groups: Mapping[str, Sequence[Run]]) -> Rows:
    """The comparisons chosen beforehand, two a group; nothing where none of them can be made.

    Args:
        groups: By title.
    """
    family = primary_family(list(groups.values()))
    if all(difference.gap is None for difference in family):
        return []
    titles = [title for title in groups for _ in RIVALS]
    return [
        {
            "runs": title,
            **difference_row(difference),
            "p": "n/a" if difference.p is None else f"{difference.p:.2g}",
            f"p (Holm of {len(family)})": "n/a"
            if difference.p_adjusted is None
            else f"{difference.p_adjusted:.2g}",
        }
        for title, difference in zip(titles, family, strict=True)
    ]


def difference_row(difference: Difference) -> Row:
    """A difference between two labels, in points, with its interval and what it allows to say."""
    shown = "n/a"
    if difference.delta is not None and difference.interval is not None and difference.gap is not None:
        low, high = (100 * bound for bound in difference.interval)
        shown = f"{100 * difference.delta:+.1f} points [{low:+.1f}, {high:+.1f}] (n={difference.gap.items})"
    return {
        "comparison": f"{difference.first} minus {difference.second}",
        "held-out score": shown,
        "reading": difference.note,
    }
