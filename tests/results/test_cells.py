"""Cells of tables: numbers until they are shown."""

import pandas as pd
import pytest
from rich.console import Console

from mixsd.results.cells import COLUMNS, Measure, filled, shown, sorted_by, tidy
from mixsd.results.report import MEASURES, write_report
from mixsd.results.runs import load_runs
from mixsd.results.terminal import printed
from tests.helpers.made_runs import N, make_run


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Measure(0.957), "0.96"),
        (Measure(50.0, "+.1f", interval=(-2.06, 102.0), n=48), "+50.0 [-2.1, +102.0] (n=48)"),
        (Measure(0.125, ".0%", before=0.5), "50% -> 12%"),
        (Measure(None, note="too few"), "n/a too few"),
        ({"": Measure(0.5), "kept": Measure(1.0)}, "0.50, kept 1.00"),
        ("drop", "drop"),
        (None, ""),
    ],
)
def test_a_cell_is_shown_as_it_says(cell, text):
    assert shown(cell) == text


def test_a_cell_is_sorted_by_its_number_and_not_by_its_text():
    cells = [Measure(9.0, ".0f"), Measure(10.0, ".0f", before=90.0), {"a": Measure(-1.0)}]
    assert [sorted_by(cell) for cell in cells] == [9.0, 10.0, -1.0]
    assert (sorted_by("drop"), sorted_by(Measure(None)), sorted_by(None)) == ("drop", "n/a", "")


def test_zero_is_something_and_a_column_of_nothing_is_left_out():
    rows = filled([{"a": Measure(0.0), "b": None}, {"a": None, "b": "", "c": Measure(None)}])
    assert rows == [{"a": Measure(0.0), "c": None}, {"a": None, "c": Measure(None)}]


def test_a_tidy_frame_has_a_row_for_every_number_and_every_word():
    row = {
        "method": "sft", "held-out task": "gsm8k", "score": Measure(2.0, before=1.0, interval=(0.0, 3.0), n=7),
        "errors": {"format": Measure(4.0), "collapse": Measure(5.0)}, "verdict": "drop", "p": None,
    }  # fmt: skip
    frame = tidy({("kgfact on m", "tasks"): [row]})
    assert (
        tuple(frame.columns) == COLUMNS and set(frame["label"]) == {"sft"} and set(frame["of"]) == {"gsm8k"}
    )
    by = frame.set_index("measure")
    assert list(by.index) == ["score", "errors: format", "errors: collapse", "verdict"]
    assert list(by.loc["score", ["value", "before", "low", "high", "n"]]) == [2.0, 1.0, 0.0, 3.0, 7]
    assert by.loc["verdict", "note"] == "drop" and pd.isna(by.loc["verdict", "value"])


def test_markup_in_a_label_is_text(capsys):
    Console(width=80).print(printed("[red]t[/red]", [{"[b]": "[link=x]sft[/link]"}]))
    told = capsys.readouterr().out
    assert "[link=x]sft[/link]" in told and "[red]t[/red]" in told and "[b]" in told


def test_terminal_markdown_csv_and_page_say_the_same_numbers(tmp_path, capsys):
    make_run(tmp_path, "a", 0, right=30)
    write_report(tmp_path, Console(width=300))
    measures = pd.read_csv(tmp_path / MEASURES)
    found = measures[(measures["table"] == "held-out tasks") & (measures["measure"] == "tuned minus base")]
    (one,) = found.to_dict("records")
    text = f"{one['value']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}] (n={N})"
    assert one["value"] == pytest.approx(-30.0) and one["n"] == N
    page = (tmp_path / "report.html").read_text()
    assert text in capsys.readouterr().out and text in (tmp_path / "report.md").read_text() and text in page
    assert f'data-value="{one["value"]}"' in page, "the page sorts by the number"


def test_a_label_names_no_file_and_two_files_are_two_labels(tmp_path):
    for number, path in enumerate(
        ("/home/ann/a/secret one.jsonl", "/home/ann/b/secret one.jsonl", "/home/ann/secret")
    ):
        make_run(tmp_path / str(number), "checkpoint", number, method_config={"path": path})
    labels = [run.label for run in load_runs(tmp_path)]
    assert len(set(labels)) == 3 and all(label.startswith("checkpoint path=#") for label in labels)
    assert not any("secret" in label or "ann" in label for label in labels)
