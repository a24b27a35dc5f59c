"""Helper processes: the records of one process alone, and one line where a helper is lost."""

import os
import pickle
import signal
from collections import deque
from functools import partial

import psutil
import pytest
import torch

from mixsd.core.draws import uniform
from mixsd.core.errors import DataError, HelperLost, SettingError
from mixsd.lm import parcels, processes, shares
from mixsd.lm.decode import Request, Sampling
from mixsd.lm.generate import generate
from mixsd.lm.likelihood import target_nll
from mixsd.lm.processes import dismiss, helpers, lead
from mixsd.lm.shares import share
from mixsd.mixing.targets import make_targets
from mixsd.run.meter import ForwardPasses
from tests.helpers import units_of_work
from tests.helpers.fakes import FakeTask, MemoryRecords
from tests.helpers.mixing import BUDGET, mix
from tests.helpers.training import example

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tiny):
    """This process and one helper that is at work already."""
    lead(2, torch.get_num_threads())
    told = set()
    while len(told) < 2:
        share(units_of_work.tells_who, tiny, range(4), lambda part: told.add(part[1]))


@pytest.fixture
def helped(two, monkeypatch):
    """How many passes helpers made."""
    passes = []
    do = processes.Helper.do
    monkeypatch.setattr(processes.Helper, "do", lambda *given: passes.append(do(*given)) or passes[-1])
    return passes


@pytest.fixture
def alone(monkeypatch):
    """Does something without helpers."""

    def call(step):
        with monkeypatch.context() as patch:
            patch.setattr(shares, "helpers", lambda: [])
            return step()

    return call


@pytest.fixture(scope="module", autouse=True)
def _alone_afterwards():
    yield
    lead(1, 1)
    dismiss()


def prompts_of(model, count=40):
    return [model.prompt_ids(f"Say {'word ' * (number % 7)}{number}.") for number in range(count)]


def replies(model, **settings):
    return generate(model, prompts_of(model), max_new_tokens=6, batch_size=4, **settings)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_replies_are_those_of_one_process(tiny, helped, alone, dtype):
    model = tiny.in_dtype(dtype)

    def made():
        return [replies(model), replies(model, sampling=Sampling(1.0, 5)), replies(model, stop=("e",))]

    assert made() == alone(made) and sum(helped) > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_targets_and_likelihoods_are_those_of_one_process(tiny, helped, alone, dtype):
    model = tiny.in_dtype(dtype)

    def made():
        records = MemoryRecords()
        settings = {"max_new_tokens": BUDGET, "batch_size": 4, "on_finished": lambda _: None}
        make_targets(FakeTask(40).facts, model, mix(), done=records, **settings)
        rows = [example(3 + number % 4, 2 + number % 3, f"f{number}") for number in range(20)]
        return records.records, [loss.tolist() for loss in target_nll(model, rows, 2)]

    assert made() == alone(made) and sum(helped) > 0


def test_helpers_work_with_the_weights_as_they_are_now(tiny, helped, alone):
    """After a step of a fused optimiser too, which no version counter shows."""
    before = replies(tiny)
    optimizer = torch.optim.AdamW(tiny.network.parameters(), lr=0.1, fused=True)
    tiny.network.requires_grad_(True)
    tiny.network(torch.arange(5)[None]).logits.exp().mean().backward()
    optimizer.step()
    after = replies(tiny)
    assert after == alone(lambda: replies(tiny)) and after != before and sum(helped) > 0


def test_weights_are_sent_once(tiny, two):
    number = parcels.parcel_of(tiny).number
    assert parcels.parcel_of(tiny).number == number
    with torch.no_grad():
        tiny.network.lm_head.weight[3, 2] += 1e-6
    assert parcels.parcel_of(tiny).number == number + 1
    with torch.no_grad():
        tiny.network.lm_head.weight.copy_(tiny.network.lm_head.weight.flip(0))
    assert parcels.parcel_of(tiny).number == number + 2, "the same numbers in another order"


def sent(parcel):
    return deque(bytes(parcels.to_bytes(tensor)) for tensor in parcel.tensors)


def test_weights_that_do_not_lie_row_by_row_arrive_as_they_are(tiny):
    weight = tiny.network.lm_head.weight
    weight.data = weight.data.T.contiguous().T
    assert not weight.is_contiguous()
    parcel = parcels.parcel_of(tiny)
    assert parcels.received(parcel.skeleton, sent(parcel), "cpu").same_weights(tiny)


def test_a_received_model_is_the_one_that_was_sent(tiny):
    """Tied weights stay tied, and what no checkpoint holds comes too."""
    parcel = parcels.parcel_of(tiny)
    received = parcels.received(parcel.skeleton, sent(parcel), "cpu")
    assert received.same_weights(tiny) and received.end_ids == tiny.end_ids
    buffers = dict(tiny.network.named_buffers())
    assert buffers and all(torch.equal(buffers[n], b) for n, b in received.network.named_buffers())
    tied = [id(tiny.network.lm_head.weight) == id(tiny.network.get_input_embeddings().weight)]
    tied += [id(received.network.lm_head.weight) == id(received.network.get_input_embeddings().weight)]
    assert len(set(tied)) == 1
    assert len(pickle.dumps(parcel.skeleton)) < 5e6


def test_all_units_are_done_once_by_both(tiny, two):
    told = []
    share(units_of_work.tells_who, tiny, range(30), told.append)
    assert sorted(unit for unit, _ in told) == list(range(30))
    assert len({process for _, process in told}) == 2


def test_passes_of_helpers_are_counted(tiny, helped):
    with ForwardPasses(tiny.network) as passes:
        share(units_of_work.counts_passes, tiny, [2] * 20, lambda _: None)
    assert passes.count == 40 and sum(helped) > 0


def test_an_error_in_a_helper_is_raised_here(tiny, two):
    before = helpers()
    with pytest.raises(DataError, match="three is no number"):
        share(units_of_work.fails_on_three, tiny, range(8), lambda _: None)
    told = []
    share(units_of_work.tells_who, tiny, range(30), told.append)
    assert sorted(unit for unit, _ in told) == list(range(30)), "nothing of the work before"
    assert helpers() == before and len({process for _, process in told}) == 2


def test_a_lost_helper_is_told_in_one_line_and_leaves_nothing(tiny, two):
    before = helpers()[0]._process
    with pytest.raises(HelperLost, match=r"^helper process 1 ended by signal 9 in the middle .* again$"):
        share(units_of_work.kills_helpers, tiny, range(8), lambda _: None)
    assert not psutil.pid_exists(before.pid)
    assert len(helpers()) == 1, "a new one for the next try"


def test_a_helper_leaves_signals_to_its_leader(tiny, two):
    """A scheduler signals every process of a job; the leader may need help until its checkpoint is written."""
    process = helpers()[0]._process
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        os.kill(process.pid, number)
    told = []
    share(units_of_work.tells_who, tiny, range(30), told.append)
    assert len({pid for _, pid in told}) == 2 and process.poll() is None


def test_an_error_while_a_model_is_received_is_raised_here(tiny, two, monkeypatch):
    parcel = parcels.parcel_of(tiny)
    spoilt = parcels.Parcel(-1, pickle.dumps("no model"), parcel.tensors)
    monkeypatch.setattr(shares, "parcel_of", lambda _: spoilt)
    with pytest.raises(ValueError, match="unpack"):
        share(units_of_work.tells_who, tiny, range(30), lambda _: None)
    monkeypatch.undo()
    told = []
    share(units_of_work.tells_who, tiny, range(30), told.append)
    assert len({pid for _, pid in told}) == 2, "the next model arrives"


def test_a_helper_ends_with_its_leader_and_is_started_anew(two):
    before = helpers()[0]
    before._process.stdin.close()
    before._process.wait(timeout=30)
    assert before.has_ended and not helpers()[0].has_ended


def test_units_of_bf16_hang_on_the_batch_size_alone(tiny, monkeypatch):
    rows = list(range(70))
    monkeypatch.setattr(shares, "helpers", lambda: [])
    alone = shares.reply_units(rows, tiny.in_dtype("bfloat16"), 8)
    assert [len(unit) for unit in alone] == [32, 32, 6]
    assert shares.reply_units(rows, tiny, 8) == [rows], "float32 alone: nothing is cut"
    monkeypatch.setattr(shares, "helpers", lambda: [1])
    assert shares.reply_units(rows, tiny.in_dtype("bfloat16"), 8) == alone
    assert len(shares.reply_units(rows, tiny, 8)) == 4


def test_the_order_of_units_changes_nothing(tiny, monkeypatch):
    """In bfloat16: what a unit gives hangs on the unit alone."""
    model = tiny.in_dtype("bfloat16")
    there = replies(model, sampling=Sampling(1.0, 5))
    real = share

    def backwards(work, model, todo, tell):
        assert len(todo) > 1
        real(work, model, list(todo)[::-1], tell)

    monkeypatch.setattr("mixsd.lm.generate.share", backwards)
    assert replies(model, sampling=Sampling(1.0, 5)) == there


def test_a_launcher_must_have_started_as_many_as_are_asked_for(monkeypatch):
    monkeypatch.setattr(processes._led, "launched", 2)
    with pytest.raises(SettingError, match="devices=7, but the launcher started 2"):
        lead(7, 1)


def test_requests_can_be_sent():
    request = Request([[1, 2]], draw=partial(uniform, "x", 1))
    assert pickle.loads(pickle.dumps(request)).draw(0, 3) == request.draw(0, 3)
