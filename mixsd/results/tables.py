"""The tables of a report: a row per label; everything is read from finished runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from mixsd.core.questions import PARAPHRASE
from mixsd.results.cells import Cell, Measure, Row, Rows, filled, mean
from mixsd.results.compare import RIVALS, Difference, primary_family
from mixsd.results.retention_tables import MARGIN, gap_cell, held_out_cell, retention_cell, verdict
from mixsd.results.runs import Run, by_label, to_frame, tuned_only
from mixsd.results.schema import Likelihood, Share, SplitResult, TargetReport
from mixsd.results.stats import correlation, shares_interval

PRIMARY = "Primary comparisons (MixSD at mixing rate 0.3 against SFT and OPSD); all others are exploratory"
CORRELATED_RUNS = 5
"""Runs from which the correlation of drift and drop is told."""


def summary_rows(runs: Sequence[Run], margin: float = MARGIN) -> Rows:
    """One row per label, averaged over seeds."""
    some_between = any(run.alpha < 1 for run in runs)
    rows: Rows = []
    for label, same in by_label(runs).items():
        reached = sum(run.reached for run in same)
        short = "" if reached == len(same) else f"(goal reached by {reached} of {len(same)})"
        rows.append(
            {
                "method": label,
                **({"alpha": mean([run.alpha for run in same], ".3g")} if some_between else {}),
                "seeds": Measure(len(same), "d"),
                "recall": mean([run.recall for run in same], note=short),
                "dropped": _dropped(same),
                "paraphrase": _paraphrase(same),
                "retention": retention_cell(same),
                "held-out base -> tuned": held_out_cell(same),
                "verdict": verdict(same, margin),
                "steps": mean([run.results.training.steps for run in same], ".0f"),
                "cost": _cost(same),
            }
        )
    return rows


def _dropped(runs: Sequence[Run]) -> Measure | None:
    """What the method dropped, of the facts that it was given; what settings left out is not its doing."""
    targets = [run.results.targets for run in runs]
    # Facts that the method never saw are not in the number that it dropped from.
    given = np.mean([report.n - report.left_out for report in targets])
    return mean([report.dropped for report in targets], ".3g", note=f"of {given:.3g}")


def _paraphrase(runs: Sequence[Run]) -> Measure | None:
    return mean([r.results.probes[PARAPHRASE].right.value for r in runs if PARAPHRASE in r.results.probes])


def _cost(runs: Sequence[Run]) -> dict[str, Measure]:
    """What a run's examples and training took, averaged over seeds."""
    found = to_frame(runs).mean(numeric_only=True)
    return {
        "tokens trained": Measure(found["trained_tokens"], ",.0f"),
        "written": Measure(found["generated_tokens"], ",.0f"),
        "passes": Measure(found["forward_passes"], ",.0f"),
        "seconds": Measure(found["seconds"], ",.0f"),
        "GiB": Measure(found["peak_memory_bytes"] / 2**30, ".1f"),
        "tokens a prompt": Measure(found["prompt_tokens"], ".0f"),
    }


def target_rows(runs: Sequence[Run]) -> Rows:
    """What each method trains on: how likely it is under the base model, and how it came about.

    NLL is in nats per token, with the share of tokens above 5 nats; of targets, gold texts and contrasts over
    the same facts, those that were kept. Shares of context references and of unsupported names are over
    attempts with the right answer.
    """
    rows: Rows = []
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
                    "NLL of gold, all facts": mean([r.gold_of_all.nll for r in reports if r.gold_of_all]),
                    **{column: mean(_numbers(reports, key)) for column, key in TARGET_NUMBERS.items()},
                }
            )
    return filled(rows)


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
        f"NLL{what}": mean([likelihood.nll for likelihood in there]),
        f"over 5 nats{what}": mean([likelihood.unlikely_share for likelihood in there]),
    }


def _numbers(reports: Sequence[TargetReport], key: str) -> list[float]:
    return [report.numbers[key] for report in reports if report.numbers.get(key) is not None]


def split_rows(runs: Sequence[Run]) -> Rows:
    """The share right of every split of probes, before and after, averaged over the seeds that have it.

    A cell reads `before -> after [95% interval] (n)`. Of a split on the retention axis, also the share still
    right of what the base model had right.
    """
    tuned = tuned_only(runs)
    axes = {split: found.axis.value for run in tuned for split, found in run.results.probes.items()}
    rows: Rows = []
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
    return filled(rows)


def _split_cell(runs: Sequence[Run], split: str) -> Cell:
    having = [run.results for run in runs if split in run.results.probes]
    if not having:
        return None
    before = float(np.mean([results.probes_before[split].right.value for results in having]))
    after: list[SplitResult] = [results.probes[split] for results in having]
    found = _share_cell([result.right for result in after], before)
    kept = mean([result.kept for result in after if result.kept is not None])
    return {"": found, "kept": kept} if found and kept else found


def _share_cell(shares: Sequence[Share], before: float | None = None) -> Measure | None:
    """A share, averaged over seeds."""
    if not shares:
        return None
    values = [share.value for share in shares]
    # Seeds may have drawn facts of other numbers of units; the fewest promise the least.
    interval = shares_interval(values, min(share.units for share in shares))
    return Measure(float(np.mean(values)), before=before, interval=interval, n=shares[0].n)


DRIFT_COLUMNS = {
    "KL(base || tuned)": "kl_base_tuned",
    "same top token": "top1_agreement",
    "KL on the task": "kl_task",
    "squared displacement": "raw",
    "R": "ratio",
}


def drift_rows(runs: Sequence[Run]) -> Rows:
    """How far each method moved the model, and how far its answers to unrelated prompts moved."""
    rows: Rows = []
    for label, same in by_label(run for run in tuned_only(runs) if run.results.drift).items():
        row: Row = {"method": label}
        for column, key in DRIFT_COLUMNS.items():
            found = [getattr(run.results.drift, key) for run in same]
            row[column] = mean([value for value in found if value is not None], ".3g")
        rows.append(row)
    return rows


def drift_note(runs: Sequence[Run]) -> str:
    """Correlation over runs of each measure of drift with the drop of the held-out score.

    With its 95% interval, without which so few runs would say anything; '' for fewer than `CORRELATED_RUNS`.
    """
    told = []
    for name, key in (
        ("KL", "kl_base_tuned"),
        ("KL on the task", "kl_task"),
        ("R", "ratio"),
        ("squared displacement", "raw"),
    ):
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
            "p": Measure(difference.p, ".2g"),
            f"p (Holm of {len(family)})": Measure(difference.p_adjusted, ".2g"),
        }
        for title, difference in zip(titles, family, strict=True)
    ]


def difference_row(difference: Difference) -> Row:
    """A difference between two labels, in points, with its interval and what it allows to say."""
    tested = difference.gap if difference.delta is not None else None
    return {
        "comparison": f"{difference.first} minus {difference.second}",
        "held-out score, points": gap_cell(tested),
        "reading": difference.note,
    }
