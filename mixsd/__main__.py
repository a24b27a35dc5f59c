"""Entry point of `python -m mixsd`."""

import sys

from mixsd.cli import main

sys.exit(main())
