"""Finished runs without their texts: small enough to publish, and `python -m mixsd report` still reads them.

    python -m benchmarks.studies.compact RUNS_DIR OUT

What stays is every number, every verdict by item, and the settings. Prompts, replies and targets go, and with
them the page's sample answers.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mixsd.core.errors import MixSDError
from mixsd.core.store import atomic_folder, discard, read_jsonl, write_jsonl, write_text
from mixsd.results.items import RETENTION
from mixsd.results.runs import load_runs
from mixsd.results.schema import FILE, TRAJECTORY

DONE, CONFIG = "DONE", "config.yaml"
WHOLE = (FILE, TRAJECTORY, DONE)
"""Files that hold no text of facts or replies, and no name of a folder."""
PLACES = ("runs_dir", "cache_dir", "data_root")
"""Settings that name folders of the machine that ran."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the small copies."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.compact", description=__doc__)
    parser.add_argument("runs_dir", type=Path, help="a folder that holds runs")
    parser.add_argument("out", type=Path, help="where the small copies go, by experiment and run")
    options = parser.parse_args(arguments)
    try:
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
    discard(out)
    with atomic_folder(out) as folder:
        for name in WHOLE:
            if (run / name).exists():
                write_text(folder / name, (run / name).read_text("utf-8"))
        config = yaml.safe_load((run / CONFIG).read_text("utf-8"))
        write_text(folder / CONFIG, yaml.safe_dump(_anywhere(config), sort_keys=False))
        # Of interpolations too, which have a folder each.
        for path in sorted(run.glob(f"**/{RETENTION}/*.jsonl")):
            write_jsonl(folder / path.relative_to(run), [_without_text(row) for row in read_jsonl(path)])


def _without_text(row: dict[str, Any]) -> dict[str, Any]:
    sides = {name: {**row[name], "text": "", "extracted": None} for name in ("base", "tuned")}
    return {**row, "prompt": "", "question": "", "answers": [], **sides}


def _anywhere(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the names of folders, at any depth."""
    kept = {}
    for key, value in config.items():
        if isinstance(value, dict):
            value = _anywhere(value)
        elif key in PLACES or (isinstance(value, str) and value.startswith("/")):
            value = Path(value).name if value else value
        kept[key] = value
    return kept


if __name__ == "__main__":
    sys.exit(main())
