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
            question, answer = _turns(column, record[column])
            others = {key: value for key, value in record.items() if key != column}
            return {
                "question": question,
                "answer": answer,
                **others,
            }, f"{column} is read as question and answer"
    renamed, told = dict(record), []
    for own, names in NAMES.items():
        name = next((name for name in names if name in record), None)
        if own not in record and name:
            renamed[own] = renamed.pop(name)
            told.append(f"{name} is read as {own}")
    if "question" not in record and "question" in renamed and (more := renamed.pop(INPUT, None)):
        renamed["question"] = f"{renamed['question']}\n{more}"
        told.append(f"{INPUT} as its second part")
    return renamed, ", ".join(told)


def _turns(column: str, chat: Any) -> tuple[str, str]:
    if not isinstance(chat, list) or not all(isinstance(turn, Mapping) for turn in chat):
        raise ValueError(f"{column} is no list of turns")
    turns = [
        (_ROLES.get(str(turn.get("role", turn.get("from")))), turn.get("content", turn.get("value")))
        for turn in chat
    ]
    said = [(role, text) for role, text in turns if role != "system"]
    if [role for role, _ in said] != ["user", "assistant"]:
        raise ValueError(f"{column} is no question with its answer (one turn of user and one of assistant)")
    return str(said[0][1]), str(said[1][1])
