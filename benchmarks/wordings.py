"""Compare expert wordings: how many facts does each keep, and how likely are its targets?

    python -m benchmarks.wordings                     the table of docs/wordings.md
    python -m benchmarks.wordings model=qwen3_0_6b    for another model

Takes the overrides of `run.py`; the method's settings other than wording and mixing rate stay as configured.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from mixsd.engine import models
from mixsd.engine.bench import Bench
from mixsd.engine.config import RunConfig, read_config
from mixsd.engine.messages import CONF
from mixsd.engine.preparation import UNLIKELY
from mixsd.errors import MixSDError
from mixsd.method import Preparation, Student, gold_example
from mixsd.mixing.contexts import WORDINGS

RATES = (0.0, 0.3)


def main(overrides: list[str]) -> int:
    """Print the table."""
    console = Console()
    try:
        rows = [row for name in WORDINGS for row in measure(name, overrides)]
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    return 0


def measure(name: str, overrides: list[str]) -> list[dict[str, Any]]:
    """One row per mixing rate for one wording."""
    rows = []
    for rate in RATES:
        config = _config([*overrides, f"method.expert_wording={name}", f"method.mixing_rate={rate}"])
        student = models.load(config.model, config.cache_dir)
        made = config.method.prepare(config.task, student, Bench(config))
        gold = Preparation([gold_example(fact, student) for fact in config.task.facts])
        report = made.report
        kept, facts = len(made.examples), len(config.task.facts)
        rows.append(
            {
                "wording": name,
                "rate": rate,
                "kept": f"{kept} of {facts}",
                "first try": f"{report['pass_rate_first']:.2f}",
                "naive share": f"{report['naive_fraction'] or 0:.2f}",
                "context reference": report["rejections"].get("context_reference", 0),
                "unsupported": report["unsupported"],
                "target NLL": _nll(student, made),
                "gold NLL": _nll(student, gold),
            }
        )
    return rows


def _config(overrides: list[str]) -> RunConfig:
    with initialize_config_dir(str(Path(CONF)), version_base="1.3"):
        return read_config(compose("config", overrides=overrides))


def _nll(student: Student, made: Preparation) -> str:
    """Mean NLL per target token under the base model, and the share of tokens above 5 nats."""
    if not made.examples:
        return "n/a"
    losses = torch.cat(student.target_nll(made.examples, 32))
    return f"{losses.mean():.2f} ({(losses > UNLIKELY).float().mean():.0%} unlikely)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
