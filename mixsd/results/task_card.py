"""The card of a task's data: sizes, hash, licence, what is disjoint, samples, what the base model knows."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from mixsd.core.kinds import kind_of
from mixsd.core.questions import RECALL, Fact, Probe, Task, described
from mixsd.core.scores import Scores, accuracy
from mixsd.core.store import content_hash
from mixsd.results.contamination import contaminated

SAMPLES = 2
SHOWN_KINDS = 8


def task_card(
    task: Task,
    probes: Sequence[Probe],
    base: Scores,
    *,
    overrides: Sequence[str],
    model: str,
    seed: int,
    log_text: bool,
) -> str:
    """Markdown.

    Args:
        task: The task.
        probes: What was asked of it.
        base: What the base model scored on it.
        overrides: What it was composed from, so that the card can be made again.
        model: The base model's name.
        seed: Drew the facts.
        log_text: Whether samples of the questions are shown.
    """
    splits: dict[str, list[Probe]] = {}
    for probe in probes:
        splits.setdefault(probe.split, []).append(probe)
    overlap = contaminated(task.facts, {name: scores.items for name, scores in base.retention.items()})
    digest = content_hash(described([*task.facts, *probes]))
    lines = [
        f"# {task.name}",
        "",
        task.about,
        "",
        f"- {len(task.facts)} facts, {len(probes)} probes; seed {seed}; content hash `{digest}`",
        f"- made by `{shlex.join(['python', '-m', 'mixsd', 'card', *overrides])}`",
        f"- base model: {model}, greedy, at most {task.max_new_tokens} tokens",
        f"- kinds of answers: {_answer_kinds(task.facts)}",
        f"- {_disjoint(splits)}",
        "- held-out documents left out because a fact gives them away: "
        + _counts({name: len(found) for name, found in overlap.items()}),
        "",
        "| split | axis | probes | by kind | base accuracy |",
        "|---|---|---|---|---|",
    ]
    for split, asked in splits.items():
        axis, right = task.axes[split].value, accuracy(base.probes[split])
        lines.append(f"| {split} | {axis} | {len(asked)} | {_kinds(asked)} | {right:.3f} |")
    if log_text:
        lines += ["", "## Samples", "", *_samples(splits)]
    return "\n".join(lines) + "\n"


def _answer_kinds(facts: Sequence[Fact]) -> str:
    """How many facts want each kind of answer, and whether that is what its answers look like."""
    counts = Counter(fact.question.kind for fact in facts)
    given = sum(fact.question.kind != kind_of(fact.answers) for fact in facts)
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return f"{listed} (as guessed from the answers{f', but {given} given otherwise' if given else ''})"


def _disjoint(splits: Mapping[str, Sequence[Probe]]) -> str:
    """Which splits ask a trained prompt again, counted rather than assumed."""
    trained = {probe.question.prompt for probe in splits[RECALL]}
    again = {split: sum(_as_trained(p, trained) for p in probes) for split, probes in splits.items()}
    shared = {split: count for split, count in again.items() if count and split != RECALL}
    if shared:
        return f"prompts that are asked exactly as trained: {_counts(shared)}"
    return "no probe outside `recall` asks a prompt exactly as it is trained (compared one by one)"


def _as_trained(probe: Probe, trained: set[str]) -> bool:
    question = probe.question
    return question.prompt in trained and not question.system and not question.history


def _kinds(probes: Sequence[Probe]) -> str:
    counts = Counter(probe.kind for probe in probes if probe.kind)
    return _counts(counts) if 0 < len(counts) <= SHOWN_KINDS else f"{len(counts)} kinds" if counts else ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _samples(splits: Mapping[str, Sequence[Probe]]) -> list[str]:
    lines = []
    for split, probes in splits.items():
        for probe in probes[:SAMPLES]:
            answers = " / ".join(probe.question.accepted[:3]) or "(no injected answer)"
            kind = f" ({probe.question.kind})" if probe.question.accepted else ""
            lines += [f"**{split}** -> {answers}{kind}", "", "```", probe.question.prompt, "```", ""]
    return lines
