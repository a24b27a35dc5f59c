"""Small copies of runs: the same report, and no text of facts or replies."""

import pytest

from benchmarks.studies.compact import main
from mixsd.cli import main as mixsd


@pytest.mark.slow
def test_the_report_is_the_same_and_no_text_is_left(sweep, tmp_path, capsys):
    runs, small = sweep[0], tmp_path / "small"
    assert main([str(runs), str(small)]) == 0 and "2 runs in" in capsys.readouterr().out
    for folder, out in ((runs, tmp_path / "a"), (small, tmp_path / "b")):
        assert mixsd(["report", str(folder), "--out", str(out)]) == 0
    capsys.readouterr()
    assert (tmp_path / "a/tradeoff.csv").read_text() == (tmp_path / "b/tradeoff.csv").read_text()
    written = "".join(p.read_text() for p in small.rglob("*") if p.is_file())
    for path in small.rglob("*.json*"):
        assert "What is the" not in path.read_text(), path
    assert str(runs.parent) not in written
    size = sum(p.stat().st_size for p in runs.rglob("*") if p.is_file())
    assert len(written) < size / 2
    assert main([str(runs), str(small)]) == 0, "an older copy is replaced"


def test_copies_never_stand_where_the_runs_are(tmp_path, capsys):
    for out in (tmp_path, tmp_path / "e", tmp_path.parent):
        assert main([str(tmp_path), str(out)]) == 2
        assert "lie in each other" in capsys.readouterr().err


def test_a_folder_without_runs_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "runs"), str(tmp_path / "out")]) == 2
    assert "holds no finished run" in capsys.readouterr().err
