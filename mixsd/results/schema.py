"""What a finished run says: typed, versioned, written and read here alone.

Every reader gets these objects; none looks a key up in a dictionary.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mixsd.core.errors import StoreError
from mixsd.core.questions import Axis
from mixsd.core.store import write_json

VERSION = 6
"""Raised when a number of a run changes its meaning or its value; results of another version are not read."""
FILE = "results.json"
METRICS, TRAJECTORY = "metrics.jsonl", "trajectory.jsonl"
"""What was logged at each step, and at each evaluation."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Share:
    """A share of records, with its 95% interval.

    Attributes:
        value: The share.
        n: Records.
        units: What they count as for the interval (see `Probe.unit`).
        interval: 95%, of as many items as there are units.
    """

    value: float
    n: int
    units: int
    interval: Interval


@dataclass(frozen=True)
class KindShare:
    """The share right of one kind of probe within a split."""

    value: float
    n: int


@dataclass(frozen=True)
class SplitResult:
    """One split of probes under one model.

    Attributes:
        axis: What the split measures.
        right: The share of right answers.
        strict: The share right by the stricter rule (equal in lower case).
        prompt_tokens: Mean tokens of a prompt.
        outcomes: Answers by outcome.
        by_kind: The share right of each kind.
        kept: On the retention axis, of the tuned model: the share still right of what the base had right
            (None: nothing was, or not measured).
        n_kept: How many those are.
    """

    axis: Axis
    right: Share
    strict: float
    prompt_tokens: float
    outcomes: Mapping[str, int]
    by_kind: Mapping[str, KindShare]
    kept: float | None = None
    n_kept: int = 0


@dataclass(frozen=True)
class Derived:
    """What is read out of several splits, or of some of the facts; None where it cannot be measured.

    Attributes:
        learned: Facts whose trained question and most of whose paraphrases are right.
        intrusion: Neighbors that got an injected answer.
        recall_kept: Recall of the facts that were trained on.
        recall_unknown: Recall of the facts that the base model gets wrong; memorization is primary on them
            (decision 9).
        edit_success: Recall of the edits whose old answer the base model gives (decision 9).
    """

    learned: Share | None
    intrusion: Share | None
    recall_kept: Share | None
    recall_unknown: Share | None
    edit_success: Share | None


@dataclass(frozen=True)
class Breakdown:
    """Why answers to a generated held-out task are wrong, and what they name.

    Attributes:
        errors: Wrong answers by kind.
        intrusion_rate: The share of all answers that name a trained answer (None: no answers).
        leaked: The trained strings that appeared most often, with their counts.
    """

    errors: Mapping[str, int]
    intrusion_rate: float | None
    leaked: Mapping[str, int]


@dataclass(frozen=True)
class HeldOutTask:
    """One held-out task, base and tuned model on the same documents.

    Attributes:
        metric: What a score is.
        kind: `generated` or `likelihood`.
        chance: Score of guessing.
        included: Whether it counts: the base model is clearly above chance (decision 6).
        n: Documents that count.
        excluded_items: Documents that the facts give away.
        base: Mean score of the base model (None: no document counts).
        tuned: Mean score of the tuned model.
        interval: 95%, of tuned minus base (None: too few documents).
        p: That both score alike.
        p_holm: The same, adjusted over the tasks of the run.
        discordance: The share of documents on which the two differ.
        detectable: The smallest difference that so many documents can show.
        outcomes_base: Answers of the base model by outcome.
        outcomes_tuned: Answers of the tuned model by outcome.
        wrong_base: Why those of the base model are wrong (None: a likelihood task).
        wrong_tuned: Why those of the tuned model are.
    """

    metric: str
    kind: str
    chance: float
    included: bool
    n: int
    excluded_items: int
    base: float | None
    tuned: float | None
    interval: Interval | None
    p: float | None
    p_holm: float | None
    discordance: float
    detectable: float | None
    outcomes_base: Mapping[str, int]
    outcomes_tuned: Mapping[str, int]
    wrong_base: Breakdown | None = None
    wrong_tuned: Breakdown | None = None


@dataclass(frozen=True)
class Panel:
    """The included tasks of one kind together; all None where there are none.

    Attributes:
        n: Documents.
        base: Mean over tasks of the base model's scores.
        tuned: Mean over tasks of the tuned model's scores.
        ratio: Tuned over base (the paper's ratio of means).
        ratio_interval: 95%.
        above_chance: The same on (score - chance) / (1 - chance), negatives kept.
        above_chance_interval: 95%.
        delta_interval: 95%, of tuned minus base.
    """

    n: int = 0
    base: float | None = None
    tuned: float | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    above_chance: float | None = None
    above_chance_interval: Interval | None = None
    delta_interval: Interval | None = None


@dataclass(frozen=True)
class Retention:
    """The retention axis. The headline is the generated panel.

    Attributes:
        generated: Tasks whose answers are generated.
        likelihood: Tasks whose answers are compared by likelihood.
        tasks: Each task.
        not_counted: Names of tasks on which the base model is not clearly above chance.
        excluded_items: Documents that the facts give away, over all tasks.
    """

    generated: Panel
    likelihood: Panel
    tasks: Mapping[str, HeldOutTask]
    not_counted: tuple[str, ...] = ()
    excluded_items: int = 0


@dataclass(frozen=True)
class Interpolated:
    """Both axes of a model between base and tuned, at base + alpha (tuned - base)."""

    alpha: float
    probes: Mapping[str, SplitResult]
    derived: Derived
    retention: Retention


@dataclass(frozen=True)
class Likelihood:
    """How likely target tokens are under the base model (the paper's analysis a).

    Attributes:
        nll: Mean nats a token.
        unlikely_share: The share of tokens above 5 nats.
        tokens: How many tokens.
    """

    nll: float
    unlikely_share: float
    tokens: int


@dataclass(frozen=True)
class TargetReport:
    """What was trained on. The three likelihoods are over the same facts, those that were kept.

    Attributes:
        n: Facts of the task.
        left_out: Facts that the user's own settings left out (`task.only_facts_of`, `task.only_missed`).
        dropped: Facts for which the method found nothing to train on.
        trained: Of what is trained on (None: nothing is, or the method writes it while it trains).
        gold: Of the gold texts of the same facts.
        contrasts: Of other targets for the same facts, by name, such as the expert's own replies.
        gold_of_all: Of the gold texts of all facts of the task.
        numbers: What the method reports of itself.
    """

    n: int
    left_out: int = 0
    dropped: int = 0
    trained: Likelihood | None = None
    gold: Likelihood | None = None
    contrasts: Mapping[str, Likelihood] = field(default_factory=dict)
    gold_of_all: Likelihood | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class TrainingReport:
    """What the training did; sums are over all interrupted parts.

    Attributes:
        steps: Optimiser steps made.
        trained_tokens: Target tokens that carried a loss, over all steps.
        generated_tokens: Tokens that the model wrote during training.
        forward_passes: Times a model was run for the training itself.
        seconds: Time of the training itself.
        evaluation_passes: Times a model was run to look at the training.
        evaluation_seconds: Time that looking took.
        stopped_by: What ended it.
        recall: At the last evaluation.
    """

    steps: int = 0
    trained_tokens: int = 0
    generated_tokens: int = 0
    forward_passes: int = 0
    seconds: float = 0.0
    evaluation_passes: int = 0
    evaluation_seconds: float = 0.0
    stopped_by: str = ""
    recall: float | None = None


@dataclass(frozen=True)
class Cost:
    """What a stage took.

    Attributes:
        seconds: Time; of work that a cache gave, the time that it took when it was done.
        trained_tokens: Target tokens trained on.
        generated_tokens: Tokens decoded.
        forward_passes: Times a model was run.
        peak_memory_bytes: The most memory in use.
    """

    seconds: float
    trained_tokens: int = 0
    generated_tokens: int = 0
    forward_passes: int = 0
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class Drift:
    """How far training moved the model (the paper's analysis b).

    Attributes:
        kl_base_tuned: KL(base || tuned) in nats a token, on the base model's answers to unrelated prompts.
        top1_agreement: The share of those tokens on which both have the same most probable token.
        raw: Squared displacement of the weights (None: the two models have different weights).
        fisher: The same, weighted by the base model's Fisher information.
        ratio: R, the second over the first.
        kl_task: KL(base || tuned) as above, on the base model's answers to the questions that recall asks
            (None: not measured).
    """

    kl_base_tuned: float
    top1_agreement: float
    raw: float | None = None
    fisher: float | None = None
    ratio: float | None = None
    kl_task: float | None = None


@dataclass(frozen=True)
class RunResults:
    """All numbers of a run.

    Attributes:
        version: Of this schema.
        run_id: `<task>-<method>-<model>-s<seed>-<hash>`.
        task: The task's name.
        method: The method's name.
        model: The model's label.
        seed: The seed that the methods share.
        n_facts: Facts of the task.
        measured_by: A hash of each thing that the numbers hang on; runs that differ in one do not compare.
        caveats: What a reader of the held-out scores must know.
        suite: The held-out suite, described.
        probes_before: The base model's answers by split.
        probes: The tuned model's answers by split.
        derived: What several splits say together, of the tuned model.
        retention: The held-out tasks.
        interpolation: The same for models between base and tuned.
        targets: What was trained on.
        training: What the training did.
        cost: What each stage took.
        drift: How far the model moved (None: not measured, or not changed).
    """

    version: int
    run_id: str
    task: str
    method: str
    model: str
    seed: int
    n_facts: int
    measured_by: Mapping[str, str]
    caveats: tuple[str, ...]
    suite: Mapping[str, Any]
    probes_before: Mapping[str, SplitResult]
    probes: Mapping[str, SplitResult]
    derived: Derived
    retention: Retention
    interpolation: tuple[Interpolated, ...]
    targets: TargetReport
    training: TrainingReport
    cost: Mapping[str, Cost]
    drift: Drift | None

    @property
    def recall(self) -> float:
        """Memorization over all facts, the dropped ones included (decision 1)."""
        return self.probes["recall"].right.value


_RESULTS: TypeAdapter[RunResults] = TypeAdapter(RunResults)
_TARGETS: TypeAdapter[TargetReport] = TypeAdapter(TargetReport)
T = TypeVar("T")


def save(results: RunResults, run_dir: Path) -> None:
    """Write the results of a run, atomically."""
    write_json(run_dir / FILE, asdict(results))


def load(run_dir: Path) -> RunResults:
    """Read the results of a run.

    Raises:
        StoreError: There are none, another version wrote them, or they are not what this version writes.
    """
    path = run_dir / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); delete {run_dir} and run again") from error
    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION:
        raise StoreError(
            f"{path} is of results version {version or 'before 5'}, and this is version {VERSION}; "
            "delete the run and run it again"
        )
    return _checked(_RESULTS, found, path)


def read_targets(report: Any, run_dir: Path) -> TargetReport:
    """Read what `asdict` gave of a target report, as `preparation.json` holds it.

    Raises:
        StoreError: It is not what this version writes.
    """
    return _checked(_TARGETS, report, run_dir / "preparation.json")


def _checked(kind: TypeAdapter[T], found: Any, path: Path) -> T:
    try:
        return kind.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"{path}: {place}: {first['msg']}; delete {path.parent} and run again") from error


def summary(results: RunResults) -> dict[str, float | int | str]:
    """The flat numbers of a run that a tracker shows: `probes/recall`, `retention/ratio`, `targets/nll` ...

    What was not measured is left out.
    """
    found: dict[str, Any] = {
        **_of_splits("probes", results.probes),
        **_of_splits("probes_before", results.probes_before),
        **{
            k: v
            for f in fields(Derived)
            for k, v in _share(f"derived/{f.name}", getattr(results.derived, f.name)).items()
        },
        **_of_retention(results.retention),
        **_of_targets(results.targets),
        **{f"training/{key}": value for key, value in asdict(results.training).items()},
        **{f"cost/{stage}/{k}": v for stage, cost in results.cost.items() for k, v in asdict(cost).items()},
        **{f"drift/{key}": v for key, v in (asdict(results.drift) if results.drift else {}).items()},
    }
    for point in results.interpolation:
        found[f"interpolation/{point.alpha}/recall"] = point.probes["recall"].right.value
        found[f"interpolation/{point.alpha}/retention"] = point.retention.generated.ratio
    # Trackers plot what is there; a None would make a column of text.
    return {key: value for key, value in found.items() if isinstance(value, int | float | str)}


def _share(key: str, share: Share | None) -> dict[str, float]:
    """A share and the ends of its 95% interval."""
    return {} if share is None else {key: share.value, **_ends(key, share.interval)}


def _ends(key: str, interval: Interval | None) -> dict[str, float]:
    return {} if interval is None else {f"{key}/ci_low": interval[0], f"{key}/ci_high": interval[1]}


def _of_splits(prefix: str, splits: Mapping[str, SplitResult]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for split, result in splits.items():
        found |= _share(f"{prefix}/{split}", result.right)
        found[f"{prefix}/{split}/kept"] = result.kept
        found |= {f"{prefix}/{split}/outcomes/{name}": count for name, count in result.outcomes.items()}
    return found


def _of_retention(retention: Retention) -> dict[str, float | None]:
    """The headline, which is the generated panel; then each task."""
    panel = retention.generated
    headline = {
        "ratio": panel.ratio,
        "ratio_above_chance": panel.above_chance,
        "base_mean": panel.base,
        "tuned_mean": panel.tuned,
        "n": panel.n,
        "excluded_items": retention.excluded_items,
    }
    sides = {f"{name}/base": task.base for name, task in retention.tasks.items()}
    sides |= {f"{name}/tuned": task.tuned for name, task in retention.tasks.items()}
    intervals = {
        **_ends("ratio", panel.ratio_interval),
        **_ends("ratio_above_chance", panel.above_chance_interval),
    }
    # Of tuned minus base.
    deltas = {
        k: v
        for name, task in retention.tasks.items()
        for k, v in _ends(f"{name}/delta", task.interval).items()
    }
    return {f"retention/{key}": value for key, value in {**headline, **intervals, **sides, **deltas}.items()}


def _of_targets(targets: TargetReport) -> dict[str, Any]:
    likelihoods = {"": targets.trained, "gold_": targets.gold, "gold_of_all_": targets.gold_of_all}
    likelihoods |= {f"{name}_": found for name, found in targets.contrasts.items()}
    return {
        "targets/n": targets.n,
        "targets/left_out": targets.left_out,
        "targets/dropped": targets.dropped,
        **{f"targets/{key}": value for key, value in targets.numbers.items()},
        **{
            f"targets/{prefix}{key}": value
            for prefix, found in likelihoods.items()
            if found is not None
            for key, value in asdict(found).items()
        },
    }
