"""The front of an optimiser's trials."""

import pytest

from benchmarks.studies.pareto import _short, front, main
from mixsd.core.store import write_jsonl
from tests.helpers.made_runs import make_run


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0.5, 0.5), (0.6, 0.6)], [1]),
        ([(0.5, 0.6), (0.6, 0.5), (0.5, 0.5)], [0, 1]),
        ([(0.5, 0.5), (0.5, 0.5)], [0, 1]),
        ([(0.5, 0.5), (0.5, 0.6)], [1]),
        ([], []),
    ],
)
def test_the_front_is_what_nothing_else_beats_in_both(points, expected):
    assert front(points) == expected


def test_numbers_that_nobody_would_type_are_shortened():
    assert _short("mixsd rate=0.5006325564606936 learning_rate=2.588170214937917e-05 k=3") == (
        "mixsd rate=0.501 learning_rate=2.59e-05 k=3"
    )


def test_trials_are_drawn_with_their_front(tmp_path, capsys):
    for number, (recall, validation) in enumerate([(0.5, 0.9), (0.9, 0.5), (0.45, 0.45)]):
        path = make_run(tmp_path, "mixsd", number, recall, method_config={"rate": number})
        write_jsonl(path / "trajectory.jsonl", [{"recall": recall, "retention_validation": validation}])
    assert main([str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert (
        told.count("yes") == 2 and (tmp_path / "pareto.svg").exists() and (tmp_path / "pareto.png").exists()
    )
    assert main([str(tmp_path / "nothing")]) == 2
