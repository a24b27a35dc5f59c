"""Results on disk: what is written is read back, and nothing else is."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from mixsd.core.errors import StoreError
from mixsd.results import schema
from mixsd.results.schema import FILE, Likelihood, RunResults, TargetReport
from tests.helpers.made_runs import make_run

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
TARGETS = TargetReport(
    n=20, left_out=4, dropped=2, trained=Likelihood(1.0, 0.1, 100), gold=Likelihood(2.0, 0.2, 90),
    contrasts={"expert": Likelihood(1.5, 0.0, 80)}, gold_of_all=Likelihood(3.0, 0.3, 120),
    numbers={"pass_rate": 0.9, "wording": "answer"},
)  # fmt: skip


def changed(run_dir, change):
    path = run_dir / FILE
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    return run_dir


def test_results_are_read_back_as_they_were_written(tmp_path):
    path = make_run(tmp_path, "a", 0, between=((0.5, 0.9, 40),), targets=TARGETS)
    found = schema.load(path)
    again = tmp_path / "again"
    schema.save(found, again)
    assert schema.load(again) == found and (again / FILE).read_text() == (path / FILE).read_text()
    assert found.interpolation[0].alpha == 0.5 and found.targets == TARGETS
    assert isinstance(found.probes["recall"].right.interval, tuple)


def test_another_version_is_one_line(tmp_path):
    path = make_run(tmp_path, "a", 0)
    with pytest.raises(StoreError, match="is of results version 4, and this is version 6; delete the run"):
        schema.load(changed(path, lambda found: found.update(version=4)))
    with pytest.raises(StoreError, match="is of results version before 5"):
        schema.load(changed(path, lambda found: found.pop("version")))


def test_what_does_not_fit_is_named_by_its_place(tmp_path):
    path = changed(make_run(tmp_path, "a", 0), lambda found: found["probes"]["recall"]["right"].pop("units"))
    with pytest.raises(StoreError, match=r"probes\.recall\.right\.units: Field required; delete"):
        schema.load(path)
    (path / FILE).write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        schema.load(path)


def test_the_summary_is_flat_and_leaves_out_what_was_not_measured(tmp_path):
    found = schema.summary(
        schema.load(make_run(tmp_path, "a", 0, between=((0.5, 0.9, 40),), targets=TARGETS))
    )
    assert found["probes/recall"] == 0.95 and found["probes_before/recall"] == 0.0
    assert found["probes/recall/outcomes/correct"] == 19
    assert found["retention/ratio"] == pytest.approx(30 / 48)
    assert found["retention/pocket_knowledge/tuned"] == 0.5
    assert (found["targets/nll"], found["targets/gold_nll"], found["targets/expert_nll"]) == (1.0, 2.0, 1.5)
    assert (found["targets/pass_rate"], found["targets/left_out"]) == (0.9, 4)
    assert found["derived/learned"] == 0.5 and "derived/intrusion" not in found
    assert found["interpolation/0.5/retention"] == pytest.approx(40 / 48)
    assert found["drift/kl_base_tuned"] == 0.5 and found["cost/training/seconds"] == 1.0
    assert all(isinstance(value, int | float | str) for value in found.values())


def test_the_page_names_every_field():
    page = PAGE.read_text("utf-8")
    kinds = [
        kind for kind in vars(schema).values() if is_dataclass(kind) and kind.__module__ == schema.__name__
    ]
    assert RunResults in kinds and len(kinds) > 10
    missing = [
        f"{kind.__name__}.{f.name}" for kind in kinds for f in fields(kind) if f"`{f.name}`" not in page
    ]
    assert not missing
    assert f"version {schema.VERSION}" in page
