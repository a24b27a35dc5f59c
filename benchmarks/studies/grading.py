"""How often does the matcher give the verdict of a careful reader, who read each reply?

    python -m benchmarks.studies.grading                  agreement by part, kind, language, group and source
    python -m benchmarks.studies.grading --show           and replies of the open part graded otherwise
    python -m benchmarks.studies.grading --out FILE.md    the same tables as Markdown too

The replies, and the rules that they were read by, are in `benchmarks/studies/graded_replies`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixsd.core.errors import DataError
from mixsd.core.grading import grade
from mixsd.core.kinds import kind_of
from mixsd.core.questions import Outcome, Question
from mixsd.core.store import write_text

FOLDER = Path(__file__).parent / "graded_replies"
OPEN, HELD_OUT = "open", "held out"
PARTS = {"open.jsonl": OPEN, "embedded.jsonl": OPEN, "held_out.jsonl": HELD_OUT}
"""Rules are written from the open part alone; the held-out part tells how they do on replies that are new."""
MADE = "made"
"""The source of replies that were written for a rule; all others are a model's answers."""
EMBEDDED = {"language": "en", "group": "plain", "source": "smollm2-135m"}
"""What rows leave out that were read before the corpus had these columns."""
DIMENSIONS = ("kind", "language", "group", "source")
SHOWN = 300
"""Characters of a reply that a disagreement shows."""

_HEAD = """# How the reader of answers agrees with a careful reader

`python -m benchmarks.studies.grading --out docs/grading.md` writes this page. How replies were read, and what
the figures are worth: [the corpus](../benchmarks/studies/graded_replies/README.md)."""

Rows = list[list[str]]


@dataclass(frozen=True)
class GradedReply:
    """A reply with the verdict of its reader.

    Attributes:
        part: `open` or `held out`.
        question: What was asked.
        reply: What was replied.
        ended: Whether the reply ended within its token budget.
        verdict: What a careful reader says.
        language: Of the reply, as a code of two letters.
        group: The rule that it tries.
        source: The model that wrote it, and whether it was trained; `made` for one written to try a rule.
    """

    part: str
    question: Question
    reply: str
    ended: bool
    verdict: Outcome
    language: str
    group: str
    source: str

    @property
    def kind(self) -> str:
        """The kind of answer that is wanted."""
        return self.question.kind

    @cached_property
    def graded(self) -> Outcome:
        """What the matcher says."""
        return grade(self.reply, self.question, ended=self.ended).outcome


@dataclass(frozen=True)
class Agreement:
    """How matcher and reader agree on what is right.

    Attributes:
        rows: Replies.
        share: The share of them that both call right, or both not.
        kappa: Cohen's kappa of the same; None where both give all replies one verdict.
        false_accepts: Replies that only the matcher calls right.
        false_rejects: Replies that only the reader calls right.
        other: Replies that neither calls right, for different reasons: one says wrong, one unparsable.
    """

    rows: int
    share: float
    kappa: float | None
    false_accepts: int
    false_rejects: int
    other: int


def read_corpus(folder: Path = FOLDER) -> list[GradedReply]:
    """All graded replies.

    Raises:
        DataError: A row cannot be read; its file and line are named.
    """
    return [reply for file, part in PARTS.items() for reply in _read(folder / file, part)]


def agreement(replies: Sequence[GradedReply]) -> Agreement:
    """How the matcher agrees with the reader on some replies."""
    right = Outcome.CORRECT
    both = sum(reply.verdict is right and reply.graded is right for reply in replies)
    accepts = sum(reply.verdict is not right and reply.graded is right for reply in replies)
    rejects = sum(reply.verdict is right and reply.graded is not right for reply in replies)
    neither = len(replies) - both - accepts - rejects
    other = sum(reply.verdict is not reply.graded for reply in replies) - accepts - rejects
    share = (both + neither) / len(replies) if replies else 1.0
    return Agreement(len(replies), share, kappa(both, accepts, rejects, neither), accepts, rejects, other)


def kappa(both: int, first: int, second: int, neither: int) -> float | None:
    """Cohen's kappa of two readers who both say yes, one alone, or neither; None where chance is all."""
    n = both + first + second + neither
    if not n:
        return None
    chance = ((both + first) * (both + second) + (neither + first) * (neither + second)) / n**2
    return ((both + neither) / n - chance) / (1 - chance) if chance < 1 else None


def tables(replies: Sequence[GradedReply]) -> Iterator[tuple[str, list[str], Rows]]:
    """(title, header, rows) of each table; the held-out part stands apart everywhere."""
    numbers = ["rows", "agreement", "Cohen's kappa", "false accepts", "false rejects", "other verdict"]
    parts = {part: [reply for reply in replies if reply.part == part] for part in (OPEN, HELD_OUT)}
    yield "By part", ["part", *numbers], [[part, *_cells(agreement(own))] for part, own in parts.items()]
    for dimension in DIMENSIONS:
        rows = []
        for part, own in parts.items():
            for value in sorted({getattr(reply, dimension) for reply in own}):
                chosen = [reply for reply in own if getattr(reply, dimension) == value]
                rows.append([part, value, *_cells(agreement(chosen))])
        yield f"By {dimension}", ["part", dimension, *numbers], rows


def disagreements(replies: Sequence[GradedReply], parts: Sequence[str]) -> tuple[str, list[str], Rows]:
    """A table of the replies that the matcher grades otherwise."""
    header = ["part", "kind", "question", "accepted", "reply", "reader", "matcher"]
    rows = [
        [
            reply.part,
            reply.kind,
            reply.question.prompt,
            " / ".join(reply.question.accepted) or "(no rival)",
            reply.reply[:SHOWN],
            reply.verdict.value,
            reply.graded.value,
        ]
        for reply in replies
        if reply.part in parts and reply.verdict is not reply.graded
    ]
    return "Disagreements", header, rows


def _read(path: Path, part: str) -> Iterator[GradedReply]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield _graded_reply({**EMBEDDED, **json.loads(line)}, part)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{path}: line {number} cannot be read ({error!r}); mend the row") from error


def _graded_reply(row: Mapping[str, Any], part: str) -> GradedReply:
    accepted = tuple(row["accepted"])
    question = Question(
        row["question"],
        accepted,
        tuple(row.get("rivals", ())),
        kind=row.get("kind") or kind_of(accepted),
        format=row.get("format", "plain"),
    )
    return GradedReply(
        part,
        question,
        row["reply"],
        row.get("ended", True),
        Outcome(row["verdict"]),
        row["language"],
        row["group"],
        f"{row['source']}, trained" if row.get("trained") else row["source"],
    )


def shared_questions(replies: Sequence[GradedReply]) -> str:
    """How many held-out replies answer a question that the open part asks, too."""
    asked = {reply.question.prompt for reply in replies if reply.part == OPEN}
    held_out = [reply for reply in replies if reply.part == HELD_OUT]
    shared = sum(reply.question.prompt in asked for reply in held_out)
    return f"{shared} of {len(held_out)} held-out replies answer a question that the open part asks too."


def _cells(found: Agreement) -> list[str]:
    return [
        str(found.rows),
        f"{found.share:.1%}",
        "n/a" if found.kappa is None else f"{found.kappa:.3f}",
        str(found.false_accepts),
        str(found.false_rejects),
        str(found.other),
    ]


def _rich(title: str, header: Sequence[str], rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in header:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as text: brackets of a reply are no markup
    return table


def _markdown(title: str, header: Sequence[str], rows: Rows) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(line)} |" for line in cells)])


def main(arguments: list[str] | None = None) -> int:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.studies.grading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--show", action="store_true", help="show replies of the open part that are graded otherwise"
    )
    parser.add_argument(
        "--show-held-out",
        action="store_true",
        help="show those of the held-out part too; rules must not be written from them, "
        "or its figure no longer says how the matcher does on new replies",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables as Markdown too")
    options = parser.parse_args(arguments)
    try:
        replies = read_corpus(FOLDER)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    shown = list(tables(replies))
    parts = [OPEN] * options.show + [HELD_OUT] * options.show_held_out
    if parts:
        shown.append(disagreements(replies, parts))
    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in shown:
        console.print(_rich(*table))
    note = shared_questions(replies)
    console.print(note)
    if options.out:
        write_text(options.out, "\n\n".join([_HEAD, note, *(_markdown(*table) for table in shown)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
