import random

import numpy as np
import pytest
import torch

from benchmarks import retention
from benchmarks.retention import LmEvalSuite
from mixsd.errors import DataError, SettingError

POCKET = ["pocket_knowledge", "pocket_arithmetic", "pocket_instructions", "pocket_grammar"]


def suite(tasks=POCKET, **changes):
    values = {"name": "s", "tasks": tasks, "limit": 4, "validation_limit": 3, "data_root": None}
    return LmEvalSuite(**{**values, **changes})


def test_scores_every_task_and_counts_progress(tiny):
    seen = []
    pocket = suite()
    result = pocket.evaluate(tiny, POCKET, 8, seen.append)
    assert list(result) == POCKET
    assert sum(seen) == pocket.size(POCKET) == 16
    assert [scores.kind for scores in result.values()] == ["generated"] * 3 + ["likelihood"]
    assert result["pocket_grammar"].chance == 0.5 and result["pocket_knowledge"].chance == 0
    for scores in result.values():
        assert len(scores.items) == 4 and all(item["prompt"] for item in scores.items)
        assert all((item["score"] == 1) == (item["outcome"] == "correct") for item in scores.items)
    assert {i["outcome"] for i in result["pocket_knowledge"].items} == {"truncated"}, "random bytes never end"


def test_leaves_generators_mode_and_weights_alone(tiny):
    tiny.model.train()
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    suite().evaluate(tiny, POCKET, 8, lambda _: None)
    drawn = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert drawn == (random.random(), np.random.random(), torch.rand(1).item())
    assert tiny.model.training
    assert all(torch.equal(before[name], value) for name, value in tiny.model.state_dict().items())


def test_the_same_model_scores_the_same_twice_and_the_tied_head_stays_tied(tiny):
    first = suite().evaluate(tiny, POCKET, 8, lambda _: None)
    assert first == suite().evaluate(tiny, POCKET, 8, lambda _: None)
    assert tiny.model.lm_head.weight is tiny.model.get_input_embeddings().weight


def test_prompts_are_those_of_the_probes(smollm, monkeypatch):
    """The chat template of held-out questions is the one of training and probes, token by token."""
    asked = []
    real = retention.generate

    def spy(student, prompts, **options):
        asked.extend(prompts)
        return real(student, prompts, **{**options, "max_new_tokens": 1})

    monkeypatch.setattr(retention, "generate", spy)
    scores = suite(limit=2).evaluate(smollm, POCKET[:1], 4, lambda _: None)["pocket_knowledge"]
    assert [tuple(ids) for ids in asked] == [smollm.prompt_ids(item["prompt"]) for item in scores.items]


def test_the_embedded_model_answers(smollm):
    scores = suite(limit=12).evaluate(smollm, POCKET, 12, lambda _: None)
    assert scores["pocket_knowledge"].mean > 0.3 and scores["pocket_grammar"].mean > 0.6


def test_validation_documents_are_other_documents(tiny):
    pocket = suite()
    test = pocket._load(POCKET)
    validation = pocket._load(POCKET, validation=True)
    for name in POCKET:
        ids = [{doc["id"] for doc in tasks[name].eval_docs} for tasks in (test, validation)]
        assert ids[0] and ids[1] and not ids[0] & ids[1]
    assert pocket.validate(tiny, 8) == 0.0
    assert suite(validation_limit=0).validate(tiny, 8) is None
    assert suite(tasks=["piqa"]).validate(tiny, 8) is None
    assert suite(tasks=[]).validate(tiny, 8) is None


def test_fingerprint_knows_tasks_limit_and_data(monkeypatch, tmp_path):
    prints = [repr(suite(**c).fingerprint()) for c in ({}, {"limit": 5}, {"tasks": POCKET[:2]})]
    assert len(set(prints)) == 3
    assert suite(data_root="/elsewhere").fingerprint() == suite().fingerprint()
    (tmp_path / "a.jsonl").write_text("{}")
    first = retention._folder_digest(tmp_path)
    retention._folder_digest.cache_clear()
    (tmp_path / "a.jsonl").write_text("{} ")
    assert retention._folder_digest(tmp_path) != first


def test_bad_settings():
    with pytest.raises(SettingError, match="retention.limit=0"):
        suite(limit=0)
    with pytest.raises(SettingError, match="pocket_knowledge"):
        suite(tasks=["pocket_nonsense"])


def test_a_clone_that_is_missing_is_one_line(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="data_root"):
        suite(tasks=["piqa"], data_root=str(tmp_path)).evaluate(tiny, ["piqa"], 4, lambda _: None)


def test_an_unknown_task_is_one_line(tiny):
    with pytest.raises(SettingError, match="no_such_task"):
        suite(tasks=["no_such_task"]).evaluate(tiny, ["no_such_task"], 4, lambda _: None)
