"""Read finished runs, and say which of them may be compared, and under what name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mixsd.core.errors import StoreError
from mixsd.core.path_settings import PATH_KEYS, looks_like_a_path
from mixsd.core.questions import RECALL
from mixsd.core.scores import GENERATED
from mixsd.core.store import content_hash, read_json, read_jsonl
from mixsd.results import schema
from mixsd.results.aggregate import Both
from mixsd.results.items import ItemPair, read_item_pairs
from mixsd.results.schema import TRAJECTORY, HeldOutTask, Interpolated, RunResults

INTERPOLATED = "+ interpolation"
"""Ends the label of a run that was interpolated back towards its base."""
MADE_BY = (
    "mixsd_bench",
    "commit",
    "dirty",
    "date",
    "python",
    "device",
    "instructions",
    "threads",
    "packages",
)
"""What of `environment.json` is shown."""
UNTOLD = ("seed", "save_model", "checkpoint_every", "interpolate")
"""Settings that cannot tell two labels apart: they move no number that is compared."""
ADDED: Mapping[str, Any] = {
    "training.only": [], "training.penalty": "none", "training.penalty_weight": 1.0,
    "training.gradient_checkpointing": False, "method.weights": "none", "method.keep": 1.0,
    "method.score": "soft_or", "method.exposure": 1.0,
}  # fmt: skip
"""Settings that came later, with the value that changes nothing: what a run of before is taken to have."""


@dataclass(frozen=True)
class Run:
    """A finished run as the store left it, or the same run interpolated back towards its base model.

    Attributes:
        path: Holds `probes/` and `retention/`.
        results: `results.json`.
        config: `config.yaml`.
        alpha: 1 is the tuned model; less is base + alpha (tuned - base).
        label: The method, and the settings that tell runs of it apart.
    """

    path: Path
    results: RunResults
    config: Mapping[str, Any]
    alpha: float = 1.0
    label: str = ""

    @property
    def method(self) -> str:
        """The method's name."""
        return self.results.method

    @property
    def seed(self) -> int:
        """The seed that the methods share."""
        return self.results.seed

    @property
    def recall(self) -> float:
        """Memorization over all facts, the dropped ones included."""
        return self.results.recall

    @property
    def goal(self) -> float | None:
        """The recall at which methods are compared (None: none was set).

        Raises:
            StoreError: The config does not say.
        """
        try:
            return self.config["training"]["until_recall"]
        except KeyError as error:
            raise StoreError(
                f"{self.path}/config.yaml has no training.until_recall; delete the run and run it again"
            ) from error

    @property
    def reached(self) -> bool:
        """Whether the run got to the recall at which methods are compared; never without such a goal."""
        return self.goal is not None and self.recall >= self.goal

    @property
    def fell_short(self) -> bool:
        """Whether a recall goal was set and not reached."""
        return self.goal is not None and self.recall < self.goal

    @property
    def validation(self) -> float | None:
        """Mean score on validation documents at the last evaluation: what settings are chosen by."""
        points = read_jsonl(self.path / TRAJECTORY) if self.alpha == 1 else []
        return points[-1]["retention_validation"] if points else None

    @property
    def ceiling(self) -> float:
        """The highest recall of any evaluation during training."""
        points = read_jsonl(self.path / TRAJECTORY)
        return max([self.recall, *(point["recall"] for point in points)])

    @property
    def mixing_rate(self) -> float | None:
        """The mixing rate of a method that has one."""
        return self.config["method"].get("mixing_rate")

    @property
    def facts_of(self) -> str | None:
        """Id of the run whose facts it trained on (`task.only_facts_of`); None: on its own."""
        folder = self.config["task"].get("only_facts_of")
        return None if folder is None else Path(folder).name

    @property
    def data(self) -> str:
        """The name of the file that the task reads ('' for none); it stays on this machine, as paths do."""
        path = self.config["task"].get("path")
        return Path(str(path)).name if path else ""

    @property
    def made_by(self) -> dict[str, Any]:
        """Commit, date, device and versions it was made by; no command, which names files."""
        path = self.path / "environment.json"
        found = read_json(path) if path.exists() else {}
        return {key: found[key] for key in MADE_BY if key in found}

    @property
    def log_text(self) -> bool:
        """Whether its questions and answers may be shown to others (`tracking.log_text`)."""
        advised = (self.config["task"].get("advice") or {}).get("log_text", True)
        return bool((self.config.get("tracking") or {}).get("log_text", advised))

    @property
    def only_missed(self) -> bool:
        """Whether it trained on the facts alone that the base model got wrong."""
        return bool(self.config["task"].get("only_missed", False))

    @property
    def teaches_all(self) -> bool:
        """Whether no setting of the user's left any fact of the task out (decision 1)."""
        return self.facts_of is None and not self.only_missed

    @cached_property
    def documents(self) -> dict[str, list[ItemPair]]:
        """The documents of every held-out task that count, without contaminated ones."""
        tasks = self.results.retention.tasks
        found = {name: read_item_pairs(self.path, name) for name in tasks}
        return {name: [pair for pair in pairs if not pair.contaminated] for name, pairs in found.items()}

    @property
    def counted(self) -> list[str]:
        """Names of the generated tasks that count: the headline is about them (decision 6)."""
        return self.counted_of(GENERATED)

    def counted_of(self, kind: str) -> list[str]:
        """Names of the tasks of one kind that count."""
        return [n for n, task in self.results.retention.tasks.items() if task.kind == kind and task.included]

    def scores(self, task: str) -> dict[int, Both]:
        """doc_id -> scores of the base and of the tuned model, of one held-out task."""
        return {pair.doc_id: (pair.base.score, pair.tuned.score) for pair in self.documents[task]}

    def task(self, name: str) -> HeldOutTask:
        """The results of one held-out task."""
        return self.results.retention.tasks[name]

    @property
    def frontier(self) -> list["Run"]:
        """The run at each alpha below 1 at which it was scored, in order."""
        # At alpha 1 stands the tuned model, which is a run of its own.
        points = [point for point in self.results.interpolation if point.alpha < 1]
        return [self._at(point) for point in points]

    def _at(self, point: Interpolated) -> "Run":
        return Run(
            self.path / "interpolation" / str(point.alpha),
            replace(self.results, probes=point.probes, derived=point.derived, retention=point.retention),
            self.config,
            point.alpha,
            f"{self.label} {INTERPOLATED}",
        )

    @property
    def at_goal(self) -> list["Run"]:
        """The run as far back towards the base as recall allows: its smallest alpha that reaches the goal.

        Alpha is chosen by recall alone, never by what is retained.
        """
        return [point for point in self.frontier if point.reached][:1]


def load_runs(folder: Path) -> list[Run]:
    """All finished runs below a folder, sorted by path, labelled among those they may be compared with.

    Raises:
        StoreError: There is no finished run, or another version wrote one.
    """
    done = sorted(marker.parent for marker in folder.rglob("DONE"))
    if not done:
        raise StoreError(f"{folder} holds no finished run; give a folder that `python run.py` wrote to")
    found: dict[Any, Run] = {}
    for path in done:
        run = Run(path, schema.load(path), config_of(path))
        # The same run may stand in several experiments; measured alike, it is still one run.
        found.setdefault((run.results.run_id, _comparable(run)), run)
    named = {run.path: run for group in comparable_groups(found.values()) for run in labelled(group)}
    return [named[run.path] for run in found.values()]


def config_of(path: Path) -> Mapping[str, Any]:
    """The config that a run wrote down.

    Raises:
        StoreError: It is missing or broken.
    """
    try:
        found = yaml.safe_load((path / "config.yaml").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())[:100]
        raise StoreError(
            f"{path}/config.yaml cannot be read ({said}); delete {path} and run again"
        ) from error
    if not isinstance(found, dict) or not {"task", "method", "training"} <= set(found):
        raise StoreError(f"{path}/config.yaml is no config of a run; delete {path} and run again")
    return found


def _comparable(run: Run) -> tuple[tuple[str, str], ...]:
    """All that the numbers hang on: equal for runs that may be compared."""
    return tuple(sorted(run.results.measured_by.items()))


def differing(measured_by: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of what runs were measured by in which they differ."""
    names = dict.fromkeys(name for parts in measured_by for name in parts)
    return [name for name in names if len({parts.get(name) for parts in measured_by}) > 1]


def comparable_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs in groups within which numbers may be compared."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(_comparable(run), []).append(run)
    return list(groups.values())


def labelled(runs: Sequence[Run]) -> list[Run]:
    """The runs of a group with their labels: the method, and the settings in which runs of it differ.

    The seed is no such setting. Done once for a group: a label made of some of its runs would be another.
    """
    # Twice: the label of a control names the label of the run whose facts it trained on.
    plain = _named({run.path: _settings(run, None) for run in runs}, runs)
    labels = {run.results.run_id: plain[run.path] for run in runs if run.facts_of is None}
    sources = {run.path: _source(run, labels) for run in runs}
    full = _named({run.path: _settings(run, sources[run.path]) for run in runs}, runs)
    return [replace(run, label=full[run.path]) for run in runs]


def _source(run: Run, labels: Mapping[str, str]) -> str | None:
    """Whose facts a run trained on: a label, the same for all seeds; of a run that is not here, its id."""
    if run.facts_of is None:
        return None
    # A space would look like the next setting of the label.
    return labels.get(run.facts_of, run.facts_of).replace(" ", ",")


def _settings(run: Run, source: str | None) -> dict[str, Any]:
    # Controls that trained on the facts of different runs are different controls.
    found: dict[str, Any] = {"task.facts_of": source, "task.only_missed": run.only_missed}
    for group in ("method", "training"):
        found |= {f"{group}.{key}": v for key, v in run.config[group].items() if key not in UNTOLD}
    return found


def _named(settings: Mapping[Path, Mapping[str, Any]], runs: Sequence[Run]) -> dict[Path, str]:
    named: dict[Path, str] = {}
    for method in sorted({run.method for run in runs}):
        same = [settings[run.path] for run in runs if run.method == method]
        keys = sorted({key for values in same for key in values})
        varying = [key for key in keys if len({_value(values, key) for values in same}) > 1]
        for run in runs:
            if run.method == method:
                values = settings[run.path]
                parts = [_part(key.rpartition(".")[2], _value(values, key)) for key in varying]
                named[run.path] = " ".join([method, *parts])
    return named


def _value(settings: Mapping[str, Any], key: str) -> str:
    return str(settings.get(key, ADDED.get(key)))


def _part(key: str, value: str) -> str:
    """A setting in a label; of what names a file only a hash, since labels are shown to others."""
    names_a_file = value != "None" and (key in PATH_KEYS or looks_like_a_path(value))
    return f"{key}=#{content_hash(value, size=2)}" if names_a_file else f"{key}={value}"


def one_a_seed(group: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The first run of each label and seed, and a line for each that is left out.

    Two such runs differ in nothing that a report tells apart, as whether drift was measured.
    """
    first: dict[tuple[str, int], Run] = {}
    left_out = []
    for run in group:
        known = first.setdefault((run.label, run.seed), run)
        if known is not run:
            left_out.append(f"{run.path} is left out: the same method, settings and seed as {known.path}.")
    return list(first.values()), left_out


def by_label(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by label, in order of label and seed."""
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.label, run.seed)):
        found.setdefault(run.label, []).append(run)
    return found


def tuned_only(runs: Iterable[Run]) -> list[Run]:
    """The tuned models among runs, without their interpolations."""
    return [run for run in runs if run.alpha == 1]


def to_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: what it learned, what it kept, what it cost."""
    return pd.DataFrame([_row(run) for run in runs])


def _row(run: Run) -> dict[str, Any]:
    results, panel = run.results, run.results.retention.generated
    # Not a number draws no error bar, where None would fail.
    low, high = panel.ratio_interval or (np.nan, np.nan)
    # What a method costs: scoring and drift are the harness's own, and the same for all.
    costs = [results.cost[stage] for stage in ("examples", "training") if stage in results.cost]
    others = {split: found.right.value for split, found in results.probes.items() if split != RECALL}
    return {
        "task": results.task,
        "label": run.label or run.method,
        "alpha": run.alpha,
        "method": run.method,
        "mixing_rate": run.mixing_rate,
        "seed": run.seed,
        "facts": results.n_facts,
        "recall_before": results.probes_before[RECALL].right.value,
        "recall": run.recall,
        "reached": run.reached,
        "left_out": results.targets.left_out,
        "dropped": results.targets.dropped,
        **others,
        "retention": panel.ratio,
        "retention_low": low,
        "retention_high": high,
        "retention_above_chance": panel.above_chance,
        "validation": run.validation,
        "held_out_base": panel.base,
        "held_out_tuned": panel.tuned,
        "target_nll": results.targets.trained.nll if results.targets.trained else None,
        "steps": results.training.steps,
        "trained_tokens": results.training.trained_tokens,
        "generated_tokens": sum(cost.generated_tokens for cost in costs),
        "forward_passes": sum(cost.forward_passes for cost in costs),
        "peak_memory_bytes": max((cost.peak_memory_bytes for cost in costs), default=0),
        "prompt_tokens": results.probes[RECALL].prompt_tokens,
        "seconds": sum(cost.seconds for cost in costs),
        "run_id": results.run_id,
    }
