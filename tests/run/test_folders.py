"""Folders that a run writes to."""

import pytest

from mixsd.run import folders


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("nfs", "rw,vers=3,nolock,addr=1.2.3.4", "on nfs mounted with nolock"),
        ("lustre", "rw,localflock", "on lustre mounted with localflock"),
        ("lustre", "rw,flock", ""),
        ("nfs4", "rw,local_lock=none", ""),
    ],
)
def test_a_file_system_that_does_not_lock_across_machines_is_told(kind, options, told, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} {kind} {options} 0 0\n")
    monkeypatch.setattr(folders, "MOUNTS", mounts)
    found = folders.lock_warning(tmp_path / "runs")
    assert told in found and bool(found) == bool(told)


def test_where_nothing_is_known_of_mounts_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOUNTS", tmp_path / "none")
    assert folders.lock_warning(tmp_path) == ""
