"""The reasoning suite: fixed parts of the paper's sets, and graders of its own, on made-up rows and real ones."""

import os
from collections import Counter

import pytest

from benchmarks.heldout.lm_eval_tasks import is_own, own_digest, runs_code
from benchmarks.heldout.paper import documents as paper
from benchmarks.heldout.reasoning import documents as reasoning
from mixsd.core.errors import SettingError
from tests.helpers.suites import needs_sandbox, suite

ROOT = os.environ.get("MIXSD_DATA_ROOT")
COUNTS = {
    "reasoning_gsm8k": 224,
    "reasoning_gsm8k_unasked": 224,
    "reasoning_gsm8k_begun": 224,
    "reasoning_math500": 124,
    "reasoning_humaneval": 164,
    "reasoning_mmlu": 171,
}
REQUEST = "Please reason step by step"
with_data = pytest.mark.skipif(not ROOT, reason="MIXSD_DATA_ROOT is not set: no dataset clones to read")


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("She makes 9 * 2 = 18 dollars.", 1),
        ("\\boxed{18}", 1),
        ("It is 1,018.", 0),
        ("It is 18.0", 1),
        ("18 eggs, of which 2 are left", 0),
        ("from 12-18", 1),
        ("It is $18.", 1),
        ("18%", 1),
        ("1,2,18", 1),
        ("36/2", 1),
        ("18/0", 0),
        ("1\\,018", 0),
        ("1{,}018", 0),
        ("-18", 0),
        ("eighteen", 0),
        ("", 0),
    ],
)
def test_the_last_number_counts_where_no_form_was_asked_for(reply, right):
    assert reasoning.grade_number({"answers": ["18"]}, [reply])["acc"] == [right]


def test_thousands_and_signs_are_read():
    for reply in ("so -1,250", "so \N{MINUS SIGN}1250.00", "so $-1{,}250$", "so -1\\,250."):
        assert reasoning.grade_number({"answers": ["-1250"]}, [reply])["acc"] == [1], reply


@pytest.fixture
def rows(monkeypatch):
    def made(dataset, config, split):
        if dataset == "cais/mmlu":
            return [
                {"question": f"{config} {n}?", "choices": list("wxyz"), "answer": n % 4} for n in range(9)
            ]
        return [{"question": f"Sum {n}?", "answer": f"... #### {n}"} for n in range(1000)]

    monkeypatch.setattr(paper, "_rows", made)
    monkeypatch.setattr(paper.datasets, "get_dataset_config_names", lambda name: ["law", "art", "all"])


def test_a_part_is_fixed_and_spread_over_the_whole(rows):
    first, again = (reasoning.load("gsm8k")["test"]["prompt"] for _ in range(2))
    assert list(first) == list(again) and len(set(first)) == 224
    places = [int(prompt.split()[1].rstrip("?")) for prompt in first]
    assert places == sorted(places)
    # 224 of 1000 without replacement: each third expects 75, standard deviation below 7.
    assert all(45 < sum(low <= p < low + 333 for p in places) < 105 for low in (0, 333, 666))


def test_each_subject_has_as_many_and_no_worked_examples(rows):
    documents = list(reasoning.load("mmlu")["test"])
    assert Counter(doc["subject"] for doc in documents) == {"art": 3, "law": 3}
    assert all("Answer: " not in doc["prompt"] and REQUEST in doc["prompt"] for doc in documents)


def test_the_same_questions_with_and_without_the_request(rows):
    asked, plain = (reasoning.load("gsm8k", boxed=boxed)["test"] for boxed in (True, False))
    assert [paper.BOXED.prompt(prompt) for prompt in plain["prompt"]] == list(asked["prompt"])
    assert not any(REQUEST in prompt for prompt in plain["prompt"])


def test_what_it_takes_from_the_papers_suite_is_on_its_hash():
    assert own_digest(["reasoning_mmlu"], None).endswith(own_digest(["paper_mmlu"], None))
    assert own_digest(["reasoning_mmlu", "paper_mmlu"], None).count("-") == 1


def test_one_set_of_questions_sets_the_same_documents_aside_however_it_is_asked(rows):
    names = ["reasoning_gsm8k", "reasoning_gsm8k_unasked", "reasoning_gsm8k_begun"]
    of = suite(names, limit=None, validation_limit=24)
    assert len({tuple(of._set_aside(name)) for name in names}) == 1
    assert all(len(of._set_aside(name)) == 24 for name in names)


def test_a_users_task_is_not_ours_by_its_name():
    assert is_own("reasoning_mmlu") and not is_own("reasoning_mine") and not is_own("pocket_mine")


def test_what_guessing_gives_is_told(rows):
    assert any("to guess gives 0.25" in line for line in suite(["reasoning_mmlu"]).caveats)


def test_programs_need_permission():
    assert runs_code("reasoning_humaneval") and not runs_code("humaneval")
    with pytest.raises(SettingError, match="reasoning_humaneval runs generated programs"):
        suite(["reasoning_humaneval"])


@pytest.mark.real_data
@with_data
@needs_sandbox
def test_real_documents_are_as_many_and_pass_with_their_gold_answers():
    whole = suite(list(COUNTS), data_root=ROOT, allow_code_execution=True)
    papers = suite(["paper_humaneval"], data_root=ROOT, allow_code_execution=True)
    (programs,) = papers._load(["paper_humaneval"]).values()
    for name, task in whole._load(list(COUNTS)).items():
        documents = list(task.eval_docs)
        assert len(documents) == COUNTS[name]
        if name == "reasoning_humaneval":
            # The test of the paper's suite runs them all.
            assert (
                documents == list(programs.eval_docs) and task.config.process_results is paper.grade_program
            )
            documents = documents[::8]
        for doc in documents:
            reply = f"Therefore \\boxed{{{doc['answers'][0]}}}."
            if name == "reasoning_humaneval":
                reply = doc["answers"][0].strip()
            assert task.process_results(doc, [reply])["acc"] == [1], (name, doc)
