"""Runs generated Python where it can do no harm. Linux only; elsewhere nothing is run.

A program gets a process tree of its own in new namespaces: no network, no other processes, and a file
system that holds the interpreter and the system's libraries, read-only, and an empty folder in memory.
Memory, time, file size and open files are limited, and the whole tree is killed when its time is up.
Where the harness itself runs as root, the number of processes has no limit but the time.
"""

import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mixsd.errors import SettingError

MEBIBYTE = 2**20
MEMORY = 512 * MEBIBYTE
FILE_SIZE = MEBIBYTE
SPACE = "64m"
"""All that a program may write, in memory."""
OPEN_FILES = 64
START_SECONDS = 10.0
"""For the first program, which shows that the machine lets a sandbox be built at all."""
SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
TOOLS = ("unshare", "mount", "umount", "pivot_root", "setpriv")

_BUILD = """
set -e
root=$1; python=$2; shift 2
mount -t tmpfs -o size=SPACE,mode=755 tmpfs "$root"
for folder in SYSTEM "$python"; do
  if [ -L "$folder" ]; then ln -s "$(readlink "$folder")" "$root$folder"
  elif [ -d "$folder" ] && [ ! -e "$root$folder" ]; then
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
  fi
done
mkdir -p "$root/dev" "$root/proc" "$root/work" "$root/.old"
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
mount -t proc proc "$root/proc"
cd "$root"
pivot_root . .old
umount -l /.old
umount -l /proc
rmdir /.old /proc
cd /work
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --securebits=+noroot,+noroot_locked \
  env -i HOME=/work PATH=/usr/bin:/bin PYTHONHASHSEED=0 "$@"
""".replace("SPACE", SPACE).replace("SYSTEM", " ".join(SYSTEM))


@dataclass(frozen=True)
class Ran:
    """How a program ended.

    Attributes:
        finished: Whether it came to its last line without an error.
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


def _require() -> None:
    """Refuse machines on which no sandbox can be built."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if sys.platform != "linux" or missing:
        lacks = "Linux" if sys.platform != "linux" else f"{', '.join(missing)} (util-linux)"
        raise SettingError(
            f"generated code runs only in a sandbox, and this machine lacks {lacks}; leave the task out"
        )


def check() -> None:
    """See that a sandbox works here.

    Raises:
        SettingError: It does not.
    """
    _require()
    tried = _run("print(6 * 7)", START_SECONDS)
    if not tried.finished or "42" not in tried.output:
        raise SettingError(
            "generated code runs only in a sandbox, and this machine does not let one be built "
            f"({tried.output.strip()[-200:] or 'no output'}); allow user namespaces, or leave the task out"
        )


def _run(program: str, seconds: float) -> Ran:
    # A program that ends itself early must not pass for one that ran through its checks.
    last_line = secrets.token_hex(16)
    source = f"{program}\nprint({last_line!r}, flush=True)\n"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        root = Path(folder) / "root"
        root.mkdir()
        command = ["unshare", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork"]
        inside = [str(Path(sys.executable).resolve()), "-I", "-"]
        process = subprocess.Popen(
            [*command, "--kill-child", "sh", "-c", _BUILD, "sh", str(root), sys.base_prefix, *inside],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_limit,
        )
        try:
            process.communicate(source.encode(), timeout=seconds)
            up = False
        except subprocess.TimeoutExpired:
            process.kill()  # --kill-child takes the namespace, and so everything in it, along
            process.wait()
            up = True
        output.seek(max(0, output.seek(0, 2) - 2000))
        printed = output.read().decode(errors="replace")
    finished = process.returncode == 0 and not up and printed.rstrip().endswith(last_line)
    return Ran(finished, printed.replace(last_line, ""), up)


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
