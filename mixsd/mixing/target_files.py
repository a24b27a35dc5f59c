"""Ready targets from a file: our own `examples.jsonl`, or chat messages as the paper's release stores them.

Chat messages hold text, not token ids, so what is trained on is tokenised anew; rows whose text does not
come back from their own ids are counted.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mixsd.core.errors import DataError
from mixsd.core.questions import Fact
from mixsd.lm.batches import UNKNOWN, Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Preparation


def file_digest(path: str) -> str:
    """A hash of a file's records, which are looked through before any model is loaded.

    Raises:
        DataError: It cannot be read, or a line is of neither kind.
    """
    records = _records(path)
    for number, record in records:
        if "messages" in record:
            _turns(path, number, record)
    return blake2b(json.dumps(records).encode(), digest_size=8).hexdigest()


def read_targets(path: str, facts: Sequence[Fact], model: ChatModel) -> Preparation:
    """Examples from a file, in the order of the facts; facts that the file lacks are dropped.

    Raises:
        DataError: The file cannot be read, or a line is of neither kind; the line number is named.
    """
    by_prompt = {fact.prompt: fact for fact in facts}
    found: dict[str, Example] = {}
    foreign = changed = 0
    records = _records(path)
    for number, record in records:
        if "messages" in record:
            prompt, reply = _turns(path, number, record)
            fact = by_prompt.get(prompt)
            example = _tokenised(fact.id if fact else f"row {number}", prompt, reply, model)
            changed += model.text(example.target_ids) != reply.strip()
        else:
            example = _own_example(path, number, record, model)
            fact = next((fact for fact in facts if fact.id == example.fact_id), None)
        foreign += fact is None
        if example.fact_id in found:
            raise DataError(f"{path}:{number} is a second target of {example.fact_id}; keep one")
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


def _records(path: str) -> list[tuple[int, Mapping[str, Any]]]:
    """(line, record) of every line that holds one."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"method.targets={path} cannot be read ({error.strerror}); "
            "give an examples.jsonl or a JSONL of chat messages"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"method.targets={path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    lines = text.split("\n")  # not splitlines: a reply may hold other line separators
    return [(n, _parse(path, n, line)) for n, line in enumerate(lines, start=1) if line.strip()]


def _parse(path: str, number: int, line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{number} is not JSON ({error.msg})") from error
    if not isinstance(record, dict) or not ({"messages", "target_ids"} & set(record)):
        raise DataError(f"{path}:{number} holds neither `messages` nor `target_ids`")
    return record


def _turns(path: str, number: int, record: Mapping[str, Any]) -> tuple[str, str]:
    """The user turn and the assistant turn."""
    try:
        user, assistant = [turn for turn in record["messages"] if turn["role"] != "system"]
        if (user["role"], assistant["role"]) != ("user", "assistant"):
            raise ValueError
        return user["content"] + "", assistant["content"] + ""
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}:{number} needs one user and one assistant message, both text") from error


def _tokenised(fact_id: str, prompt: str, reply: str, model: ChatModel) -> Example:
    ids = model.target_ids(reply)
    return Example(fact_id, model.prompt_ids(prompt), ids, UNKNOWN * len(ids), reply)


def _own_example(path: str, number: int, record: Mapping[str, Any], model: ChatModel) -> Example:
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
        raise DataError(f"{path}:{number} is no example of ours: {error} is missing or malformed") from error
    vocabulary = range(len(model.tokenizer))
    ids = [*example.prompt_ids, *example.target_ids]
    if not example.prompt_ids or not example.target_ids or any(token not in vocabulary for token in ids):
        raise DataError(f"{path}:{number} holds no token ids of this model")
    if model.text(example.target_ids) != example.text.strip():
        raise DataError(f"{path}:{number}: its ids do not spell its text; was it made with another model?")
    return example
