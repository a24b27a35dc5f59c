"""Show finished runs from their local files: what is missing is made, what differs replaced."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from mixsd.core.errors import SettingError
from mixsd.core.store import content_hash
from mixsd.results import schema
from mixsd.results.charts import FIELDS, for_wandb, tradeoff
from mixsd.results.model_card import CARD, WEIGHTS
from mixsd.results.retention_tables import MARGIN
from mixsd.results.runs import Run, load_runs, to_frame
from mixsd.results.sections import read_report
from mixsd.results.tables import PRIMARY
from mixsd.run.mirror import (
    SHOWN,
    content_of,
    log_kept,
    run_info,
    show_results,
)
from mixsd.trackers.none import NoTracker
from mixsd.trackers.tracker import Chart, RunInfo, Tracker, optional
from mixsd.trackers.wandb import CONTENT, WandB

ENVIRONMENT = {"project": "WANDB_PROJECT", "entity": "WANDB_ENTITY"}
"""What W&B's own variables set; the mode is the run's, or what is given."""


def replay(run_dir: Path, tracker: Tracker, name: str | None = None) -> bool:
    """Show a finished run from its local files, unless the tracker shows exactly that already.

    Args:
        run_dir: Holds `config.yaml`, `metrics.jsonl`, `trajectory.jsonl`, `results.json` and `probes/`.
        tracker: Where to.
        name: What people call it (None: as while it went on).

    Returns:
        Whether it was shown now.

    Raises:
        StoreError: The files are of another version, or broken.
        TrackingError: The tracker does not take it.
    """
    results = schema.load(run_dir)
    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    about = run_info(run_dir, config, results.method, results.model, live=False, caveats=results.caveats)
    about = dataclasses.replace(about, content=content_of(run_dir, tracker), name=name or about.name)
    if optional(tracker, "shows")(about):
        return False
    try:
        tracker.start(about)
        log_kept(tracker, run_dir)
        # The card marks weights that were kept.
        kept = (run_dir / WEIGHTS / CARD).exists()
        show_results(tracker, run_dir, results, config, weights=kept)
    finally:
        # Also after an error: W&B merges runs of one process unless each is finished.
        tracker.close()
    return True


def mirror_sweep(folder: Path, tracker: Tracker) -> bool:
    """Show an experiment as a whole: all runs, memorization against retention, and the primary comparisons.

    It holds numbers only, whatever the tracker's `log_text` says.

    Args:
        folder: Holds finished runs.
        tracker: Where to; nothing happens where it shows nothing, or no tables.

    Returns:
        Whether it was shown now.

    Raises:
        StoreError: There is no finished run.
        TrackingError: The tracker does not take it.
    """
    if not hasattr(tracker, "table") or _shows_nothing(tracker):
        return False
    runs = load_runs(folder)
    frame = to_frame(runs)
    measures = read_report(runs, MARGIN, files=False).measures()
    compared = measures[measures["table"] == PRIMARY]
    name = str(runs[0].config["experiment_name"])
    content = content_hash(
        {"version": SHOWN, "runs": frame.to_json(), "measures": measures.to_json()}, size=12
    )
    about = RunInfo(
        f"{name}-all", f"{name} (all runs)", name, "sweep", {"experiment_name": name}, folder / "all", False,
        tags=("all runs",), content=content,
    )  # fmt: skip
    if optional(tracker, "shows")(about):
        return False
    try:
        tracker.start(about)
        table = optional(tracker, "table")
        table(
            "runs",
            frame,
            Chart(
                "tradeoff", "recall", "retention", for_wandb(tradeoff(())), {name: name for name in FIELDS}
            ),
        )
        if len(compared):
            table("primary_comparisons", compared)
        table("measures", measures)
        tracker.finish({"n_runs": len(frame), CONTENT: content})
    finally:
        tracker.close()
    return True


@dataclass
class Pushed:
    """What a push did.

    Attributes:
        shown: Runs that were made or replaced.
        equal: Runs that were left as they are.
        renamed: Runs whose name was changed.
    """

    shown: int = 0
    equal: int = 0
    renamed: int = 0


def push(folder: Path, on_run: Callable[[str], None] = lambda _: None, **changes: Any) -> Pushed:
    """Bring what trackers show of every finished run below a folder in line with the local files.

    Args:
        folder: Holds finished runs, at any depth.
        on_run: Told the id of each run as it is looked at.
        changes: W&B settings that differ from those of the runs, such as `mode`. A run of another tracker, or
            of none, is shown in W&B where something is changed.

    Raises:
        StoreError: There is no finished run.
        SettingError: A run's tracker cannot be built any more.
        TrackingError: The tracker does not take one of them.
    """
    done = Pushed()
    markers = sorted(folder.rglob("DONE"))
    # By experiment: a run may stand in several, and labels tell what differs within one.
    experiments = dict.fromkeys(marker.parent.parent for marker in markers)
    for experiment in experiments or [folder]:
        _push_experiment(load_runs(experiment), experiment, on_run, changes, done)
    return done


def _push_experiment(
    runs: Sequence[Run], folder: Path, on_run: Callable[[str], None], changes: Mapping[str, Any], done: Pushed
) -> None:
    trackers: dict[str, Tracker] = {}
    names: dict[str, str] = {}
    for run in runs:
        # One for all runs with the same settings: it asks the server once.
        settings = content_hash([run.config.get("tracking"), run.log_text], size=12)
        if settings not in trackers:
            trackers[settings] = _tracker_of(run.config["tracking"], changes, run.log_text)
        tracker = trackers[settings]
        if _shows_nothing(tracker):
            continue
        on_run(run.path.name)
        # As the report calls it, which knows what runs differ in.
        name = f"{run.label} s{run.seed}"
        shown = replay(run.path, tracker, name)
        done.shown += shown
        done.equal += not shown
        names[f"{run.config['experiment_name']}-{run.path.name}"] = name
    showing = [tracker for tracker in trackers.values() if not _shows_nothing(tracker)]
    if showing:
        on_run(f"{folder.name} (all runs)")
        mirror_sweep(folder, showing[0])
        done.renamed += optional(showing[0], "rename")(names, str(runs[0].config["experiment_name"])) or 0


def _tracker_of(tracking: Mapping[str, Any], changes: Mapping[str, Any], log_text: bool) -> Tracker:
    """The tracker that a run's config names, with changed settings.

    Args:
        tracking: The run's.
        changes: What is given now; what the environment says (`WANDB_PROJECT` ...) comes next.
        log_text: Whether the run's text may be shown, whatever tracked it.
    """
    target = tracking["_target_"]
    settings = {key: value for key, value in tracking.items() if key != "_target_"}
    ours = f"{WandB.__module__}.{WandB.__qualname__}"
    if changes or target == ours:
        said = {key: value for key, name in ENVIRONMENT.items() if (value := os.environ.get(name))}
        return WandB(**{**(settings if target == ours else {}), "log_text": log_text, **said, **changes})
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)(**settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise SettingError(
            f"tracking._target_={target} cannot be built ({error}); add --mode offline"
        ) from error


def _shows_nothing(tracker: Tracker) -> bool:
    return isinstance(tracker, NoTracker) or (isinstance(tracker, WandB) and tracker.mode == "disabled")
