"""What the page holds of each run, as plain data: settings, costs, scores, curves and every answer.

Answers are packed (gzip, base64), the base model's once for all runs that share them. A run whose text is
private is packed without any: of each text stand its length and a hash.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mixsd.core.names import Names
from mixsd.core.path_settings import without_paths
from mixsd.core.questions import RECALL
from mixsd.core.store import content_hash, read_jsonl
from mixsd.results.items import PROBES, RETENTION, ItemPair, ProbePair, read_item_pairs, read_probe_pairs
from mixsd.results.runs import Run
from mixsd.results.schema import METRICS, TRAJECTORY


def run_data(run: Run, group: Sequence[Run], with_text: bool) -> dict[str, Any]:
    """A run without its answers.

    Args:
        run: The run.
        group: Those it may be compared with: their settings tell which of its own are its own.
        with_text: Whether text is shown even where it is private.
    """
    settings = flat(run.config)
    others = [flat(other.config) for other in group]
    differs = sorted(key for key in settings if len({str(other.get(key)) for other in others}) > 1)
    panel = run.results.retention.generated
    return {
        "id": run.results.run_id,
        "label": run.label,
        "seed": run.seed,
        "task": run.results.task,
        "recall": run.recall,
        "retention": panel.ratio,
        "interval": panel.ratio_interval,
        "reached": run.reached,
        "training": asdict(run.results.training),
        "settings": settings,
        "differs": differs,
        "cost": {stage: asdict(cost) for stage, cost in run.results.cost.items()},
        "tasks": [_task(name, found) for name, found in run.results.retention.tasks.items()],
        "splits": [
            {
                "split": split,
                "axis": found.axis.value,
                "before": run.results.probes_before[split].right.value,
                "after": found.right.value,
                "interval": found.right.interval,
                "n": found.right.n,
            }
            for split, found in run.results.probes.items()
        ],
        "losses": losses(run),
        "private": not (run.log_text or with_text),
        "made_by": run.made_by,
    }


def _task(name: str, found: Any) -> dict[str, Any]:
    kept = (
        "metric",
        "kind",
        "included",
        "n",
        "excluded_items",
        "base",
        "tuned",
        "interval",
        "p_holm",
        "detectable",
    )
    return {"task": name, **{key: getattr(found, key) for key in kept}}


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `group.key`, without those that name files or classes: pages are sent to others."""
    found: dict[str, Any] = {}
    for key, value in without_paths(settings).items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif not key.startswith("_"):
            found[f"{prefix}{key}"] = value
    return found


def curve_rows(run: Run) -> list[dict[str, Any]]:
    """Recall and validation score of each evaluation, a row a measure."""
    path = run.path / TRAJECTORY
    points = read_jsonl(path) if path.exists() else []
    return [
        {
            "label": run.label,
            "run_id": run.results.run_id,
            "measure": measure,
            "value": point[key],
            **{x: point.get(x) for x in ("step", "trained_tokens", "seconds")},
        }
        for point in points
        for measure, key in (("recall", "recall"), ("held-out (validation)", "retention_validation"))
        if point.get(key) is not None and "step" in point
    ]


def losses(run: Run) -> list[tuple[int, float]]:
    """(step, loss) of the training."""
    path = run.path / METRICS
    return [
        (row["step"], row["loss"]) for row in (read_jsonl(path) if path.exists() else []) if "loss" in row
    ]


class Answers:
    """Packs the answers of runs; those of base models once.

    Args:
        with_text: Whether text is shown even where it is private.
    """

    def __init__(self, with_text: bool) -> None:
        self._with_text = with_text
        self.packed: dict[str, str] = {}
        """Payload by key."""

    def add(self, run: Run) -> dict[str, str]:
        """Pack a run's answers; the keys of its own payload and of its base model's."""
        text = (lambda shown: shown) if run.log_text or self._with_text else hidden
        probes = {path.stem: read_probe_pairs(run.path, path.stem) for path in _files(run, PROBES)}
        documents = {path.stem: read_item_pairs(run.path, path.stem) for path in _files(run, RETENTION)}
        trained = Names(answer for pair in probes.get(RECALL, ()) for answer in pair.before.answers)
        base = {
            "probes": {split: [_asked(pair, text) for pair in pairs] for split, pairs in probes.items()},
            "held_out": {
                task: [_document(pair, text) for pair in pairs] for task, pairs in documents.items()
            },
        }
        own = {
            "probes": {split: [_answered(pair, text) for pair in pairs] for split, pairs in probes.items()},
            "held_out": {
                task: [_scored(pair, text, trained) for pair in pairs] for task, pairs in documents.items()
            },
            "targets": _targets(run) if run.log_text or self._with_text else [],
        }
        keys = {"base": content_hash(base, size=6), "own": content_hash([run.results.run_id, own], size=6)}
        for key, payload in zip(keys.values(), (base, own), strict=True):
            if key not in self.packed:
                self.packed[key] = pack(payload)
        return keys


def pack(payload: Any) -> str:
    """JSON, compressed, as text that is safe in a page."""
    # No time in the header: the same answers give the same page.
    content = gzip.compress(json.dumps(payload, ensure_ascii=False).encode(), 6, mtime=0)
    return base64.b64encode(content).decode()


def hidden(text: str) -> str:
    """What stands for a private text: enough to see whether two are equal."""
    return f"[{len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()[:8]}]"


def _files(run: Run, part: str) -> list[Any]:
    return sorted((run.path / part).glob("*.jsonl"))


def _asked(pair: ProbePair, text: Any) -> list[Any]:
    before = pair.before
    accepted = " | ".join(before.answers)
    return [text(before.id), text(before.prompt), text(accepted), text(before.text), before.outcome.value]


def _answered(pair: ProbePair, text: Any) -> list[Any]:
    return [text(pair.after.id), text(pair.after.text), pair.after.outcome.value]


def _document(pair: ItemPair, text: Any) -> list[Any]:
    base = pair.base
    # A held-out question is no secret, but a reply may hold what was taught.
    return [
        base.doc_id,
        base.prompt,
        " | ".join(base.answers),
        text(base.text),
        base.outcome.value,
        base.score,
    ]


def _scored(pair: ItemPair, text: Any, trained: Names) -> list[Any]:
    tuned, named = pair.tuned, [text(name) for name in trained.found_in(pair.tuned.text)]
    return [pair.doc_id, text(tuned.text), tuned.outcome.value, tuned.score, pair.contaminated, named]


def _targets(run: Run) -> list[Any]:
    path = run.path / "examples.jsonl"
    rows = read_jsonl(path) if path.exists() else []
    return [
        [row["fact_id"], row["attempt"], row["provenance"], row["pieces"]] for row in rows if "pieces" in row
    ]
