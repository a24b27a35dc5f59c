"""`python -m mixsd <verb>`: look at a config, at runs and sweeps, at a task's data.

A verb imports what it needs when it runs, so that `--help` is quick and `report` needs no torch.
"""

import argparse
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from mixsd.core.errors import MixSDError, SettingError, StoreError

if TYPE_CHECKING:
    from rich.console import Console

    from mixsd.run.config import RunConfig

WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the verb.

    Returns:
        The exit status: 2 after a user's mistake, which is told in one line.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a terminal of ASCII shows what it can
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return options.run(options) or 0
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def check(options: argparse.Namespace) -> int:
    """Look at a model, its prompts and the data of a config without training.

    Returns:
        2 where something fails.
    """
    _quiet_libraries()
    from rich.table import Table
    from rich.text import Text

    from mixsd.run.check import FAILS, findings

    table = Table("looked at", "", "found", show_edge=False)
    states = []
    for finding in findings(options.overrides):
        states.append(finding.state)
        style = {"note": "yellow", "fails": "bold red"}.get(finding.state, "green")
        table.add_row(finding.what, Text(finding.state, style), Text(finding.found))
    _console().print(table)
    return 2 if FAILS in states else 0


def report(options: argparse.Namespace) -> None:
    """Print the tables of a folder of runs, and write them with the picture and the page."""
    from mixsd.results.report import write_report

    try:
        write_report(options.runs_dir, _console(), options.margin / 100, options.out, options.with_text)
    except OSError as error:  # the tables are printed before anything is written
        raise StoreError(
            f"{error.filename or options.out or options.runs_dir} cannot be written ({error.strerror}); "
            "the tables above are whole: give --out FOLDER for the files"
        ) from error


def compare(options: argparse.Namespace) -> None:
    """Print how one run differs from another."""
    from mixsd.results.two_runs import compare_runs

    compare_runs(options.first, options.second, _console())


def inspect(options: argparse.Namespace) -> None:
    """Show what a run was trained on."""
    from mixsd.results.target_view import show_run

    show_run(options.run_dir, options.facts, _console())


def card(options: argparse.Namespace) -> None:
    """Write a task's card; the base model answers all probes, or the cache does."""
    _quiet_libraries()
    from mixsd.core.store import write_text
    from mixsd.lm.load import load
    from mixsd.results.task_card import task_card
    from mixsd.run.folders import make_folder
    from mixsd.run.measure import Scorer
    from mixsd.run.stages import cache_identity
    from mixsd.run.workbench import Bench

    config = _composed(options.overrides)
    make_folder("cache_dir", config.cache_dir)
    base = Scorer(config, Bench(config.cache_dir, cache_identity(config))).base(
        lambda: load(config.model, config.cache_dir)
    )
    text = task_card(
        config.task,
        config.probes,
        base,
        overrides=options.overrides,
        model=config.model.name,
        seed=config.seed,
        log_text=config.log_text,
    )
    path = options.out or Path("cards") / f"{config.task.name}.md"
    write_text(path, text)
    print(text)
    print(f"wrote {path}")


def memory(options: argparse.Namespace) -> int:
    """Tell what a run needs of memory, stage by stage, without loading its model.

    Returns:
        1 where it does not fit on this device.
    """
    _quiet_libraries()
    from rich.table import Table

    from mixsd.lm.load import config_of
    from mixsd.run.memory import GB, estimate, not_counted, there, verdict

    config = _composed(options.overrides)
    stages, available = estimate(config), there()
    table = Table("stage", "GB", "of which", show_edge=False)
    for stage in stages:
        parts = ", ".join(f"{name} {size / GB:.2f}" for name, size in stage.parts.items() if size)
        table.add_row(stage.name, f"{stage.bytes / GB:.2f}", parts)
    _console().print(table)
    print(verdict(stages, available))
    print(not_counted(config, config_of(config.model, config.cache_dir)))
    return int(max(stage.bytes for stage in stages) > available)


def _composed(overrides: list[str]) -> "RunConfig":
    """The checked config that overrides give.

    Raises:
        SettingError: They give none.
    """
    from hydra.errors import HydraException

    from mixsd.run.command_line import mistake
    from mixsd.run.config import compose_run
    from mixsd.run.messages import config_error

    if wrong := mistake(overrides):
        raise SettingError(wrong)
    try:
        return compose_run(overrides)
    except HydraException as error:
        raise SettingError(config_error(error)) from error


def push(options: argparse.Namespace) -> None:
    """Bring W&B in line with the local files."""
    from mixsd.run.push import push as push_runs

    def tell(run: str) -> None:
        print(f"looking at {run}", file=sys.stderr)

    changes = {"mode": options.mode} if options.mode else {}
    done = push_runs(options.runs_dir, tell, **changes)
    count = done.shown + done.equal
    hint = "" if count or changes else "; none of them has a tracker, add --mode offline or online"
    print(
        f"{options.runs_dir}: {count} runs, {done.shown} sent, {done.equal} left as they are, "
        f"{done.renamed} renamed{hint}"
    )


def status(options: argparse.Namespace) -> int:
    """Show how far the runs of a folder are.

    Returns:
        1 where one failed.
    """
    from mixsd.run.status import show_status

    return 1 if show_status(options.runs_dir, _console(), options.watch) else 0


def rerun(options: argparse.Namespace) -> int:
    """Do recorded sweeps again.

    Returns:
        The exit status of the first that did not end well.
    """
    from mixsd.run.rerun import rerun as run_again

    return run_again(options.experiment)


def dashboard(options: argparse.Namespace) -> None:
    """Make a dashboard in a W&B project."""
    from mixsd.trackers.dashboard import make_dashboard

    print(f"made {make_dashboard(options.project, options.entity)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mixsd", description="Check a config; read finished runs; describe a task's data."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)

    verb = verbs.add_parser("check", help="look at your model and your file before any work")
    verb.add_argument(
        "overrides", nargs="*", help="as for run.py: model.name=... task=own_facts task.path=..."
    )
    verb.set_defaults(run=check)

    verb = verbs.add_parser("report", help="print the tables; write report.html, .md, tradeoff.csv, pictures")
    verb.add_argument("runs_dir", type=Path, help="a folder that holds runs, such as runs/quickstart")
    verb.add_argument(
        "--margin", type=float, default=2.0, help="points; a smaller drop is called no drop (default: 2)"
    )
    verb.add_argument("--out", type=Path, help="the folder to write to (default: runs_dir)")
    verb.add_argument(
        "--with-text", action="store_true", help="show answers also of runs with tracking.log_text=false"
    )
    verb.set_defaults(run=report)

    verb = verbs.add_parser("compare", help="two runs: settings, paired differences, items that flipped")
    verb.add_argument("first", type=Path, help="a run's directory")
    verb.add_argument("second", type=Path, help="another's")
    verb.set_defaults(run=compare)

    verb = verbs.add_parser("inspect", help="show what a run was trained on, coloured by conditional")
    verb.add_argument("run_dir", type=Path, help="one run's directory")
    verb.add_argument("--facts", type=int, default=8, help="how many facts to show")
    verb.set_defaults(run=inspect)

    verb = verbs.add_parser("card", help="write a task's dataset card (asks the base model)")
    verb.add_argument("overrides", nargs="*", help="as for run.py: task=kgfact_small task.facts=24 ...")
    verb.add_argument("--out", type=Path, help="the file to write (default: cards/<task>.md)")
    verb.set_defaults(run=card)

    verb = verbs.add_parser("memory", help="what a run needs of memory, before its model is loaded")
    verb.add_argument("overrides", nargs="*", help="as for run.py: model=... method=... training.lora=16 ...")
    verb.set_defaults(run=memory)

    verb = verbs.add_parser("push", help="bring W&B in line with the local files of finished runs")
    verb.add_argument("runs_dir", type=Path, help="a folder that holds runs")
    verb.add_argument("--mode", choices=("offline", "online"), help="instead of the runs' own setting")
    verb.set_defaults(run=push)

    verb = verbs.add_parser("status", help="how far the runs of a folder are: stage, step, recall, time left")
    verb.add_argument("runs_dir", type=Path, help="a folder that holds runs")
    verb.add_argument("--watch", action="store_true", help="go on until nothing runs or waits")
    verb.set_defaults(run=status)

    verb = verbs.add_parser("rerun", help="do a recorded sweep again; says what has changed since")
    verb.add_argument("experiment", type=Path, help="its folder, such as runs/quickstart")
    verb.set_defaults(run=rerun)

    verb = verbs.add_parser("dashboard", help="make a W&B dashboard: tradeoff, curves, costs, answers")
    verb.add_argument("project", help="the W&B project, such as mixsd-bench")
    verb.add_argument("--entity", help="W&B user or team (default: yours)")
    verb.set_defaults(run=dashboard)
    return parser


def _quiet_libraries() -> None:
    """Libraries draw bars and tables beside ours otherwise."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH)
