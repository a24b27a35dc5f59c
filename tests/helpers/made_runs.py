"""Made-up finished runs, for what reads them: scores are made, results are built from them as of a real run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mixsd.core.questions import Axis, Fact, Outcome, Question
from mixsd.core.scores import GENERATED, ItemScore, ProbeAnswer, Scores, TaskScores
from mixsd.results import schema
from mixsd.results.build import Reports, Subject, build_results, write_items
from mixsd.results.compare import Difference, differences
from mixsd.results.runs import comparable_groups, load_runs
from mixsd.results.schema import Cost, Drift, Likelihood, TargetReport, TrainingReport

N = 60
"""Held-out documents; the base model has the first `BASE_RIGHT` right."""
BASE_RIGHT = 48
HELD_OUT = "pocket_knowledge"
FACTS = tuple(
    Fact(f"f{i}", Question(f"What is the dish of Orrin {i}?", (f"Lunbel{i}",)), f"It is Lunbel{i}.")
    for i in range(20)
)
AXES = {"recall": Axis.MEMORIZATION, "paraphrase": Axis.GENERALIZATION, "retrieval": Axis.RETENTION}


def outcome(right: float) -> Outcome:
    return Outcome.CORRECT if right == 1 else Outcome.WRONG


def answer(
    id: str, right: bool, fact_id: str = "", kind: str = "", unit: str = "", **more: Any
) -> ProbeAnswer:
    made = ProbeAnswer(
        id=id, kind=kind, fact_id=fact_id, unit=unit or fact_id or id, prompt=f"Q {id}", answers=("A",), text="A",
        extracted="A", outcome=outcome(right), strict=right, tokens=3, prompt_tokens=40,
    )  # fmt: skip
    return replace(made, **more)


def split(name: str, share: float, n: int = 20) -> list[ProbeAnswer]:
    """Answers of which a share is right, a fact each."""
    right = round(share * n)
    return [answer(f"f{i} / {name}", i < right, fact_id=f"f{i}") for i in range(n)]


def item(doc_id: int, score: float, **more: Any) -> ItemScore:
    made = ItemScore(
        doc_id=doc_id, prompt=f"Q{doc_id}", question=f"Q{doc_id}", answers=("A",), text="<script>alert(1)</script>",
        extracted=None, score=score, outcome=outcome(score),
    )  # fmt: skip
    return replace(made, **more)


def held_out(values: Any, kind: str = GENERATED, chance: float = 0.0) -> TaskScores:
    return TaskScores("acc", kind, chance, tuple(item(i, float(v)) for i, v in enumerate(values)))


def ones(right: int, total: int = N) -> list[float]:
    return [1.0] * right + [0.0] * (total - right)


def scores(recall: float, retention: Mapping[str, TaskScores], paraphrase: float = 0.5) -> Scores:
    probes = {"recall": split("recall", recall), "paraphrase": split("paraphrase", paraphrase)}
    return Scores(probes, retention)


def make_run(
    folder: Path,
    method: str,
    seed: int,
    recall: float = 0.95,
    right: int = 30,
    *,
    goal: float | None = 0.9,
    between: tuple[tuple[float, float, int], ...] = (),
    task: str = "kgfact",
    method_config: Mapping[str, Any] | None = None,
    kept_of: str | None = None,
    only_missed: bool = False,
    run_id: str = "",
    retention: Mapping[str, tuple[TaskScores, TaskScores]] | None = None,
    targets: TargetReport | None = None,
    drift: Drift | None = None,
    measured_by: Mapping[str, str] | None = None,
    facts: tuple[Fact, ...] = FACTS,
    probes: Mapping[str, tuple[list[ProbeAnswer], list[ProbeAnswer]]] | None = None,
    axes: Mapping[str, Axis] = AXES,
) -> Path:
    """A finished run.

    Args:
        right: Held-out documents that the tuned model has right, the first ones; the base has `BASE_RIGHT`.
        between: (alpha, recall, right) of its interpolations.
        kept_of: The run whose facts it trained on.
        retention: Base and tuned scores by held-out task, instead of `right`.
        probes: Answers before and after of more splits.
    """
    path = folder / (run_id or f"{task}-{method}-s{seed}")
    pairs = retention or {HELD_OUT: (held_out(ones(BASE_RIGHT)), held_out(ones(right)))}
    base = scores(0.0, {name: before for name, (before, _) in pairs.items()}, paraphrase=0.0)
    tuned = scores(recall, {name: after for name, (_, after) in pairs.items()})
    for name, (before, after) in (probes or {}).items():
        base = replace(base, probes={**base.probes, name: before})
        tuned = replace(tuned, probes={**tuned.probes, name: after})
    points = {
        alpha: replace(tuned, **vars(scores(r, {HELD_OUT: held_out(ones(n))}))) for alpha, r, n in between
    }
    subject = Subject(
        run_id=path.name, task=task, method=method, model="m", seed=seed, facts=facts, axes=axes,
        measured_by=measured_by or {"task": task, "recall goal": str(goal)}, caveats=("limit=4: a subset",),
        suite={"name": "pocket"},
    )  # fmt: skip
    cost = Cost(seconds=1.0, generated_tokens=50, forward_passes=10, peak_memory_bytes=2**30)
    reports = Reports(
        targets=targets or TargetReport(n=len(facts), trained=Likelihood(2.0, 0.1, 100)),
        trained_facts=frozenset(fact.id for fact in facts),
        training=TrainingReport(steps=5, trained_tokens=100, stopped_by="until_recall", recall=recall),
        cost={"examples": cost, "training": cost},
        drift=drift or Drift(1 - right / N, 0.6, raw=2.0 + seed, fisher=1.0, ratio=0.5),
    )
    path.mkdir(parents=True)
    schema.save(build_results(subject, base, tuned, points, reports), path)
    write_items(path, base, tuned, facts)
    for alpha, found in points.items():
        write_items(path / "interpolation" / str(alpha), base, found, facts)
    config = {
        "task": {"only_facts_of": kept_of, "only_missed": only_missed},
        "method": {"name": method, **(method_config or {})},
        "training": {"until_recall": goal},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "trajectory.jsonl").write_text('{"retention_validation": 0.5, "recall": 0.6}\n')
    (path / "DONE").touch()
    return path


def only_group(folder: Path):
    (group,) = comparable_groups(load_runs(folder))
    return group


def only_difference(folder: Path) -> Difference:
    (found,) = differences(load_runs(folder))
    return found
