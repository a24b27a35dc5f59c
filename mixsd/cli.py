"""`python -m mixsd {report,inspect,card,track}`: read finished runs, and describe a task's data."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mixsd.core.errors import MixSDError

if TYPE_CHECKING:
    from rich.console import Console


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the verb; a user's mistake is one line and exit status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m mixsd", description="Read finished runs; describe a task's data."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser(
        "report", help="print the tradeoff table; write tradeoff.csv, .png, report.html, .md"
    )
    report.add_argument("runs_dir", type=Path, help="a folder that holds runs, such as runs/quickstart")
    report.add_argument(
        "--margin", type=float, default=2.0, help="points; a smaller drop is called no drop (default: 2)"
    )
    inspect = verbs.add_parser("inspect", help="show what a run was trained on, coloured by conditional")
    inspect.add_argument("run_dir", type=Path, help="one run's directory")
    inspect.add_argument("--facts", type=int, default=8, help="how many facts to show")
    card = verbs.add_parser("card", help="write a task's dataset card (asks the base model)")
    card.add_argument("overrides", nargs="*", help="as for run.py: task=kgfact_small task.facts=24 ...")
    card.add_argument("--out", type=Path, help="the file to write (default: cards/<task>.md)")
    track = verbs.add_parser("track", help="mirror finished runs to W&B again, from their local files")
    track.add_argument("runs_dir", type=Path, help="a folder that holds runs")
    track.add_argument("--mode", choices=("offline", "online"), help="instead of the runs' own setting")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "report":
            _report(options.runs_dir, options.margin)
        elif options.verb == "inspect":
            _inspect(options.run_dir, options.facts)
        elif options.verb == "track":
            _track(options.runs_dir, options.mode)
        else:
            return _card(options.overrides, options.out)
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _card(overrides: list[str], out: Path | None) -> int:
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries draw bars beside ours otherwise
    from hydra.errors import HydraException

    from mixsd.core.store import write_text
    from mixsd.results.task_card import dataset_card
    from mixsd.run.config import compose_run  # torch must not slow `--help`
    from mixsd.run.messages import config_error

    try:
        config = compose_run(overrides)
    except HydraException as error:
        print(config_error(error), file=sys.stderr)
        return 2
    path = out or Path("cards") / f"{config.task.name}.md"
    text = dataset_card(config, overrides)
    write_text(path, text)
    print(text)
    print(f"wrote {path}")
    return 0


def _report(runs_dir: Path, margin: float) -> None:
    from mixsd.results.report import write_report  # pandas and matplotlib must not slow `--help`

    write_report(runs_dir, _console(), margin / 100)


def _inspect(run_dir: Path, facts: int) -> None:
    from mixsd.results.target_view import show_run

    show_run(run_dir, facts, _console())


def _track(runs_dir: Path, mode: str | None) -> None:
    from mixsd.trackers.wandb import rebuild

    count = rebuild(runs_dir, **({"mode": mode} if mode else {}))
    hint = "" if count or mode else " (tracking.mode=disabled in all of them; add --mode offline or online)"
    print(f"mirrored {count} runs of {runs_dir}{hint}")


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)
