"""Hostile programs: each ends, soon, as a failure, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.heldout import sandbox
from mixsd.core.errors import SettingError
from tests.helpers.suites import needs_sandbox


@needs_sandbox
def test_a_good_program_finishes_and_a_wrong_one_does_not():
    assert sandbox.run("assert sorted([2, 1]) == [1, 2]", 10) == sandbox.Ran(True, "\n")
    failed = sandbox.run("assert sorted([2, 1]) == [2, 1]", 10)
    assert not failed.finished and "AssertionError" in failed.output


HOSTILE = {
    "endless output": ("while True: print('x' * 1000)", ""),
    "one huge line": ("print('x' * (64 * 2**20))", ""),
    "leaves early with success": ("import os; os._exit(0)", ""),
    "leaves politely": ("import sys; sys.exit(0)", ""),
    "opens a socket": ("import socket; socket.create_connection(('1.1.1.1', 53), 2)", "unreachable"),
    "talks to this machine": ("import socket; socket.create_connection(('127.0.0.1', 22), 2)", "unreachable"),
    "takes all memory": ("x = bytearray(2**31)", "MemoryError"),
    "writes to the system": ("open('/usr/lib/evil', 'w')", "Read-only"),
    "writes a large file": ("open('big', 'wb').write(b'0' * 2**24)", "too large"),
    "fills the memory disk": (
        "for n in range(1000): open(str(n), 'wb').write(b'0' * 2**20)",
        "No space left",
    ),
    "opens many files": ("files = [open('/dev/null') for _ in range(1000)]", "Too many open files"),
    "mounts": (
        "import ctypes; assert ctypes.CDLL(None).mount(b't', b'/work', b'tmpfs', 0, None) == 0",
        "AssertionError",
    ),
    "does not parse": ("def (", "SyntaxError"),
}


@needs_sandbox
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_fail(name):
    program, said = HOSTILE[name]
    ran = sandbox.run(program, 60)
    assert not ran.finished and not ran.seconds_up and said in ran.output
    assert len(ran.output) <= 2000


@needs_sandbox
@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(1000)",
        "while True: pass",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
        "import os, time\nfor _ in range(6):\n    os.fork() or os.setsid()\ntime.sleep(1000)",
        "import ctypes, time; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); time.sleep(1000)",
    ],
    ids=["sleeps", "spins", "ignores signals", "many children", "takes back its death signal"],
)
def test_time_is_up_and_nothing_survives(program):
    before = sandboxed()
    ran = sandbox.run(program, 2)
    assert ran.seconds_up and not ran.finished
    assert gone(sandboxed() - before)


@needs_sandbox
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_survives_a_harness_that_is_stopped(how):
    program = (  # a shell's background jobs ignore interrupts
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from benchmarks.heldout import sandbox; sandbox.run('import time; time.sleep(1000)', 1000)"
    )
    harness = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (running := sandboxed() & children(harness.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running, "it runs"
    harness.send_signal(how)
    harness.wait(timeout=30)
    assert gone(running)


def sandboxed():
    """Processes that run a program from standard input, as those in the sandbox do."""
    listed = subprocess.run(["ps", "ax", "-o", "pid,args"], capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.rstrip().endswith("-I -")}


def children(pid):
    """All processes below one."""
    return {str(child.pid) for child in psutil.Process(pid).children(recursive=True)}


def gone(started):
    """Whether these processes are gone, or soon will be; other tests may run programs at the same time."""
    deadline = time.monotonic() + 60
    while sandboxed() & started and time.monotonic() < deadline:
        time.sleep(0.1)
    return not sandboxed() & started


@needs_sandbox
@pytest.mark.skipif(os.getuid() == 0, reason="the number of processes of root has no limit")
def test_processes_are_limited():
    ran = sandbox.run("import os, time\nfor _ in range(200):\n    if not os.fork(): time.sleep(100)", 10)
    assert not ran.finished and "Resource temporarily unavailable" in ran.output


@needs_sandbox
def test_children_die_with_it_and_other_processes_and_files_are_out_of_sight():
    marker = f"{os.getpid()}7777"
    assert sandbox.run(f"import subprocess; subprocess.Popen(['sleep', '{marker}'])", 10).finished
    seen = sandbox.run(
        f"import os; print(os.path.exists({str(Path(__file__))!r}), os.path.exists('/proc/1'), os.listdir('/work'))",
        10,
    )
    assert seen.output.strip() == "False False []"
    deadline = time.monotonic() + 60

    def left():
        return marker in subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True).stdout

    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left()


@needs_sandbox
def test_secrets_of_the_environment_stay_out(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "secret-value")
    assert "secret-value" not in sandbox.run("import os; print(dict(os.environ))", 10).output


def test_elsewhere_nothing_runs(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    for refuse in (sandbox.check, lambda: sandbox.run("print(1)", 1)):
        with pytest.raises(SettingError, match="lacks Linux; leave the task out"):
            refuse()


def test_a_machine_without_the_tools_is_told(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "linux")
    monkeypatch.setattr(sandbox.shutil, "which", lambda tool, path: None if tool == "unshare" else tool)
    with pytest.raises(SettingError, match=r"lacks unshare \(util-linux\)"):
        sandbox.check()
