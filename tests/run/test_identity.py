import pytest

from mixsd.core.store import content_hash
from mixsd.mixing import expert_prompt
from mixsd.run.config import read_config

TINY = ("model=tiny_random", "task.facts=4")


@pytest.fixture
def identity(composed):
    return lambda *overrides: read_config(composed(*TINY, *overrides)).identity


def hashes(identity):
    return identity.run_hash, content_hash(identity.measured)


def test_names_places_and_gates_are_no_part_of_a_run(identity, tmp_path):
    found = {
        hashes(identity(*overrides))
        for overrides in (
            [], ["experiment_name=x"], ["runs_dir=/y"], ["cache_dir=/z"], ["tracking.mode=disabled"],
            [f"data_root={tmp_path}"], ["gate.learned=0.5"], ["training.save_model=true"],
            ["training.checkpoint_every=null"], ["method.top_k=7"], ["method.contrast=false"],
            ["method.decode_batch_size=8"],
        )
    }  # fmt: skip
    assert len(found) == 1


def test_what_moves_a_weight_names_the_run(identity):
    changes = [
        "seed=1", "task.facts=5", "method.mixing_rate=0.4", "method=sft", "training.max_steps=7",
        "training.learning_rate=1e-4", "model.scoring_batch_size=8", "task.max_new_tokens=9",
        "method.decode_dtype=bfloat16", "drift.curve=true", "task.only_missed=true", "method.temperature=0.5",
    ]  # fmt: skip
    found = [identity(change).run_hash for change in changes]
    assert len({*found, identity().run_hash}) == len(changes) + 1


def test_what_is_asked_of_the_weights_is_measured_anew_and_not_trained_again(identity):
    changes = [
        "retention.limit=5", "retention=none", "training.interpolate=[0.5]", "drift=none", "task.retrieval=3",
    ]  # fmt: skip
    before, found = identity(), [identity(change) for change in changes]
    assert {other.run_hash for other in found} == {before.run_hash}
    assert len({content_hash(other.measured) for other in [before, *found]}) == len(changes) + 1


def test_the_token_samplers_top_k_counts_where_tokens_are_sampled(identity):
    sampled = "method.temperature=0.5"
    assert identity(sampled).run_hash != identity(sampled, "method.top_k=7").run_hash


def test_a_changed_wording_is_another_run(identity, monkeypatch):
    first = identity().run_hash
    monkeypatch.setitem(expert_prompt.WORDINGS, "answer", expert_prompt.ExpertWording("{prompt} {gold}", ()))
    assert identity().run_hash != first


def test_in_bfloat16_threads_and_processor_count_and_in_float32_they_do_not(identity, monkeypatch):
    exact = ("training.dtype=float32", "model.scoring_dtype=float32", "method.decode_dtype=float32")
    rounded = ("training.dtype=bfloat16",)
    before, before_exact = identity(*rounded).run_hash, identity(*exact).run_hash
    monkeypatch.setattr("torch.get_num_threads", lambda: 63)
    assert identity(*rounded).run_hash != before
    assert identity(*exact).run_hash == before_exact


def test_runs_compare_by_what_they_are_measured_by(identity):
    def differs(*overrides):
        ours, theirs = identity().measured_by, identity(*overrides).measured_by
        return {name for name in ours if ours[name] != theirs[name]}

    assert differs("seed=1", "method=sft", "training.learning_rate=1e-4", "task.only_missed=true") == set()
    assert differs("retention.limit=5") == {"held-out suite"}
    assert differs("training.until_recall=0.5") == {"recall goal"}
    assert differs("task.facts=5") == {"task"}
    assert differs("model.scoring_batch_size=8") == {"model settings"}


def test_advice_of_a_task_is_no_measure(identity):
    """A task may suggest checks to methods: that changes what is trained on, not what is measured."""
    advised = identity("+task.advice.reject=[unsupported]")
    assert advised.run_hash != identity().run_hash and advised.measured_by == identity().measured_by
