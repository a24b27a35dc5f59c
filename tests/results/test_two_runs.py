"""Two runs beside each other."""

import shutil

import pytest
from rich.console import Console

from mixsd.core.errors import StoreError
from mixsd.results.two_runs import compare_runs
from tests.helpers.made_runs import N, make_run


def told_of(first, second, capsys):
    compare_runs(first, second, Console(width=250))
    return " ".join(capsys.readouterr().out.split())


def test_both_axes_are_paired_and_what_flipped_is_told(tmp_path, capsys):
    first = make_run(tmp_path, "sft", 0, 0.95, right=20)
    second = make_run(tmp_path, "mixsd", 0, 0.90, right=32)
    told = told_of(first, second, capsys)
    assert "method.name" in told and "sft" in told and "mixsd" in told
    assert f"{100 * 12 / N:+.1f} [" in told
    assert "the second has 0 wrong that the first has right, 12 right that the first has wrong" in told
    assert "-5.0 [" in told and "five seeds" in told
    assert "<script>alert" in told, "as text"


def test_equal_runs_do_not_differ(tmp_path, capsys):
    first, second = make_run(tmp_path, "sft", 0), make_run(tmp_path, "mixsd", 0)
    told = told_of(first, second, capsys)
    assert "+0.0 [" in told and "flipped" not in told and "wrong that the first" not in told


def test_runs_that_are_not_measured_alike_are_one_line(tmp_path):
    first, second = make_run(tmp_path, "a", 0, goal=0.9), make_run(tmp_path, "b", 0, goal=0.8)
    with pytest.raises(StoreError, match="recall goal differ"):
        compare_runs(first, second, Console())
    with pytest.raises(StoreError, match="is no finished run"):
        compare_runs(first, tmp_path / "nothing", Console())


def test_published_runs_have_no_answers_and_are_compared_all_the_same(tmp_path, capsys):
    first, second = make_run(tmp_path, "sft", 0, right=20), make_run(tmp_path, "mixsd", 0, right=32)
    shutil.rmtree(first / "probes")
    told = told_of(first, second, capsys)
    assert "│ recall │ 0.95 │ 0.95 │ n/a │" in told and "12 right that the first has wrong" in told
