"""The card of a saved model: what was done to it and what came of it, in numbers; no question, no answer."""

from collections.abc import Mapping
from typing import Any

from mixsd.run.config import RunConfig


def model_card(config: RunConfig, results: Mapping[str, Any], missed: list[str]) -> str:
    """Markdown for the model folder's README.md."""
    learned, retention = results["memorization"]["learned"], results["retention"]
    recall = results["probes"]["recall"]
    lines = [
        "---",
        f"base_model: {config.model.label}",
        "---",
        f"# {config.run_id}",
        "",
        f"{results['n_facts']} facts of the task `{results['task']}` were injected by `{results['method']}` "
        f"(seed {results['seed']}, {results['training']['steps']} steps, "
        f"{results['training']['trained_tokens']:,} target tokens). This card holds numbers only.",
        "",
        "| | |",
        "|---|---|",
        f"| base model's fingerprint | `{config.model_fingerprint}` |",
        f"| recall: trained questions | {recall['accuracy']:.3f} of {recall['n']} |",
        f"| learned: most other wordings too | {_share(learned)} |",
        f"| neighbors answered with an injected answer | {_share(results['memorization']['intrusion'])} |",
        f"| retention: held-out score, tuned over base | {_ratio(retention)} |",
        f"| gate | {'; '.join(missed) or 'met, or not asked for'} |",
        "",
        "| split | axis | accuracy before | after | questions |",
        "|---|---|---|---|---|",
    ]
    for split, after in results["probes"].items():
        before = results["probes_before"][split]["accuracy"]
        lines.append(f"| {split} | {after['axis']} | {before:.3f} | {after['accuracy']:.3f} | {after['n']} |")
    return "\n".join(lines) + "\n"


def _share(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "not measured"
    low, high = value["ci"]
    return f"{value['share']:.3f} [{low:.3f}, {high:.3f}] of {value['n']}"


def _ratio(retention: Mapping[str, Any]) -> str:
    if retention["ratio"] is None:
        return "not measured"
    if retention["ci"] is None:
        return f"{retention['ratio']:.3f} (too few items for an interval)"
    low, high = retention["ci"]
    return f"{retention['ratio']:.3f} [{low:.3f}, {high:.3f}]"
