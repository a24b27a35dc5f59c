"""The per-item files of a run: every probe and every held-out document, before and after side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mixsd.core.scores import ItemScore, ProbeAnswer, Scores
from mixsd.core.store import read_jsonl, write_jsonl

PROBES, RETENTION = "probes", "retention"
_REPLY = ("text", "extracted", "outcome", "strict", "tokens", "prompt_tokens")
"""What a model answers to a probe; the rest of a record is the question, which both share."""
_SCORED = ("text", "extracted", "outcome", "score")


@dataclass(frozen=True)
class ProbePair:
    """One probe, answered by the base model and by the tuned one.

    The file keeps the question once, as the base model was asked; an editor may have put context before it.
    """

    before: ProbeAnswer
    after: ProbeAnswer


@dataclass(frozen=True)
class ItemPair:
    """One held-out document, scored under the base model and under the tuned one.

    Attributes:
        base: Its score under the base model.
        tuned: Its score under the tuned model.
        contaminated: Whether the facts give it away; it then counts on neither side.
    """

    base: ItemScore
    tuned: ItemScore
    contaminated: bool

    @property
    def doc_id(self) -> int:
        """The document's number in its task."""
        return self.base.doc_id


def write_pairs(folder: Path, base: Scores, tuned: Scores, contaminated: Mapping[str, set[int]]) -> None:
    """Write `probes/<split>.jsonl` and `retention/<task>.jsonl` below a folder, each atomically.

    Args:
        folder: A run directory, or the folder of one of its interpolations.
        base: Scores of the base model.
        tuned: Scores of the tuned model on the same probes and documents.
        contaminated: Documents by held-out task that the facts give away.
    """
    for split, before in base.probes.items():
        rows = list(_side_by_side(before, tuned.probes[split], _REPLY, ("before", "after")))
        write_jsonl(folder / PROBES / f"{split}.jsonl", rows)
    for task, scores in base.retention.items():
        both = _side_by_side(scores.items, tuned.retention[task].items, _SCORED, ("base", "tuned"))
        marked = [{**row, "contaminated": row["doc_id"] in contaminated[task]} for row in both]
        write_jsonl(folder / RETENTION / f"{task}.jsonl", marked)


def read_probe_pairs(folder: Path, split: str) -> list[ProbePair]:
    """The probes of one split, in order.

    Raises:
        StoreError: A line is not JSON.
    """
    rows = read_jsonl(folder / PROBES / f"{split}.jsonl")
    return [
        ProbePair(*(ProbeAnswer.from_json(side) for side in _sides(r, ("before", "after")))) for r in rows
    ]


def read_item_pairs(folder: Path, task: str) -> list[ItemPair]:
    """The documents of one held-out task, in order.

    Raises:
        StoreError: A line is not JSON.
    """
    pairs = []
    for row in read_jsonl(folder / RETENTION / f"{task}.jsonl"):
        # It belongs to the pair: neither model's score has it.
        contaminated = row.pop("contaminated")
        base, tuned = (ItemScore.from_json(side) for side in _sides(row, ("base", "tuned")))
        pairs.append(ItemPair(base, tuned, contaminated))
    return pairs


def _side_by_side(
    first: Sequence[ProbeAnswer | ItemScore],
    second: Sequence[ProbeAnswer | ItemScore],
    answered: Sequence[str],
    names: tuple[str, str],
) -> Iterator[dict[str, Any]]:
    """Records that hold what both share once, and what each answered under its name."""
    for a, b in zip(first, second, strict=True):
        sides = asdict(a), asdict(b)
        shared = {key: value for key, value in sides[0].items() if key not in answered}
        yield shared | {n: {key: s[key] for key in answered} for n, s in zip(names, sides, strict=True)}


def _sides(row: Mapping[str, Any], names: tuple[str, str]) -> list[dict[str, Any]]:
    """The two records that `_side_by_side` put into one."""
    shared = {key: value for key, value in row.items() if key not in names}
    return [{**shared, **row[name]} for name in names]
