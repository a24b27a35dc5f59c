"""Two runs beside each other: what was set otherwise, both axes paired, and the items that flipped."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import StoreError
from mixsd.core.questions import RECALL, Outcome
from mixsd.results import schema
from mixsd.results.aggregate import Gap, gap, paired
from mixsd.results.items import PROBES, read_probe_pairs
from mixsd.results.page_data import flat, hidden
from mixsd.results.runs import Run, config_of, differing, labelled

SHOWN = 5
"""Flipped answers a task that are printed."""
LONGEST = 300
"""Characters of one."""


def compare_runs(first: Path, second: Path, console: Console) -> None:
    """Print how the second run differs from the first.

    Args:
        first: A run's directory.
        second: Another's, measured alike.
        console: Where to.

    Raises:
        StoreError: One is no finished run, or they are not measured alike.
    """
    a, b = labelled([_run(first), _run(second)])
    apart = differing([a.results.measured_by, b.results.measured_by])
    if apart:
        raise StoreError(
            f"{first} and {second} are not measured alike ({', '.join(apart)} differ); "
            "give two runs of one task, model and suite"
        )
    console.print(_settings(a, b))
    console.print(_axes(a, b))
    if a.seed != b.seed:
        console.print(
            "They have different seeds, so different facts: recall is over other questions.", style="dim"
        )
    console.print("About these two checkpoints alone: a claim about methods takes five seeds.", style="dim")
    for line in _flipped(a, b):
        console.print(line, soft_wrap=True)


def _run(folder: Path) -> Run:
    if not (folder / "DONE").exists():
        raise StoreError(
            f"{folder} is no finished run; give a run's directory, below runs/<experiment_name>/"
        )
    return Run(folder, schema.load(folder), config_of(folder))


def _settings(a: Run, b: Run) -> Table:
    ones, others = flat(a.config), flat(b.config)
    table = Table("setting", a.path.name, b.path.name, title="set otherwise", title_justify="left")
    for key in sorted({*ones, *others}):
        if ones.get(key) != others.get(key):
            table.add_row(key, *(str(settings.get(key, "")) for settings in (ones, others)))
    return table


def _axes(a: Run, b: Run) -> Table:
    """Both axes and each held-out task: first, second, second minus first with its interval and p."""
    table = Table(
        "", "first", "second", "second minus first", "p", title="paired differences", title_justify="left"
    )
    recall = [_recalled(run) for run in (a, b)]
    shared = sorted(set(recall[0]) & set(recall[1]))
    found = gap([paired([{n: (float(recall[0][i]), float(recall[1][i])) for n, i in enumerate(shared)}])])
    table.add_row("recall", f"{a.recall:.2f}", f"{b.recall:.2f}", *_cells(found))
    counted = [name for name in a.counted if name in b.counted]
    tasks = {name: paired([_both(a, b, name)]) for name in a.documents if name in b.documents}
    whole = gap([tasks[name] for name in counted])
    ratios = [run.results.retention.generated.ratio for run in (a, b)]
    table.add_row("retention", *("n/a" if r is None else f"{r:.2f}" for r in ratios), *_cells(whole))
    for name, task in tasks.items():
        scores = [run.task(name).tuned for run in (a, b)]
        shown = name if name in counted else f"{name} (not counted)"
        table.add_row(
            shown, *("n/a" if s is None else f"{100 * s:.1f}" for s in scores), *_cells(gap([task]))
        )
    return table


def _recalled(run: Run) -> dict[str, bool]:
    """Whether each trained question is answered right; nothing of a published run, which has no answers."""
    if not (run.path / PROBES / f"{RECALL}.jsonl").exists():
        return {}
    after = [pair.after for pair in read_probe_pairs(run.path, RECALL)]
    return {answer.id: answer.outcome is Outcome.CORRECT for answer in after}


def _both(a: Run, b: Run, task: str) -> dict[int, tuple[float, float]]:
    ones, others = a.scores(task), b.scores(task)
    return {doc_id: (ones[doc_id][1], others[doc_id][1]) for doc_id in ones if doc_id in others}


def _cells(found: Gap | None) -> tuple[str, str]:
    if found is None:
        return "n/a", ""
    ends = found.interval and f" [{100 * found.interval[0]:+.1f}, {100 * found.interval[1]:+.1f}]"
    shown = f"{100 * found.mean:+.1f} points{ends or ' (too few items for an interval)'} (n={found.items})"
    return shown, "" if found.p is None else f"{found.p:.2g}"


def _flipped(a: Run, b: Run) -> Iterator[Text]:
    """Documents that one run has right and the other wrong, by task."""
    private = not (a.log_text and b.log_text)
    for name in a.documents:
        ones = {pair.doc_id: pair for pair in a.documents[name]}
        others = {pair.doc_id: pair for pair in b.documents.get(name, ())}
        shared = [doc_id for doc_id in ones if doc_id in others]
        lost = [i for i in shared if ones[i].tuned.score > others[i].tuned.score]
        won = [i for i in shared if ones[i].tuned.score < others[i].tuned.score]
        if not lost + won:
            continue
        yield Text(
            f"{name}: the second has {len(lost)} wrong that the first has right, "
            f"{len(won)} right that the first has wrong",
            style="bold",
        )
        for doc_id in (lost + won)[:SHOWN]:
            yield Text(f"  {doc_id}: {_short(ones[doc_id].base.prompt)}")
            for word, pair in (("first", ones[doc_id]), ("second", others[doc_id])):
                text = hidden(pair.tuned.text) if private else _short(pair.tuned.text)
                right = pair.tuned.outcome is Outcome.CORRECT
                yield Text(f"    {word}: {text}", style="green" if right else "red")


def _short(text: str) -> str:
    """One line; a terminal would obey what is no letter."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
