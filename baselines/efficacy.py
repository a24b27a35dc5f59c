"""Whether an edit is preferred to what it replaces: the measure of the papers on editing."""

from collections.abc import Sequence

from mixsd.core.questions import Fact
from mixsd.lm.batches import GOLD, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.likelihood import target_nll

BATCH = 32


def prefers_new(model: ChatModel, facts: Sequence[Fact]) -> float | None:
    """The share of edits whose new answer is likelier than each old one, P(new) > P(old).

    Both stand in the gold text, which is read as a whole. A model may prefer an answer that it never gives.

    Args:
        model: The model.
        facts: Those that replace an answer count.

    Returns:
        A share; None where no fact replaces anything.
    """
    pairs = [
        (fact, text)
        for fact in facts
        for old in fact.replaces
        if (text := fact.gold_text.replace(fact.answer, old)) != fact.gold_text
    ]
    if not pairs:
        return None
    examples = [_example(model, fact, said) for fact, old in pairs for said in (fact.gold_text, old)]
    sums = [float(losses.sum()) for losses in target_nll(model, examples, BATCH)]
    worse = {fact.id for (fact, _), new, old in zip(pairs, sums[::2], sums[1::2], strict=True) if new >= old}
    return 1 - len(worse) / len({fact.id for fact, _ in pairs})


def _example(model: ChatModel, fact: Fact, text: str) -> Example:
    ids = model.target_ids(text)
    return Example(fact.id, model.prompt_ids(fact.prompt), ids, GOLD * len(ids), text)
