"""Feed a tracker: while a run goes on, and again from the files of a finished one.

Both go through the functions here, so a tracker gets the same from both.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mixsd.core.errors import SettingError
from mixsd.core.store import read_jsonl
from mixsd.results import schema
from mixsd.results.items import PROBES, read_probe_pairs
from mixsd.results.runs import load_runs, to_frame
from mixsd.results.schema import METRICS, TRAJECTORY
from mixsd.trackers.none import NoTracker
from mixsd.trackers.tracker import Chart, RunInfo, ShowsTables, Tracker
from mixsd.trackers.wandb import WandB

CURVES = {"train": METRICS, "trajectory": TRAJECTORY}
"""What a tracker is shown by step: the prefix of the keys, and the file of the records."""
SHOWN_ANSWERS = 20
"""Of each split."""
PATH_KEYS = frozenset(
    {"path", "folder", "file", "targets", "prompts", "include"}
    | {"runs_dir", "cache_dir", "data_root", "only_facts_of"}
)
"""Settings that name files or folders, in any group."""
_PATH = re.compile(r"[/\\]|^~|^\.|\.(csv|tsv|jsonl?|parquet|ya?ml|txt|md)$", re.IGNORECASE)


def run_info(
    run_dir: Path, config: Mapping[str, Any], method: str, model: str, *, live: bool = True
) -> RunInfo:
    """Describe a run for a tracker.

    Args:
        run_dir: Its directory, which is named by the run id.
        config: The resolved config.
        method: The method's name.
        model: The model's label, shown instead of `model.name`, which may be a folder.
        live: Whether the run goes on now.
    """
    # A tracker's server may be public, and a path can name a person or a customer.
    shown = without_paths(config)
    shown["model"]["name"] = model
    divergence = shown["method"].get("divergence")
    if divergence:
        from mixsd.methods.losses import DIVERGENCES  # torch: `python -m mixsd --help` must not wait for it

        shown["method"]["divergence_is"] = DIVERGENCES[divergence]
    experiment = str(config["experiment_name"])
    return RunInfo(f"{experiment}-{run_dir.name}", run_dir.name, experiment, method, shown, run_dir, live)


def without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, nested, without those that name a file or folder by their key or by how the value looks."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if key in PATH_KEYS:
            continue
        if isinstance(value, Mapping):
            kept[key] = without_paths(value)
        elif isinstance(value, list | tuple):
            kept[key] = [item for item in value if not _looks_like_a_path(item)]
        elif not _looks_like_a_path(value):
            kept[key] = value
    return kept


def _looks_like_a_path(value: Any) -> bool:
    return isinstance(value, str) and bool(_PATH.search(value))


def log_record(tracker: Tracker, group: str, record: Mapping[str, Any]) -> None:
    """Show a record of `metrics.jsonl` or `trajectory.jsonl`.

    Args:
        tracker: Where to.
        group: A key of `CURVES`.
        record: With a `step`; what is no number is left out.
    """
    values = {f"{group}/{key}": value for key, value in _numbers(record) if key != "step"}
    tracker.log(int(record["step"]), values)


def log_kept(tracker: Tracker, run_dir: Path) -> None:
    """Show the records that a run has written so far, all again: a tracker begins anew with each start."""
    for group, file in CURVES.items():
        path = run_dir / file
        for record in read_jsonl(path) if path.exists() else []:
            log_record(tracker, group, record)


def show_results(tracker: Tracker, run_dir: Path, results: schema.RunResults) -> None:
    """Show how a run ended: some of its answers where text may be shown, and its final numbers."""
    if isinstance(tracker, ShowsTables) and tracker.log_text:
        tracker.table("answers", _answers(run_dir))
    tracker.finish(schema.summary(results))


def replay(run_dir: Path, tracker: Tracker) -> None:
    """Show a finished run from its local files.

    Args:
        run_dir: Holds `config.yaml`, `metrics.jsonl`, `trajectory.jsonl`, `results.json` and `probes/`.
        tracker: Where to.

    Raises:
        StoreError: The files are of another version, or broken.
        TrackingError: The tracker does not take it.
    """
    results = schema.load(run_dir)
    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    try:
        tracker.start(run_info(run_dir, config, results.method, results.model, live=False))
        log_kept(tracker, run_dir)
        show_results(tracker, run_dir, results)
    finally:
        # Also after an error: W&B merges runs of one process unless each is finished.
        tracker.close()


def mirror_sweep(folder: Path, tracker: Tracker) -> None:
    """Show an experiment as a whole: a row for each run, and memorization against retention.

    It holds numbers only, whatever the tracker's `log_text` says.

    Args:
        folder: Holds finished runs.
        tracker: Where to; nothing happens where it shows nothing, or no tables.

    Raises:
        StoreError: There is no finished run.
        TrackingError: The tracker does not take it.
    """
    if not isinstance(tracker, ShowsTables) or _shows_nothing(tracker):
        return
    frame = to_frame(load_runs(folder))
    frame["label"] = [_label_without_paths(str(label)) for label in frame["label"]]
    name = folder.resolve().name
    try:
        tracker.start(
            RunInfo(f"{name}-all-runs", f"{name} (all runs)", name, "sweep", {}, folder, live=False)
        )
        tracker.table("runs", frame, Chart("tradeoff", "recall", "retention"))
        tracker.finish({"n_runs": len(frame)})
    finally:
        tracker.close()


def rebuild(folder: Path, **changes: Any) -> int:
    """Show every finished run below a folder again, and each experiment as a whole, from the local files.

    Args:
        folder: Holds finished runs, at any depth.
        changes: W&B settings that differ from those of the runs, such as `mode`. A run of another tracker, or
            of none, is shown in W&B where something is changed.

    Returns:
        How many runs were shown; those without a tracker are not.

    Raises:
        StoreError: There is no finished run.
        SettingError: A run's tracker cannot be built any more.
        TrackingError: The tracker does not take one of them.
    """
    experiments: dict[Path, Tracker] = {}
    shown = 0
    for run in load_runs(folder):
        tracker = _tracker_of(run.config["tracking"], changes)
        if _shows_nothing(tracker):
            continue
        replay(run.path, tracker)
        shown += 1
        experiments.setdefault(run.path.parent, tracker)
    for experiment, tracker in experiments.items():
        mirror_sweep(experiment, tracker)
    return shown


def _tracker_of(tracking: Mapping[str, Any], changes: Mapping[str, Any]) -> Tracker:
    """The tracker that a run's config names, with changed settings."""
    target = tracking["_target_"]
    settings = {key: value for key, value in tracking.items() if key != "_target_"}
    ours = f"{WandB.__module__}.{WandB.__qualname__}"
    if changes or target == ours:
        return WandB(**{**(settings if target == ours else {}), **changes})
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)(**settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise SettingError(
            f"tracking._target_={target} cannot be built ({error}); add --mode offline"
        ) from error


def _shows_nothing(tracker: Tracker) -> bool:
    return isinstance(tracker, NoTracker) or (isinstance(tracker, WandB) and tracker.mode == "disabled")


def _label_without_paths(label: str) -> str:
    """A label `method key=value ...`; of a value that is a path only the key stays."""
    words = (word.partition("=") for word in label.split(" "))
    return " ".join(key if _looks_like_a_path(value) else f"{key}{sign}{value}" for key, sign, value in words)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Nested numbers as flat keys with slashes."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{key}", value


def _answers(run_dir: Path) -> pd.DataFrame:
    """The first questions of each split, with the answers before and after."""
    rows = [
        (path.stem, pair.before.prompt, pair.before.text, pair.after.text, pair.after.outcome.value)
        for path in sorted((run_dir / PROBES).glob("*.jsonl"))
        for pair in read_probe_pairs(run_dir, path.stem)[:SHOWN_ANSWERS]
    ]
    return pd.DataFrame(rows, columns=["split", "prompt", "before", "after", "outcome"])
