"""`results.json` and the per-item files of a run, from base and tuned scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsd.core.questions import NEIGHBORS, PARAPHRASE, RECALL, Axis, Outcome
from mixsd.core.store import content_hash
from mixsd.results.aggregate import GENERATED
from mixsd.results.aggregate import summarize as summarize_retention
from mixsd.results.contamination import contaminated
from mixsd.results.wrong_answers import Trained, breakdown
from mixsd.run.config import OUTSIDE_HASH, RESULTS_VERSION, RunConfig
from mixsd.run.measure import Scores
from mixsd.run.probing import Record, accuracy, is_correct, share, summarize
from mixsd.run.workbench import device_name, software

ANSWER = ("text", "extracted", "outcome", "strict", "tokens", "prompt_tokens")
SCORE = ("text", "extracted", "outcome", "score")


def build_results(
    config: RunConfig,
    base: Scores,
    tuned: Scores,
    between: Mapping[float, Scores],
    reports: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole of `results.json`.

    Args:
        config: The run.
        base: Scores of the base model.
        tuned: Scores of the tuned model, on the same probes and documents.
        between: Scores of models between base and tuned, by alpha.
        reports: What the stages reported: `targets`, `dropped` facts, `training`, `cost`, `drift`.
    """
    skipped = overlap(config, base)
    before = _breakdowns(config, base, skipped)
    measured = _measured(config, base, tuned, skipped, before)
    recall = tuned.probes[RECALL]
    of_some = {
        "recall_kept": {fact.id for fact in config.task.facts} - set(reports["dropped"]),
        "recall_missed": missed(base),
        "edit_success": _known_before(config, base),
    }
    return {
        "run_id": config.run_id,
        "task": config.task.name,
        "method": config.method.name,
        "model": config.model.name,
        "seed": config.seed,
        "n_facts": len(config.task.facts),
        "comparable": content_hash(measured_by(config)),
        "measured_by": measured_by(config),
        "caveats": list(config.retention.caveats),
        "held_out_suite": {"name": config.retention.name, **config.retention.fingerprint()},
        "probes": measured["probes"],
        "probes_before": _probe_summary(config, base),
        "retention": measured["retention"],
        "memorization": {
            **_learned(config, tuned),
            **{name: share([r for r in recall if r["fact_id"] in ids]) for name, ids in of_some.items()},
        },
        "interpolation": [
            {"alpha": alpha, **_measured(config, base, scores, skipped, before)}
            for alpha, scores in between.items()
        ],
        **{name: reports[name] for name in ("targets", "training", "cost", "drift")},
    }


def missed(base: Scores) -> set[str]:
    """Ids of the facts that the base model gets wrong; memorization is primary on them (decision 9)."""
    return {record["fact_id"] for record in base.probes[RECALL] if not is_correct(record)}


def _learned(config: RunConfig, tuned: Scores) -> dict[str, Any]:
    """The share right of every split that asks for what was taught, of facts learned, and of neighbors that
    got an injected answer, with 95% intervals over items.

    A fact is learned where its trained question is right and more than half of its paraphrases are; the
    trained question alone, also under another system prompt, says nothing. Facts without paraphrases are not
    judged.
    """
    by_fact: dict[str, list[bool]] = {}
    for record in tuned.probes.get(PARAPHRASE, []):
        by_fact.setdefault(record["fact_id"], []).append(is_correct(record))
    recalled = {record["fact_id"] for record in tuned.probes[RECALL] if is_correct(record)}
    judged = {f.id: by_fact[f.id] for f in config.task.facts if f.id in by_fact}
    learned = {id for id, right in judged.items() if id in recalled and 2 * sum(right) > len(right)}
    asked = [record for record in tuned.probes[RECALL] if record["fact_id"] in judged]
    neighbors = tuned.probes.get(NEIGHBORS, [])
    return {
        **{split: share(r) for split, r in tuned.probes.items() if _is_injected(config, split)},
        "learned": share(asked, lambda record: record["fact_id"] in learned),
        "intrusion": share(neighbors, lambda record: record["outcome"] == Outcome.WRONG),
    }


def _is_injected(config: RunConfig, split: str) -> bool:
    """Whether a split asks for what was taught, the trained question or what follows from it."""
    return config.task.axis(split) is not Axis.RETENTION


def _known_before(config: RunConfig, base: Scores) -> set[str]:
    """Ids of the edits whose old answer the base model gives: only these count as edits (decision 9)."""
    old = {fact.id: fact.replaces for fact in config.task.facts if fact.replaces}
    known = set()
    for record in base.probes[RECALL]:
        if record["fact_id"] in old:
            cut = record["outcome"] == Outcome.TRUNCATED
            answers = old[record["fact_id"]]
            verdict = config.task.grade(record["text"], answers, prompt=record["prompt"], truncated=cut)
            if verdict.outcome is Outcome.CORRECT:
                known.add(record["fact_id"])
    return known


def _measured(
    config: RunConfig,
    base: Scores,
    tuned: Scores,
    skipped: Mapping[str, set[int]],
    before: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Both axes of one model; `kept`: the share still right of what the base had right.

    `before` holds the breakdowns of the base model's answers, to stand beside those of this one's.
    """
    probes = _probe_summary(config, tuned)
    for split, summary in probes.items():
        if summary["axis"] == Axis.RETENTION:
            right = {record["id"] for record in base.probes[split] if is_correct(record)}
            still = [r for r in tuned.probes[split] if r["id"] in right]
            summary |= {"kept": accuracy(still) if still else None, "n_kept": len(still)}
    retention = summarize_retention(base.retention, tuned.retention, skipped)
    for name, after in _breakdowns(config, tuned, skipped).items():
        retention["tasks"][name] |= {"breakdown": after, "breakdown_base": before[name]}
    return {"probes": probes, "retention": retention}


def _breakdowns(
    config: RunConfig, scores: Scores, skipped: Mapping[str, set[int]]
) -> dict[str, dict[str, Any]]:
    """Why answers are wrong and what they name, for each generated task."""
    trained = Trained(config.task.facts)
    return {
        name: breakdown([item for item in task.items if item["doc_id"] not in skipped[name]], trained)
        for name, task in scores.retention.items()
        if task.kind == GENERATED
    }


def item_records(
    base: Scores, tuned: Scores, skipped: Mapping[str, set[int]]
) -> Iterator[tuple[str, list[Record]]]:
    """(path in the run directory, records) of every item, before and after side by side.

    Args:
        base: Scores of the base model.
        tuned: Scores of the tuned model.
        skipped: Documents by held-out task that do not count, marked as `contaminated`.
    """
    for split, before in base.probes.items():
        yield f"probes/{split}.jsonl", _side_by_side(before, tuned.probes[split], ANSWER, "before", "after")
    for task, scores in base.retention.items():
        after = tuned.retention[task].items
        records = _side_by_side(scores.items, after, SCORE, "base", "tuned")
        marked = [{**row, "contaminated": row["doc_id"] in skipped[task]} for row in records]
        yield f"retention/{task}.jsonl", marked


def measured_by(config: RunConfig) -> dict[str, str]:
    """All that both axes are measured by, hashed part by part: where two runs differ, they do not compare."""
    unread = ("seed", *OUTSIDE_HASH["task"])  # of a file, the task's identity holds the content
    task = {key: value for key, value in config.resolved["task"].items() if key not in unread}
    parts = {
        "task": [task, config.task.identity],
        "model": config.model_fingerprint,
        "model settings": {k: v for k, v in config.resolved["model"].items() if k != "name"},
        "held-out suite": config.retention.fingerprint(),
        "software": [software(), RESULTS_VERSION],
        "device": device_name(),
        "recall goal": config.training.until_recall,
    }
    return {name: content_hash(part) for name, part in parts.items()}


def _side_by_side(
    first: Sequence[Record], second: Sequence[Record], keys: Sequence[str], name: str, other: str
) -> list[Record]:
    return [
        {
            **{key: value for key, value in a.items() if key not in keys},
            name: {key: a[key] for key in keys if key in a},
            other: {key: b[key] for key in keys if key in b},
        }
        for a, b in zip(first, second, strict=True)
    ]


def _probe_summary(config: RunConfig, scores: Scores) -> dict[str, Any]:
    return {
        split: summarize(records, config.task.axis(split).value) for split, records in scores.probes.items()
    }


def overlap(config: RunConfig, base: Scores) -> dict[str, set[int]]:
    """Held-out documents, by task, that this run's facts give away; they leave its score (decision 9)."""
    return contaminated(config.task.facts, {task: scores.items for task, scores in base.retention.items()})
