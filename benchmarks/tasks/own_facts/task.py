"""Your own facts from a CSV, JSON Lines or Parquet file: policies, product data, anything with an answer.

Whether a fact was learned is never judged by its trained question alone: its paraphrases are asked too, or,
where the file has none, wordings around the question (marked `synthetic`); and neighbors, questions of the
same kind about something else, must not be answered with an injected answer.
"""

import calendar
import re
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.tasks.own_facts.rows import asked_twice, read_rows, refuse
from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import (
    SENTENCE,
    SYNTHETIC,
    Row,
    common_probes,
    fact_of,
    paraphrase,
    rewording,
    take,
)
from mixsd.core.draws import shuffled, uniform
from mixsd.core.errors import SettingError, at_least, within
from mixsd.core.files import File
from mixsd.core.formats import find_format
from mixsd.core.grading import grade, named
from mixsd.core.kinds import misfit
from mixsd.core.questions import NEIGHBORS, Axis, Fact, Kind, Outcome, Probe
from mixsd.core.store import content_hash
from mixsd.core.words import question_key, words

ABOUT = "Facts of a file of the user's own; its licence is theirs to know."
AXES = {**COMMON, NEIGHBORS: Axis.RETENTION}
STAND_INS = ("Zanbrook", "Orvelle", "Tamriston", "Quillhaven", "Brenvora")
"""Names of nothing, for neighbors made from a question."""
SMALL_WORDS = frozenset({"i", "yes", "no", "none", "true", "false"}) | frozenset(
    name.casefold() for name in (*calendar.month_name, *calendar.day_name) if name
)
"""Capitalised words that are no names, and answers that tell nothing when an unrelated reply holds them."""
NO_RIVALS: tuple[Kind, ...] = ("yes_no", "choice")
"""Kinds of answers of which no other fact's answer is a rival."""
_NAME = re.compile(r"(?<!^)(?<![.!?]\s)\b[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)*")


class OwnFacts:
    """Facts of a user's file.

    Args:
        path: The file: .csv, .tsv, .jsonl, .json or .parquet.
        name: The task's name in run ids.
        facts: Take the first so many rows (None: all).
        held_out: Share of each row's paraphrases that is asked and never trained; the others are trained
            as further questions.
        answer_sentence: The reply that is trained for a row without `answer_text`; it holds `{answer}`.
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws which paraphrases are held out, and wordings.

    Raises:
        SettingError: A setting is out of range.
        DataError: The file cannot be read or rows are broken; the lines are named.
    """

    def __init__(
        self,
        path: File,
        name: str = "own_facts",
        facts: int | None = None,
        held_out: float = 1.0,
        answer_sentence: str = SENTENCE,
        answer_format: str = "plain",
        max_new_tokens: int = 64,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.about = ABOUT
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        within("task.held_out", held_out, 0, 1)
        if "{answer}" not in answer_sentence:
            raise SettingError(
                f"task.answer_sentence={answer_sentence} does not hold the answer; write it with "
                f"{{answer}}, such as "
                f"'{SENTENCE}'"
            )
        self._format = find_format(answer_format)
        self.axes = AXES
        read, told = read_rows(path.path)
        rows = take(read, facts, str(path))
        answers = {answer for row in rows if row.answer_kind not in NO_RIVALS for answer in row.accepted}
        # One tuple for all questions: every other fact's answer is a rival. Yes and no are none, nor letters
        # of choices: they stand in many a right reply.
        self._rivals = tuple(sorted(answer for answer in answers if misfit("yes_no", (answer,))))
        # For neighbors: an unrelated reply may well say `May` or `none`.
        self._telling = tuple(a for a in self._rivals if not set(words(a)) <= SMALL_WORDS)
        lines = {answer: row.line for row in reversed(rows) for answer in row.accepted}
        self.notes: list[str] = list(told)
        problems: list[str] = []
        self.facts: list[Fact] = []
        others: list[Probe] = []
        row_of: dict[str, str] = {}
        for row in rows:
            trained, held = _split(row, held_out, seed)
            name = _name(row)
            rivals = self._rivals_of(row, answer_sentence, lines, problems)
            made = [
                fact_of(f"{name} / {n}" if n else name, asks, row, self._format, rivals, answer_sentence)
                for n, asks in enumerate([row.question, *trained])
            ]
            row_of |= {fact.id: name for fact in made}
            self.facts += made
            others += [
                paraphrase(made[0], text, self._format, "given", str(n)) for n, text in enumerate(held)
            ]
            if not held:
                others.append(rewording(made[0], self._format, seed))
            others += self._neighbors(row, made[0], seed)
        # Wordings of one row stand and fall together, trained ones too.
        common = common_probes(self.facts, self._format)
        self.probes = [*(replace(probe, unit=row_of[probe.fact_id]) for probe in common), *others]
        refuse(path.path, [*problems, *asked_twice(rows)])

    def _rivals_of(
        self, row: Row, sentence: str, lines: Mapping[str, int], problems: list[str]
    ) -> tuple[str, ...]:
        """What is a second answer to a row's question: other rows' answers that its own reply does not name.

        A reply that does not count as its own answer is a problem; one that counts but for another row's
        answer is kept, and the user is told.
        """
        fact = fact_of("", row.question, row, self._format, self._rivals, sentence)
        if _counts(fact):
            return self._rivals
        others = _others_named(fact)
        rivals = tuple(rival for rival in self._rivals if rival not in others)
        shown = ", ".join(f"{other[:40]!r} (line {lines.get(other, 0)})" for other in others)
        if others and _counts(fact_of("", row.question, row, self._format, rivals, sentence)):
            self.notes.append(
                f"line {row.line}: its reply also names the answer {shown}, which is no second answer here"
            )
            return rivals
        problems.append(
            f"line {row.line}: the reply {fact.gold_text[:60]!r} does not count as the answer "
            f"{row.answer[:40]!r}" + (f"; it names {shown} too" if others else "")
        )
        return self._rivals

    def _neighbors(self, row: Row, fact: Fact, seed: int) -> list[Probe]:
        """Given neighbors, or the question about a name of nothing (where it names something).

        They have no accepted answer: a reply is right as long as it names no injected one.
        """
        given = {f"given {n}": question for n, question in enumerate(row.neighbors)}
        if not given:
            stand_in = STAND_INS[int(uniform("stand-in", seed, row.question) * len(STAND_INS))]
            made = _with_stand_in(row.question, stand_in)
            given = {SYNTHETIC: made} if made != row.question else {}
        return [
            Probe(
                f"{fact.id} / neighbor {kind}",
                NEIGHBORS,
                self._format.question(asks, (), rivals=self._telling),
                unit=fact.id,
                kind=kind.split()[0],
            )
            for kind, asks in given.items()
        ]


def _counts(fact: Fact) -> bool:
    return grade(fact.gold_text, fact.question, ended=True).outcome is Outcome.CORRECT


def _others_named(fact: Fact) -> list[str]:
    """Answers of other facts that a fact's own reply names."""
    own = {words(answer) for answer in fact.answers}
    left = tuple(rival for rival in fact.question.rivals if words(rival) not in own)
    found: list[str] = []
    while other := named(fact.gold_text, left, fact.prompt):
        found.append(other)
        left = tuple(rival for rival in left if words(rival) != words(other))
    return found


def _name(row: Row) -> str:
    """A row's name, by content: rows put in above it change neither its coins nor its place in an order."""
    return f"fact {content_hash([question_key(row.question), question_key(row.answer)])}"


def _split(row: Row, held_out: float, seed: int) -> tuple[list[str], list[str]]:
    """Paraphrases to train and to hold out; at least one is held out where a share is asked for."""
    drawn = shuffled(dict.fromkeys(row.paraphrases), "held out", seed, row.question)
    count = max(1, round(held_out * len(drawn))) if held_out and drawn else 0
    return drawn[count:], drawn[:count]


def _with_stand_in(question: str, stand_in: str) -> str:
    """The question about a name of nothing in the place of its first name; itself where it has no name."""
    for name in _NAME.finditer(question):
        if not set(words(name.group())) <= SMALL_WORDS:
            return question[: name.start()] + stand_in + question[name.end() :]
    return question
