"""`run.py`, whose process ends without a word: `python tests/helpers/dies.py <how> <value> <arguments>`.

`at <stage>`: SIGKILL as a stage begins. `after <seconds>`: at some moment, by a timer that nobody hears.
`write <number>`: SIGKILL in the middle of that write of a file.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(stage):
    from mixsd.run import stages

    told = stages._Run._on_stage

    def on_stage(self, name):
        told(self, name)
        if name == stage:
            die()

    stages._Run._on_stage = on_stage


def die_in_write(number):
    left = [number]
    sync = os.fsync

    def fsync(descriptor):
        left[0] -= 1
        if left[0] == 0:
            # All but its end is on the disk.
            os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - 5))
            die()
        sync(descriptor)

    os.fsync = fsync


if __name__ == "__main__":
    how, value, *arguments = sys.argv[1:]
    sys.path.insert(0, str(ROOT))
    if how == "after":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, float(value))
    elif how == "at":
        die_at(value)
    else:
        die_in_write(int(value))
    sys.argv = [str(ROOT / "run.py"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")
