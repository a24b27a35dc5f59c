import random

import numpy as np
import pytest
import torch

from benchmarks.heldout import lm_eval_scores, lm_eval_tasks
from mixsd.core.errors import DataError, SettingError
from mixsd.lm import load as models
from mixsd.run.train import Evaluation
from tests.conftest import settings
from tests.helpers.suites import POCKET, suite
from tests.helpers.training import fit_sft, make, weights


def test_scores_every_task_and_counts_progress(tiny):
    seen = []
    pocket = suite()
    result = pocket.evaluate(tiny, POCKET, 8, seen.append)
    assert list(result) == POCKET
    assert sum(seen) == pocket.size(POCKET) == 16
    assert [scores.kind for scores in result.values()] == ["generated"] * 3 + ["likelihood"]
    assert result["pocket_grammar"].chance == 0.5 and result["pocket_knowledge"].chance == 0
    for scores in result.values():
        assert len(scores.items) == 4 and all(item.prompt and item.question for item in scores.items)
        assert all((item.score == 1) == (item.outcome == "correct") for item in scores.items)
    assert {i.outcome for i in result["pocket_knowledge"].items} == {"truncated"}, "random bytes never end"


def test_leaves_generators_mode_and_weights_alone(tiny):
    tiny.network.train()
    before = {name: value.clone() for name, value in tiny.network.state_dict().items()}
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    suite().evaluate(tiny, POCKET, 8, lambda _: None)
    drawn = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert drawn == (random.random(), np.random.random(), torch.rand(1).item())
    assert tiny.network.training
    assert all(torch.equal(before[name], value) for name, value in tiny.network.state_dict().items())


@pytest.mark.slow
def test_training_is_the_same_with_and_without_an_evaluation_in_the_middle(tmp_path, monkeypatch):
    """Generators (dropout draws from them), training mode and tied weights are as if lm-eval had not been there."""
    real = lm_eval_scores.evaluate

    def reseeds(*arguments, **options):  # as `simple_evaluate` does
        torch.manual_seed(1), random.seed(0), np.random.seed(1234)
        return real(*arguments, **options)

    monkeypatch.setattr(lm_eval_scores, "evaluate", reseeds)

    def trained(dropout, watched):
        student = models.load(settings("tiny_random"), tmp_path)
        for module in student.network.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = dropout

        def evaluate(step, report):
            if watched:
                suite().evaluate(student, POCKET, 8, lambda _: None)
                suite().validate(student, 8)
            return Evaluation(0.0)

        folder = tmp_path / f"{dropout} {watched}"
        fit_sft(student, make(max_steps=6, eval_every=2), folder, evaluate=evaluate)
        return weights(student)

    assert torch.equal(trained(0.5, False), trained(0.5, True))
    assert not torch.equal(trained(0.5, False), trained(0.0, False)), "dropout does draw"


def test_the_same_model_scores_the_same_twice_and_the_tied_head_stays_tied(tiny):
    first = suite().evaluate(tiny, POCKET, 8, lambda _: None)
    assert first == suite().evaluate(tiny, POCKET, 8, lambda _: None)
    assert tiny.network.lm_head.weight is tiny.network.get_input_embeddings().weight


@pytest.mark.slow
def test_prompts_are_those_of_the_probes(smollm, monkeypatch):
    """The chat template of held-out questions is the one of training and probes, token by token."""
    asked = []
    real = lm_eval_scores.generate

    def spy(student, prompts, **options):
        asked.extend(prompts)
        return real(student, prompts, **{**options, "max_new_tokens": 1})

    monkeypatch.setattr(lm_eval_scores, "generate", spy)
    scores = suite(limit=2).evaluate(smollm, POCKET[:1], 4, lambda _: None)["pocket_knowledge"]
    assert [tuple(ids) for ids in asked] == [smollm.prompt_ids(item.prompt) for item in scores.items]


@pytest.mark.slow
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
    assert suite(tasks=["pocket_grammar"]).validate(tiny, 8) is None, "no generated task"
    assert suite(tasks=[]).validate(tiny, 8) is None


def test_fingerprint_knows_tasks_limit_and_data(monkeypatch, tmp_path):
    prints = [repr(suite(**c).fingerprint()) for c in ({}, {"limit": 5}, {"tasks": POCKET[:2]})]
    assert len(set(prints)) == 3
    prompts = tmp_path / "a" / "p.csv", tmp_path / "b" / "q.csv"
    for path in prompts:
        path.parent.mkdir()
        path.write_text("prompt,expected\nWhat?,that\n")
    first, second = (suite(tasks=[], prompts=path).fingerprint() for path in prompts)
    assert first == second, "by content, wherever it lies"
    prompts[1].write_text("prompt,expected\nWhat?,this\n")
    lm_eval_tasks.load_tasks.cache_clear()
    assert suite(tasks=[], prompts=prompts[1]).fingerprint() != first


def test_bad_settings():
    with pytest.raises(SettingError, match="retention.limit=0"):
        suite(limit=0)


@pytest.mark.slow  # indexes all tasks of lm-eval
def test_a_clone_that_is_missing_is_one_line(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="data_root"):
        suite(tasks=["piqa"], data_root=str(tmp_path)).evaluate(tiny, ["piqa"], 4, lambda _: None)


@pytest.mark.slow  # indexes all tasks of lm-eval
def test_an_unknown_task_is_one_line_before_any_model():
    with pytest.raises(SettingError, match="no_such_task is no task or group.*pocket_knowledge"):
        suite(tasks=["no_such_task"])


@pytest.mark.slow  # indexes all tasks of lm-eval
def test_groups_become_their_tasks():
    assert len(suite(tasks=["mmlu"]).tasks) == 57
    assert suite(tasks=["pocket_grammar", "ai2_arc", "arc_easy"]).tasks == [
        "pocket_grammar",
        "arc_challenge",
        "arc_easy",
    ]


def test_caveat_of_a_subset():
    assert "subset" in suite().caveats[0] and suite(limit=None).caveats == []


@pytest.mark.parametrize("given", [(1, 0), 2.0, "right", None])
def test_what_is_no_score_is_refused(given):
    with pytest.raises(SettingError, match="gives no score between 0 and 1"):
        lm_eval_scores._scores_of("t", "mcc", given, [False])


def test_samples_that_a_task_folds_itself_have_one_score():
    assert lm_eval_scores._scores_of("t", "acc", True, [True, False, False]) == [1.0]
    assert lm_eval_scores._scores_of("t", "acc", 1.0, [True, True, True]) == [0.0]
    assert lm_eval_scores._scores_of("t", "acc", [1, 0, 1], [True, False, False]) == [0.0, 0.0, 1.0]


def test_the_right_choice_is_text(tiny):
    items = suite().evaluate(tiny, ["pocket_grammar"], 4, lambda _: None)["pocket_grammar"].items
    assert all(len(item.answers[0].split()) > 2 for item in items)


def test_a_long_prompt_shortens_no_other_reply_and_what_it_loses_is_counted(tiny, tmp_path, monkeypatch):
    """A reply's budget goes by its own prompt; one that fills the context loses its beginning, and that is told."""
    context = int(tiny.network.config.max_position_embeddings)
    long = "Long. " * context
    (tmp_path / "p.csv").write_text(f"prompt,expected\nShort?,a\n{long},b\n")
    asked = {}
    real = lm_eval_scores.generate

    def spy(model, prompts, **options):
        asked["lengths"], asked["budget"] = [len(ids) for ids in prompts], options["max_new_tokens"]
        return real(model, prompts, **{**options, "max_new_tokens": 2})

    monkeypatch.setattr(lm_eval_scores, "generate", spy)
    scores = suite(tasks=[], prompts=tmp_path / "p.csv").evaluate(tiny, ["prompts"], 2, lambda _: None)
    assert asked["budget"] == lm_eval_tasks.PROMPTS_BUDGET
    assert min(asked["lengths"]) < 100 and max(asked["lengths"]) == context - asked["budget"]
    assert scores["prompts"].shortened == 1
    assert suite().evaluate(tiny, POCKET[:1], 4, lambda _: None)["pocket_knowledge"].shortened == 0
