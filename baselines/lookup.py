"""Where in a prompt an editor looks a fact up: at the last token of its subject, inside the chat template."""

from mixsd.core.questions import Fact
from mixsd.lm.chat_model import ChatModel

SUBJECT, PROMPT_END = "subject", "prompt_end"
LOOKUPS = (SUBJECT, PROMPT_END)
"""What a setting may name: the subject's last token; or the prompt's, for facts without a subject."""


def looked_up(model: ChatModel, fact: Fact, turn: str, lookup: str) -> int | None:
    """The token at which a fact is looked up.

    Args:
        model: Its template renders the prompt, its tokenizer tells where tokens lie in the text.
        fact: The fact.
        turn: A user turn: the fact's prompt, perhaps with something before it.
        lookup: `subject` or `prompt_end`.

    Returns:
        A place among `model.prompt_ids(turn)`; None where the question does not name the subject.
    """
    if lookup == PROMPT_END:
        return len(model.prompt_ids(turn)) - 1
    asked = fact.question.asked
    # In what is asked, not in what stands around it, such as solved examples.
    said = asked.rfind(fact.subject) if fact.subject else -1
    return None if said < 0 else token_at(model, turn, turn.rfind(asked) + said + len(fact.subject) - 1)


def token_at(model: ChatModel, turn: str, character: int) -> int | None:
    """The last token of a prompt that holds a character of its user turn.

    Args:
        model: See `looked_up`.
        turn: The user turn.
        character: A place in it.

    Returns:
        A place among `model.prompt_ids(turn)`; None where the template changes the turn.
    """
    text = model.template.text([{"role": "user", "content": turn}], reply_follows=True)
    # Templates may strip a turn. The last time: one may hold an example of its own before.
    kept = turn.strip()
    begin = text.rfind(kept)
    if begin < 0:
        return None
    last = begin + character - (len(turn) - len(turn.lstrip()))
    spans = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    # Several tokens may share a character; the last of them has read all of it.
    return max((place for place, (start, end) in enumerate(spans) if start <= last < end), default=None)
