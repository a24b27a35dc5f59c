"""Per-item files: both sides of every item, read back as they were scored."""

import json

from mixsd.core.questions import Outcome
from mixsd.core.scores import LIKELIHOOD, Scores
from mixsd.results.items import read_item_pairs, read_probe_pairs, write_pairs
from tests.helpers.made_runs import answer, held_out, item


def test_both_sides_are_read_back(tmp_path):
    before, after = (
        answer("a", False, fact_id="f", kind="k", unit="u"),
        answer("a", True, fact_id="f", kind="k", unit="u"),
    )
    base = Scores({"recall": [before]}, {"t": held_out([1, 0]), "l": held_out([0.5], LIKELIHOOD, 0.5)})
    tuned = Scores({"recall": [after]}, {"t": held_out([0, 1]), "l": held_out([0.25], LIKELIHOOD, 0.5)})
    write_pairs(tmp_path, base, tuned, {"t": {1}, "l": set()})
    (pair,) = read_probe_pairs(tmp_path, "recall")
    assert (pair.before, pair.after) == (before, after)
    first, second = read_item_pairs(tmp_path, "t")
    assert (first.base, first.tuned) == (item(0, 1.0), item(0, 0.0))
    assert (first.contaminated, second.contaminated, second.doc_id) == (False, True, 1)
    assert read_item_pairs(tmp_path, "l")[0].tuned.score == 0.25


def test_a_question_stands_in_the_file_once(tmp_path):
    write_pairs(
        tmp_path,
        Scores({"recall": [answer("a", False)]}, {}),
        Scores({"recall": [answer("a", True)]}, {}),
        {},
    )
    row = json.loads((tmp_path / "probes" / "recall.jsonl").read_text())
    assert row["prompt"] == "Q a" and "prompt" not in row["before"] and "prompt" not in row["after"]
    assert row["before"]["outcome"] == Outcome.WRONG and row["after"]["outcome"] == Outcome.CORRECT
