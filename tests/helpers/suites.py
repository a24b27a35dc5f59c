"""A retention suite as the config would build it, with some settings changed."""

from benchmarks.heldout.suite import LmEvalSuite

POCKET = ["pocket_knowledge", "pocket_arithmetic", "pocket_instructions", "pocket_grammar"]


def suite(tasks=POCKET, **changes):
    values = {
        "name": "s",
        "tasks": list(tasks),
        "limit": 4,
        "validation_limit": 3,
        **dict.fromkeys(("data_root", "include", "prompts", "temperature", "max_new_tokens")),
        "allow_code_execution": False,
    }
    return LmEvalSuite(**{**values, **changes})
