"""What a run is, in three layers, each inside the next: prepared, trained, measured.

*Prepared* is what makes the examples; *trained* adds what moves the weights; *measured* adds what is asked of
them. The run's directory is named by the second, so one more suite or one more alpha never trains again. A
gate is in none of them: it only reads. Each layer stands in `identity.json` as people can read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixsd.core.grading import VERSION as GRADING_VERSION
from mixsd.core.questions import RECALL, Axis, Fact, Probe, Task, described
from mixsd.core.store import content_hash, read_json, write_json
from mixsd.lm.suite import RetentionSuite
from mixsd.methods.contract import Method, identity_of, inert_settings
from mixsd.results.schema import VERSION as RESULTS_VERSION
from mixsd.run.state import IDENTITY

LAYERS = ("prepared", "trained", "measured")
UNTRAINED = ("interpolate", "save_model", "checkpoint_every")
"""Settings of the training group that cannot move a weight."""
UNUSED: Mapping[str, Any] = {
    "only": [], "lora_avoids": None, "penalty": "none", "gradient_checkpointing": False,
}  # fmt: skip
"""Settings that came later, with the value at which they do nothing and are on no hash."""


@dataclass(frozen=True)
class Parts:
    """All that an identity is made of.

    Attributes:
        seed: The seed that the methods share.
        settings: Plain settings of each group, defaults included, without the files they name.
        files: Digests of the files that settings name, by group and key.
        weights: The base model's fingerprint.
        facts: The task's facts.
        probes: All that is asked.
        axes: What each split measures.
        only_facts: Ids of the facts that may be trained on (None: all).
        only_missed: Whether facts that the base model knows are left out.
        task: The task.
        method: The method.
        suite: The held-out suite.
        arithmetic: What moves a bit beyond settings.
    """

    seed: int
    settings: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Mapping[str, str]]
    weights: str
    facts: Sequence[Fact]
    probes: Sequence[Probe]
    axes: Mapping[str, Axis]
    only_facts: frozenset[str] | None
    only_missed: bool
    task: Task
    method: Method
    suite: RetentionSuite
    arithmetic: Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """The three layers, and what the numbers of a run hang on when it is compared with others."""

    prepared: Mapping[str, Any]
    trained: Mapping[str, Any]
    measured: Mapping[str, Any]
    measured_by: Mapping[str, str]

    @classmethod
    def of(cls, parts: Parts) -> "Identity":
        """The identity of a run."""
        prepared = _prepared(parts)
        trained = {"prepared": content_hash(prepared), **_trained(parts)}
        measured = {"trained": content_hash(trained), **_measured(parts)}
        return cls(prepared, trained, measured, _measured_by(parts))

    @property
    def run_hash(self) -> str:
        """Names the run's directory."""
        return content_hash(self.trained)

    def save(self, run_dir: Path, made_by: Mapping[str, Any]) -> None:
        """Write `identity.json`: the layers, and which software and device began each."""
        layers = {name: getattr(self, name) for name in LAYERS}
        write_json(run_dir / IDENTITY, {**layers, "made_by": made_by})


def stored(run_dir: Path) -> dict[str, Any]:
    """The `identity.json` of a run; {} where there is none yet."""
    path = run_dir / IDENTITY
    return read_json(path) if path.exists() else {}


def changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Which entries of a layer differ, by path."""
    found = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += changes(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}")
    return found


def _prepared(parts: Parts) -> dict[str, Any]:
    method, inert = parts.settings["method"], inert_settings(parts.method)
    return {
        "seed": parts.seed,
        "task": {"name": parts.task.name, **identity_of(parts.task)},
        "facts": {"n": len(parts.facts), "content": content_hash(described(parts.facts), size=12)},
        "only_facts": None if parts.only_facts is None else content_hash(sorted(parts.only_facts), size=12),
        "only_missed": parts.only_missed,
        "model": {
            "weights": parts.weights,
            **{key: parts.settings["model"][key] for key in ("template", "template_options", "date")},
        },
        "method": {key: value for key, value in method.items() if key not in inert},
        "method_files": dict(parts.files["method"]),
        "method_identity": identity_of(parts.method),
        # Targets are verified by the grader (decision 5).
        "grading": GRADING_VERSION,
    }


def _trained(parts: Parts) -> dict[str, Any]:
    recall = [probe for probe in parts.probes if probe.split == RECALL]
    model, training = parts.settings["model"], parts.settings["training"]
    return {
        "training": {key: value for key, value in training.items() if _moves(key, training)},
        # Recall ends the training (decision 2), so how it is measured moves the weights.
        "recall": {
            "n": len(recall),
            "content": content_hash(described(recall), size=12),
            "max_new_tokens": parts.task.max_new_tokens,
            "dtype": model["scoring_dtype"],
            "batch_size": model["scoring_batch_size"],
        },
        # The curve is part of the trajectory, which only a training can write.
        "drift_curve": parts.settings["drift"]["curve"],
        "arithmetic": dict(parts.arithmetic),
    }


def _moves(key: str, training: Mapping[str, Any]) -> bool:
    """Whether a setting of the training group can move a weight as it stands."""
    if key == "penalty_weight":
        return training["penalty"] != UNUSED["penalty"]
    return key not in UNTRAINED and (key not in UNUSED or training[key] != UNUSED[key])


def _measured(parts: Parts) -> dict[str, Any]:
    return {
        "probes": {"n": len(parts.probes), "content": content_hash(described(parts.probes), size=12)},
        "axes": {split: axis.value for split, axis in parts.axes.items()},
        "suite": parts.suite.fingerprint(),
        "interpolate": list(parts.settings["training"]["interpolate"]),
        "drift": parts.settings["drift"]["measure"],
        "results_version": RESULTS_VERSION,
    }


def _measured_by(parts: Parts) -> dict[str, str]:
    """A hash of each thing that both axes are measured by: where two runs differ, they do not compare."""
    # Runs of other seeds are compared, and a clone in another place holds the same data.
    task = {k: v for k, v in parts.settings["task"].items() if k not in ("seed", "data_root")}
    # By weights, not by name: one model can be reached by several paths.
    model = {key: value for key, value in parts.settings["model"].items() if key != "name"}
    of = {
        "task": [task, dict(parts.files["task"]), identity_of(parts.task), GRADING_VERSION],
        "model": parts.weights,
        "model settings": model,
        "held-out suite": parts.suite.fingerprint(),
        "results version": RESULTS_VERSION,
        "arithmetic": dict(parts.arithmetic),
        # Methods are compared at the recall where training ended (decision 2).
        "recall goal": parts.settings["training"]["until_recall"],
    }
    return {name: content_hash(part) for name, part in of.items()}
