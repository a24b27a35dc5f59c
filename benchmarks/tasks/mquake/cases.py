"""Cases of knowledge editing, in the schema of MQuAKE-CF: edits, and questions over chains of facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tasks.json_records import read_records, text_of
from mixsd.core.errors import DataError


@dataclass(frozen=True)
class Edit:
    """One edit: the `relation` of `subject` becomes `new`."""

    subject: str
    relation: str
    question: str
    cloze: str
    new: str
    old: str
    aliases: tuple[str, ...]
    old_aliases: tuple[str, ...]

    @property
    def id(self) -> str:
        """What is edited: two edits of the same thing have the same id."""
        return f"{self.subject} / {self.relation}"


@dataclass(frozen=True)
class Case:
    """A chain of hops, some of them edited, and the questions over the whole chain."""

    id: str
    edits: tuple[Edit, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    old_answers: tuple[str, ...]
    hops: tuple[tuple[str, tuple[str, ...]], ...]
    """(question, accepted answers) of each single hop before the edits."""

    @property
    def kind(self) -> str:
        """Hops, and how many of them are edited."""
        return f"{len(self.hops)} hops, {len(self.edits)} edited"


def read_cases(path: Path) -> dict[str, Case]:
    """Cases of a file in the schema of MQuAKE-CF, by id.

    Raises:
        DataError: It cannot be read, is no JSON, a case does not follow the schema, or two have one id.
    """
    records = read_records(path, "MQuAKE-CF", "cases")
    cases: dict[str, Case] = {}
    for number, record in enumerate(records):
        case = _case(path, number, record)
        if case.id in cases:
            raise DataError(f"{path}: case_id {case.id} stands more than once; give each case its own")
        cases[case.id] = case
    return cases


def _case(path: Path, number: int, record: Any) -> Case:
    try:
        new_hops = dict(map(_hop, record["new_single_hops"]))
        hops = tuple(map(_hop, record["single_hops"]))
        old_hops = dict(hops)
        edits = tuple(_edit(rewrite, new_hops, old_hops) for rewrite in record["requested_rewrite"])
        questions = _texts(record["questions"])
        answers = _answers(record["new_answer"], record["new_answer_alias"])
        old_answers = _answers(record["answer"], record["answer_alias"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: case {number} does not follow the schema of MQuAKE-CF ({type(error).__name__}: {error})"
        ) from error
    if not edits or not questions:
        raise DataError(f"{path}: case {number} has no edit or no question")
    # Such an edit would be right before it is made.
    for edit in edits:
        if edit.new == edit.old:
            raise DataError(f"{path}: case {number} edits {edit.old} to itself; leave it out")
    return Case(str(record.get("case_id", number)), edits, questions, answers, old_answers, hops)


def _hop(record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    return text_of(record["question"]), _answers(record["answer"], record["answer_alias"])


def _answers(answer: Any, aliases: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys([text_of(answer), *_texts(aliases)]))


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return tuple(map(text_of, values))


def _edit(
    rewrite: Mapping[str, Any],
    new_hops: Mapping[str, tuple[str, ...]],
    old_hops: Mapping[str, tuple[str, ...]],
) -> Edit:
    question, new, old = rewrite["question"], rewrite["target_new"]["str"], rewrite["target_true"]["str"]
    return Edit(
        subject=text_of(rewrite["subject"]),
        relation=text_of(rewrite["relation_id"]),
        question=text_of(question),
        # Not `format`, which other braces in a file would break.
        cloze=rewrite["prompt"].replace("{}", rewrite["subject"]),
        new=text_of(new),
        old=text_of(old),
        # MQuAKE-CF gives aliases with its single hops, not with its edits.
        aliases=tuple(a for a in new_hops.get(question, ()) if a != new),
        old_aliases=tuple(a for a in old_hops.get(question, ()) if a != old),
    )


def without_conflicts(cases: Iterable[Case]) -> tuple[dict[str, Edit], set[str]]:
    """Edits by id, the first of those that contradict one another, and the ids that had a contradiction."""
    edits: dict[str, Edit] = {}
    conflicts: set[str] = set()
    for case in cases:
        for edit in case.edits:
            # MQuAKE's cases were made independently: two may edit one thing to different answers.
            first = edits.setdefault(edit.id, edit)
            if first.new != edit.new:
                conflicts.add(edit.id)
    return edits, conflicts


def is_consistent(case: Case, edits: Mapping[str, Edit]) -> bool:
    """Whether the edits of a case are those that count."""
    return all(edits[edit.id].new == edit.new for edit in case.edits)
