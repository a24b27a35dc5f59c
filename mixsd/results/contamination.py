"""Which held-out documents a task's facts give away, or are nearly asked by them (decision 9)."""

import re
from collections.abc import Mapping, Sequence

from mixsd.core.names import Names
from mixsd.core.questions import Fact
from mixsd.core.scores import ItemScore

NEARLY = 0.8
"""Questions are near-duplicates from this share of common words, of all words that either has."""
_WORD = re.compile(r"\w+")


def contaminated(facts: Sequence[Fact], documents: Mapping[str, Sequence[ItemScore]]) -> dict[str, set[int]]:
    """Documents that name a subject, question or answer of a fact, or nearly ask a fact's question.

    Args:
        facts: The task's facts.
        documents: By held-out task. Of a document with worked examples only its own question counts.

    Returns:
        doc_ids by task.
    """
    names = Names(name for fact in facts for name in (*fact.answers, fact.subject, fact.question.asked))
    asked = [_words(fact.question.asked) for fact in facts]
    found: dict[str, set[int]] = {}
    for task, items in documents.items():
        found[task] = set()
        for item in items:
            # Worked examples stand before every question of a task: they would give all of it away.
            question = item.question or item.prompt
            text = " ".join([question, *item.answers])
            if names.found_in(text) or _nearly(_words(question), asked):
                found[task].add(item.doc_id)
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _nearly(prompt: frozenset[str], questions: Sequence[frozenset[str]]) -> bool:
    return any(len(prompt & q) >= NEARLY * len(prompt | q) for q in questions if q)
