"""Tables of the retention axis: verdicts, each held-out task, and the panels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mixsd.core.questions import Outcome
from mixsd.core.scores import GENERATED, LIKELIHOOD
from mixsd.results.aggregate import Gap, Paired, gap, paired, ratio
from mixsd.results.cells import Measure, Row, Rows
from mixsd.results.runs import Run, by_label, tuned_only
from mixsd.results.schema import Breakdown, HeldOutTask, Interval, Panel
from mixsd.results.stats import CLAIM_SEEDS

MARGIN = 0.02
"""`no drop` needs the lower bound of tuned minus base above minus this (decision 7)."""
NOT_REACHED = "goal not reached"
TOO_FEW = "(too few items for an interval)"


def retention_cell(runs: Sequence[Run]) -> Measure:
    """The headline ratio with its interval."""
    if not any(run.results.retention.generated.n for run in runs):
        return Measure(None)
    found = _ratio_cell(runs, GENERATED)
    return found if found.interval else replace(found, note=TOO_FEW)


def held_out_cell(runs: Sequence[Run]) -> Measure:
    """Mean scores of base and tuned model, in percent."""
    panels = [run.results.retention.generated for run in runs]
    base = [100 * panel.base for panel in panels if panel.base is not None]
    tuned = [100 * panel.tuned for panel in panels if panel.tuned is not None]
    if not base:
        return Measure(None)
    return Measure(float(np.mean(tuned)), ".1f", before=float(np.mean(base)))


def verdict(runs: Sequence[Run], margin: float) -> str:
    """The word for a label's runs, where all of them reached the recall goal."""
    # Over the tasks that the headline is about, so that ratio and verdict cannot disagree on which.
    found = gap(_tasks(runs, lambda run: run.counted))
    if found is None or found.interval is None:
        return "n/a"
    if any(run.fell_short for run in runs):
        return NOT_REACHED
    if not all(run.reached for run in runs):
        return "no goal set"
    return _word(found, margin, len(runs))


def _word(found: Gap, margin: float, seeds: int) -> str:
    """`drop`, `no drop` or `inconclusive`, from the interval of tuned minus base (decision 7)."""
    if found.interval is None:
        return "n/a"
    low, high = found.interval
    word = "no drop" if low > -margin else "drop" if high < 0 else "inconclusive"
    # Few seeds, or seeds that all give the same, speak of these checkpoints only.
    claims = seeds >= CLAIM_SEEDS and found.p is not None and found.seeds > 1
    return word if claims else f"{word} (descriptive)"


def _tasks(runs: Sequence[Run], counted: Callable[[Run], Iterable[str]]) -> list[Paired]:
    """Base and tuned scores of some held-out tasks, a seed a run."""
    names = sorted({name for run in runs for name in counted(run)})
    return [_pair(runs, name, [name in set(counted(run)) for run in runs]) for name in names]


def _pair(runs: Sequence[Run], name: str, counts: Sequence[bool]) -> Paired:
    chance = next(run.task(name).chance for run in runs if name in run.results.retention.tasks)
    by_seed = [run.scores(name) if here else {} for run, here in zip(runs, counts, strict=True)]
    return paired(by_seed, chance)


def task_rows(runs: Sequence[Run], margin: float = MARGIN) -> Rows:
    """Each held-out task: tuned minus base in points, its 95% interval, items; and why answers were wrong.

    `detectable` is the smallest difference in points that so many items can show. `p` is Holm-adjusted over
    the tasks of a run, and told for one seed only. Of runs that did not reach the recall goal there is
    neither verdict nor p (decision 2). A method that writes longer replies may lose by the token budget
    alone, so the share cut off stands beside its score (decision 16). How often a trained answer is named is
    told before and after: the base model may know it too.
    """
    rows = []
    for label, same in by_label(tuned_only(runs)).items():
        for name in same[0].results.retention.tasks:
            having = [run for run in same if name in run.results.retention.tasks]
            rows.append({"method": label, **_task_row(name, having, margin)})
    return rows


def _task_row(name: str, runs: Sequence[Run], margin: float) -> Row:
    tasks = [run.task(name) for run in runs]
    short = any(run.fell_short for run in runs)
    found = gap([_pair(runs, name, [True] * len(runs))])
    # A run's own p speaks of its checkpoint; with several seeds there is none that speaks of them all.
    adjusted = tasks[0].p_holm if len(tasks) == 1 and not short else None
    word = "n/a" if found is None else _word(found, margin, len(runs))
    return {
        "held-out task": name + ("" if tasks[0].included else " (not counted)"),
        "tuned minus base": gap_cell(found),
        "verdict": NOT_REACHED if short else word,
        "detectable": Measure(100 * found.detectable if found else None, ".1f"),
        "p (Holm)": None if adjusted is None else Measure(adjusted, ".2g"),
        "cut off": _cut_off(tasks),
        "wrong answers": _errors(tasks),
        "names a trained answer": _named(tasks),
    }


def gap_cell(found: Gap | None) -> Measure:
    """In points; without an interval below 20 shared items."""
    if found is None:
        return Measure(None)
    return Measure(
        100 * found.mean, "+.1f", interval=_in_points(found.interval), n=found.items,
        note="" if found.interval else TOO_FEW,
    )  # fmt: skip


def _in_points(interval: Interval | None) -> Interval | None:
    """An interval of shares, in points."""
    return interval and (100 * interval[0], 100 * interval[1])


def _cut_off(tasks: Sequence[HeldOutTask]) -> Measure | None:
    """The share of replies that the token budget cut off, before and after (decision 16)."""
    if tasks[0].kind != GENERATED:
        return None
    sides = ([t.outcomes_base for t in tasks], [t.outcomes_tuned for t in tasks])
    before, after = (float(np.mean([_truncated(outcomes) for outcomes in side])) for side in sides)
    return Measure(after, ".0%", before=before)


def _truncated(outcomes: Mapping[str, int]) -> float:
    return outcomes.get(Outcome.TRUNCATED, 0) / max(sum(outcomes.values()), 1)


def _errors(tasks: Sequence[HeldOutTask]) -> Mapping[str, Measure]:
    before, after = _wrong(tasks)
    return {
        kind: Measure(
            float(np.mean([b.errors[kind] for b in after])),
            ".3g",
            before=float(np.mean([b.errors[kind] for b in before])),
        )
        for kind in (after[0].errors if after else ())
    }


def _named(tasks: Sequence[HeldOutTask]) -> Measure | None:
    """The share of answers that name a trained answer, before and after."""
    before, after = (
        [b.intrusion_rate for b in side if b.intrusion_rate is not None] for side in _wrong(tasks)
    )
    return Measure(float(np.mean(after)), before=float(np.mean(before))) if before and after else None


def _wrong(tasks: Sequence[HeldOutTask]) -> tuple[list[Breakdown], list[Breakdown]]:
    """Why answers were wrong, before and after; nothing of likelihood tasks."""
    return [t.wrong_base for t in tasks if t.wrong_base], [t.wrong_tuned for t in tasks if t.wrong_tuned]


def panel_rows(runs: Sequence[Run]) -> Rows:
    """Retention of generated and of likelihood tasks, apart; both ratios with their intervals."""
    rows = []
    for label, same in by_label(tuned_only(runs)).items():
        for kind in (GENERATED, LIKELIHOOD):
            if any(_panel(run, kind).n for run in same):
                plain, above = _ratio_cell(same, kind), _ratio_cell(same, kind, above=True)
                rows.append({"method": label, "tasks": kind, "ratio": plain, "above chance": above})
    return rows


def _panel(run: Run, kind: str) -> Panel:
    return run.results.retention.generated if kind == GENERATED else run.results.retention.likelihood


def _ratio_cell(runs: Sequence[Run], kind: str, *, above: bool = False) -> Measure:
    value, interval = _ratio(runs, kind, above=above)
    return Measure(value, interval=interval)


def headline(runs: Sequence[Run]) -> tuple[float | None, Interval | None]:
    """Retention of a label's runs over the generated tasks, with its 95% interval."""
    return _ratio(runs, GENERATED)


def _ratio(runs: Sequence[Run], kind: str, *, above: bool = False) -> tuple[float | None, Interval | None]:
    """Over the seeds that have the panel; of one seed what its run says."""
    having = [run for run in runs if _panel(run, kind).n]
    if len(having) == 1:
        panel = _panel(having[0], kind)
        value, interval = (
            (panel.above_chance, panel.above_chance_interval)
            if above
            else (panel.ratio, panel.ratio_interval)
        )
    else:
        tasks = _tasks(having, lambda run: run.counted_of(kind))
        value, interval = ratio([task.above_chance for task in tasks] if above else tasks)
    return value, interval
