"""Ask the probes by free generation and grade the answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mixsd.core.questions import Outcome, Probe, Task
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.generate import generate
from mixsd.results.stats import proportion_interval

Record = dict[str, Any]


def ask(
    model: ChatModel,
    task: Task,
    probes: Sequence[Probe],
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Record]:
    """Ask probes and grade what comes back.

    Args:
        model: The model, in the dtype it is to be scored in.
        task: Brings grader and token budget.
        probes: What to ask.
        batch_size: Rows a batch.
        on_done: Told how many more probes are answered.

    Returns:
        One record per probe, in order: id, kind, fact_id, prompt, answers, text, extracted, outcome,
        tokens, prompt_tokens, and strict where the task has such a rule.
    """
    prompts = [model.prompt_ids(p.prompt, p.system, p.earlier) for p in probes]
    completions = generate(
        model,
        prompts,
        max_new_tokens=task.max_new_tokens,
        batch_size=batch_size,
        on_done=on_done,
    )
    records = []
    for probe, prompt, done in zip(probes, prompts, completions, strict=True):
        verdict = task.grade(done.text, probe.answers, prompt=probe.prompt, truncated=done.truncated)
        records.append(
            {
                "id": probe.id,
                "kind": probe.kind,
                "fact_id": probe.fact_id,
                "prompt": probe.prompt,
                "answers": list(probe.answers),
                "text": done.text,
                "extracted": verdict.extracted,
                "outcome": verdict.outcome.value,
                "tokens": done.tokens,
                "prompt_tokens": len(prompt),
                **({} if verdict.strict is None else {"strict": verdict.strict}),
            }
        )
    return records


def accuracy(records: Sequence[Record]) -> float:
    """The share of correct records."""
    return sum(map(is_correct, records)) / len(records)


def is_correct(record: Record) -> bool:
    """Whether the answer counts as right."""
    return record["outcome"] == Outcome.CORRECT


def share(records: Sequence[Record], counted: Callable[[Record], bool] = is_correct) -> dict[str, Any] | None:
    """The share of records that count, with its 95% Wilson interval; None of no records.

    Answers about one fact are not independent, so the interval is that of as many items as there are facts.

    Returns:
        `share`, `n` records, `n_facts` they ask about, and `ci`.
    """
    if not records:
        return None
    found = sum(map(counted, records)) / len(records)
    facts = len({record["fact_id"] or record["id"].partition(" / ")[0] for record in records})
    interval = proportion_interval(found * facts, facts)
    return {"share": found, "n": len(records), "n_facts": facts, "ci": list(interval)}


def summarize(records: Sequence[Record], axis: str) -> dict[str, Any]:
    """Accuracy with its interval, size and outcomes of one split, and accuracy of each kind within it."""
    of_all = share(records)
    assert of_all is not None, "a split has probes"
    kinds = sorted({record["kind"] for record in records})
    by_kind = {kind: [r for r in records if r["kind"] == kind] for kind in kinds}
    return {
        "axis": axis,
        "accuracy": of_all["share"],
        **{key: of_all[key] for key in ("n", "n_facts", "ci")},
        **({"strict": sum(r["strict"] for r in records) / len(records)} if "strict" in records[0] else {}),
        "prompt_tokens": sum(record["prompt_tokens"] for record in records) / len(records),
        "outcomes": {o.value: Counter(r["outcome"] for r in records)[o.value] for o in Outcome},
        "by_kind": {kind: {"accuracy": accuracy(rows), "n": len(rows)} for kind, rows in by_kind.items()},
    }
