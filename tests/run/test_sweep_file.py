"""Recorded sweeps: which of them may be taken for done without a look."""

import pytest

from mixsd.core.errors import StoreError
from mixsd.core.store import content_hash, write_json
from mixsd.run import sweep_file
from mixsd.run.ended import FAILED, Ended, EndedJob
from mixsd.run.plan import Earlier, Job
from mixsd.run.rerun import changes

SETTINGS = {
    "model": {"name": "smollm2_135m"},
    "task": {"_target_": "benchmarks.tasks.kgfact.task.KGFact"},
    "retention": {"tasks": ["pocket_grammar"]},
    "method": {"_target_": "baselines.sft.SFT"},
}


@pytest.fixture
def finished(tmp_path):
    """An experiment with one finished run, and its sweep as it stands when it has begun."""
    run = tmp_path / "e" / "t-sft-m-s0-aa"
    run.mkdir(parents=True)
    write_json(run / "identity.json", {"measured": {"a": 1}})
    (run / "DONE").touch()
    data = tmp_path / "facts.csv"
    data.write_text("question,answer\n")
    job = Job(("seed=0",), run, content_hash({"a": 1}), was_done=False)
    sweep_file.write(["-m", "seed=0"], [job], [str(data)])
    return run.parent, data


def test_only_a_sweep_that_ended_well_is_taken_for_done(finished):
    folder, _ = finished
    assert sweep_file.done_before(folder, ["-m", "seed=0"]) is None, "killed, as far as anyone knows"
    for status, known in ((3, False), (1, False), (0, True)):
        sweep_file.mark_as_ended([folder], ["-m", "seed=0"], status)
        assert (sweep_file.done_before(folder, ["-m", "seed=0"]) is not None) is known
    assert sweep_file.done_before(folder, ["-m", "seed=1"]) is None


@pytest.mark.parametrize("change", ["data", "run", "variable", "cores", "folder"])
def test_whatever_its_numbers_hang_on_is_looked_at(finished, change, monkeypatch, tmp_path):
    folder, data = finished
    sweep_file.mark_as_ended([folder], ["-m", "seed=0"], 0)
    if change == "data":
        data.write_text("question,answer\nWho?,Ann\n")
    elif change == "run":
        (folder / "t-sft-m-s0-aa/DONE").unlink()
    elif change == "variable":
        monkeypatch.setenv("OMP_NUM_THREADS", "63")
    elif change == "cores":
        monkeypatch.setattr(sweep_file, "cores", lambda: 63)
    else:
        monkeypatch.chdir(tmp_path)
    assert sweep_file.done_before(folder, ["-m", "seed=0"]) is None


def test_what_cannot_be_told_by_stamps_has_none(tmp_path, monkeypatch):
    def inputs(**changes):
        return sweep_file.inputs_of({**SETTINGS, **changes}, ("smollm2_135m",))

    assert inputs() == []
    assert inputs(model={"name": "someone/of-a-hub"}) is None
    assert inputs(method={"_target_": "my.method.Mine"}) is None
    assert inputs(method={"_target_": "baselines.sft.SFT", "inner": [{"_target_": "mine.X"}]}) is None
    assert inputs(retention={"tasks": ["gsm8k"]}) is None
    assert inputs(retention={"tasks": ["gsm8k"]}, data_root=str(tmp_path)) == [str(tmp_path)]
    (tmp_path / "f.csv").touch()
    task = {**SETTINGS["task"], "path": "f.csv"}
    assert inputs(task=task, data_root=str(tmp_path)) == sorted([str(tmp_path), str(tmp_path / "f.csv")])
    odd = {"hint": "x" * 350, "home": "~nobody-of-that-name/x", "break": "a\nb"}
    assert inputs(gate=odd) == [], "no text is too odd"
    assert sweep_file.stamp(None) == ""


def test_what_has_changed_since_is_told(finished):
    folder, _ = finished
    (record,) = sweep_file.read(folder)
    assert list(changes(record)) == [] or record.dirty
    older = {**record.packages, "torch": "1.0"}
    told = list(changes(type(record)(**{**vars(record), "packages": older, "processor": "Z80"})))
    assert any(line.startswith("torch: 1.0 then") for line in told)
    assert any(line.startswith("processor: Z80 then") for line in told)


def test_a_broken_record_is_one_line(finished):
    folder, _ = finished
    (folder / sweep_file.FILE).write_text("sweeps: [{a: 1}]")
    with pytest.raises(StoreError, match="is no record of sweeps"):
        sweep_file.read(folder)


def test_a_sweep_that_goes_on_is_known_by_its_lock(finished):
    folder, _ = finished
    assert not sweep_file.is_running(folder)
    locks = sweep_file.mark_as_running([folder, folder])
    assert len(locks) == 1 and sweep_file.is_running(folder)
    locks[0].release()
    assert not sweep_file.is_running(folder)


def test_jobs_that_ended_are_known_to_all_processes_and_forgotten_at_the_end(tmp_path):
    ended, other = Ended(tmp_path / "x.jsonl"), Ended(tmp_path / "x.jsonl")
    assert other.jobs() == [] and not other.any_failed
    ended.add(EndedJob(["seed=0"], "done", "/r"))
    ended.add(EndedJob(["seed=1"], FAILED))
    assert other.any_failed and other.of(["seed=0"]).run_dir == "/r" and other.of(["seed=2"]) is None
    other.forget()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[]", '{"a": {"seconds": "x"}}'])
def test_an_odd_file_of_costs_stops_nothing(tmp_path, text):
    run = tmp_path / "e" / "t-sft-m-s0-aa"
    run.mkdir(parents=True)
    (run / "DONE").touch()
    (run / "cost.json").write_text(text)
    assert Earlier([tmp_path]).seconds(run) is None
