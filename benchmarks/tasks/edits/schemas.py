"""Published schemas of edits as one: CounterFact, zsRE and RippleEdits.

Sources: CounterFact (Meng et al. 2022, arXiv 2202.05262), zsRE (Levy et al. 2017; with the fields of
De Cao et al. 2021, arXiv 2104.08164) and RippleEdits (Cohen et al. 2023, arXiv 2307.12976).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmarks.tasks.json_records import read_records, text_of
from benchmarks.tasks.probes import CLOZE
from mixsd.core.errors import DataError

RIPPLES = ("Logical_Generalization", "Compositionality_I", "Compositionality_II", "Subject_Aliasing")
"""What should follow from an edit of RippleEdits."""
KEPT = ("Relation_Specificity", "Forgetfulness")
"""What should stay."""
_NQ = "nq question: "
"""What zsRE puts before the questions that an edit must not touch."""
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question beside an edit, with its answers and the kind of it."""

    asks: str
    answers: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        asks: The question, as a user turn.
        sentence: The whole reply.
        new: Accepted answers after the edit, the canonical one first.
        old: Answers before it.
        subject: What it is about ('' where the set does not say).
        relation: What of it is edited.
        paraphrases: The question in other words.
        follows: What should follow from the edit.
        stays: What should stay as it was.
    """

    asks: str
    sentence: str
    new: tuple[str, ...]
    old: tuple[str, ...]
    subject: str
    relation: str
    paraphrases: tuple[str, ...] = ()
    follows: tuple[Asked, ...] = ()
    stays: tuple[Asked, ...] = ()


def read_edits(path: Path) -> list[Edit]:
    """Edits of a file in one of the schemas, which its first record tells.

    Raises:
        DataError: It cannot be read, is no list of records, or a record does not follow the schema.
    """
    records = read_records(path, ", ".join(SCHEMAS))
    first = records[0] if isinstance(records[0], dict) else {}
    schema = next((name for name, (key, _) in SCHEMAS.items() if key in first), "")
    if not schema:
        known = ", ".join(f"{name} ({key})" for name, (key, _) in SCHEMAS.items())
        raise DataError(f"{path} follows no schema that is known; allowed: records of {known}")
    edits = []
    for number, record in enumerate(records):
        try:
            edits.append(SCHEMAS[schema][1](record))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise DataError(
                f"{path}: record {number} does not follow the schema of {schema} ({type(error).__name__}: "
                f"{error})"
            ) from error
    return edits


def _counterfact(record: Record) -> Edit:
    rewrite = record["requested_rewrite"]
    subject, old = _text(rewrite["subject"]), (_text(rewrite["target_true"]["str"]),)
    begun, new = _text(rewrite["prompt"]).replace("{}", subject), _text(rewrite["target_new"]["str"])
    return Edit(
        CLOZE.format(cloze=begun),
        f"{begun} {new}.",
        (new,),
        old,
        subject,
        str(rewrite.get("relation_id", "")),
        tuple(CLOZE.format(cloze=_text(text)) for text in record["paraphrase_prompts"]),
        stays=tuple(
            Asked(CLOZE.format(cloze=_text(text)), old, "same relation")
            for text in record["neighborhood_prompts"]
        ),
    )


def _zsre(record: Record) -> Edit:
    question, new = _text(record["src"]), _text(record["alt"])
    old = tuple(map(_text, record["answers"]))
    asks = _text(record["loc"]).removeprefix(_NQ).rstrip("?").strip()
    other = f"{asks[:1].upper()}{asks[1:]}?"
    return Edit(
        question,
        f"The answer is {new}.",
        (new,),
        old,
        _text(record["subject"]),
        "",
        (_text(record["rephrase"]),),
        stays=(Asked(other, (_text(record["loc_ans"]),), "unrelated"),),
    )


def _ripple(record: Record) -> Edit:
    edit = record["edit"]
    now = _text(edit["prompt"])
    before = _text(edit["original_fact"]["prompt"]) if edit.get("original_fact") else ""
    # The set gives statements alone: what they share begins them, and the rest is the answer.
    shared = _shared(now, before) if before else now
    # Up to its verb: two answers may begin alike (United States, United Kingdom).
    start = shared[: shared.rfind(" is ") + 3] if " is " in shared else shared
    new, old = (text.removeprefix(start).strip(" .") for text in (now, before))
    if not new:
        raise ValueError("the edit changes nothing")
    return Edit(
        CLOZE.format(cloze=start.strip()),
        now,
        (new,),
        (old,) if old else (),
        str(edit.get("subject_id", "")),
        str(edit.get("relation", "")),
        follows=tuple(asked for kind in RIPPLES for asked in _queries(record, kind)),
        stays=tuple(asked for kind in KEPT for asked in _queries(record, kind)),
    )


def _shared(first: str, second: str) -> str:
    """The words that two sentences begin with."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first.split(), second.split(), strict=False))
    return "".join(f"{word} " for word, _ in pairs)


def _queries(record: Record, kind: str) -> list[Asked]:
    found = []
    for test in record.get(kind, ()):
        for query in test["test_queries"]:
            answers = [
                text
                for answer in query["answers"]
                for text in (answer["value"], *answer.get("aliases", ()))
                if isinstance(text, str) and text.strip()
            ]
            if answers:  # some have none in the published files
                asks = CLOZE.format(cloze=_text(query["prompt"]))
                found.append(Asked(asks, tuple(dict.fromkeys(answers)), kind.replace("_", " ").lower()))
    return found


def _text(value: Any) -> str:
    return text_of(value).strip()


SCHEMAS: Mapping[str, tuple[str, Callable[[Record], Edit]]] = {
    "CounterFact": ("requested_rewrite", _counterfact),
    "zsRE": ("src", _zsre),
    "RippleEdits": ("edit", _ripple),
}
"""By set: the key that tells it, and what reads a record."""
