"""Entry point of `python -m mixsd`."""

import os
import sys

# Before torch is imported: threads that spin while they wait slow each other down on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from mixsd.cli import main

sys.exit(main())
