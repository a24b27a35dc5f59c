import pytest

from mixsd.core.store import read_jsonl
from mixsd.run.trajectory import Trajectory, keep_until
from tests.helpers.training import make


def stops(tmp_path, recalls, **rules):
    trajectory = Trajectory(tmp_path / "t.jsonl")
    reasons = []
    for number, recall in enumerate(recalls):
        point = {"step": 5 * number, "recall": recall, "trained_tokens": 100 * number}
        reasons.append(trajectory.stop(make(**rules), point))
        trajectory.add(point)
    return reasons


@pytest.mark.parametrize(
    ("recalls", "rules", "expected"),
    [
        ([0.0, 0.5, 0.9], {"until_recall": 0.9}, ["", "", "until_recall"]),
        ([0.0, 0.5, 0.9], {}, ["", "", ""]),
        ([0.0, 0.1, 0.2, 0.3], {"max_trained_tokens": 250}, ["", "", "", "max_trained_tokens"]),
        ([0.0, 0.4, 0.3, 0.4, 0.5, 0.5], {"patience": 2}, ["", "", "", "patience", "", ""]),
        ([0.0] * 6, {"patience": 2}, [""] * 6),  # it has not begun to rise
        ([0.2, 0.1, 0.1, 0.1, 0.3, 0.3, 0.3], {"patience": 2}, [""] * 6 + ["patience"]),
    ],
)
def test_when_training_ends(tmp_path, recalls, rules, expected):
    assert stops(tmp_path, recalls, **rules) == expected


def test_what_came_after_a_checkpoint_is_cut_off(tmp_path):
    path = tmp_path / "t.jsonl"
    stops(tmp_path, [0.0, 0.1, 0.2])
    keep_until(path, 5)
    assert [point["step"] for point in read_jsonl(path)] == [0, 5]
    keep_until(path, -1)
    assert read_jsonl(path) == []
    keep_until(tmp_path / "new.jsonl", 3)
    assert (tmp_path / "new.jsonl").read_text() == ""
