"""`python -m benchmarks.speed BENCHMARK`: ratios measured in one run."""

import argparse
import sys
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from rich.console import Console
from rich.table import Table

from mixsd.core.errors import MixSDError, at_least
from mixsd.run.messages import config_error


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run one benchmark, print its table and optionally write its rows as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    verbs = parser.add_subparsers(dest="benchmark", required=True)
    sampler = verbs.add_parser("sampler", help="tokens per second beside `generate` and re-submission")
    sampler.add_argument("--sizes", type=int, nargs="+", default=[8, 64, 256], help="facts per row")
    sampler.add_argument("--repetitions", type=int, default=3)
    sampler.add_argument("--resubmit-up-to", type=int, default=64, help="largest size for re-submission")
    batches = verbs.add_parser("batches", help="how many targets change with the batch size")
    batches.add_argument("--facts", type=int, default=48)
    batches.add_argument("--batch-sizes", type=int, nargs="+", default=[3, 24, 64])
    decoding = verbs.add_parser("decoding", help="tokens per second with packed weights and without")
    decoding.add_argument("--prompts", type=int, default=32)
    decoding.add_argument("--budget", type=int, default=128, help="tokens of a reply at most")
    decoding.add_argument("--batch-size", type=int, default=32)
    decoding.add_argument("--repetitions", type=int, default=3)
    processes = verbs.add_parser("processes", help="scoring by several processes beside one")
    processes.add_argument("--prompts", type=int, default=256)
    processes.add_argument("--budget", type=int, default=48, help="tokens of a reply at most")
    processes.add_argument("--batch-size", type=int, default=16)
    processes.add_argument("--devices", type=int, default=2)
    processes.add_argument("--threads", type=int, default=1, help="of each process")
    processes.add_argument("--repetitions", type=int, default=3)
    training = verbs.add_parser("training", help="a training step beside TRL's (needs the extra [peers])")
    training.add_argument("--steps", type=int, default=4, help="per repetition; the first is not timed")
    training.add_argument("--repetitions", type=int, default=3)
    training.add_argument("--methods", nargs="+", default=["sft", "opsd"], choices=["sft", "opsd"])
    harness = verbs.add_parser(
        "harness", help="what is no model's work: help, a finished sweep, a run's rest"
    )
    harness.add_argument("--runs", type=int, default=24, help="of the finished sweep")
    harness.add_argument("--repetitions", type=int, default=3)
    harness.add_argument("--json", type=Path, help="also write the rows here")
    harness.add_argument(
        "--overrides",
        nargs="*",
        default=["method=sft", "task.facts=48"],
        help="the run held against its stages",
    )
    for verb in (sampler, batches, decoding, processes):
        verb.add_argument(
            "--dtypes", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
        )
    for verb in (sampler, batches, decoding, processes, training):
        verb.add_argument(
            "--model",
            nargs="+",
            default=["smollm2_135m"],
            help="a config of the model group, and changes such as model.name=<file>.gguf",
        )
        verb.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    try:
        for name in (
            "sizes",
            "batch_sizes",
            "facts",
            "steps",
            "repetitions",
            "prompts",
            "budget",
            "batch_size",
            "runs",
            "devices",
            "threads",
        ):
            given = getattr(options, name, [])
            for value in given if isinstance(given, list) else [given]:
                at_least(f"--{name.replace('_', '-')}", value, 1)
        rows = _measure(options)
    except (MixSDError, HydraException) as error:
        print(config_error(error), file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    if options.json:
        from mixsd.core.store import write_json

        write_json(options.json, rows)
    return 0


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.benchmark == "training":
        from benchmarks.speed.training import measure as measure_training  # heavy: `--help` must not wait

        return measure_training(options.model, options.steps, options.repetitions, options.methods)
    if options.benchmark == "harness":
        from benchmarks.speed.harness import measure as measure_harness

        return measure_harness(options.runs, options.repetitions, options.overrides)
    if options.benchmark == "decoding":
        from benchmarks.speed.decoding import measure as measure_decoding

        sizes = options.prompts, options.budget, options.repetitions, options.batch_size
        return measure_decoding(options.model, options.dtypes, *sizes)
    if options.benchmark == "processes":
        from benchmarks.speed.processes import measure as measure_processes

        sizes = options.prompts, options.budget, options.repetitions, options.batch_size
        return measure_processes(options.model, options.dtypes, *sizes, options.devices, options.threads)
    from benchmarks.speed.sampler import compare_batches, measure

    if options.benchmark == "batches":
        return compare_batches(options.model, options.facts, options.dtypes, options.batch_sizes)
    return measure(options.model, options.sizes, options.dtypes, options.repetitions, options.resubmit_up_to)


if __name__ == "__main__":
    sys.exit(main())
