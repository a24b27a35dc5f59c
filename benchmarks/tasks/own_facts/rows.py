"""Rows of a user's file of facts, each mistake one line that says what to mend.

Columns: `question` and `answer`; optional `answer_text` (the whole reply), `aliases`, `paraphrases`,
`neighbors`, `group` and `kind` (of answer; guessed where empty). In a CSV, lists are separated by `|`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from benchmarks.tasks.own_facts.layouts import as_row
from benchmarks.tasks.probes import Row
from benchmarks.user_tables import as_list, as_text, read_table
from mixsd.core.errors import DataError
from mixsd.core.kinds import misfit
from mixsd.core.questions import Kind
from mixsd.core.words import question_key, words

LISTS = ("aliases", "paraphrases", "neighbors")
TEXTS = ("question", "answer", "answer_text", "group", "kind")
ANSWER_KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST = 2000
"""Characters of a field; more than a prompt of a small model can hold with its answer."""
SHOWN_PROBLEMS = 5


def read_rows(path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of a file, and what the user is told of how it was read.

    Raises:
        DataError: The file is missing, unreadable or of no known kind, lacks a column, or has broken rows:
            empty or overlong fields, a kind that its answers are not of, or one question with two answers.
            Lines are named.
    """
    problems: list[str] = []
    rows: list[Row] = []
    table = read_table("task.path", path, TEXTS[:2], (*TEXTS[2:], *LISTS), as_row)
    for line, record in table.rows:
        row = _row(record, line, problems)
        if row:
            rows.append(row)
    refuse(path, [*problems, *_contradictions(rows)])
    # The same question with the same answer twice is one fact.
    unique: dict[str, Row] = {}
    for row in rows:
        unique.setdefault(question_key(row.question), row)
    return list(unique.values()), table.notes


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Refuse a file for what is wrong with it.

    Raises:
        DataError: There are problems; the first few are named.
    """
    if problems:
        more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise DataError(f"{path}: {'; '.join(problems[:SHOWN_PROBLEMS])}{more}; mend the file")


def asked_twice(rows: Sequence[Row]) -> Iterator[str]:
    """Paraphrases and neighbors that are a trained question: they would measure recall."""
    lines = {question_key(row.question): row.line for row in rows}
    for row in rows:
        for kind in ("paraphrases", "neighbors"):
            for text in getattr(row, kind):
                line = lines.get(question_key(text))
                if line is not None:
                    yield f"line {row.line}: one of its {kind} is the question of line {line}"


def _row(record: dict[str, Any], line: int, problems: list[str]) -> Row | None:
    """A row, or None and what is wrong with it."""
    values: dict[str, Any] = {}
    for column, value in record.items():
        try:
            values[str(column)] = as_list(value) if column in LISTS else as_text(value)
        except TypeError:
            problems.append(f"line {line}: {column} is {_instead(column, value)}")
            return None
    for column in ("question", "answer"):
        # As words: punctuation alone could never be matched by the grader.
        if not words(values[column]):
            shown = f"{values[column][:20]!r} has no letter, digit or sign" if values[column] else "is empty"
            problems.append(f"line {line}: {column} {shown}")
            return None
    for column, value in values.items():
        if any(len(part) > LONGEST for part in ([value] if isinstance(value, str) else value)):
            problems.append(f"line {line}: {column} is longer than {LONGEST} characters")
            return None
    row = Row(**values, line=line)
    complaint = _kind_complaint(row)
    if complaint:
        problems.append(f"line {line}: {complaint}")
        return None
    return row


def _instead(column: str, value: Any) -> str:
    """What a cell is that is no text, and what to do."""
    if column in LISTS:
        return "not a list of texts"
    if isinstance(value, list):
        return f"a list; put the first into {column}, the others into aliases"
    return "not text"


def _kind_complaint(row: Row) -> str:
    """Why the kind that a row gives cannot be that of its answers; '' if it can, or where none is given."""
    if not row.kind:
        return ""
    if row.kind not in ANSWER_KINDS:
        return f"kind={row.kind[:40]} is unknown; allowed: {', '.join(ANSWER_KINDS)}"
    complaint = misfit(row.kind, row.accepted)
    return complaint and f"kind={row.kind} does not fit: {complaint}"


def _contradictions(rows: Sequence[Row]) -> list[str]:
    """Questions that have two answers, by line."""
    first: dict[str, Row] = {}
    problems = []
    for row in rows:
        known = first.setdefault(question_key(row.question), row)
        if question_key(known.answer) != question_key(row.answer):
            problems.append(f"lines {known.line} and {row.line} answer one question differently")
    return problems
