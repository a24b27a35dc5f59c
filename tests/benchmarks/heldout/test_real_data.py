"""The quick suite on local clones of the real benchmarks."""

import os
from pathlib import Path

import pytest

from tests.helpers.suites import suite

ROOT = os.environ.get("MIXSD_DATA_ROOT")
COUNTS = {
    "arc_easy": 2376,
    "arc_challenge": 1172,
    "piqa": 1838,
    "lambada_openai": 5153,
    "winogrande": 1267,
    "gsm8k": 1319,
}
"""Documents of each task, as the data's own pages state them."""

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT, reason="MIXSD_DATA_ROOT is not set: no dataset clones to read"),
]


@pytest.fixture(scope="module")
def quick():
    assert ROOT and Path(ROOT).is_dir()
    return suite(COUNTS, limit=2, validation_limit=0, data_root=ROOT)


@pytest.mark.parametrize("task", COUNTS)
def test_document_counts(quick, task):
    assert len(quick._load(list(COUNTS))[task].eval_docs) == COUNTS[task]


def test_scores_from_clones(quick, tiny):
    working_directory = Path.cwd()
    scores = quick.evaluate(tiny, list(COUNTS), 8, lambda _: None)
    assert list(scores) == list(COUNTS) and all(len(s.items) == 2 for s in scores.values())
    assert scores["gsm8k"].kind == "generated" and scores["gsm8k"].metric == "exact_match"
    assert scores["arc_easy"].chance == pytest.approx(0.25, abs=0.1) and scores["lambada_openai"].chance == 0
    assert Path.cwd() == working_directory
    assert quick.validate(tiny, 8) is None, "none set aside"
