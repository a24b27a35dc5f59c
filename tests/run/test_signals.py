"""What ends a process from outside: a training writes a checkpoint first, and the same command goes on from it."""

import os
import signal
import time

import pytest
import torch

from mixsd.core.errors import Terminated
from mixsd.run import signals
from mixsd.run.checkpoints import last_checkpoint
from tests.helpers.training import fit_sft, fresh, make, weights


@pytest.fixture(autouse=True)
def own_handlers():
    """Every test begins and ends with the handlers of the process."""
    before = {number: signal.getsignal(number) for number in signals.ENDS}
    for number in signals.ENDS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", signals.ENDS)
def test_outside_a_training_a_signal_ends_the_run_at_once(number):
    signals.hear()
    with pytest.raises(Terminated) as ended:
        send(number)
    assert ended.value.args == (number,)


def test_in_a_training_the_first_signal_waits_and_a_second_does_not():
    signals.hear()
    with signals.postponed():
        send(signal.SIGTERM)
        assert signals.is_asked()
        with pytest.raises(Terminated):
            send(signal.SIGTERM)
        with pytest.raises(Terminated):
            signals.end_if_asked()
        assert not signals.is_asked()
        signals.end_if_asked()


def test_a_launcher_that_queues_jobs_again_is_asked_after_the_checkpoint():
    """As submitit: it passes over SIGTERM, and at SIGUSR2 it queues the job again and exits."""
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append("passed over"))
    signal.signal(signal.SIGUSR2, lambda *_: told.append("queued again"))
    signals.hear()
    signals.hear()
    send(signal.SIGTERM)
    with signals.postponed():
        send(signal.SIGUSR2)
        assert told == ["passed over"]
        signals.end_if_asked()
    assert told == ["passed over", "queued again"]


@pytest.mark.parametrize("number", signals.ENDS)
def test_a_training_that_is_ended_goes_on_from_that_very_step_to_the_same_weights(tmp_path, number):
    settings = make(max_steps=8, checkpoint_every=5)
    undisturbed, ended = fresh(), fresh()
    _, whole = fit_sft(undisturbed, settings, tmp_path / "a")
    signals.hear()
    with pytest.raises(Terminated):
        fit_sft(ended, settings, tmp_path / "b", on_step=SendAt(3, number))
    assert last_checkpoint(tmp_path / "b").name == "checkpoint-3", "no step is lost"
    resumed = fresh()
    _, rest = fit_sft(resumed, settings, tmp_path / "b")
    assert torch.equal(weights(undisturbed), weights(resumed))
    assert [point["loss"] for point in rest] == [point["loss"] for point in whole[3:]]


def test_a_training_without_checkpoints_ends_at_the_step(tmp_path):
    signals.hear()
    with pytest.raises(Terminated):
        fit_sft(fresh(), make(max_steps=8), tmp_path, on_step=SendAt(2, signal.SIGTERM))
    assert last_checkpoint(tmp_path) is None
    with pytest.raises(Terminated):
        send(signal.SIGTERM)


class SendAt:
    """Sends a signal to this process at a step."""

    def __init__(self, step, number):
        self.left, self.number = step, number

    def __call__(self, steps):
        self.left -= steps
        if self.left == 0:
            send(self.number)
