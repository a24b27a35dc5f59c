"""`results.json` and the per-item files of a run, from base and tuned scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsd.engine.config import RunConfig
from mixsd.engine.probing import Record, summarize
from mixsd.engine.scoring import Scores
from mixsd.retention import TaskScores
from mixsd.retention import summarize as summarize_retention

ANSWER = ("text", "extracted", "outcome", "tokens")
SCORE = ("text", "outcome", "score")


def build_results(
    config: RunConfig, base: Scores, tuned: Scores, reports: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole of `results.json`.

    Args:
        config: The run.
        base: Scores of the base model.
        tuned: Scores of the tuned model, on the same probes and documents.
        reports: What the stages reported: `targets`, `training`, `cost`.
    """
    return {
        "run_id": config.run_id,
        "task": config.task.name,
        "method": config.method.name,
        "model": config.model.name,
        "seed": config.seed,
        "n_facts": len(config.task.facts),
        "probes": _probe_summary(config, tuned),
        "probes_before": _probe_summary(config, base),
        "retention": summarize_retention(base.retention, tuned.retention, _contaminated(config, base)),
        **reports,
    }


def item_records(base: Scores, tuned: Scores) -> Iterator[tuple[str, list[Record]]]:
    """(path in the run directory, records) of every item, before and after side by side."""
    for split, before in base.probes.items():
        yield f"probes/{split}.jsonl", _side_by_side(before, tuned.probes[split], ANSWER, "before", "after")
    for task, scores in base.retention.items():
        after = tuned.retention[task].items
        yield f"retention/{task}.jsonl", _side_by_side(scores.items, after, SCORE, "base", "tuned")


def _side_by_side(
    first: Sequence[Record], second: Sequence[Record], keys: Sequence[str], name: str, other: str
) -> list[Record]:
    return [
        {
            **{key: value for key, value in a.items() if key not in keys},
            name: {key: a[key] for key in keys},
            other: {key: b[key] for key in keys},
        }
        for a, b in zip(first, second, strict=True)
    ]


def _probe_summary(config: RunConfig, scores: Scores) -> dict[str, Any]:
    return {
        split: summarize(records, config.task.axis(split).value) for split, records in scores.probes.items()
    }


def _contaminated(config: RunConfig, base: Scores) -> dict[str, set[str]]:
    """Held-out documents that name an answer of a trained fact; they leave this run's score (decision 9)."""
    trained = {answer.casefold() for fact in config.task.facts for answer in fact.answers}
    return {task: _naming(scores, trained) for task, scores in base.retention.items()}


def _naming(scores: TaskScores, answers: set[str]) -> set[str]:
    def names_one(item: Mapping[str, Any]) -> bool:
        text = f"{item['prompt']} {' '.join(item['answers'])}".casefold()
        return any(answer in text for answer in answers)

    return {item["doc_id"] for item in scores.items if names_one(item)}
