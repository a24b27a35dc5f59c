"""Question answering from rows: what `simpleqa`, `closed_book_qa` and `own_facts` share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.tasks import probes as asking
from mixsd.core.draws import uniform
from mixsd.core.grading import AnswerFormat
from mixsd.core.questions import Fact, Probe

SYNTHETIC = "synthetic"
REWORDINGS = (
    "Please answer this question: {question}",
    "I would like to know something. {question}",
    'Somebody asked me: "{question}" What should I say?',
    "Help me with this one, please. {question}",
)
"""Wordings around a question that fit any question, for facts that come without paraphrases."""


@dataclass(frozen=True)
class Row:
    """A question with its answer.

    Attributes:
        question: The question that is trained.
        answer: The short answer.
        answer_text: The whole gold reply; '' lets the task write one.
        aliases: Other accepted answers.
        paraphrases: Other wordings of the question.
        neighbors: Questions of the same kind about something else, to which no injected answer is right.
        group: The kind of fact.
        subject: What it is about.
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
    line: int = 0


def fact_of(name: str, question: str, row: Row, form: AnswerFormat) -> Fact:
    """The fact that a row states, asked by one of its questions."""
    sentence = row.answer_text or f"The answer is {row.answer.rstrip('.')}."
    return Fact(
        id=name,
        question=question,
        prompt=form.prompt(question),
        answer=row.answer,
        gold_text=form.gold_text(sentence, row.answer),
        aliases=row.aliases,
        category=row.group,
        subject=row.subject,
    )


def rewordings(fact: Fact, form: AnswerFormat, seed: int) -> list[Probe]:
    """The question within other words, for a fact that comes without paraphrases of its own."""
    wrapped = REWORDINGS[int(uniform("rewording", seed, fact.id) * len(REWORDINGS))]
    prompt = form.prompt(wrapped.format(question=fact.question))
    return [Probe(f"{fact.id} / {SYNTHETIC}", asking.PARAPHRASE, prompt, fact.answers, fact.id, SYNTHETIC)]


def paraphrases(fact: Fact, asked: Iterable[str], form: AnswerFormat) -> list[Probe]:
    """Given paraphrases of a fact's question, as probes."""
    return [
        Probe(f"{fact.id} / {number}", asking.PARAPHRASE, form.prompt(text), fact.answers, fact.id, "given")
        for number, text in enumerate(asked)
    ]


def common_probes(facts: Sequence[Fact], form: AnswerFormat) -> list[Probe]:
    """Recall and shifted recall of every fact."""
    recall = [asking.recall_probe(fact) for fact in facts]
    return [*recall, *(probe for fact in facts for probe in asking.shifted_probes(fact, form))]
