"""Finished runs without their texts: small enough to publish, and `python -m mixsd report` still reads them.

    python -m benchmarks.studies.compact RUNS_DIR OUT

What stays is every number, the verdict on every held-out document, and the settings. Prompts, replies and
targets go, and so do the probes one by one.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mixsd.core.errors import MixSDError, SettingError
from mixsd.core.path_settings import without_paths
from mixsd.core.store import atomic_folder, discard, read_jsonl, write_jsonl, write_text
from mixsd.results.items import RETENTION
from mixsd.results.runs import load_runs
from mixsd.results.schema import FILE, TRAJECTORY

DONE, CONFIG = "DONE", "config.yaml"
WHOLE = (FILE, TRAJECTORY, DONE)
"""Files that hold no text of facts or replies, and no name of a folder."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the small copies."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.compact", description=__doc__)
    parser.add_argument("runs_dir", type=Path, help="a folder that holds runs")
    parser.add_argument("out", type=Path, help="where the small copies go, by experiment and run")
    options = parser.parse_args(arguments)
    try:
        _see_that_folders_are_apart(options.runs_dir, options.out)
        runs = [run for run in load_runs(options.runs_dir) if run.alpha == 1]
        for run in runs:
            compact(run.path, options.out / run.path.parent.name / run.path.name)
    except MixSDError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(runs)} runs in {options.out}")
    return 0


def compact(run: Path, out: Path) -> None:
    """Write the small copy of one run; an older copy is replaced."""
    with atomic_folder(out) as folder:
        for name in WHOLE:
            if (run / name).exists():
                write_text(folder / name, (run / name).read_text("utf-8"))
        config = yaml.safe_load((run / CONFIG).read_text("utf-8"))
        write_text(folder / CONFIG, yaml.safe_dump(without_paths(config), sort_keys=False))
        # Of interpolations too, which have a folder each.
        for path in sorted(run.glob(f"**/{RETENTION}/*.jsonl")):
            write_jsonl(folder / path.relative_to(run), [_without_text(row) for row in read_jsonl(path)])
        discard(out)


def _without_text(row: dict[str, Any]) -> dict[str, Any]:
    sides = {name: {**row[name], "text": "", "extracted": None} for name in ("base", "tuned")}
    return {**row, "prompt": "", "question": "", "answers": [], **sides}


def _see_that_folders_are_apart(runs_dir: Path, out: Path) -> None:
    """Refuse to write where the runs are: a copy replaces what stands under its name.

    Raises:
        SettingError: One folder lies in the other.
    """
    here, there = runs_dir.resolve(), out.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise SettingError(f"{out} and {runs_dir} lie in each other; give another folder to write to")


if __name__ == "__main__":
    sys.exit(main())
