"""Knowledge editing: single-hop questions get new answers, multi-hop questions must follow (MQuAKE-CF).

A fact is an edit. Splits: `recall` (the edited questions), `paraphrase`, `multi_hop` (all phrasings, by the
number of hops and of edited ones; only cases whose edits are all trained), `locality` (single hops of
untouched cases). See decision 14 in docs/protocol.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.tasks.mquake.cases import Case, Edit, is_consistent, read_cases, without_conflicts
from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import CLOZE, common_probes, paraphrase
from mixsd.core.draws import shuffled
from mixsd.core.errors import SettingError, at_least
from mixsd.core.files import File
from mixsd.core.formats import AnswerFormat, find_format
from mixsd.core.questions import Axis, Fact, Probe, Question

ABOUT = "Counterfactual edits in the schema of MQuAKE-CF (princeton-nlp/MQuAKE, MIT)."
ABOUT_POCKET = "Counterfactual edits of common knowledge, written for this project (Apache-2.0)."
POCKET_FILE = Path(__file__).parent / "pocket.json"
MULTI_HOP, LOCALITY = "multi_hop", "locality"
AXES = {**COMMON, MULTI_HOP: Axis.GENERALIZATION, LOCALITY: Axis.RETENTION}
WRAPPED = "My friend and I could not agree about this. {question}"


class MQuAKE:
    """Counterfactual edits and what should follow from them.

    Args:
        name: The task's name in run ids.
        path: A file in the schema of MQuAKE-CF (None: the set that comes with this repository).
        facts: Take about this many edits: whole cases of a drawn order while they fit (None: all).
        locality: Single hops of untouched cases to ask.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws the order of the cases.

    Raises:
        SettingError: A size is out of range.
        DataError: The file cannot be read or does not follow the schema; the case is named.
    """

    def __init__(
        self,
        name: str = "mquake",
        path: File | None = None,
        facts: int | None = None,
        locality: int = 200,
        answer_format: str = "plain",
        max_new_tokens: int = 48,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        at_least("task.locality", locality, 0)
        form = find_format(answer_format)
        self._format = form
        file = path.path if path else POCKET_FILE
        cases = read_cases(file)
        edits, self.conflicts = without_conflicts(cases.values())
        about = ABOUT if path else ABOUT_POCKET
        clashes = f"{len(self.conflicts)} of them had a contradiction, of which the first counts"
        self.about = f"{about} {len(edits)} edits; {clashes}."
        self.axes = AXES
        if facts is not None and not 1 <= facts <= len(edits):
            raise SettingError(f"task.facts={facts} is out of range; {file} has 1 to {len(edits)} edits")
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


def _take_cases(
    cases: Mapping[str, Case], edits: Mapping[str, Edit], order: Sequence[str], count: int
) -> dict[str, Edit]:
    """Edits of whole cases in order while they fit; then single edits, up to the count."""
    taken: dict[str, Edit] = {}
    for key in order:
        new = {edit.id: edits[edit.id] for edit in cases[key].edits if edit.id not in taken}
        if is_consistent(cases[key], edits) and len(taken) + len(new) <= count:
            taken |= new
    # Whole cases rarely fill the count; single edits do, and their multi-hop questions stay unasked.
    rest = (edit for key in order for edit in cases[key].edits if edit.id not in taken)
    for edit in rest:
        if len(taken) >= count:
            break
        taken.setdefault(edit.id, edits[edit.id])
    return taken


def _all_trained(case: Case, trained: Mapping[str, Edit]) -> bool:
    return all(edit.id in trained for edit in case.edits) and is_consistent(case, trained)


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
    # One unit a case: its wordings stand and fall together.
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
            # An edit that was not trained still makes its own hop no measure of locality.
            if question not in edited and (untouched or question not in own):
                free.setdefault(question, (answers, "of an untouched case" if untouched else "unedited hop"))
    drawn = shuffled(free, "locality", seed)[:count]
    probes = []
    for asks in drawn:
        answers, kind = free[asks]
        question = _question(asks, answers, form, rivals)
        probes.append(Probe(f"hop {asks}", LOCALITY, question, kind=kind))
    return probes
