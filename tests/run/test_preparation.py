"""The likelihoods of what is trained on, of the gold texts and of contrasts: over the same facts."""

import pytest
import torch

from mixsd.lm.batches import GOLD, Example
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import Preparation, gold_example
from mixsd.run.preparation import read_examples, target_report, write_examples
from tests.helpers.fakes import FakeTask, MemoryBench
from tests.helpers.mixing import mixsd

FACTS = FakeTask(6).facts


def mean_nll(model, examples):
    return torch.cat(target_nll(model, examples, 6)).mean().item()


def test_targets_gold_and_contrasts_are_over_the_kept_facts(tiny):
    """A method that drops the hard facts must not be compared with the gold texts of all of them."""
    gold = [gold_example(fact, tiny) for fact in FACTS]
    kept = [0, 1, 4]
    other = [Example(e.fact_id, e.prompt_ids, e.target_ids[:2], GOLD * 2, "") for e in gold]
    made = Preparation(
        examples=[other[n] for n in kept],
        dropped={"f2": "wrong", "f3": "wrong"},
        report={"pass_rate": 0.6},
        contrasts={"expert": lambda: gold},
    )
    told = target_report(made, FACTS, ["f5"], tiny, 2)
    assert told.trained.nll == pytest.approx(mean_nll(tiny, made.examples), rel=1e-4)
    assert told.gold.nll == pytest.approx(mean_nll(tiny, [gold[n] for n in kept]), rel=1e-4)
    assert told.contrasts["expert"].nll == pytest.approx(told.gold.nll, rel=1e-4)
    assert told.gold_of_all.nll == pytest.approx(mean_nll(tiny, gold), rel=1e-4) != told.gold.nll
    assert told.gold.tokens == told.contrasts["expert"].tokens == sum(len(gold[n].target_ids) for n in kept)
    assert (told.trained.tokens, told.gold_of_all.tokens) == (6, sum(len(e.target_ids) for e in gold))
    assert told.numbers == {"pass_rate": 0.6}


def test_what_the_user_left_out_was_not_dropped_by_the_method(tiny):
    made = Preparation([gold_example(FACTS[0], tiny)], dropped={"f1": "wrong", "f5": "left out"})
    told = target_report(made, FACTS, {"f4", "f5"}, tiny, 2)
    assert (told.n, told.left_out, told.dropped) == (6, 2, 1)


def test_shares_count_tokens_above_5_nats(tiny):
    made = Preparation([gold_example(fact, tiny) for fact in FACTS])
    told = target_report(made, FACTS, [], tiny, 4)
    losses = torch.cat(target_nll(tiny, made.examples, 4))
    assert told.trained.unlikely_share == pytest.approx((losses > 5).float().mean().item())
    assert told.trained == told.gold == told.gold_of_all


def test_examples_of_no_fact_are_not_compared_with_gold_texts(tiny):
    gold = gold_example(FACTS[0], tiny)
    replayed = Example("general-0", gold.prompt_ids, gold.target_ids[:1], "b", "", extra=True)
    stranger = Example("row 3", gold.prompt_ids, gold.target_ids[:1], "?", "")
    told = target_report(Preparation([gold, replayed, stranger]), FACTS, [], tiny, 4)
    assert told.trained == told.gold and told.trained.tokens == len(gold.target_ids)


def test_examples_come_back_as_they_were_written(tiny, tmp_path):
    made = mixsd(on_failure="keep_last").prepare(FACTS, tiny, MemoryBench())
    write_examples(tmp_path / "examples.jsonl", made.examples, tiny)
    assert read_examples(tmp_path / "examples.jsonl") == made.examples
