"""Feed a tracker: while a run goes on, and again from the files of a finished one.

Both go through the functions here, so a tracker gets the same from both.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from pathlib import Path
from typing import Any

from mixsd.core.path_settings import looks_like_a_path, without_paths
from mixsd.core.store import content_hash, read_json, read_jsonl
from mixsd.results import schema
from mixsd.results.gate import GateSettings, unmet
from mixsd.results.item_tables import item_tables
from mixsd.results.items import PROBES, RETENTION
from mixsd.results.model_card import WEIGHTS
from mixsd.results.runs import MADE_BY
from mixsd.results.schema import METRICS, TRAJECTORY
from mixsd.trackers.tracker import RunInfo, Tracker, optional
from mixsd.trackers.wandb import CONTENT

CURVES = {"trajectory": TRAJECTORY, "train": METRICS}
"""What a tracker is shown by step: the prefix of the keys, and the file of the records."""
SHOWN = 2
"""Raised when other things are shown of the same files: what was shown before is then replaced."""


def run_info(
    run_dir: Path,
    config: Mapping[str, Any],
    method: str,
    model: str,
    *,
    live: bool = True,
    caveats: Sequence[str] = (),
) -> RunInfo:
    """Describe a run for a tracker.

    Args:
        run_dir: Its directory, which is named by the run id.
        config: The resolved config.
        method: The method's name.
        model: The model's label, shown instead of `model.name`, which may be a folder.
        live: Whether the run goes on now.
        caveats: What a reader of its held-out scores must know.
    """
    # A tracker's server may be public, and a path can name a person or a customer.
    shown = without_paths(config)
    shown["model"]["name"] = model
    divergence = shown["method"].get("divergence")
    if divergence:
        from mixsd.methods.losses import DIVERGENCES  # torch: `python -m mixsd --help` must not wait for it

        shown["method"]["divergence_is"] = DIVERGENCES[divergence]
    experiment, task = str(config["experiment_name"]), str(config["task"].get("name", ""))
    made = read_json(run_dir / "environment.json") if (run_dir / "environment.json").exists() else {}
    # Of the run itself: a tracker would note the commit and the hour at which it is shown.
    shown["made_by"] = {key: made[key] for key in MADE_BY if key in made}
    rate = config["method"].get("mixing_rate")
    words = [method, *([f"mixing_rate={rate}"] if rate is not None else []), f"s{config['seed']}"]
    return RunInfo(
        f"{experiment}-{run_dir.name}", f"{' '.join(words)} {run_dir.name[-6:]}", experiment, method, shown,
        run_dir, live, tags=tuple(filter(None, (task, method, model))), notes=notes_of_caveats(caveats),
    )  # fmt: skip


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
    """Show the records that a run has written so far, in the order in which they came."""
    files = {group: run_dir / file for group, file in CURVES.items()}
    kept = ([(group, r) for r in read_jsonl(path)] for group, path in files.items() if path.exists())
    # The trainer looks at a step before it tells of it; of equal steps `merge` gives the first list's first.
    for group, record in merge(*kept, key=lambda item: item[1]["step"]):
        log_record(tracker, group, record)


def show_results(
    tracker: Tracker,
    run_dir: Path,
    results: schema.RunResults,
    config: Mapping[str, Any],
    *,
    weights: bool,
) -> None:
    """Show how a run ended: its final numbers and, where text may be shown, answers, targets and files.

    Args:
        tracker: Where to.
        run_dir: The run's directory.
        results: Its results.
        config: Its config.
        weights: Whether its tuned weights are kept.
    """
    # First of all: what is refused after this does not make the run look failed.
    found = {**headline(results, config), **schema.summary(results)}
    tracker.finish({**found, CONTENT: content_of(run_dir, tracker)})
    if not getattr(tracker, "log_text", False):
        return
    table, keep = optional(tracker, "table"), optional(tracker, "files")
    for name, frame in item_tables(run_dir):
        table(name, frame)
    # An editor trains on nothing.
    targets = run_dir / "examples.jsonl"
    if targets.exists() and targets.stat().st_size:
        keep(f"{run_dir.name}-targets", "dataset", [targets])
    measured = [run_dir / name for name in (schema.FILE, PROBES, RETENTION) if (run_dir / name).exists()]
    keep(f"{run_dir.name}-results", "evaluation", measured)
    if weights:
        keep(f"{run_dir.name}-model", "model", [run_dir / WEIGHTS])


def headline(results: schema.RunResults, config: Mapping[str, Any]) -> dict[str, float | int | str]:
    """The few numbers that a table of runs begins with; what was not measured is left out."""
    panel, goal = results.retention.generated, config["training"]["until_recall"]
    low, high = panel.ratio_interval or (None, None)
    costs = [results.cost[stage] for stage in ("examples", "training") if stage in results.cost]
    gate = GateSettings(**(config.get("gate") or {}))
    found = {
        "recall": results.recall,
        "retention": panel.ratio,
        "retention_low": low,
        "retention_high": high,
        "reached": None if goal is None else int(results.recall >= goal),
        "gate_met": None if gate == GateSettings() else int(not unmet(results, gate)),
        "cost_tokens": sum(cost.trained_tokens + cost.generated_tokens for cost in costs),
        # Runs with the same word are measured alike, and may be compared.
        "comparable": content_hash(dict(results.measured_by), size=4),
        "caveats": notes_of_caveats(results.caveats),
    }
    return {key: value for key, value in found.items() if value is not None}


def notes_of_caveats(caveats: Sequence[str]) -> str:
    """What a reader of the held-out scores must know, without a line that names a file."""
    return " | ".join(line for line in caveats if not looks_like_a_path(line))


def content_of(run_dir: Path, tracker: Tracker) -> str:
    """A hash of all that is shown of a finished run: equal content need not be shown again."""
    # Answers and targets are what the results are made of, so those stand for them.
    measured = [run_dir / name for name in (schema.FILE, "config.yaml", *CURVES.values())]
    shown = {
        "version": SHOWN,
        **{key: bool(getattr(tracker, key, False)) for key in ("log_text", "log_model")},
    }
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in measured if path.exists()]
    return content_hash({**shown, "files": digests}, size=12)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Nested numbers as flat keys with slashes."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{key}", value
