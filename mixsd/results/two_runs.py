"""Two runs beside each other: what was set otherwise, both axes paired, and the items that flipped."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mixsd.core.errors import StoreError
from mixsd.core.questions import RECALL, Outcome
from mixsd.results import schema
from mixsd.results.aggregate import Gap, gap, paired
from mixsd.results.cells import Measure, Row, Rows
from mixsd.results.items import PROBES, read_probe_pairs
from mixsd.results.page_data import flat, hidden
from mixsd.results.retention_tables import gap_cell
from mixsd.results.runs import Run, config_of, differing, labelled
from mixsd.results.terminal import printed

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
    console.print(f"first: {a.path.name}, second: {b.path.name}", markup=False, highlight=False)
    settings = _settings(a, b)
    console.print(printed("set otherwise", settings) if settings else "set alike")
    console.print(printed("paired differences", _axes(a, b)))
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


def _settings(a: Run, b: Run) -> Rows:
    ones, others = flat(a.config), flat(b.config)
    return [
        {"setting": key, "first": str(ones.get(key, "")), "second": str(others.get(key, ""))}
        for key in sorted({*ones, *others})
        if ones.get(key) != others.get(key)
    ]


def _axes(a: Run, b: Run) -> Rows:
    """Both axes and each held-out task: first, second, second minus first with its interval and p."""
    recall = [_recalled(run) for run in (a, b)]
    shared = sorted(set(recall[0]) & set(recall[1]))
    found = gap([paired([{n: (float(recall[0][i]), float(recall[1][i])) for n, i in enumerate(shared)}])])
    counted = [name for name in a.counted if name in b.counted]
    tasks = {name: paired([_both(a, b, name)]) for name in a.documents if name in b.documents}
    whole = gap([tasks[name] for name in counted])
    ratios = [Measure(run.results.retention.generated.ratio) for run in (a, b)]
    rows = [
        _axis("recall", [Measure(a.recall), Measure(b.recall)], found),
        _axis("retention", ratios, whole),
    ]
    for name, task in tasks.items():
        scores = [run.task(name).tuned for run in (a, b)]
        points = [Measure(None if score is None else 100 * score, ".1f") for score in scores]
        rows.append(_axis(name if name in counted else f"{name} (not counted)", points, gap([task])))
    return rows


def _axis(name: str, sides: Sequence[Measure], found: Gap | None) -> Row:
    return {
        "": name,
        "first": sides[0],
        "second": sides[1],
        "second minus first, points": gap_cell(found),
        "p": None if found is None or found.p is None else Measure(found.p, ".2g"),
    }


def _recalled(run: Run) -> dict[str, bool]:
    """Whether each trained question is answered right; nothing of a published run, which has no answers."""
    if not (run.path / PROBES / f"{RECALL}.jsonl").exists():
        return {}
    after = [pair.after for pair in read_probe_pairs(run.path, RECALL)]
    return {answer.id: answer.outcome is Outcome.CORRECT for answer in after}


def _both(a: Run, b: Run, task: str) -> dict[int, tuple[float, float]]:
    ones, others = a.scores(task), b.scores(task)
    return {doc_id: (ones[doc_id][1], others[doc_id][1]) for doc_id in ones if doc_id in others}


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
