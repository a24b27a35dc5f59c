"""Which held-out documents a task's facts give away, or are nearly asked by them (decision 9)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mixsd.core.names import Names
from mixsd.core.questions import Fact

NEARLY = 0.8
"""Questions are near-duplicates from this share of common words, of all words that either has."""
_WORD = re.compile(r"\w+")


def contaminated(
    facts: Sequence[Fact], documents: Mapping[str, Sequence[Mapping[str, object]]]
) -> dict[str, set[int]]:
    """Documents that name a subject, question or answer of a fact, or nearly ask a fact's question.

    Args:
        facts: The trained facts.
        documents: By held-out task: doc_id, prompt and answers of each document, and its question where the
            prompt holds more, such as worked examples.

    Returns:
        doc_ids by task.
    """
    names = Names(name for fact in facts for name in (*fact.answers, fact.subject, fact.question))
    asked = [_words(fact.question) for fact in facts]
    found: dict[str, set[int]] = {}
    for task, items in documents.items():
        found[task] = set()
        for item in items:
            prompt, answers = str(item.get("question", item["prompt"])), item["answers"]
            assert isinstance(answers, Iterable)
            text = " ".join([prompt, *map(str, answers)])
            if names.found_in(text) or _nearly(_words(prompt), asked):
                found[task].add(int(str(item["doc_id"])))
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _nearly(prompt: frozenset[str], questions: Sequence[frozenset[str]]) -> bool:
    return any(len(prompt & q) >= NEARLY * len(prompt | q) for q in questions if q)
