"""Ready targets from a file: our own `examples.jsonl`, or chat messages as the paper's release stores them.

Chat messages hold text, not token ids, so what is trained on is tokenised anew; rows whose text does not
come back from their own ids are counted.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mixsd.core.errors import DataError
from mixsd.core.files import File
from mixsd.core.questions import Fact
from mixsd.lm.batches import UNKNOWN, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation


def check_targets(file: File) -> None:
    """Look through a file of targets; it needs no model.

    Raises:
        DataError: It cannot be read, or a line is of neither kind.
    """
    for number, record in _records(file):
        if "messages" in record:
            _turns(file, number, record)


def read_targets(file: File, facts: Sequence[Fact], model: ChatModel) -> Preparation:
    """Examples from a file, in the order of the facts; facts that the file lacks are dropped.

    Raises:
        DataError: The file cannot be read; a line is of neither kind, or was made for another prompt or
            another model. The line number is named.
    """
    by_prompt = {fact.prompt: fact for fact in facts}
    by_id = {fact.id: fact for fact in facts}
    found: dict[str, Example] = {}
    foreign = changed = 0
    records = _records(file)
    for number, record in records:
        if "messages" in record:
            prompt, reply = _turns(file, number, record)
            fact = by_prompt.get(prompt)
            # Matched by its prompt: chat messages carry no fact id.
            example = _tokenised(fact.id if fact else f"row {number}", prompt, reply, model)
            changed += model.text(example.target_ids) != reply.strip()
        else:
            example = _own_example(file, number, record, model)
            fact = by_id.get(example.fact_id)
            # Token ids are trained on as they are, so they must be those of the prompt that probes will ask.
            if fact and example.prompt_ids != model.prompt_ids(fact.prompt):
                raise DataError(
                    f"{file}:{number}: the prompt of {fact.id} is not the one of this run; the file was made "
                    "with another answer format, chat template or task: use their settings, or make it anew"
                )
        foreign += fact is None
        if example.fact_id in found:
            raise DataError(f"{file}:{number} is a second target of {example.fact_id}; keep one")
        found[example.fact_id] = example
    order = {fact.id: place for place, fact in enumerate(facts)}
    examples = sorted(found.values(), key=lambda e: (order.get(e.fact_id, len(order)), e.fact_id))
    dropped = {fact.id: "not in the file" for fact in facts if fact.id not in found}
    rows = len(records)
    report = {
        "rows": rows,
        "rows_of_no_fact": foreign,
        "rows_that_do_not_round_trip": changed / rows if rows else 0.0,
    }
    return Preparation(examples, dropped, report)


def _records(file: File) -> list[tuple[int, Mapping[str, Any]]]:
    """(line, record) of every line that holds one."""
    try:
        text = file.path.read_text(encoding="utf-8-sig")  # a U+FEFF at the start is no part of the text
    except OSError as error:
        raise DataError(
            f"{file.setting}={file} cannot be read ({error.strerror}); "
            "give an examples.jsonl or a JSONL of chat messages"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.setting}={file} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    lines = text.split("\n")  # not splitlines: a reply may hold other line separators
    return [(n, _parse(file, n, line)) for n, line in enumerate(lines, start=1) if line.strip()]


def _parse(file: File, number: int, line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{number} is not JSON ({error.msg})") from error
    if not isinstance(record, dict) or not ({"messages", "target_ids"} & set(record)):
        raise DataError(f"{file}:{number} holds neither `messages` nor `target_ids`")
    return record


def _turns(file: File, number: int, record: Mapping[str, Any]) -> tuple[str, str]:
    """The user turn and the assistant turn."""
    try:
        # To unpack more or fewer than two turns is a ValueError.
        user, assistant = [turn for turn in record["messages"] if turn["role"] != "system"]
        if (user["role"], assistant["role"]) != ("user", "assistant"):
            raise ValueError
        # Adding '' is a TypeError for anything but text.
        return user["content"] + "", assistant["content"] + ""
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}:{number} needs one user and one assistant message, both text") from error


def _tokenised(fact_id: str, prompt: str, reply: str, model: ChatModel) -> Example:
    ids = model.target_ids(reply)
    return Example(fact_id, model.prompt_ids(prompt), ids, UNKNOWN * len(ids), reply)


def _own_example(file: File, number: int, record: Mapping[str, Any], model: ChatModel) -> Example:
    try:
        example = Example(
            fact_id=record["fact_id"],
            prompt_ids=tuple(record["prompt_ids"]),
            target_ids=tuple(record["target_ids"]),
            provenance=record["provenance"],
            text=record["text"],
            attempt=record["attempt"],
            masked=tuple(record.get("masked", ())),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}:{number} is no example of ours: {error} is missing or malformed") from error
    # Ids of another model's tokenizer may exist here and spell something else; the text tells.
    vocabulary = range(len(model.tokenizer))
    ids = [*example.prompt_ids, *example.target_ids]
    if not set(example.masked) <= set(range(len(example.target_ids))):
        raise DataError(f"{file}:{number}: `masked` names places that its target does not have")
    if not example.prompt_ids or not example.target_ids or any(token not in vocabulary for token in ids):
        raise DataError(f"{file}:{number} holds no token ids of this model")
    if model.text(example.target_ids) != example.text.strip():
        raise DataError(f"{file}:{number}: its ids do not spell its text; was it made with another model?")
    return example
