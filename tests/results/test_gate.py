"""The conditions that a tuned model must meet."""

import pytest

from mixsd.core.errors import SettingError
from mixsd.results import schema
from mixsd.results.gate import GateSettings, unmeasurable, unmet
from tests.helpers.made_runs import AXES, answer, make_run


@pytest.fixture
def results(tmp_path):
    neighbors = [answer(f"n{i}", True) for i in range(20)], [answer(f"n{i}", i > 1) for i in range(20)]
    axes = {**AXES, "neighbors": AXES["retrieval"]}
    return schema.load(make_run(tmp_path, "a", 0, 0.95, 40, probes={"neighbors": neighbors}, axes=axes))


def test_the_bad_end_of_each_interval_counts(results):
    learned, intrusion = results.derived.learned, results.derived.intrusion
    assert (learned.value, intrusion.value) == (0.5, 0.1)
    low, high = learned.interval[0], intrusion.interval[1]
    assert unmet(results, GateSettings(learned=low - 0.01, intrusion=high + 0.01, retention=0.5)) == []
    told = unmet(results, GateSettings(learned=0.45, intrusion=0.15, retention=0.99))
    assert told == [
        f"the share of facts learned has a lower end of {low:.2f}, gate.learned=0.45",
        f"retention has a lower end of {results.retention.generated.ratio_interval[0]:.2f}, gate.retention=0.99",
        f"intrusion has an upper end of {high:.2f}, gate.intrusion=0.15",
    ]
    assert unmet(results, GateSettings()) == []


def test_what_was_not_measured_is_unmet(tmp_path):
    results = schema.load(make_run(tmp_path, "a", 0, 0.95, 40))
    assert unmet(results, GateSettings(intrusion=1.0)) == ["intrusion was not measured, gate.intrusion=1.0"]


def test_what_cannot_be_measured_is_told_beforehand():
    gate = GateSettings(learned=0.5, retention=0.9, intrusion=0.1)
    told = unmeasurable(gate, {"recall"}, "t", "none", ())
    assert [line.split("=")[0] for line in told] == ["gate.learned", "gate.intrusion", "gate.retention"]
    assert unmeasurable(gate, {"recall", "paraphrase", "neighbors"}, "t", "pocket", ["x"]) == []
    assert unmeasurable(GateSettings(), set(), "t", "none", ()) == []


@pytest.mark.parametrize("values", [{"learned": 1.5}, {"intrusion": -0.1}, {"retention": -1.0}])
def test_a_share_is_a_share(values):
    with pytest.raises(SettingError, match=f"gate.{next(iter(values))}="):
        GateSettings(**values)
