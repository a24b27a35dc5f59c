"""What a run's directory says of how far the run is; read without torch, also while it goes on."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixsd.core.errors import StoreError
from mixsd.core.store import content_hash, is_held, read_json, read_jsonl
from mixsd.results.schema import METRICS, TRAJECTORY

DONE = "DONE"
"""Written last; without it a run is not finished."""
STATUS, LOG, LOCK = "status.json", "log.txt", ".lock"
IDENTITY = "identity.json"
RUNNING, FAILED, KILLED, WAITING = "running", "failed", "killed", "waiting"


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        run_dir: Its directory.
        state: `done`, `running`, `failed`, `interrupted`, `killed` (its process is gone), or `waiting`.
        stage: The stage that it is or was in.
        step: Training steps that are done.
        max_steps: The most that there may be.
        recall: At the last evaluation.
        seconds: Since it began, of a run that goes on.
        error: What it failed by.
    """

    run_dir: Path
    state: str
    stage: str = ""
    step: int | None = None
    max_steps: int | None = None
    recall: float | None = None
    seconds: float | None = None
    error: str = ""


def is_done(run_dir: Path, measured: str) -> bool:
    """Whether all of a run is finished, measured as is asked for now.

    Args:
        run_dir: Its directory.
        measured: The hash of the layer `measured` of its identity.
    """
    return (run_dir / DONE).exists() and content_hash(_read(run_dir / IDENTITY).get("measured")) == measured


def state_of(run_dir: Path) -> RunState:
    """How far a run is; `waiting` where it has no directory yet."""
    status = _read(run_dir / STATUS)
    state, stage = status.get("state", WAITING), status.get("stage", "")
    if (run_dir / DONE).exists():
        state = "done"
    elif state == RUNNING and not is_held(run_dir / LOCK):
        state = KILLED
    started = _read(run_dir / "environment.json").get("date") if state == RUNNING else None
    trained = _read(run_dir / IDENTITY).get("trained") or {}
    return RunState(
        run_dir=run_dir,
        state=state,
        stage=stage if state != "done" else "",
        step=_last(run_dir / METRICS).get("step"),
        max_steps=(trained.get("training") or {}).get("max_steps"),
        recall=_last(run_dir / TRAJECTORY).get("recall"),
        seconds=None if started is None else _seconds_since(started),
        error=status.get("error", "") if state == FAILED else "",
    )


def _read(path: Path) -> dict[str, Any]:
    """A file of JSON; {} where it is not there, or goes away while it is looked for."""
    try:
        found = read_json(path) if path.exists() else {}
    except StoreError:
        return {}
    return found if isinstance(found, dict) else {}


def _last(path: Path) -> dict[str, Any]:
    try:
        rows = read_jsonl(path) if path.exists() else []
    except StoreError:
        return {}
    return rows[-1] if rows else {}


def _seconds_since(date: str) -> float:
    """Never below zero: a clock may have been set back."""
    now = datetime.datetime.now(datetime.UTC)
    return max(0.0, (now - datetime.datetime.fromisoformat(date)).total_seconds())
