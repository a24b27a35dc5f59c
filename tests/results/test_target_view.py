"""What a run was trained on, token by token."""

import json
from dataclasses import asdict
from io import StringIO

import pytest
from rich.console import Console

from mixsd.core.errors import SettingError, StoreError
from mixsd.core.provenance import AGREED, EXPERT, NAIVE
from mixsd.results.schema import Likelihood, TargetReport
from mixsd.results.target_view import show_run


@pytest.fixture
def run_dir(tmp_path):
    report = TargetReport(4, 1, 1, Likelihood(1.25, 0.1, 9), numbers={"pass_rate": 0.5})
    (tmp_path / "preparation.json").write_text(
        json.dumps({"report": asdict(report), "dropped": {"f2": "no right answer"}})
    )
    example = {
        "fact_id": "f1",
        "attempt": 1,
        "provenance": NAIVE + EXPERT + AGREED,
        "pieces": ["It", " is", "."],
    }
    (tmp_path / "examples.jsonl").write_text(json.dumps(example) + "\n")
    return tmp_path


def shown(run_dir, count=8):
    out = StringIO()
    show_run(run_dir, count, Console(file=out, width=120))
    return out.getvalue()


def test_examples_statistics_and_dropped_facts_are_shown(run_dir):
    told = shown(run_dir)
    assert "f1 (attempt 2): It is." in told and "f2: dropped (no right answer)" in told
    assert "naive only  expert only  both agreed" in told and "gold text" not in told
    assert (
        "targets: nll" in told and "1.250" in told and "pass_rate" in told and "left out by settings" in told
    )


def test_mistakes_are_one_line(run_dir, tmp_path_factory):
    with pytest.raises(StoreError, match="is no run with prepared examples"):
        shown(tmp_path_factory.mktemp("empty"))
    with pytest.raises(SettingError, match="--facts=0"):
        shown(run_dir, 0)
    (run_dir / "preparation.json").write_text(json.dumps({"report": {"left_out": 1}, "dropped": {}}))
    with pytest.raises(StoreError, match=r"preparation.json: n: Field required"):
        shown(run_dir)
