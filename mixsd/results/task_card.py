"""The card of a task's data: sizes, hash, licence, what is disjoint, samples, what the base model knows."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mixsd.core.questions import RECALL, Probe
from mixsd.core.store import content_hash
from mixsd.lm import load as models
from mixsd.results.build import overlap
from mixsd.run.config import RunConfig
from mixsd.run.measure import Scorer
from mixsd.run.probing import accuracy
from mixsd.run.workbench import Bench

SAMPLES = 2
SHOWN_KINDS = 8


def dataset_card(config: RunConfig, overrides: Sequence[str]) -> str:
    """Markdown; asks the base model all probes, or takes its answers from the cache.

    Args:
        config: Brings task, base model and held-out suite.
        overrides: What it was composed from, so that the card can be made again.
    """
    task = config.task
    model = models.load(config.model, config.cache_dir)
    base = Scorer(config, Bench(config)).base(model)
    splits: dict[str, list[Probe]] = {}
    for probe in task.probes:
        splits.setdefault(probe.split, []).append(probe)
    skipped = {name: len(found) for name, found in overlap(config, base).items()}
    data = [asdict(item) for item in [*task.facts, *task.probes]]
    lines = [
        f"# {task.name}",
        "",
        task.about,
        "",
        f"- {len(task.facts)} facts, {len(task.probes)} probes; seed {config.seed}; "
        f"content hash `{content_hash(data)}`",
        f"- made by `{shlex.join(['python', '-m', 'mixsd', 'card', *overrides])}`",
        f"- base model: {config.model.name}, greedy, at most {task.max_new_tokens} tokens",
        f"- {_disjoint(splits)}",
        f"- held-out documents left out because a fact gives them away: {_counts(skipped)}",
        "",
        "| split | axis | probes | by kind | base accuracy |",
        "|---|---|---|---|---|",
    ]
    for split, probes in splits.items():
        axis, right = task.axis(split).value, accuracy(base.probes[split])
        lines.append(f"| {split} | {axis} | {len(probes)} | {_kinds(probes)} | {right:.3f} |")
    if config.tracking.log_text:
        lines += ["", "## Samples", "", *_samples(splits)]
    return "\n".join(lines) + "\n"


def _disjoint(splits: Mapping[str, Sequence[Probe]]) -> str:
    """Which splits ask a trained prompt again, counted rather than assumed."""
    trained = {probe.prompt for probe in splits[RECALL]}
    shared = {
        split: sum(p.prompt in trained and not p.system and not p.earlier for p in probes)
        for split, probes in splits.items()
        if split != RECALL
    }
    again = {split: count for split, count in shared.items() if count}
    if again:
        return f"prompts that are asked exactly as trained: {_counts(again)}"
    return "no probe outside `recall` asks a prompt exactly as it is trained (compared one by one)"


def _kinds(probes: Sequence[Probe]) -> str:
    counts = Counter(probe.kind for probe in probes if probe.kind)
    return _counts(counts) if 0 < len(counts) <= SHOWN_KINDS else f"{len(counts)} kinds" if counts else ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _samples(splits: Mapping[str, Sequence[Probe]]) -> list[str]:
    lines = []
    for split, probes in splits.items():
        for probe in probes[:SAMPLES]:
            answers = " / ".join(probe.answers[:3]) or "(no injected answer)"
            lines += [f"**{split}** -> {answers}", "", "```", probe.prompt, "```", ""]
    return lines
