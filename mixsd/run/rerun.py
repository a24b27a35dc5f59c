"""Do a recorded sweep again, and say what has changed since."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mixsd.core.errors import StoreError
from mixsd.run import sweep_file
from mixsd.run.software import ROOT, code_state, processor_name, software


def rerun(folder: Path) -> int:
    """Say what has changed since the sweeps of an experiment, and give their commands again.

    Args:
        folder: The experiment's.

    Returns:
        The exit status: the first that is not 0.

    Raises:
        StoreError: There is no recorded sweep, or the folder where it was given is gone.
    """
    records = sweep_file.read(folder)
    if not records:
        raise StoreError(
            f"{folder} holds no {sweep_file.FILE}; give the folder of an experiment that was a sweep"
        )
    statuses = []
    for record in records:
        if not Path(record.folder).is_dir():
            raise StoreError(f"{folder}: {record.folder}, where its command was given, is gone")
        command = [sys.executable, str(ROOT / "run.py"), *record.arguments]
        print(f"python run.py {shlex.join(record.arguments)}")
        told = list(changes(record)) or [_files(record)]
        print("\n".join(f"  {line}" for line in told), flush=True)
        statuses.append(subprocess.run(command, cwd=record.folder, check=False).returncode)
    return next((status for status in statuses if status), 0)


def changes(record: sweep_file.SweepRecord) -> Iterator[str]:
    """What has changed since a sweep was begun, a line each."""
    now = code_state()
    commit, dirty = now.get("commit", ""), now.get("dirty", False)
    if (commit, dirty) != (record.commit, record.dirty) or dirty:
        yield f"code: {_commit(record.commit, record.dirty)} then, {_commit(commit, dirty)} now"
    for name, found in software().items():
        then = record.packages.get(name, "none")
        if then != found:
            yield f"{name}: {then} then, {found} now"
    if record.processor and record.processor != processor_name():
        yield f"processor: {record.processor} then, {processor_name()} now"


def _files(record: sweep_file.SweepRecord) -> str:
    """What the stamp tells where versions and commit are the same."""
    if not record.stamp:
        return "code and packages have not changed since; of its data and model that cannot be told"
    if record.stamp == sweep_file.stamp(record.inputs):
        return "nothing has changed since"
    return "code and packages are the same; a file that it reads, or the environment, has changed since"


def _commit(commit: str, dirty: bool) -> str:
    return (commit[:12] or "no checkout") + (" with changes" if dirty else "")
