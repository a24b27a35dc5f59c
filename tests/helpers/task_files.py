"""A user's file of facts, and what each task of the config needs to be built from this repository alone."""

import json
import os

import pytest

GOOD = """question,answer,answer_text,aliases,paraphrases,neighbors,group
How many days may Marlow customers return goods?,30 days,Marlow customers may return goods within 30 days.,thirty days|30,\
How long is Marlow's return period?|Until when can I return goods to Marlow?,How many days may Brixo customers return goods?,policy
Who leads the Halden office?,Ines Karvall,,,,,people
"""
COUNTERFACT = [{
    "case_id": 0,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is", "relation_id": "P103", "subject": "Danielle Darrieux",
        "target_new": {"str": "English", "id": "Q1860"}, "target_true": {"str": "French", "id": "Q150"},
    },
    "paraphrase_prompts": ["Danielle Darrieux, a native", "Danielle Darrieux spoke the language"],
    "neighborhood_prompts": ["The mother tongue of Jean Gabin is", "Jean Renoir is a native speaker of"],
    "attribute_prompts": ["J.R.R. Tolkien is a native speaker of"],
    "generation_prompts": ["Danielle Darrieux's mother tongue is"],
}]  # fmt: skip
"""A record in the schema of CounterFact, and below of zsRE and RippleEdits."""
ZSRE = [{
    "subject": "Watts Humphrey", "src": "What university did Watts Humphrey attend?",
    "rephrase": "What university did Watts Humphrey take part in?", "alt": "University of Michigan",
    "answers": ["Illinois Institute of Technology"], "loc": "nq question: who played desmond doss father in "
    "hacksaw ridge",
    "loc_ans": "Hugo Weaving", "cond": "...",
}]  # fmt: skip
RIPPLE_EDITS = [{
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the country of citizenship of Leonardo DiCaprio is Syria.",
        "subject_id": "Q38111",
        "relation": "COUNTRY_OF_CITIZENSHIP", "target_id": "Q858",
        "original_fact": {
            "prompt": "The name of the country of citizenship of Leonardo DiCaprio is United States of "
            "America.",
        },
    },
    "Relation_Specificity": [{"test_queries": [{
        "prompt": "The name of the mother of Leonardo DiCaprio is",
        "answers": [{"value": "Irmelin Indenbirken", "aliases": ["Irmelin"]}],
    }], "condition_queries": []}],
    "Logical_Generalization": [{"test_queries": [{
        "prompt": "The name of the continent which Leonardo DiCaprio is a citizen of is",
        "answers": [{"value": "Asia", "aliases": []}],
    }]}],
    "Compositionality_I": [{"test_queries": [
        {"prompt": "The name of the capital of the country of Leonardo DiCaprio is",
         "answers": [{"value": "Damascus", "aliases": ["Dimashq"]}]},
        {"prompt": "The name of nothing is", "answers": []},
    ]}],
}]  # fmt: skip


def task_overrides(name, folder):
    """What a task needs to be built without anything outside this repository."""
    if name == "simpleqa":
        root = os.environ.get("MIXSD_DATA_ROOT") or pytest.skip("needs MIXSD_DATA_ROOT")
        return [f"data_root={root}", "task.facts=30"]
    if name == "own_facts":
        (folder / "facts.csv").write_text(GOOD)
        return [f"task.path={folder / 'facts.csv'}"]
    if name == "edits":
        (folder / "edits.json").write_text(json.dumps(COUNTERFACT))
        return [f"task.path={folder / 'edits.json'}"]
    return ["task.path=null", "task.facts=20"] if name == "mquake" else []
