"""How often does a mixed target speak of a text that the student never sees, and does the check find it?

    python -m benchmarks.studies.target_references

The targets are in `target_references.jsonl`. Qwen2.5-Coder-0.5B wrote them with `method.reject=[]`, so the
check chose none of them. Each was read beside its question and gold text: `refers` or `clean`.
The reader also wrote the patterns of the check, from the open part; so the held-out part is not blind.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from mixsd.core.formats import FORMATS
from mixsd.core.questions import Fact
from mixsd.mixing.expert_prompt import context_reference, wording

FILE = Path(__file__).with_name("target_references.jsonl")
PARTS = ("open", "held_out")


@dataclass(frozen=True)
class ReadTarget:
    """A target with the verdict of its reader.

    Attributes:
        prompt: The question, as the student reads it.
        gold_text: What the expert prompt showed.
        wording: How it showed it.
        text: The target.
        verdict: `refers` or `clean`.
        part: `open` or `held_out`.
    """

    prompt: str
    gold_text: str
    wording: str
    text: str
    verdict: str
    part: str

    @property
    def refers(self) -> bool:
        """Whether the reader says that it speaks of a text that was shown."""
        return self.verdict == "refers"

    @property
    def rejected(self) -> bool:
        """Whether the check finds a reference."""
        form = FORMATS["boxed" if self.prompt.endswith(FORMATS["boxed"].request) else "plain"]
        # No answer is graded here, so none is given.
        question = form.question(form.without_request(self.prompt), ())
        return bool(context_reference(self.text, Fact("", question, self.gold_text), wording(self.wording)))


@dataclass(frozen=True)
class Found:
    """What the check finds among some targets: how many there are, refer, are caught and wrongly rejected."""

    rows: int
    referring: int
    caught: int
    wrongly_rejected: int


def read_targets(file: Path = FILE) -> list[ReadTarget]:
    """All targets with their verdicts."""
    return [ReadTarget(**json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]


def found(targets: Sequence[ReadTarget]) -> Found:
    """Count what the check finds."""
    rejected = [target.refers for target in targets if target.rejected]
    return Found(
        len(targets),
        sum(target.refers for target in targets),
        sum(rejected),
        len(rejected) - sum(rejected),
    )


def rows(targets: Sequence[ReadTarget]) -> Iterator[list[str]]:
    """The table: each part as a whole, then by wording."""
    for part in PARTS:
        own = [target for target in targets if target.part == part]
        yield _row(part, "all", own)
        for name in sorted({target.wording for target in own}):
            yield _row(part, name, [target for target in own if target.wording == name])


def _row(part: str, name: str, targets: Sequence[ReadTarget]) -> list[str]:
    counts = found(targets)
    clean = counts.rows - counts.referring
    return [
        part,
        name,
        str(counts.rows),
        f"{counts.referring / counts.rows:.0%}" if counts.rows else "-",
        f"{counts.caught} of {counts.referring}",
        f"{counts.wrongly_rejected} of {clean}",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.studies.target_references",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    table = Table("part", "wording", "rows", "refers", "caught", "wrongly rejected", box=box.SIMPLE_HEAD)
    for row in rows(read_targets()):
        table.add_row(*row)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
