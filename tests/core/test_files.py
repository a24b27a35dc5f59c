"""Files that settings name: what is told where they are not there, and what their digests cover."""

from pathlib import Path

import pytest

from mixsd.core.errors import DataError
from mixsd.core.files import File, Folder, file_digest, folder_digest


def test_what_is_not_there_is_one_line_that_says_what_to_give(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for kind, name, said in [
        (File, "none", "task.path=.*none does not exist; give a file"),
        (File, "folder", "is a folder; give a file"),
        (Folder, "none", "does not exist; give a folder"),
        (Folder, "file", "is a file; give a folder"),
        (File, "x" * 5000, "is no name .File name too long.; give a shorter one"),
    ]:
        with pytest.raises(DataError, match=said) as caught:
            kind("task.path", tmp_path / name)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_of_a_relative_path_the_data_root_is_named():
    with pytest.raises(DataError, match="does not exist; give a file, or data_root=<the folder"):
        File("task.path", Path("princeton-nlp/none.json"))


def test_a_file_is_its_content_and_not_its_path(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("the same")
    first, second = (File("task.path", tmp_path / name) for name in ("a", "b"))
    assert first.digest == second.digest == file_digest(tmp_path / "a")
    (tmp_path / "b").write_text("another")
    assert File("task.path", tmp_path / "b").digest != first.digest


def test_a_folder_is_the_names_and_contents_in_it(tmp_path):
    def digest():
        return Folder("retention.include", tmp_path).digest

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/_common").write_text("1")
    (tmp_path / "task.yaml").write_text("2")
    seen = [digest()]
    for change in (
        lambda: (tmp_path / "sub/_common").write_text("3"),
        lambda: (tmp_path / "new").write_text(""),
    ):
        change()
        seen.append(digest())
    (tmp_path / "new").rename(tmp_path / "sub/new")
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    (tmp_path / "notes.md").write_text("a note")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/index").write_text("x")
    assert digest() == seen[-1], "notes and hidden files move no number"


def test_where_a_name_ends_and_its_content_begins_is_clear(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/xy").write_text("z")
    (tmp_path / "b/x").write_text("yz")
    assert folder_digest(tmp_path / "a") != folder_digest(tmp_path / "b")
