import json

import pytest

from benchmarks.speed.__main__ import main


@pytest.mark.slow
def test_sampler_benchmark_compares_in_one_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXSD_CACHE_DIR", str(tmp_path))
    path = tmp_path / "rows.json"
    arguments = [
        "sampler",
        "--model",
        "tiny_random",
        "--sizes",
        "3",
        "--repetitions",
        "2",
        "--json",
        str(path),
    ]
    assert main([*arguments, "--dtypes", "float32"]) == 0
    rows = json.loads(path.read_text())
    assert [row["way"] for row in rows] == ["sampler", "generate", "resubmit"]
    assert len({row["tokens"] for row in rows}) == 1, "every rate divides the same count"
    for row in rows:
        assert row["slowest"] <= row["tokens/s"] <= row["fastest"] and row["passes/token"] > 0
    assert rows[0]["sampler is faster by"] == 1
    assert "tokens/s" in capsys.readouterr().out


def test_batches_in_float32_change_no_target(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXSD_CACHE_DIR", str(tmp_path))
    path = tmp_path / "rows.json"
    arguments = ["batches", "--model", "tiny_random", "--facts", "4", "--batch-sizes", "2", "4"]
    assert main([*arguments, "--dtypes", "float32", "--json", str(path)]) == 0
    assert [row["differ from batch 1"] for row in json.loads(path.read_text())] == [0, 0]


def test_packed_weights_give_the_same_replies_in_float32(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXSD_CACHE_DIR", str(tmp_path))
    path = tmp_path / "rows.json"
    sizes = ["--prompts", "3", "--budget", "6", "--repetitions", "1", "--dtypes", "float32"]
    assert main(["decoding", "--model", "tiny_random", "seed=3", *sizes, "--json", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert [row["way"] for row in rows] == ["packed", "as loaded"]
    assert all(row["same replies"] == row["replies"] == 3 for row in rows) and rows[1]["times as fast"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sampler", "--sizes", "8", "0"], "--sizes=0"),
        (["batches", "--batch-sizes", "0"], "--batch-sizes=0"),
        (["training", "--steps", "0"], "--steps=0"),
        (["decoding", "--batch-size", "0"], "--batch-size=0"),
    ],
)
def test_sizes_that_are_none_are_one_line(arguments, said, capsys):
    assert main(arguments) == 2
    assert f"{said} is out of range; allowed: 1 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_benchmark_compares_in_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXSD_CACHE_DIR", str(tmp_path))
    path = tmp_path / "rows.json"
    sizes = ["--prompts", "20", "--budget", "4", "--batch-size", "2", "--repetitions", "1"]
    arguments = ["processes", "--model", "tiny_random", *sizes, "--dtypes", "float32", "--json", str(path)]
    assert main(arguments) == 0
    rows = json.loads(path.read_text())
    assert [row["way"] for row in rows] == ["one process, whole", "one process, units", "2 processes"]
    assert {row["as in units"] for row in rows} == {20} and rows[1]["times as fast"] == 1
