"""Reading finished runs: which are one, which may be compared, and what each is called."""

import pytest
import yaml

from mixsd.core.errors import StoreError
from mixsd.results.runs import comparable_groups, load_runs, one_a_seed, to_frame
from tests.helpers.made_runs import BASE_RIGHT, HELD_OUT, make_run

RATES = ({"mixing_rate": 0.3}, {"mixing_rate": 0.5})


def labels_of(folder):
    return {run.path.relative_to(folder).as_posix(): run.label for run in load_runs(folder)}


def test_the_same_run_in_two_folders_is_one_run(tmp_path):
    make_run(tmp_path / "x", "a", 0)
    make_run(tmp_path / "y", "a", 0)
    assert len(load_runs(tmp_path)) == 1


def test_the_same_weights_measured_in_two_ways_are_two_runs(tmp_path):
    make_run(tmp_path / "x", "a", 0, measured_by={"task": "t", "held-out suite": "1"})
    make_run(tmp_path / "y", "a", 0, measured_by={"task": "t", "held-out suite": "2"})
    runs = load_runs(tmp_path)
    assert len(runs) == 2 == len(comparable_groups(runs))


def test_a_folder_without_runs_is_one_line(tmp_path):
    with pytest.raises(StoreError, match="holds no finished run"):
        load_runs(tmp_path)


def test_a_label_holds_what_runs_of_a_method_differ_in_and_not_the_seed(tmp_path):
    for seed in (0, 1):
        for rates in RATES:
            run_id = f"mixsd-{rates['mixing_rate']}-s{seed}"
            make_run(tmp_path, "mixsd", seed, method_config={**rates, "seed": seed}, run_id=run_id)
    make_run(tmp_path, "sft", 0)
    assert sorted(set(labels_of(tmp_path).values())) == [
        "mixsd mixing_rate=0.3",
        "mixsd mixing_rate=0.5",
        "sft",
    ]


def test_a_run_of_before_a_setting_was_there_has_the_value_that_changes_nothing(tmp_path):
    make_run(tmp_path, "sft", 0, run_id="before")
    make_run(tmp_path, "sft", 1, method_config={"weights": "none"}, run_id="after")
    assert labels_of(tmp_path) == {"before": "sft", "after": "sft"}
    make_run(tmp_path, "sft", 1, method_config={"weights": "dft"}, run_id="other")
    found = labels_of(tmp_path)
    assert found == {"before": "sft weights=none", "after": "sft weights=none", "other": "sft weights=dft"}


def test_controls_on_the_facts_of_different_runs_are_different_controls(tmp_path):
    for seed in (0, 1):
        for rates in RATES:
            rate = str(rates["mixing_rate"])
            source = make_run(tmp_path, "mixsd", seed, method_config=rates, run_id=f"mixsd-{rate}-s{seed}")
            make_run(tmp_path, "sft", seed, kept_of=f"runs/{source.name}/", run_id=f"sft-{rate}-s{seed}")
        make_run(tmp_path, "sft", seed)
    found = labels_of(tmp_path)
    assert found["sft-0.3-s0"] == found["sft-0.3-s1"] == "sft facts_of=mixsd,mixing_rate=0.3"
    assert found["sft-0.5-s0"] == found["sft-0.5-s1"] == "sft facts_of=mixsd,mixing_rate=0.5"
    assert found["kgfact-sft-s0"] == "sft facts_of=None"
    kept, left_out = one_a_seed(load_runs(tmp_path))
    assert len(kept) == 10 and not left_out, "none is taken for another's twin"


def test_runs_on_what_the_base_model_missed_are_no_twins_of_runs_on_all_facts(tmp_path):
    make_run(tmp_path, "sft", 0, run_id="all")
    make_run(tmp_path, "sft", 0, run_id="missed", only_missed=True)
    assert labels_of(tmp_path) == {"all": "sft only_missed=False", "missed": "sft only_missed=True"}
    kept, left_out = one_a_seed(load_runs(tmp_path))
    assert len(kept) == 2 and not left_out
    assert {run.results.run_id for run in kept if run.teaches_all} == {"all"}


def test_facts_of_a_run_that_is_not_here_are_named_by_its_id(tmp_path):
    make_run(tmp_path / "x", "sft", 0, kept_of="elsewhere/run-1", run_id="x")
    make_run(tmp_path / "y", "sft", 0, kept_of="elsewhere/run-2", run_id="y")
    assert sorted(labels_of(tmp_path).values()) == ["sft facts_of=run-1", "sft facts_of=run-2"]


def test_a_label_is_the_same_wherever_the_run_stands(tmp_path):
    """Some of a group, such as runs with drift, keep the names that the group gave them."""
    for number, rates in enumerate(RATES):
        make_run(tmp_path, "mixsd", number, method_config=rates)
    first = load_runs(tmp_path)[0]
    assert first.label == "mixsd mixing_rate=0.3" == to_frame([first])["label"][0]


def test_two_runs_that_a_report_cannot_tell_apart_are_one_seed(tmp_path):
    make_run(tmp_path / "x", "sft", 0)
    make_run(tmp_path / "y", "sft", 0, right=31, run_id="another")
    kept, left_out = one_a_seed(load_runs(tmp_path))
    assert len(kept) == 1 and "is left out: the same method, settings and seed as" in left_out[0]


def test_interpolation_goes_back_as_far_as_recall_allows(tmp_path):
    """Alpha is the smallest that reaches the recall goal, however little it retains."""
    points = ((0.3, 0.2, 55), (0.6, 0.9, 25), (0.8, 0.95, 45), (1.0, 0.95, 30))
    make_run(tmp_path, "a", 0, right=30, between=points)
    (run,) = load_runs(tmp_path)
    assert [point.alpha for point in run.frontier] == [0.3, 0.6, 0.8]
    (chosen,) = run.at_goal
    assert (chosen.alpha, chosen.recall, chosen.label) == (0.6, 0.9, "a + interpolation")
    scores = chosen.scores(HELD_OUT)
    assert (
        sum(tuned for _, tuned in scores.values()) == 25 and sum(b for b, _ in scores.values()) == BASE_RIGHT
    )


def test_the_recall_goal_decides_what_is_reached(tmp_path):
    make_run(tmp_path, "a", 0, 0.95)
    make_run(tmp_path, "b", 0, 0.5)
    make_run(tmp_path, "c", 0, 0.95, goal=None)
    found = {run.method: (run.reached, run.fell_short) for run in load_runs(tmp_path)}
    assert found == {"a": (True, False), "b": (False, True), "c": (False, False)}


def test_a_config_without_a_goal_is_one_line(tmp_path):
    path = make_run(tmp_path, "a", 0) / "config.yaml"
    path.write_text(yaml.safe_dump({"task": {}, "method": {}, "training": {}}))
    (run,) = load_runs(tmp_path)
    with pytest.raises(StoreError, match="has no training.until_recall"):
        _ = run.reached
