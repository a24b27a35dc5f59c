import subprocess

import pytest

from mixsd.run import software as module
from mixsd.run.environment import arithmetic, environment, native_dtype
from mixsd.run.software import code_state


def git(folder, *arguments):
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
    )


def test_the_state_of_the_code_is_its_commit_and_what_was_changed_since(tmp_path, monkeypatch):
    (tmp_path / "mixsd").mkdir()
    (tmp_path / "mixsd/__init__.py").write_text("one = 1\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert code_state() == {}
    git(tmp_path, "init", "-q")
    assert code_state() == {}, "inside a checkout that does not hold this code"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    clean = code_state()
    assert len(clean["commit"]) == 40 and clean["dirty"] is False and "diff" not in clean
    (tmp_path / "mixsd/__init__.py").write_text("two = 2\n")
    dirty = code_state()
    assert dirty["commit"] == clean["commit"] and dirty["dirty"] and "+two = 2" in dirty["diff"]


def test_the_environment_names_what_can_move_a_number():
    found = environment()
    assert {"torch", "transformers", "lm_eval", "peft", "accelerate"} <= set(found["packages"])
    assert found["device"] and found["threads"] and found["date"] and found["mixsd_bench"]


@pytest.mark.parametrize(
    ("machine", "instructions", "imitated", "dtype"),
    [
        ("x86_64", True, True, "bfloat16"),
        ("AMD64", False, True, "float32"),
        ("arm64", False, True, "bfloat16"),
        ("aarch64", False, False, "float32"),
    ],
)
def test_bfloat16_is_native_where_there_are_instructions_for_it(
    machine, instructions, imitated, dtype, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: imitated)
    assert native_dtype() == dtype


def test_bfloat16_hangs_on_processor_and_threads():
    assert set(arithmetic({"bfloat16", "float32"})) == {
        "device",
        "instructions",
        "threads",
        "batches_in_a_unit",
    }
    assert arithmetic({"float32"}) == {}
