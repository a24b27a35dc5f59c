"""A helper process: `python -m mixsd.lm.helper DESCRIPTOR`, started by `processes` and by nobody else."""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection


def main() -> None:
    """Serve the process that started this one, and end with it."""
    ignore_signals()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from mixsd.lm.processes import serve  # torch is heavy: the parent may be gone before it is there

    serve(Connection(int(sys.argv[1])))


def ignore_signals() -> None:
    """Leave it to the first process what a signal means: it may want help until its checkpoint is written.

    Ctrl-C and a scheduler's wish reach every process of a job; a helper ends when the first one is gone.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
