"""Runs generated Python where it can do no harm. Linux only; elsewhere nothing is run.

A program gets a process tree of its own in new namespaces: no network, no other processes, and a file
system that holds the interpreter and the system's libraries, read-only, and an empty folder in memory.
Each of its processes has limits of memory, processor time, file size and open files, there may be only so
many of them (where the harness does not run as root), and the whole tree is killed when its time is up.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mixsd.core.errors import SettingError

MEBIBYTE = 2**20
MEMORY = 512 * MEBIBYTE
"""Of one process."""
FILE_SIZE = MEBIBYTE
SPACE = "64m"
"""All that a program may write, in memory."""
OPEN_FILES = 64
# Does not bind root.
PROCESSES = 64
PR_SET_PDEATHSIG = 1
SHOWN = 2000
"""Characters of output that are kept."""
START_SECONDS = 10.0
"""For the first program, which shows that the machine lets a sandbox be built at all."""
SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
TOOLS = ("unshare", "mount", "umount", "pivot_root", "setpriv", "prlimit")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
"""Where the tools are; users of some systems do not have the last two on their path."""

# The shell stays the first process of the namespace: when it is killed, all others die with it, whatever
# they did to their own signals.
_BUILD = """
set -e
root=$1; python=$2; shift 2
mount -t tmpfs -o size=SPACE,mode=755 tmpfs "$root"
for folder in SYSTEM "$python"; do
  if [ -L "$folder" ]; then ln -s "$(readlink "$folder")" "$root$folder"
  elif [ -d "$folder" ] && [ ! -e "$root$folder" ]; then
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  fi
done
mkdir -p "$root/dev" "$root/proc" "$root/work" "$root/.old"
while read -r _ _ _ _ place _; do
  case $place in "$root"/?*) mount -o remount,bind,ro,nosuid,nodev "$place" ;; esac
done < /proc/self/mountinfo
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
mount -t proc proc "$root/proc"
cd "$root"
pivot_root . .old
umount -l /.old
umount -l /proc
rmdir /.old /proc
cd /work
prlimit --nproc=PROCESSES --as=MEMORY --cpu=SECONDS --fsize=FILE_SIZE --nofile=OPEN_FILES --core=0 \
  setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --securebits=+noroot,+noroot_locked \
  env -i HOME=/work PATH=/usr/bin:/bin PYTHONHASHSEED=0 "$@"
"""


@dataclass(frozen=True)
class Ran:
    """How a program ended.

    Attributes:
        finished: Whether it came to its last line without an error. A program that leaves early has not; one
            that sets out to pretend can, since its checks run in the same process.
        output: The end of what it printed, both streams.
        seconds_up: Whether it was killed because its time was up.
    """

    finished: bool
    output: str
    seconds_up: bool = False


def run(program: str, seconds: float) -> Ran:
    """Run a Python program to its end.

    Args:
        program: Source code; it sees the standard library only.
        seconds: After so long the program and all it started are killed.

    Raises:
        SettingError: This machine has no sandbox.
    """
    _require()
    return _run(program, seconds)


def check() -> None:
    """See that a sandbox works here.

    Raises:
        SettingError: It does not.
    """
    _require()
    tried = _run("print(6 * 7)", START_SECONDS)
    if not tried.finished or "42" not in tried.output:
        said = " ".join(tried.output.split())[-200:] or "no output"
        raise SettingError(
            f"generated code runs only in a sandbox, and none can be built on this machine ({said}); "
            "allow user namespaces, or leave the task out"
        )


def _require() -> None:
    """Refuse machines that lack what a sandbox is built with."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]
    if sys.platform != "linux" or lacking:
        lacks = "Linux" if sys.platform != "linux" else f"{', '.join(lacking)} (util-linux)"
        raise SettingError(
            f"generated code runs only in a sandbox, and this machine lacks {lacks}; leave the task out"
        )


def _run(program: str, seconds: float) -> Ran:
    # A program that ends itself early must not pass for one that ran through its checks.
    last_line = secrets.token_hex(16)
    source = f"{program}\nprint({last_line!r}, flush=True)\n"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        # Resolved, because the script compares it with the paths in mountinfo.
        root = Path(folder).resolve() / "root"
        root.mkdir()
        process = subprocess.Popen(
            # -I: no environment variables, no user packages; -: the program comes on stdin.
            [*_NAMESPACES, "sh", "-c", _script(seconds), "sh", str(root), *_interpreter(), "-I", "-"],
            stdin=subprocess.PIPE,
            # A file, not a pipe: the limit of file size then holds for what is printed.
            stdout=output,
            stderr=output,
            # A process group of its own, for `killpg` below.
            start_new_session=True,
            env={**os.environ, "PATH": PATH},
            preexec_fn=_begin,
        )
        try:
            process.communicate(source.encode(), timeout=seconds)
            up = False
        except subprocess.TimeoutExpired:
            up = True
        finally:  # also when the harness is interrupted
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - SHOWN))
        printed = output.read().decode(errors="replace")
    finished = process.returncode == 0 and not up and printed.rstrip().endswith(last_line)
    return Ran(finished, printed.replace(last_line, ""), up)


_NAMESPACES = (
    *("unshare", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork"),
    "--kill-child",
)


def _script(seconds: float) -> str:
    values = {
        "SPACE": SPACE,
        "SYSTEM": " ".join(SYSTEM),
        "PROCESSES": PROCESSES,
        "MEMORY": MEMORY,
        # Only whole seconds are allowed; the clock below ends most programs first.
        "SECONDS": int(seconds) + 1,
        "FILE_SIZE": FILE_SIZE,
        "OPEN_FILES": OPEN_FILES,
    }
    script = _BUILD
    for name, value in values.items():
        script = script.replace(name, str(value))
    return script


def _interpreter() -> tuple[str, str]:
    """The folder of the interpreter's libraries, and the interpreter, outside any virtual environment."""
    return str(Path(sys.base_prefix).resolve()), str(Path(sys.executable).resolve())


def _begin() -> None:
    """In the new process, before anything else: die with the harness, and write little."""
    import ctypes
    import resource  # Unix only

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
