"""Other layouts as questions and answers: Alpaca, ShareGPT, `messages`, prompt and completion."""

from collections.abc import Mapping
from typing import Any

NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("instruction", "prompt"),
    "answer": ("output", "response", "completion"),
}
"""What other layouts call our columns."""
INPUT = "input"
"""Alpaca's further text of a question."""
CHATS = ("messages", "conversations")
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def as_row(record: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A record with `question` and `answer`, and what was read as these ('' where they stand there already).

    Raises:
        ValueError: A chat is none of one question and one answer.
    """
    for column in CHATS:
        if column in record and "question" not in record:
            question, answer, system = _turns(column, record[column])
            others = {key: value for key, value in record.items() if key != column}
            more = ", without its system turn" if system else ""
            told = f"{column} is read as question and answer{more}"
            return {"question": question, "answer": answer, **others}, told
    renamed, read = dict(record), []
    for own, names in NAMES.items():
        name = next((name for name in names if name in record), None)
        if own not in record and name:
            renamed[own] = renamed.pop(name)
            read.append(f"{name} is read as {own}")
    if "question" not in record and "question" in renamed and (more := renamed.pop(INPUT, None)):
        renamed["question"] = "\n".join(str(part) for part in (renamed["question"], more) if part)
        read.append(f"{INPUT} as its second part")
    return renamed, ", ".join(read)


def _turns(column: str, chat: Any) -> tuple[str, str, bool]:
    """Question and answer of a chat, and whether it has a system turn."""
    if not isinstance(chat, list) or not all(isinstance(turn, Mapping) for turn in chat):
        raise ValueError(f"{column} is no list of turns")
    turns = [
        (_ROLES.get(str(turn.get("role", turn.get("from")))), turn.get("content", turn.get("value")))
        for turn in chat
    ]
    said = [(role, text) for role, text in turns if role != "system"]
    if [role for role, _ in said] != ["user", "assistant"]:
        raise ValueError(f"{column} is no question with its answer (one turn of user and one of assistant)")
    question, answer = (_text(column, content) for _, content in said)
    return question, answer, len(said) < len(turns)


def _text(column: str, content: Any) -> str:
    """The content of a turn: text, or parts of it."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{column} holds a turn that is no text")
    return "\n".join(map(str, texts))
