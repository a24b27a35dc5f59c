"""Read finished runs, and say which of them may be compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mixsd.core.errors import StoreError
from mixsd.core.store import read_json, read_jsonl
from mixsd.results.aggregate import GENERATED

NEEDED = ("comparable", "measured_by", "caveats", "memorization", "interpolation", "drift", "recall_missed")
"""What results of before this version may lack, or their `memorization`."""
INTERPOLATED = "+ interpolation"
"""Ends the label of a run that was interpolated back towards its base."""


@dataclass(frozen=True)
class Run:
    """A finished run as the store left it, or the same run interpolated back towards its base model.

    Attributes:
        path: Holds `probes/` and `retention/`.
        results: `results.json`.
        config: `config.yaml`.
        alpha: 1 is the tuned model; less is base + alpha (tuned - base).
    """

    path: Path
    results: Mapping[str, Any]
    config: Mapping[str, Any]
    alpha: float = 1.0

    @property
    def method(self) -> str:
        """The method's name."""
        return self.results["method"]

    @property
    def seed(self) -> int:
        """The seed that the methods share."""
        return self.results["seed"]

    @property
    def recall(self) -> float:
        """Memorization over all facts, the dropped ones included."""
        return self.results["probes"]["recall"]["accuracy"]

    @property
    def reached(self) -> bool:
        """Whether the run got to the recall at which methods are compared; never without such a goal."""
        goal = self.config["training"]["until_recall"]
        return goal is not None and self.recall >= goal

    @property
    def validation(self) -> float | None:
        """Mean score on validation documents at the last evaluation: what settings are chosen by."""
        points = read_jsonl(self.path / "trajectory.jsonl") if self.alpha == 1 else []
        return points[-1]["retention_validation"] if points else None

    @property
    def measured_by(self) -> Mapping[str, str]:
        """A hash of each thing that its numbers hang on."""
        return self.results["measured_by"]

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader of its held-out scores must know."""
        return self.results["caveats"]

    @property
    def only_kept(self) -> bool:
        """Whether it trained on the facts that another run kept."""
        return self.config["task"].get("only_facts_of") is not None

    @property
    def ceiling(self) -> float:
        """The highest recall of any evaluation during training."""
        points = read_jsonl(self.path / "trajectory.jsonl")
        return max([self.recall, *(point["recall"] for point in points)])

    @cached_property
    def held_out(self) -> dict[str, list[dict[str, Any]]]:
        """Per-item records of the generated tasks that count, by task, without contaminated documents."""
        tasks = self.results["retention"]["tasks"]
        counted = [n for n, task in tasks.items() if task["kind"] == GENERATED and task["included"]]
        rows = {name: read_jsonl(self.path / "retention" / f"{name}.jsonl") for name in counted}
        return {name: [row for row in items if not row["contaminated"]] for name, items in rows.items()}

    @property
    def frontier(self) -> list["Run"]:
        """The run at each alpha below 1 at which it was scored, in order."""
        return [
            Run(
                self.path / "interpolation" / str(point["alpha"]),
                {**self.results, "probes": point["probes"], "retention": point["retention"]},
                self.config,
                point["alpha"],
            )
            for point in self.results["interpolation"]
            if point["alpha"] < 1
        ]

    @property
    def at_goal(self) -> list["Run"]:
        """The run as far back towards the base as recall allows: its smallest alpha that reaches the goal.

        Alpha is chosen by recall alone, never by what is retained.
        """
        return [point for point in self.frontier if point.reached][:1]


def load_runs(folder: Path) -> list[Run]:
    """All finished runs below a folder, sorted by path.

    Raises:
        StoreError: There is no finished run, or an earlier version wrote one.
    """
    done = sorted(marker.parent for marker in folder.rglob("DONE"))
    if not done:
        raise StoreError(f"{folder} holds no finished run; give a folder that `python run.py` wrote to")
    runs = [_read(path) for path in done]
    # The same run may stand in several experiments; it is still one run.
    return list({run.results["run_id"]: run for run in runs}.values())


def _read(path: Path) -> Run:
    results = read_json(path / "results.json")
    lacking = [key for key in NEEDED if key not in {**results, **results.get("memorization", {})}]
    if lacking:
        raise StoreError(
            f"{path} lacks {', '.join(lacking)}: an earlier version wrote it; delete it and run again"
        )
    return Run(path, results, yaml.safe_load((path / "config.yaml").read_text("utf-8")))


def comparable_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs in groups within which numbers may be compared."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.results["comparable"], []).append(run)
    return list(groups.values())


def one_a_seed(group: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The first run of each label and seed, and a line for each that is left out.

    Two such runs differ in nothing that a report tells apart, as whether drift was measured.
    """
    named = labels(group)
    first: dict[tuple[str, int], Run] = {}
    left_out = []
    for run in group:
        known = first.setdefault((named[run.path], run.seed), run)
        if known is not run:
            left_out.append(f"{run.path} is left out: the same method, settings and seed as {known.path}.")
    return list(first.values()), left_out


def labels(runs: Sequence[Run]) -> dict[Path, str]:
    """A label per run: the method, and the settings in which runs of that method differ (not the seed)."""
    named: dict[Path, str] = {}
    for method in sorted({run.method for run in runs}):
        same = [run for run in runs if run.method == method]
        settings = {run.path: _settings(run) for run in same}
        keys = sorted({key for values in settings.values() for key in values})
        varying = [key for key in keys if len({str(settings[run.path].get(key)) for run in same}) > 1]
        for run in same:
            parts = [f"{key.rpartition('.')[2]}={settings[run.path].get(key)}" for key in varying]
            named[run.path] = " ".join([method, *parts, *([INTERPOLATED] if run.alpha < 1 else [])])
    return named


def to_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: what it learned, what it kept, what it cost."""
    named = labels(runs)
    return pd.DataFrame([_row(run, named[run.path]) for run in runs])


def _settings(run: Run) -> dict[str, Any]:
    return {"task.only_kept_facts": run.only_kept} | {
        f"{group}.{key}": value
        for group in ("method", "training")
        for key, value in run.config[group].items()
        if key not in ("seed", "save_model", "checkpoint_every", "interpolate")
    }


def _row(run: Run, label: str) -> dict[str, Any]:
    results, retention = run.results, run.results["retention"]
    low, high = retention["ci"] or (np.nan, np.nan)
    stages = [stage for stage in ("examples", "training") if stage in results["cost"]]

    def cost(what: str) -> float:
        return sum(results["cost"][stage][what] for stage in stages)

    others = {split: values["accuracy"] for split, values in results["probes"].items() if split != "recall"}
    return {
        "task": results["task"],
        "label": label,
        "alpha": run.alpha,
        "method": run.method,
        "seed": run.seed,
        "facts": results["n_facts"],
        "recall_before": results["probes_before"]["recall"]["accuracy"],
        "recall": run.recall,
        "reached": run.reached,
        "dropped": results["targets"]["dropped"],
        **others,
        "retention": retention["ratio"],
        "retention_low": low,
        "retention_high": high,
        "retention_above_chance": retention["ratio_above_chance"],
        "validation": run.validation,
        "held_out_base": retention["base_mean"],
        "held_out_tuned": retention["tuned_mean"],
        "target_nll": results["targets"]["nll"],
        "steps": results["training"]["steps"],
        "trained_tokens": results["training"]["trained_tokens"],
        "generated_tokens": cost("generated_tokens"),
        "forward_passes": cost("forward_passes"),
        "peak_memory_bytes": max(results["cost"][stage]["peak_memory_bytes"] for stage in stages),
        "prompt_tokens": results["probes"]["recall"]["prompt_tokens"],
        "seconds": cost("seconds"),
        "run_id": results["run_id"],
    }
