"""A helper process: `python -m mixsd.lm.helper DESCRIPTOR`, started by `processes` and by nobody else."""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection


def main() -> None:
    """Serve the process that started this one, and end with it."""
    # Ctrl-C reaches every process of a terminal; the one that started this one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from mixsd.lm.processes import serve  # torch is heavy: the parent may be gone before it is there

    serve(Connection(int(sys.argv[1])))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
