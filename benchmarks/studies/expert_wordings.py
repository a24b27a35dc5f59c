"""Compare expert wordings: how many facts does each keep, and how likely are its targets?

    python -m benchmarks.studies.expert_wordings                     the table of docs/wordings.md
    python -m benchmarks.studies.expert_wordings model=qwen3_0_6b    for another model

Takes the overrides of `run.py`; the method's settings other than wording and mixing rate stay as configured.
"""

import sys
from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from rich.console import Console
from rich.table import Table

from mixsd.core.errors import MixSDError
from mixsd.lm import load as models
from mixsd.lm.batches import Example
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import GradientMethod, gold_example
from mixsd.mixing.expert_prompt import WORDINGS
from mixsd.run.config import compose_run
from mixsd.run.messages import config_error
from mixsd.run.preparation import likelihood
from mixsd.run.stages import cache_identity
from mixsd.run.workbench import Bench

RATES = (0.0, 0.3)


def main(overrides: list[str]) -> int:
    """Print the table, or how to ask for it."""
    if {"-h", "--help"} & set(overrides):
        print(__doc__)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        rows = [row for name in WORDINGS for row in measure(name, overrides)]
    except (MixSDError, HydraException) as error:
        print(config_error(error), file=sys.stderr)
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
        config = compose_run([*overrides, f"method.expert_wording={name}", f"method.mixing_rate={rate}"])
        model = models.load(config.model, config.cache_dir)
        assert isinstance(config.method, GradientMethod)
        made = config.method.prepare(
            config.task.facts, model, Bench(config.cache_dir, cache_identity(config))
        )
        gold = [gold_example(fact, model) for fact in config.task.facts]
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
                "target NLL": _nll(model, made.examples),
                "gold NLL": _nll(model, gold),
            }
        )
    return rows


def _nll(model: ChatModel, examples: Sequence[Example]) -> str:
    found = likelihood(examples, model, batch_size=32)
    return f"{found.nll:.2f} ({found.unlikely_share:.0%} unlikely)" if found else "n/a"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
