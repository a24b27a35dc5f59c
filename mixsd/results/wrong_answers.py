"""Why a held-out answer is wrong: format, leakage, collapse, or a genuine mistake.

The first that fits counts. Leakage names trained content that the prompt does not hold; collapse is the
bare answer where reasoning was asked for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from mixsd.core.names import Names, stands_in
from mixsd.core.questions import Fact, Outcome
from mixsd.core.scores import ItemScore
from mixsd.results.schema import Breakdown

FORMAT, LEAKAGE, COLLAPSE, GENUINE = "format", "leakage", "collapse", "genuine"
KINDS = (FORMAT, LEAKAGE, COLLAPSE, GENUINE)
ASKS_TO_REASON = ("step by step", "show your work", "show the steps", "explain your reasoning")
BARE_CHARACTERS, BARE_LINES = 80, 4
"""A bare answer has at most this much besides it."""
SHOWN_LEAKS = 10


class Trained:
    """What a run trained: the strings that have no business in an unrelated answer.

    Args:
        facts: The trained facts; answers without a letter (numbers) are no evidence of a leak.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._names = Names(answer for fact in facts for answer in fact.answers)

    def named(self, text: str, prompt: str) -> list[str]:
        """Trained answers in a text that its prompt does not hold."""
        return [name for name in self._names.found_in(text) if not stands_in(name, prompt)]


def classify(item: ItemScore, trained: Trained) -> str:
    """The kind of a wrong answer."""
    if item.outcome in (Outcome.UNPARSABLE, Outcome.TRUNCATED):
        return FORMAT
    if trained.named(item.text, item.prompt):
        return LEAKAGE
    asked = any(phrase in item.prompt.casefold() for phrase in ASKS_TO_REASON)
    text = item.text.strip()
    bare = len(text) - _answer_length(item) <= BARE_CHARACTERS and text.count("\n") <= BARE_LINES
    return COLLAPSE if asked and bare else GENUINE


def breakdown(items: Sequence[ItemScore], trained: Trained) -> Breakdown:
    """How the wrong answers of one task fall, and how often any answer names what was trained."""
    errors = Counter(classify(item, trained) for item in items if item.outcome is not Outcome.CORRECT)
    named = [trained.named(item.text, item.prompt) for item in items]
    leaked = Counter(name for names in named for name in names)
    return Breakdown(
        errors={kind: errors[kind] for kind in KINDS},
        intrusion_rate=sum(map(bool, named)) / len(items) if items else None,
        leaked=dict(leaked.most_common(SHOWN_LEAKS)),
    )


def _answer_length(item: ItemScore) -> int:
    """Of what was read as the answer, where that is known: a gold answer may be a whole rationale."""
    if item.extracted:
        return len(item.extracted)
    return max((len(answer) for answer in item.answers), default=0)
