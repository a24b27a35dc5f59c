"""Knowledge editing on published sets: CounterFact, zsRE or RippleEdits, as their authors publish them.

Splits: `recall` and `recall_shifted` (the edited question), `paraphrase` (its given wordings), `ripple` (what
should follow from an edit, RippleEdits), `locality` (what should stay as it was).
"""

from collections.abc import Iterator

from benchmarks.tasks.edits.schemas import Asked, Edit, read_edits
from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase, rewording, take
from mixsd.core.draws import shuffled
from mixsd.core.errors import DataError, at_least
from mixsd.core.files import File
from mixsd.core.formats import AnswerFormat, find_format
from mixsd.core.questions import Axis, Fact, Probe
from mixsd.core.words import question_key

ABOUT = "Edits of a published set (CounterFact, zsRE or RippleEdits), in the schema of its authors."
RIPPLE, LOCALITY = "ripple", "locality"
AXES = {**COMMON, RIPPLE: Axis.GENERALIZATION, LOCALITY: Axis.RETENTION}


class Edits:
    """Edits of a file in a published schema, which is recognised.

    Args:
        path: The JSON file.
        name: The task's name in run ids.
        facts: Take so many edits of a drawn order (None: all).
        locality: Questions that an edit must not touch, at most so many.
        ripple: Questions that should follow, at most so many.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws edits and questions.

    Raises:
        SettingError: A size is out of range.
        DataError: The file cannot be read, follows no schema, or a record breaks it; the record is named.
    """

    def __init__(
        self,
        path: File,
        name: str = "edits",
        facts: int | None = None,
        locality: int = 200,
        ripple: int = 200,
        answer_format: str = "plain",
        max_new_tokens: int = 48,
        seed: int = 0,
    ) -> None:
        self.name, self.about, self.axes = name, ABOUT, AXES
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        for key, count in (("locality", locality), ("ripple", ripple)):
            at_least(f"task.{key}", count, 0)
        form = find_format(answer_format)
        edits = _without_conflicts(read_edits(path.path))
        if not edits:
            raise DataError(f"{path} holds no edit that changes an answer")
        drawn = shuffled(edits, "edits", seed)
        chosen = {key: edits[key] for key in take(drawn, facts, str(path))}
        self.facts = [_fact(edit, form) for edit in chosen.values()]
        pairs = list(zip(chosen.values(), self.facts, strict=True))
        follows = [(asked, fact) for edit, fact in pairs for asked in edit.follows]
        stays = [(asked, fact) for edit, fact in pairs for asked in edit.stays]
        self.probes = [
            *common_probes(self.facts, form),
            *(probe for edit, fact in pairs for probe in _paraphrases(edit, fact, form, seed)),
            *_beside(follows, RIPPLE, ripple, form, edits, seed),
            *_beside(stays, LOCALITY, locality, form, edits, seed),
        ]


def _without_conflicts(edits: list[Edit]) -> dict[str, Edit]:
    """Edits by their question; of two of one question the first counts, and one to the old answer is none."""
    kept: dict[str, Edit] = {}
    for edit in edits:
        if edit.new[0] not in edit.old:
            kept.setdefault(question_key(edit.asks), edit)
    return kept


def _fact(edit: Edit, form: AnswerFormat) -> Fact:
    return Fact(
        edit.asks,
        form.question(edit.asks, edit.new, rivals=edit.old),
        form.gold_text(edit.sentence, edit.new[0]),
        category=edit.relation,
        subject=edit.subject,
        replaces=edit.old,
    )


def _paraphrases(edit: Edit, fact: Fact, form: AnswerFormat, seed: int) -> Iterator[Probe]:
    if not edit.paraphrases:
        yield rewording(fact, form, seed)
    for number, asks in enumerate(dict.fromkeys(edit.paraphrases)):
        if question_key(asks) != question_key(edit.asks):
            yield paraphrase(fact, asks, form, "given", str(number))


def _beside(
    pairs: list[tuple[Asked, Fact]],
    split: str,
    count: int,
    form: AnswerFormat,
    edits: dict[str, Edit],
    seed: int,
) -> list[Probe]:
    """Questions beside the edits, each once, none of which an edit of the file answers anew."""
    asked: dict[str, tuple[Asked, Fact]] = {}
    for question, fact in pairs:
        if question_key(question.asks) not in edits:
            asked.setdefault(question.asks, (question, fact))
    probes = []
    for key in shuffled(asked, split, seed)[:count]:
        question, fact = asked[key]
        rivals = fact.answers if split == LOCALITY and not set(fact.answers) & set(question.answers) else ()
        given = form.question(question.asks, question.answers, rivals=tuple(rivals))
        probes.append(Probe(f"{split} {key}", split, given, unit=fact.id, kind=question.kind))
    return probes
