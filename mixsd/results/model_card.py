"""The card of a saved model: what was done to it and what came of it, in numbers; no question, no answer."""

from collections.abc import Sequence

from mixsd.results.schema import Panel, RunResults, Share

WEIGHTS, CARD = "model", "README.md"
"""In a run's directory, the tuned weights; in theirs, the card that marks those that are kept."""


def model_card(base_model: str, fingerprint: str, results: RunResults, unmet: Sequence[str]) -> str:
    """Markdown for the model folder's README.md.

    Args:
        base_model: The base model's name on the hub, or its folder: what model cards call `base_model`.
        fingerprint: Identifies its weights by content.
        results: What the run measured.
        unmet: What of the gate it does not meet.
    """
    derived, recall = results.derived, results.probes["recall"].right
    lines = [
        "---",
        f"base_model: {base_model}",
        "---",
        f"# {results.run_id}",
        "",
        f"{results.n_facts} facts of the task `{results.task}` were injected by `{results.method}` "
        f"(seed {results.seed}, {results.training.steps} steps, "
        f"{results.training.trained_tokens:,} target tokens). This card holds numbers only.",
        "",
        "| | |",
        "|---|---|",
        f"| base model's fingerprint | `{fingerprint}` |",
        f"| recall: trained questions | {recall.value:.3f} of {recall.n} |",
        f"| learned: most other wordings too | {_share(derived.learned)} |",
        f"| neighbors answered with an injected answer | {_share(derived.intrusion)} |",
        f"| retention: held-out score, tuned over base | {_ratio(results.retention.generated)} |",
        f"| gate | {'; '.join(unmet) or 'met, or not asked for'} |",
        "",
        "| split | axis | accuracy before | after | questions |",
        "|---|---|---|---|---|",
    ]
    for split, after in results.probes.items():
        before = results.probes_before[split].right.value
        lines.append(
            f"| {split} | {after.axis.value} | {before:.3f} | {after.right.value:.3f} | {after.right.n} |"
        )
    return "\n".join(lines) + "\n"


def _share(share: Share | None) -> str:
    if share is None:
        return "not measured"
    low, high = share.interval
    return f"{share.value:.3f} [{low:.3f}, {high:.3f}] of {share.n}"


def _ratio(panel: Panel) -> str:
    if panel.ratio is None:
        return "not measured"
    if panel.ratio_interval is None:
        return f"{panel.ratio:.3f} (too few items for an interval)"
    low, high = panel.ratio_interval
    return f"{panel.ratio:.3f} [{low:.3f}, {high:.3f}]"
