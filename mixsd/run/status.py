"""How far the runs of a folder are, as text: also while a sweep goes on, from any terminal."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import StoreError
from mixsd.run import sweep_file
from mixsd.run.ended import NOT_RUN
from mixsd.run.plan import Earlier, duration
from mixsd.run.state import FAILED, KILLED, LOG, RUNNING, STATUS, WAITING, RunState, state_of

STYLES = {"done": "green", RUNNING: "bold", FAILED: "bold red", KILLED: "red", "interrupted": "yellow"}
OPEN = (RUNNING, WAITING, NOT_RUN, KILLED, "interrupted")
EVERY_S = 2.0
"""Seconds between two looks."""


def show_status(folder: Path, console: Console, watch: bool = False) -> bool:
    """Print how far each run below a folder is.

    Args:
        folder: Holds runs, or experiments of runs.
        console: Where to.
        watch: Go on until nothing runs or waits any more.

    Returns:
        Whether a run failed.

    Raises:
        StoreError: No run was begun there.
    """
    states = _states(folder)
    if not watch:
        console.print(_page(folder, states))
        return _any_failed(states)
    with Live(_page(folder, states), console=console, auto_refresh=False) as live:
        # What was killed or interrupted goes on only where somebody gives the command again.
        while any(state.state in (RUNNING, WAITING) for state in states):
            time.sleep(EVERY_S)
            states = _states(folder)
            live.update(_page(folder, states), refresh=True)
    return _any_failed(states)


def _any_failed(states: Sequence[RunState]) -> bool:
    return any(state.state == FAILED for state in states)


def _states(folder: Path) -> list[RunState]:
    """Runs that were begun, and jobs of recorded sweeps that were not."""
    begun = [path.parent for path in sorted(folder.rglob(STATUS))]
    planned = [
        job.run_dir
        for path in sorted(folder.rglob(sweep_file.FILE))
        for record in sweep_file.read(path.parent)
        for job in sweep_file.plan_of(path.parent, record).jobs
    ]
    runs = dict.fromkeys([*planned, *begun])
    if not runs:
        raise StoreError(f"{folder} holds no run; give a folder that `python run.py` writes to")
    return [_as_it_is(state_of(run)) for run in runs]


def _as_it_is(state: RunState) -> RunState:
    """A job that waits for a sweep which is gone is not run, until somebody gives the command again."""
    waits = state.state == WAITING and not sweep_file.is_running(state.run_dir.parent)
    return replace(state, state=NOT_RUN) if waits else state


def _page(folder: Path, states: Sequence[RunState]) -> Group:
    earlier = Earlier({state.run_dir.parent.parent for state in states})
    table = Table(show_edge=False)
    for column in ("run", "state", "stage", "step", "recall", "left"):
        table.add_column(column)
    for state in states:
        table.add_row(
            Text(state.run_dir.relative_to(folder).as_posix()),
            Text(state.state, STYLES.get(state.state, "")),
            state.stage,
            "" if state.step is None else f"{state.step} of {state.max_steps or '?'}",
            "" if state.recall is None else f"{state.recall:.2f}",
            _left(state, earlier),
        )
    return Group(table, *_failures(states), Text(_summary(states)))


def _left(state: RunState, earlier: Earlier) -> str:
    """How long a run that is not done still takes, by earlier runs like it."""
    found = earlier.seconds(state.run_dir) if state.state in OPEN else None
    if found is None:
        return ""
    whole = sum(found)
    # One that began again has done some of it before: then this is too much.
    return f"about {duration(max(0.0, whole - (state.seconds or 0)))}"


def _failures(states: Sequence[RunState]) -> list[Text]:
    return [
        Text(f"{state.run_dir.name}: {' '.join(state.error.split())}; see {state.run_dir / LOG}", "red")
        for state in states
        if state.state == FAILED
    ]


def _summary(states: Sequence[RunState]) -> str:
    counts: dict[str, int] = {}
    for state in states:
        counts[state.state] = counts.get(state.state, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
