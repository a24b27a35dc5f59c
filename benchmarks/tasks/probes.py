"""What tasks share: a prefix of the facts, rows of questions, a trained question in other circumstances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

from mixsd.core.draws import uniform
from mixsd.core.errors import SettingError
from mixsd.core.formats import AnswerFormat
from mixsd.core.kinds import kind_of
from mixsd.core.questions import PARAPHRASE, RECALL, Axis, Fact, Kind, Probe

Item = TypeVar("Item")

SHIFTED = "recall_shifted"
AXES = {RECALL: Axis.MEMORIZATION, SHIFTED: Axis.GENERALIZATION, PARAPHRASE: Axis.GENERALIZATION}
"""The splits that tasks have in common, and what they measure."""
OTHER_SYSTEM = "You are an expert who gives careful answers."
SMALL_TALK = (("Hello! How are you today?", "I am doing well, thank you. How can I help you?"),)
SYNTHETIC = "synthetic"
REWORDINGS = (
    "Please answer this question: {question}",
    "I would like to know something. {question}",
    'Somebody asked me: "{question}" What should I say?',
    "Help me with this one, please. {question}",
)
"""Wordings around a question that fit any question, for facts that come without paraphrases."""


CLOZE = "Complete this sentence: {cloze} ..."
SENTENCE = "The answer is {answer}."
"""A gold reply where a file gives none."""


@dataclass(frozen=True)
class Row:
    """A question with its answer, as a file holds them.

    Attributes:
        question: The question that is trained.
        answer: The short answer.
        answer_text: The whole gold reply; '' lets the task write one.
        aliases: Other accepted answers.
        paraphrases: Other wordings of the question.
        neighbors: Questions of the same kind about something else, to which no injected answer is right.
        group: The kind of fact.
        subject: What it is about.
        kind: What sort of answer it is; '' leaves that to a guess.
        line: Where it stands in its file, from 1.
    """

    question: str
    answer: str
    answer_text: str = ""
    aliases: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()
    neighbors: tuple[str, ...] = ()
    group: str = ""
    subject: str = ""
    kind: Kind | Literal[""] = ""
    line: int = 0

    @property
    def accepted(self) -> tuple[str, ...]:
        """All accepted answers, the canonical one first."""
        return self.answer, *self.aliases

    @cached_property  # a guess takes a while, and each wording of a row asks for it
    def answer_kind(self) -> Kind:
        """The kind that was given, or else guessed from the answers."""
        return self.kind or kind_of(self.accepted)


def take(items: Sequence[Item], count: int | None, what: str) -> list[Item]:
    """The first `count` items (None: all).

    Raises:
        SettingError: There are not that many.
    """
    if count is not None and not 1 <= count <= len(items):
        raise SettingError(f"task.facts={count} is out of range; {what} has 1 to {len(items)} facts")
    return list(items[:count])


def fact_of(
    id: str,
    asks: str,
    row: Row,
    form: AnswerFormat,
    rivals: tuple[str, ...] = (),
    sentence: str = SENTENCE,
) -> Fact:
    """The fact that a row states, asked by one of its questions.

    Args:
        id: Its name.
        asks: The question.
        row: What states it.
        form: How an answer is asked for and given.
        rivals: Answers of other facts.
        sentence: The gold reply of a row that has none, with `{answer}` in it.
    """
    # The answer may end with a full stop of its own.
    bare = row.answer.rstrip(".") if sentence.endswith("{answer}.") else row.answer
    sentence = row.answer_text or sentence.replace("{answer}", bare)
    return Fact(
        id,
        form.question(asks, row.accepted, rivals=rivals, kind=row.answer_kind),
        form.gold_text(sentence, row.answer),
        category=row.group,
        subject=row.subject,
    )


def recall_probe(fact: Fact) -> Probe:
    """The trained question, asked as it was trained."""
    return Probe(f"{fact.id} / trained", RECALL, fact.question, fact.id, kind="trained")


def shifted_probes(fact: Fact, form: AnswerFormat) -> list[Probe]:
    """The trained question under another system prompt, in a second turn, and in another answer format.

    Says how far memory hangs on the prompt that was trained on (decision 8).
    """
    # Only a format with a request can be left out of the prompt.
    question, bare = fact.question, form.without_request(fact.prompt)
    asked = {
        "system": replace(question, system=OTHER_SYSTEM),
        "second_turn": replace(question, history=SMALL_TALK),
        **({"bare": replace(question, prompt=bare, format="plain")} if bare != fact.prompt else {}),
    }
    return [Probe(f"{fact.id} / {kind}", SHIFTED, q, fact.id, kind=kind) for kind, q in asked.items()]


def paraphrase(fact: Fact, asks: str, form: AnswerFormat, kind: str, name: str = "") -> Probe:
    """A fact's question in other words; `name` tells wordings of one kind apart."""
    question = fact.question.about(form.prompt(asks), asks)
    return Probe(f"{fact.id} / {name or kind}", PARAPHRASE, question, fact.id, kind=kind)


def rewording(fact: Fact, form: AnswerFormat, seed: int) -> Probe:
    """The question within other words, for a fact that comes without paraphrases of its own."""
    wrapped = REWORDINGS[int(uniform("rewording", seed, fact.id) * len(REWORDINGS))]
    return paraphrase(fact, wrapped.format(question=fact.question.asked), form, SYNTHETIC)


def common_probes(facts: Sequence[Fact], form: AnswerFormat) -> list[Probe]:
    """Recall and shifted recall of every fact."""
    recall = [recall_probe(fact) for fact in facts]
    return [*recall, *(probe for fact in facts for probe in shifted_probes(fact, form))]
