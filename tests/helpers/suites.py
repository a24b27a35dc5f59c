"""Held-out suites as the config would build them, with some settings changed, and what a sandbox needs."""

from pathlib import Path

import pytest

from benchmarks.heldout import sandbox
from benchmarks.heldout.suite import LmEvalSuite
from mixsd.core.errors import SettingError
from mixsd.core.files import File, Folder

POCKET = ["pocket_knowledge", "pocket_arithmetic", "pocket_instructions", "pocket_grammar"]


def suite(tasks=POCKET, include=None, prompts=None, **changes):
    values = {"name": "s", "tasks": list(tasks), "limit": 4, "validation_limit": 3}
    files = {
        "include": include and Folder("retention.include", Path(include)),
        "prompts": prompts and File("retention.prompts", Path(prompts)),
    }
    return LmEvalSuite(**{**values, **files, **changes})


try:
    sandbox.check()
    WHY_NO_SANDBOX = ""
except SettingError as error:
    WHY_NO_SANDBOX = str(error)
needs_sandbox = pytest.mark.skipif(bool(WHY_NO_SANDBOX), reason=WHY_NO_SANDBOX or "a sandbox works here")
