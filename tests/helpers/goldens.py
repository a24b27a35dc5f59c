"""Tiny runs whose numbers are frozen as files: `python -m tests.helpers.goldens` writes them anew.

A golden number may change only on purpose, and the commit that changes it says why.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "goldens"
COMMON = (
    "model=tiny_random", "task.facts=4", "task.max_new_tokens=8", "training.max_steps=4",
    "training.eval_every=2", "training.batch_size=4", "training.micro_batch_size=4", "training.dtype=float32",
    "retention.limit=20", "retention.validation_limit=2", "tracking.mode=disabled", "experiment_name=goldens",
)  # fmt: skip
KEEP_LAST = "method.on_failure=keep_last"  # a random model never ends its replies: nothing would be trained
RUNS: Mapping[str, tuple[str, ...]] = {
    "sft": ("method=sft", "training.interpolate=[0.5]", "drift.curve=true"),
    "sft-lora": ("method=sft", "training.lora=4"),
    "sft-edits": ("method=sft", "task=mquake_pocket"),
    "sft-functions": ("method=sft", "task=kgfunc_pocket"),
    "sft-closed-book": ("method=sft", "task=closed_book_qa_pocket"),
    "sft-sequence": ("method=sft", "training.loss_average=sequence", "training.micro_batch_size=2"),
    "mixsd": ("method=mixsd", KEEP_LAST),
    "mixsd-lora": ("method=mixsd", KEEP_LAST, "training.lora=4"),
    "mixsd-edits": ("method=mixsd", KEEP_LAST, "task=mquake_pocket", "method.temperature=0.6"),
    "opsd": ("method=opsd", "method.rollouts=2"),
    "opsd-lora": ("method=opsd", "method.rollouts=2", "training.lora=4"),
    "opsd-ema": ("method=opsd", "method.rollouts=2", "method.teacher=ema", "method.ema_decay=0.5"),
    "context-distillation": ("method=context_distillation", KEEP_LAST),
    "rewrite": ("method=rewrite",),
    "sft-kl": ("method=sft_kl",),
    "sft-kl-lora": ("method=sft_kl", "training.lora=4"),
    "self-replay": ("method=self_replay", "method.max_new_tokens=6", "method.replays=2"),
    "stm": ("method=stm", "method.threshold=270"),
    "in-context": ("method=in_context",),
}


def run_all(names: list[str], work: Path) -> dict[str, Path]:
    """Run the named runs, all in this process, and give each one's directory."""
    from mixsd.run.config import compose_run
    from mixsd.run.stages import run_experiment

    made = {}
    for name in names:
        chosen = [
            o for o in RUNS[name] if "=" in o and "." not in o.split("=")[0]
        ]  # groups before their keys
        rest = [o for o in RUNS[name] if o not in chosen]
        config = compose_run([*chosen, *COMMON, *rest, f"runs_dir={work}/runs", f"cache_dir={work}/cache"])
        run_experiment(config)
        made[name] = config.run_dir
    return made


def frozen(run_dir: Path) -> dict[str, Any]:
    """What is compared: the results, the training curve, and what was seen while it ran."""
    results = json.loads((run_dir / "results.json").read_text("utf-8"))
    lines = {
        name: (run_dir / f"{name}.jsonl").read_text("utf-8").splitlines()
        for name in ("metrics", "trajectory")
    }
    return {
        "results": results,
        **{name: [json.loads(line) for line in found] for name, found in lines.items()},
    }


def numbers(value: Any, prefix: str = "") -> dict[str, Any]:
    """All numbers and words of nested results by their path."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {prefix[:-1]: value}
    return {key: leaf for name, inner in items for key, leaf in numbers(inner, f"{prefix}{name}/").items()}


def main() -> None:
    """Write the goldens of the runs that are named, or of all."""
    import tempfile

    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        for name, run_dir in run_all(sys.argv[1:] or list(RUNS), Path(work)).items():
            text = json.dumps(frozen(run_dir), indent=1, ensure_ascii=False)
            (FOLDER / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
