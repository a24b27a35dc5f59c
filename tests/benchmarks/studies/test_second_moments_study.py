"""The study of how settled second moments are."""

from benchmarks.studies.second_moments import main
from tests.helpers.training import ROOT


def test_it_tells_what_changes_as_the_tokens_double(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.studies.second_moments.TOKENS", (200, 400, 800))
    corpus = f"method.corpus={ROOT}/mixsd/methods/general_prompts.txt"
    assert main(["model=tiny_random", "task.facts=4", corpus]) == 0
    told = capsys.readouterr().out
    rows = [line.split("│")[1:-1] for line in told.splitlines() if "│" in line]
    assert [(row[0].strip(), row[1].strip()) for row in rows] == [
        ("400", "0"),
        ("400", "1"),
        ("800", "0"),
        ("800", "1"),
    ]
    assert all(0 < float(row[2]) < 1 and float(row[3]) > 0 for row in rows)
    assert float(rows[2][2]) < float(rows[0][2]), "the more tokens, the less it moves"
    assert main(["method=sft"]) == 2 and "reads no second moments" in capsys.readouterr().err
