"""`python -m mixsd {report}`: what is done with finished runs."""

import argparse
import sys
from pathlib import Path

from mixsd.errors import MixSDError


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the verb; a user's mistake is one line and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m mixsd", description="Read finished runs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser(
        "report", help="print the tradeoff table; write tradeoff.csv, .png, report.html"
    )
    report.add_argument("runs_dir", type=Path, help="a folder that holds runs, such as runs/quickstart")
    options = parser.parse_args(arguments)
    try:
        _report(options.runs_dir)
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _report(runs_dir: Path) -> None:
    from rich.console import Console

    from mixsd.analysis.report import write_report  # pandas and matplotlib must not slow `--help`

    console = Console()
    write_report(runs_dir, console if console.is_terminal else Console(width=200))
