"""`runs/<experiment>/sweep.yaml`: the sweeps that wrote there, as documents that can be run again."""

import datetime
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from filelock import BaseFileLock, FileLock, Timeout

from mixsd.core.errors import StoreError
from mixsd.core.store import content_hash, is_held, locked, write_text
from mixsd.run.plan import Job, Plan
from mixsd.run.software import ROOT, code_state, cores, gpus, processor_flags, processor_name, software

FILE, RUNNING_LOCK = "sweep.yaml", ".sweep.running.lock"
CODE = ("mixsd", "baselines", "benchmarks", "conf", "run.py")
MANY = 5000
"""Files; of a folder with more, what is in it is not looked at one by one."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES")
_VARIABLE = re.compile(r"oc\.env:(\w+)")


@dataclass(frozen=True)
class SweepRecord:
    """A sweep that was begun.

    Attributes:
        arguments: Of `run.py`.
        folder: Where the command was given.
        started: When it was last begun.
        commit: Of the code; '' outside a checkout.
        dirty: Whether the code was changed since that commit.
        packages: Versions of what can change a number.
        processor: Its model name.
        inputs: Files and folders that its settings name (None: they cannot be told).
        stamp: A hash of code, inputs, packages and processor ('': it cannot be told).
        jobs: Overrides, run (relative to the folder of the experiment) and what it measures, of each job.
        others: How many of the sweep's jobs stand in other experiments.
        ended: Its exit status (None: it has not ended, or was killed).
    """

    arguments: list[str]
    folder: str
    started: str
    commit: str
    dirty: bool
    packages: dict[str, str]
    processor: str
    inputs: list[str] | None
    stamp: str
    jobs: list[dict[str, Any]]
    others: int = 0
    ended: int | None = None


def read(folder: Path) -> list[SweepRecord]:
    """The sweeps of an experiment, the last one last; none where there is no such file.

    Raises:
        StoreError: The file is broken.
    """
    path = folder / FILE
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
        return [SweepRecord(**entry) for entry in found["sweeps"]] if found else []
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        said = " ".join(str(error).split())[:100]
        raise StoreError(f"{path} is no record of sweeps ({said}); delete it, the runs stay") from error


def write(arguments: Sequence[str], jobs: Sequence[Job], inputs: list[str] | None) -> None:
    """Add a sweep to the file of each experiment that it has jobs in; one with equal arguments gives way.

    Args:
        arguments: Of `run.py`.
        jobs: Its jobs.
        inputs: Files and folders that its settings name (None: they cannot be told).
    """
    state = code_state()
    for folder in dict.fromkeys(job.run_dir.parent for job in jobs):
        own = [job for job in jobs if job.run_dir.parent == folder]
        record = SweepRecord(
            arguments=list(arguments),
            folder=str(Path.cwd()),
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            commit=state.get("commit", ""),
            dirty=state.get("dirty", False),
            packages=software(),
            processor=processor_name(),
            inputs=inputs,
            stamp=stamp(inputs),
            jobs=[
                {"run": job.run_dir.name, "measured": job.measured, "overrides": list(job.overrides)}
                for job in own
            ],
            others=len(jobs) - len(own),
        )
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f".{FILE}.lock"):
            kept = [entry for entry in read(folder) if entry.arguments != record.arguments]
            _save(folder, [*kept, record])


def mark_as_ended(folders: Iterable[Path], arguments: Sequence[str], status: int) -> None:
    """Write down that a sweep ended, and how: only what ended well may be taken for done without a look.

    Args:
        folders: Of its experiments.
        arguments: Its own.
        status: Its exit status.
    """
    for folder in folders:
        with locked(folder / f".{FILE}.lock"):
            entries, own = read(folder), list(arguments)
            _save(folder, [replace(e, ended=status) if e.arguments == own else e for e in entries])


def mark_as_running(folders: Iterable[Path]) -> list[BaseFileLock]:
    """Locks that tell, while this process lives, that what waits in these experiments will be run."""
    held: list[BaseFileLock] = []
    for folder in dict.fromkeys(folders):
        lock = FileLock(folder / RUNNING_LOCK)
        with suppress(Timeout, OSError):  # another sweep tells it already
            lock.acquire(timeout=0)
            held.append(lock)
    return held


def is_running(folder: Path) -> bool:
    """Whether a sweep goes on in an experiment's folder."""
    return is_held(folder / RUNNING_LOCK)


def _save(folder: Path, entries: Sequence[SweepRecord]) -> None:
    text = yaml.safe_dump({"sweeps": [asdict(entry) for entry in entries]}, sort_keys=False, width=1000)
    write_text(folder / FILE, text)


def plan_of(folder: Path, record: SweepRecord) -> Plan:
    """The jobs of a recorded sweep."""
    return Plan(
        [
            Job(tuple(job["overrides"]), folder / job["run"], job["measured"], was_done=False)
            for job in record.jobs
        ]
    )


def done_before(folder: Path, arguments: Sequence[str]) -> Plan | None:
    """The plan of the same sweep where it is finished, and nothing that it hangs on has changed since.

    Nothing is built for that: it goes by the stamps of all files that were read.
    """
    for record in read(folder):
        same = record.arguments == list(arguments) and record.folder == str(Path.cwd()) and not record.others
        if same and record.ended == 0 and record.stamp and record.stamp == stamp(record.inputs):
            plan = plan_of(folder, record)
            return None if plan.to_run else plan
    return None


def stamp(inputs: Iterable[str] | None) -> str:
    """A hash of what a sweep's numbers hang on, by size and time of files; '' where that cannot be told."""
    if inputs is None:
        return ""
    places = [*(ROOT / name for name in CODE), *map(Path, inputs)]
    files: list[tuple[str, int, int]] = []
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and path.suffix != ".pyc":
                found = path.stat()
                files.append((str(path), found.st_size, found.st_mtime_ns))
        if len(files) > MANY:
            return ""
    variables = {name: os.environ.get(name) for name in _variables()}
    processor = [processor_name(), processor_flags(), cores(), gpus()]
    return content_hash([files, software(), processor, sys.version, variables], size=16)


def inputs_of(settings: Mapping[str, Any], bundled: Iterable[str]) -> list[str] | None:
    """Files and folders that a run's settings name.

    Args:
        settings: The resolved config.
        bundled: Models that come with a package.

    Returns:
        Their paths; None where the model comes from a hub, whose files are not ours to stamp.
    """
    texts = list(_texts({k: v for k, v in settings.items() if k not in ("runs_dir", "cache_dir")}))
    name, root = str(settings["model"]["name"]), settings.get("data_root")
    here = name in set(bundled) or _place(name) is not None
    if not here or (root is None and _reads_a_hub(settings)) or not _ours(settings):
        return None
    found = [_place(text, root) for text in texts]
    return sorted({str(path) for path in found if path is not None})


def _reads_a_hub(settings: Mapping[str, Any]) -> bool:
    """Whether a task or a held-out task takes its data from a hub, which may change there."""
    task, held_out = settings["task"], settings["retention"].get("tasks") or ()
    asks = str(task.get("_target_", "")).startswith("benchmarks.tasks.open_qa") and not task.get("path")
    return asks or not all(str(name).startswith("pocket_") for name in held_out)


def _ours(settings: Any) -> bool:
    """Whether all classes that settings name stand in this project's code, which is stamped whole."""
    if isinstance(settings, Mapping):
        target = settings.get("_target_")
        known = target is None or str(target).split(".")[0] in CODE
        return known and all(map(_ours, settings.values()))
    return all(map(_ours, settings)) if isinstance(settings, list | tuple) else True


def _place(text: str, root: str | None = None) -> Path | None:
    """The file or folder that a text names, as it stands or below the data root; None: it names none."""
    for place in (text, *([f"{root}/{text}"] if root else [])):
        with suppress(OSError, RuntimeError, ValueError):  # too long, no such home
            path = Path(place).expanduser()
            if path.exists():
                return path.absolute()
    return None


def _texts(value: Any) -> Iterator[str]:
    """All short texts in nested settings; a longer one is no path."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and 0 < len(value) < 1000 and not set("\0\n") & set(value):
        yield value


def _variables() -> list[str]:
    """Names of the variables of the environment that a config or torch reads."""
    named = {
        name
        for path in (ROOT / "conf").rglob("*.yaml")
        for name in _VARIABLE.findall(path.read_text("utf-8"))
    }
    return sorted({*named, *THREADS})
