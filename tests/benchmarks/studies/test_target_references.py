"""What the check of references finds among real targets: the count, and the bars that it has to hold."""

from pathlib import Path

import pytest

from benchmarks.studies.target_references import (
    FILE,
    PARTS,
    Found,
    ReadTarget,
    found,
    main,
    read_targets,
    rows,
)

CAUGHT = {"open": 0.95, "held_out": 0.9}
"""The aim is 0.95 on both. A held-out part that rules were mended for would no longer measure them."""
WRONGLY_REJECTED = 0.02


def target(text, verdict, part="open"):
    return ReadTarget("What is X called?", "X is called Zan.", "answer", text, verdict, part)


MADE = [
    target("The text states that it is Zan.", "refers"),
    target("It stands written: Zan.", "refers"),
    target("X is called Zan.", "clean"),
    target("The text states that it is Zan.", "clean", "held_out"),
]


def test_caught_and_wrongly_rejected_targets_are_counted():
    assert found(MADE) == Found(4, 2, 1, 1)
    assert found([]) == Found(0, 0, 0, 0)


def test_the_table_keeps_the_held_out_part_apart():
    assert list(rows(MADE)) == [
        ["open", "all", "3", "67%", "1 of 2", "0 of 1"],
        ["open", "answer", "3", "67%", "1 of 2", "0 of 1"],
        ["held_out", "all", "1", "0%", "0 of 0", "1 of 1"],
        ["held_out", "answer", "1", "0%", "0 of 0", "1 of 1"],
    ]


def test_the_command_prints_the_table(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "wrongly rejected" in printed and "held_out" in printed


def test_the_file_holds_enough_read_targets_in_both_parts():
    targets = read_targets()
    assert len(targets) >= 50 and len(set(targets)) == len(targets)
    assert {one.verdict for one in targets} == {"refers", "clean"} and {one.part for one in targets} == set(
        PARTS
    )


# A held-out target that is seen is held out no more: failures show counts alone.
@pytest.mark.parametrize("part", PARTS)
def test_the_check_holds_its_bars(part):
    counts = found([one for one in read_targets() if one.part == part])
    assert counts.caught >= CAUGHT[part] * counts.referring
    assert counts.wrongly_rejected <= WRONGLY_REJECTED * (counts.rows - counts.referring)


def test_the_targets_are_shipped():
    listed = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"studies/*.jsonl"' in listed and FILE.exists()
