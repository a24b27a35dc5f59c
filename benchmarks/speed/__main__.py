"""`python -m benchmarks.speed {sampler} [--json FILE]`: ratios against peers measured in the same run."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mixsd.errors import MixSDError


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run one benchmark, print its table and optionally write its rows as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("benchmark", choices=["sampler"], help="what to measure")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 64, 256], help="facts per row")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--dtypes", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
    )
    parser.add_argument("--resubmit-up-to", type=int, default=64, help="largest size for the slow reference")
    parser.add_argument("--model", default="smollm2_135m", help="a config of the model group")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    from benchmarks.speed.sampler import measure  # heavy: `--help` must not wait for it

    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        rows = measure(
            options.model, options.sizes, options.dtypes, options.repetitions, options.resubmit_up_to
        )
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    if options.json:
        from mixsd.engine.store import write_json

        write_json(options.json, rows)
    return 0


sys.exit(main())
