import errno
import multiprocessing
import os
import warnings
from pathlib import Path

import pytest
from filelock import FileLock, SoftFileLock, Timeout

from mixsd.core import store
from mixsd.core.errors import StoreError
from mixsd.core.store import (
    Records,
    append_jsonl,
    atomic_folder,
    content_hash,
    discard,
    locked,
    open_records,
    read_jsonl,
    write_json,
    write_text,
)


def test_content_hash_ignores_key_order_only():
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1})
    assert len({content_hash(x) for x in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"b": 1})}) == 4


def test_what_json_cannot_hold_has_no_hash():
    with pytest.raises(TypeError):
        content_hash({"a": {1, 2}})


def test_a_discarded_folder_is_gone_at_once(tmp_path, monkeypatch):
    """Killed in the middle of deleting, no half of it stands under its name."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").touch()
    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        discard(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    (tmp_path / "file").touch()
    discard(tmp_path / "file")
    discard(tmp_path / "nothing")
    assert not (tmp_path / "file").exists()


def test_writes_are_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new, half-written")
    assert path.read_text() == "old"


def test_atomic_folder_vanishes_on_failure(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("whole")
    assert (tmp_path / "model" / "weights").read_text() == "whole"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o027, 0o750)])
def test_a_folder_can_be_read_by_whom_the_umask_allows(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "model") as folder:
            (folder / "weights").write_text("whole")
    finally:
        os.umask(before)
    assert (tmp_path / "model").stat().st_mode & 0o777 == mode


def test_a_torn_last_line_is_cut_and_the_rest_kept(tmp_path):
    path = tmp_path / "records.jsonl"
    records = Records(path)
    records.append("a", {"x": 1})
    records.append("b", {"x": 2})
    with path.open("a") as file:
        file.write('{"key": "c", "val')
    again = Records(path)
    assert again.records == {"a": {"x": 1}, "b": {"x": 2}}
    again.append("c", {"x": 3})
    assert Records(path).records == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}


def test_damage_in_the_middle_is_an_error_not_a_guess(tmp_path):
    path = tmp_path / "x.jsonl"
    append_jsonl(path, {"a": 1})
    path.write_text("garbage\n" + path.read_text())
    with pytest.raises(StoreError, match="x.jsonl:1"):
        read_jsonl(path)


def test_records_belong_to_one_fingerprint(tmp_path):
    with open_records(tmp_path, "kind", {"a": 1}) as records:
        records.append("k", {"v": 1})
    with open_records(tmp_path, "kind", {"a": 2}) as records:
        assert records.records == {}
    with open_records(tmp_path, "kind", {"a": 1}) as records:
        assert records.records == {"k": {"v": 1}}


def _add(folder: Path, who: int) -> None:
    for number in range(20):
        with open_records(folder, "kind", {"shared": True}) as records:
            records.append(f"{who}-{number}", {"n": len(records.records)})


def test_two_processes_do_not_corrupt_one_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(tmp_path, who)) for who in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with open_records(tmp_path, "kind", {"shared": True}) as records:
        assert len(records.records) == 40
        assert sorted(r["n"] for r in records.records.values()) == list(range(40))


def test_json_keeps_text_readable(tmp_path):
    write_json(tmp_path / "x.json", {"name": "Málaga"})
    assert "Málaga" in (tmp_path / "x.json").read_text()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_a_file_stands_for_one(tmp_path, monkeypatch, number):
    def none(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", none)
    store._tell_of_no_locks.cache_clear()
    with pytest.warns(UserWarning, match="has no locks"), locked(tmp_path / "a.lock"):
        held = [path.name for path in tmp_path.iterdir()]
        with pytest.raises(Timeout):
            SoftFileLock(tmp_path / "a.lock.held", timeout=0).acquire()
    assert "a.lock.held" in held
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        with locked(tmp_path / "a.lock"):
            pass


def test_another_error_of_a_lock_is_none_of_ours(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileLock, "acquire", full)
    with pytest.raises(OSError, match="No space"), locked(tmp_path / "a.lock"):
        pass


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.json", "{}")
    assert list(tmp_path.iterdir()) == []
