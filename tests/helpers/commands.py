"""Commands in forks of one Python that has imported the libraries: importing takes longer than most of them.

Each command has a process, arguments, a folder, an environment and standard streams of its own, and ends as
Python does. What a command imports itself is for tests that start a new Python (the fixture `cli`).
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LIBRARIES = (
    "accelerate", "datasets", "lm_eval.evaluator", "pandas", "peft", "rich", "scipy.stats", "wandb.apis.public",
    "wandb.sdk.launch", "benchmarks.heldout.suite", "mixsd.run.grid", "mixsd.run.job", "mixsd.run.stages",
    "mixsd.run.sweep", "mixsd.results.report",
)  # fmt: skip
TIMEOUT_S = 300


class WarmProcess:
    """A command that goes on: as `subprocess.Popen`, of which it has what tests need.

    Attributes:
        pid: Its process.
        returncode: How it ended; None as long as it is not known.
    """

    def __init__(self, python: "WarmPython", pid: int, scratch: tempfile.TemporaryDirectory[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._python = python
        self._scratch = scratch

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None and (told := self._python.ask({"poll": self.pid})):
            self.returncode = int(told)
        return self.returncode

    def wait(self, timeout: float = TIMEOUT_S) -> int:
        """Wait for its end."""
        end = time.monotonic() + timeout
        while (ended := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return ended

    def communicate(self, timeout: float = TIMEOUT_S) -> tuple[str, str]:
        """Wait for its end, and give what it printed to either stream."""
        self.wait(timeout)
        stdout, stderr = (Path(path).read_text(encoding="utf-8") for path in streams_in(self._scratch.name))
        self._scratch.cleanup()
        return stdout, stderr

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)


class WarmPython:
    """A process that forks at each command."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.commands"],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> WarmProcess:
        """Begin `python <arguments>`: a script or `-m module`, with what follows."""
        scratch = tempfile.TemporaryDirectory()
        request = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(folder),
            "environment": dict(environment),
            "streams": streams_in(scratch.name),
        }
        return WarmProcess(self, int(self.ask(request)), scratch)

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `python <arguments>` to its end."""
        process = self.start(arguments, folder, environment)
        told = process.communicate()
        return subprocess.CompletedProcess(list(arguments), process.wait(), *told)

    def ask(self, request: Mapping[str, Any]) -> str:
        """Send a request, and give the answer."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End the process, and all that it started."""
        self._process.communicate(timeout=TIMEOUT_S)


def streams_in(folder: str) -> list[str]:
    """The files of a command's two streams."""
    return [f"{folder}/stdout", f"{folder}/stderr"]


def serve(answers: int) -> dict[str, Any] | None:
    """Fork at each command that comes in; returns it in the fork, and None when there are no more.

    Args:
        answers: Where process numbers and exit statuses go, as a file descriptor.
    """
    running = set()
    for line in sys.stdin:
        request = json.loads(line)
        if pid := request.get("poll"):
            ended, status = os.waitpid(pid, os.WNOHANG)
            running -= {ended}
            answer = str(os.waitstatus_to_exitcode(status)) if ended else ""
        else:
            child = os.fork()
            if not child:
                os.close(answers)
                return request
            running.add(child)
            answer = str(child)
        os.write(answers, f"{answer}\n".encode())
    for left in running:
        os.kill(left, signal.SIGKILL)
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
    own_folders()
    try:
        if program == "-m":
            module, *rest = rest
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [program, *rest]
            runpy.run_path(program, run_name="__main__")
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
        leave(1 if isinstance(left.code, str) else left.code or 0)
    else:
        leave(0)


def own_folders() -> None:
    """Give W&B temporary folders of this process: it made some as it was imported, which are the server's."""
    import wandb
    from wandb.sdk.data_types import _private

    for folder in (_private.MEDIA_TMP, wandb.Artifact._TMP_DIR):
        folder._finalizer.detach()  # type: ignore[attr-defined]
        folder.__init__("-wandb")


def leave(status: int) -> None:
    """End as Python does, without the half second in which it takes all libraries apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    answers = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # libraries print while they are imported
    for name in LIBRARIES:
        importlib.import_module(name)
    # A table that takes as long as many imports, and that transformers makes when a model is first saved.
    importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("llama")
    gc.freeze()
    wanted = serve(answers)
    if wanted:
        become(wanted)
