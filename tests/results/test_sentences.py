"""What the report says in words, never more than the numbers allow."""

import re

from mixsd.results.runs import comparable_groups, load_runs
from mixsd.results.sentences import findings
from tests.helpers.made_runs import make_run


def told(folder):
    (sentences,) = findings(comparable_groups(load_runs(folder)))
    return sentences


def runs(folder, seeds, sft, mixsd, **both):
    for seed in range(seeds):
        # Seeds that all give the same are no evidence, so each moves a little.
        make_run(folder, "sft", seed, right=sft + seed % 2, **both)
        make_run(folder, "mixsd", seed, right=mixsd + seed % 3, method_config={"mixing_rate": 0.3}, **both)


def test_a_clear_difference_over_five_seeds_is_told_with_its_interval(tmp_path):
    runs(tmp_path, 5, 12, 36)
    *_, last = told(tmp_path)
    assert re.fullmatch(
        r"At matched recall MixSD keeps \d+\.\d points more than SFT \[\+\d+\.\d, \+\d+\.\d\], five seeds\.",
        last,
    ), last


def test_the_sign_goes_with_the_numbers(tmp_path):
    runs(tmp_path, 5, 36, 12)
    assert "MixSD keeps" in told(tmp_path)[-1] and "points less than SFT [-" in told(tmp_path)[-1]


def test_what_is_within_noise_is_called_that(tmp_path):
    runs(tmp_path, 5, 30, 30)
    last = told(tmp_path)[-1]
    assert last.startswith("At matched recall MixSD and SFT do not differ beyond noise: "), last
    assert "five seeds; these documents can show about" in last


def test_one_seed_is_about_its_checkpoints(tmp_path):
    runs(tmp_path, 1, 12, 36)
    last = told(tmp_path)[-1]
    assert last.endswith("one seed; of these checkpoints only, fewer than five seeds."), last


def test_what_was_not_reached_is_not_compared(tmp_path):
    make_run(tmp_path, "sft", 0, 0.95)
    make_run(tmp_path, "mixsd", 0, 0.5, method_config={"mixing_rate": 0.3})
    first, second, last = told(tmp_path)
    assert first.startswith("MixSD") and "short of the goal of 90% in one of one seed" in first
    assert second.startswith("SFT") and "recalls 95% of the facts and keeps" in second
    assert last.startswith("MixSD and SFT are not compared: recall goal"), last


def test_a_method_that_was_not_run_is_not_spoken_of(tmp_path):
    make_run(tmp_path, "sft", 0)
    assert len(told(tmp_path)) == 1 and "OPSD" not in " ".join(told(tmp_path))


def test_each_group_has_its_own(tmp_path):
    make_run(tmp_path, "sft", 0)
    make_run(tmp_path, "mixsd", 0, task="mquake", method_config={"mixing_rate": 0.3})
    first, second = findings(comparable_groups(load_runs(tmp_path)))
    assert sorted(sentence.split(" ")[0] for sentence in (*first, *second)) == ["MixSD", "SFT"]
