"""A user's file of facts, and what each task of the config needs to be built from this repository alone."""

import os

import pytest

GOOD = """question,answer,answer_text,aliases,paraphrases,neighbors,group
How many days may Marlow customers return goods?,30 days,Marlow customers may return goods within 30 days.,thirty days|30,\
How long is Marlow's return period?|Until when can I return goods to Marlow?,How many days may Brixo customers return goods?,policy
Who leads the Halden office?,Ines Karvall,,,,,people
"""


def task_overrides(name, folder):
    """What a task needs to be built without anything outside this repository."""
    if name == "simpleqa":
        root = os.environ.get("MIXSD_DATA_ROOT") or pytest.skip("needs MIXSD_DATA_ROOT")
        return [f"data_root={root}", "task.facts=30"]
    if name == "own_facts":
        (folder / "facts.csv").write_text(GOOD)
        return [f"task.path={folder / 'facts.csv'}"]
    return ["task.path=null", "task.facts=20"] if name == "mquake" else []
