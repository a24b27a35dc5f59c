"""Knowledge editing: single-hop questions get new answers, multi-hop questions must follow (MQuAKE-CF).

A fact is an edit. Splits: `recall` (the edited questions), `paraphrase`, `multi_hop` (all phrasings, by the
number of hops and of edited ones; only cases whose edits are all trained), `locality` (single hops of
untouched cases). See decision 14 in docs/protocol.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase
from mixsd.core.draws import shuffled
from mixsd.core.errors import DataError, SettingError, at_least
from mixsd.core.grading import AnswerFormat, find_format
from mixsd.core.questions import Axis, Fact, Probe, Question

POCKET = "pocket"
ABOUT = "Counterfactual edits in the schema of MQuAKE-CF (princeton-nlp/MQuAKE, MIT)."
ABOUT_POCKET = "Counterfactual edits of common knowledge, written for this project (Apache-2.0)."
POCKET_FILE = Path(__file__).parent / "pocket.json"
FOLDER = Path("princeton-nlp/MQuAKE")
MULTI_HOP, LOCALITY = "multi_hop", "locality"
AXES = {**COMMON, MULTI_HOP: Axis.GENERALIZATION, LOCALITY: Axis.RETENTION}
CLOZE = "Complete this sentence: {cloze} ..."
WRAPPED = "My friend and I could not agree about this. {question}"


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


class MQuAKE:
    """Counterfactual edits and what should follow from them.

    Args:
        name: The task's name in run ids.
        path: A file in the schema of MQuAKE-CF: a path, or a file name under `data_root`'s
            `princeton-nlp/MQuAKE`; `pocket` is the set that comes with this repository.
        facts: Take about this many edits: whole cases of a drawn order while they fit (None: all).
        locality: Single hops of untouched cases to ask.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        data_root: Folder of dataset clones.
        seed: Draws the order of the cases.

    Raises:
        SettingError: A size is out of range.
        DataError: The file cannot be read or does not follow the schema; the case is named.
    """

    def __init__(
        self,
        name: str,
        path: str,
        facts: int | None,
        locality: int,
        answer_format: str,
        max_new_tokens: int,
        data_root: str | None,
        seed: int,
    ) -> None:
        self.name = name
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        at_least("task.locality", locality, 0)
        form = find_format(answer_format)
        self._format = form
        cases = _by_id(read_cases(_find(path, data_root)), path)
        edits, self.conflicts = _without_conflicts(cases.values())
        about = ABOUT_POCKET if path == POCKET else ABOUT
        clashes = f"{len(self.conflicts)} of them had a contradiction, of which the first counts"
        self.about = f"{about} {len(edits)} edits; {clashes}."
        self.axes = AXES
        if facts is not None and not 1 <= facts <= len(edits):
            raise SettingError(f"task.facts={facts} is out of range; {path} has 1 to {len(edits)} edits")
        trained = _take_cases(cases, edits, shuffled(cases, "cases", seed), facts or len(edits))
        rivals = _rivals([*edits.values()], cases.values())
        self.facts = [_fact(edit, form, rivals) for edit in trained.values()]
        common, count = common_probes(self.facts, form), len(self.facts)
        self.probes = [
            *common[:count],
            *(
                probe
                for edit, fact in zip(trained.values(), self.facts, strict=True)
                for probe in _paraphrases(edit, fact, form)
            ),
            *common[count:],
            *(
                probe
                for case in cases.values()
                if _all_trained(case, trained)
                for probe in _multi_hop(case, form, rivals)
            ),
            *_locality(cases, trained, locality, form, rivals, seed),
        ]


def _by_id(cases: Sequence[Case], path: str) -> dict[str, Case]:
    found = {case.id: case for case in cases}
    if len(found) < len(cases):
        twice = next(case.id for case in cases if sum(other.id == case.id for other in cases) > 1)
        raise DataError(f"{path}: case_id {twice} stands more than once; give each case its own")
    return found


Rivals = Mapping[str, frozenset[str]]


def _rivals(edits: Sequence[Edit], cases: Iterable[Case]) -> Rivals:
    """By answer, what was right in its place before an edit, or is after it."""
    rivals: dict[str, frozenset[str]] = {}
    pairs = [((e.new, *e.aliases), (e.old, *e.old_aliases)) for e in edits]
    pairs += [(case.answers, case.old_answers) for case in cases]
    for new, old in pairs:
        rivals[new[0]] = rivals.get(new[0], frozenset()) | set(old)
        rivals[old[0]] = rivals.get(old[0], frozenset()) | set(new)
    return rivals


def _question(asks: str, answers: tuple[str, ...], form: AnswerFormat, rivals: Rivals) -> Question:
    """A question; aliases count, and the answer before an edit is a rival of the one after."""
    others = sorted(rivals.get(answers[0], frozenset()) - set(answers))
    return form.question(asks, answers, rivals=tuple(others))


def read_cases(path: Path) -> list[Case]:
    """Cases of a file in the schema of MQuAKE-CF.

    Raises:
        DataError: It cannot be read, is no JSON, or a case does not follow the schema.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"task.path={path} cannot be read ({error.strerror}); give a file in the schema of MQuAKE-CF, "
            "its name under data_root/princeton-nlp/MQuAKE, or pocket"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno} is not JSON ({error.msg})") from error
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path} is not JSON that can be read ({error})") from error
    if not isinstance(records, list) or not records:
        raise DataError(f"{path} holds no list of cases")
    return [_case(path, number, record) for number, record in enumerate(records)]


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
    for edit in edits:
        if edit.new == edit.old:
            raise DataError(f"{path}: case {number} edits {edit.old} to itself; leave it out")
    return Case(str(record.get("case_id", number)), edits, questions, answers, old_answers, hops)


def _hop(record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    return _text(record["question"]), _answers(record["answer"], record["answer_alias"])


def _answers(answer: Any, aliases: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys([_text(answer), *_texts(aliases)]))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return tuple(map(_text, values))


def _edit(
    rewrite: Mapping[str, Any],
    new_hops: Mapping[str, tuple[str, ...]],
    old_hops: Mapping[str, tuple[str, ...]],
) -> Edit:
    question, new, old = rewrite["question"], rewrite["target_new"]["str"], rewrite["target_true"]["str"]
    return Edit(
        subject=_text(rewrite["subject"]),
        relation=_text(rewrite["relation_id"]),
        question=_text(question),
        cloze=rewrite["prompt"].replace("{}", rewrite["subject"]),
        new=_text(new),
        old=_text(old),
        aliases=tuple(a for a in new_hops.get(question, ()) if a != new),
        old_aliases=tuple(a for a in old_hops.get(question, ()) if a != old),
    )


def _find(path: str, data_root: str | None) -> Path:
    if path == POCKET:
        return POCKET_FILE
    given = Path(path).expanduser()
    under = Path(data_root).expanduser() / FOLDER / path if data_root else given
    try:
        return given if given.exists() or not under.exists() else under
    except OSError as error:  # a name that is too long
        raise DataError(f"task.path={path[:60]}... is no file name ({error.strerror})") from error


def _without_conflicts(cases: Any) -> tuple[dict[str, Edit], set[str]]:
    """Edits by id, the first of those that contradict one another, and the ids that had a contradiction."""
    edits: dict[str, Edit] = {}
    conflicts: set[str] = set()
    for case in cases:
        for edit in case.edits:
            first = edits.setdefault(edit.id, edit)
            if first.new != edit.new:
                conflicts.add(edit.id)
    return edits, conflicts


def _consistent(case: Case, edits: Mapping[str, Edit]) -> bool:
    return all(edits[edit.id].new == edit.new for edit in case.edits)


def _take_cases(
    cases: Mapping[str, Case], edits: Mapping[str, Edit], order: Sequence[str], count: int
) -> dict[str, Edit]:
    """Edits of whole cases in order while they fit; then single edits, up to the count."""
    taken: dict[str, Edit] = {}
    for key in order:
        new = {edit.id: edits[edit.id] for edit in cases[key].edits if edit.id not in taken}
        if _consistent(cases[key], edits) and len(taken) + len(new) <= count:
            taken |= new
    rest = (edit for key in order for edit in cases[key].edits if edit.id not in taken)
    for edit in rest:
        if len(taken) >= count:
            break
        taken.setdefault(edit.id, edits[edit.id])
    return taken


def _all_trained(case: Case, trained: Mapping[str, Edit]) -> bool:
    return all(edit.id in trained for edit in case.edits) and _consistent(case, trained)


def _fact(edit: Edit, form: AnswerFormat, rivals: Rivals) -> Fact:
    return Fact(
        edit.id,
        _question(edit.question, (edit.new, *edit.aliases), form, rivals),
        form.gold_text(f"{edit.cloze} {edit.new}.", edit.new),
        category=edit.relation,
        subject=edit.subject,
        replaces=(edit.old, *edit.old_aliases),
    )


def _paraphrases(edit: Edit, fact: Fact, form: AnswerFormat) -> list[Probe]:
    return [
        paraphrase(fact, CLOZE.format(cloze=edit.cloze), form, "cloze"),
        paraphrase(fact, WRAPPED.format(question=edit.question), form, "prefixed"),
    ]


def _multi_hop(case: Case, form: AnswerFormat, rivals: Rivals) -> list[Probe]:
    name = f"case {case.id}"
    return [
        Probe(
            f"{name} / {number}",
            MULTI_HOP,
            _question(question, case.answers, form, rivals),
            unit=name,
            kind=case.kind,
        )
        for number, question in enumerate(case.questions)
    ]


def _locality(
    cases: Mapping[str, Case],
    trained: Mapping[str, Edit],
    count: int,
    form: AnswerFormat,
    rivals: Rivals,
    seed: int,
) -> list[Probe]:
    """Single hops that no trained edit touches: of untouched cases, and unedited ones of the others."""
    edited = {edit.question for edit in trained.values()}
    free: dict[str, tuple[tuple[str, ...], str]] = {}
    for case in cases.values():
        untouched = not any(edit.id in trained for edit in case.edits)
        own = {edit.question for edit in case.edits}
        for question, answers in case.hops:
            if question not in edited and (untouched or question not in own):
                free.setdefault(question, (answers, "of an untouched case" if untouched else "unedited hop"))
    drawn = shuffled(free, "locality", seed)[:count]
    probes = []
    for asks in drawn:
        answers, kind = free[asks]
        question = _question(asks, answers, form, rivals)
        probes.append(Probe(f"hop {asks}", LOCALITY, question, kind=kind))
    return probes
