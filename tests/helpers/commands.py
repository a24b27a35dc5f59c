"""Commands in forks of one Python that has imported the libraries: importing takes longer than most of them.

Each command has a process, arguments, a folder, an environment and standard streams of its own, and ends as
Python does. What a command imports itself is for tests that start a new Python (the fixture `cli`).
"""

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Not W&B: it makes a temporary folder when it is imported, which the first fork would delete at its end.
LIBRARIES = (
    "accelerate", "datasets", "lm_eval.evaluator", "pandas", "peft", "rich", "scipy.stats",
    "mixsd.run.stages", "mixsd.results.report",
)  # fmt: skip
TIMEOUT_S = 300


class WarmPython:
    """A process that forks at each request, one at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.commands"],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `python <arguments>`: a script or `-m module`, with what follows."""
        assert self._process.stdin and self._process.stdout
        with tempfile.TemporaryDirectory() as scratch:
            streams = [f"{scratch}/{name}" for name in ("stdout", "stderr")]
            request = {
                "arguments": [str(argument) for argument in arguments],
                "folder": str(folder),
                "environment": dict(environment),
                "streams": streams,
            }
            print(json.dumps(request), file=self._process.stdin, flush=True)
            status = int(self._process.stdout.readline())
            told = [Path(stream).read_text(encoding="utf-8") for stream in streams]
        return subprocess.CompletedProcess(list(arguments), status, *told)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=TIMEOUT_S)


def serve(answers: int) -> dict[str, Any] | None:
    """Fork at each request that comes in; returns it in the fork, and None when there are no more.

    Args:
        answers: Where exit statuses go, as a file descriptor.
    """
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return None


def become(request: dict[str, Any]) -> None:
    """Run a request's command as this process, as `python <arguments>` would."""
    for number, path in enumerate([os.devnull, *request["streams"]]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    program, *rest = request["arguments"]
    own = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    first = request["folder"] if program == "-m" else str(Path(program).resolve().parent)
    sys.path[:1] = [first, *own]  # the first entry was the folder of this module
    if program == "-m":
        module, *rest = rest
        sys.argv = [module, *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *rest]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    answers = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # libraries print while they are imported
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    wanted = serve(answers)
    if wanted:
        become(wanted)
