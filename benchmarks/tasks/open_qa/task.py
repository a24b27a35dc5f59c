"""Open-domain QA: short factual questions, trained and asked alike (the paper's open-domain QA).

`simpleqa` reads the published set, from the hub or from a clone under `data_root`; `closed_book_qa_pocket`
comes with this repository.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.tasks.probes import AXES, Row, common_probes, fact_of, rewording, take
from mixsd.core.draws import shuffled
from mixsd.core.errors import DataError, at_least, one_of
from mixsd.core.formats import find_format

HUB_ID = "basicv8vc/SimpleQA"
ABOUT = "SimpleQA, short factual questions (basicv8vc/SimpleQA, MIT)."
ABOUT_POCKET = (
    "Calling codes (from phonenumbers, Apache-2.0), currency codes (from Babel's CLDR data, Unicode licence) "
    "and atomic numbers (from mendeleev, MIT); each row of closed_book.jsonl names its source."
)
POCKET = Path(__file__).parent / "closed_book.jsonl"


class OpenQA:
    """Questions of a set, of which `facts` are trained and asked.

    Args:
        name: The task's name in run ids.
        source: `simpleqa` or `pocket`.
        facts: Take this many questions, a prefix of a drawn order (None: all).
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        data_root: Folder of dataset clones (None: the hub); `pocket` needs neither.
        seed: Draws the order and the rewordings.

    Raises:
        SettingError: The source is unknown or has fewer questions.
        DataError: The set is neither under `data_root` nor to be had from the hub.
    """

    def __init__(
        self,
        name: str = "open_qa",
        source: str = "pocket",
        facts: int | None = None,
        answer_format: str = "plain",
        max_new_tokens: int = 64,
        data_root: str | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.about = ABOUT_POCKET if source == "pocket" else ABOUT
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        self._format = find_format(answer_format)
        pocket = one_of("task.source", source, ("simpleqa", "pocket")) == "pocket"
        rows = _pocket_rows() if pocket else _simpleqa_rows(data_root)
        self.axes = AXES
        names = {f"q{number}": row for number, row in enumerate(rows)}
        order = take(shuffled(names, "questions", seed), facts, source)
        # Other answers of the same kind are rivals, where the set says what kinds it has.
        of_group = {
            group: tuple(sorted({row.answer for row in rows if row.group == group})) if group else ()
            for group in {row.group for row in rows}
        }
        self.facts = [
            fact_of(key, row.question, row, self._format, of_group[row.group])
            for key, row in ((key, names[key]) for key in order)
        ]
        self.probes = [
            *common_probes(self.facts, self._format),
            *(rewording(fact, self._format, seed) for fact in self.facts),
        ]


def _pocket_rows() -> list[Row]:
    lines = POCKET.read_text(encoding="utf-8").splitlines()
    return [
        Row(r["question"], r["answer"], r["gold"], tuple(r["aliases"]), (), (), r["group"], _subject(r))
        for r in map(json.loads, lines)
    ]


def _subject(row: Mapping[str, Any]) -> str:
    """What a pocket question is about: it ends with it."""
    return row["question"].rpartition(" of ")[2].rstrip("?")


def _simpleqa_rows(data_root: str | None) -> list[Row]:
    from datasets import load_dataset  # heavy, and only needed here

    folder = Path(data_root).expanduser() / HUB_ID if data_root else None
    try:
        if folder and not folder.is_dir():
            raise FileNotFoundError(folder)
        rows: Any = load_dataset(str(folder or HUB_ID), split="test")
        if not {"problem", "answer"} <= set(rows.column_names):
            raise ValueError(f"columns {', '.join(rows.column_names)}")
    except (OSError, ValueError, ConnectionError) as error:
        where = "the hub cannot be reached"
        if folder:
            said = " ".join(str(error).split())[:80]
            where = (
                f"{folder} holds no readable data ({said}; git lfs pull?)"
                if folder.is_dir()
                else f"{folder} does not exist"
            )
        raise DataError(
            f"task=simpleqa needs the dataset {HUB_ID}, but {where}; clone "
            f"https://huggingface.co/datasets/{HUB_ID} to <folder>/{HUB_ID} and give data_root=<folder>, "
            "or use task=closed_book_qa_pocket"
        ) from error
    return [Row(row["problem"], row["answer"]) for row in rows]
