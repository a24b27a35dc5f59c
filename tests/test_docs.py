"""The recipes of docs/extending.md: their files are written as they stand there, and their commands run."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
COMMANDS = {
    title: text.strip()
    for title, part in SECTIONS.items()
    for kind, text in BLOCK.findall(part)
    if kind == "sh"
}
LINKS = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder in which all files of the page stand."""
    folder = tmp_path_factory.mktemp("recipes")
    for kind, text in BLOCK.findall(PAGE):
        head, _, rest = text.partition("\n")
        if kind != "sh":
            assert head.startswith("# file: my/"), head
            path = folder / head.removeprefix("# file: ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rest, encoding="utf-8")
    return folder


def new_python(arguments, folder, environment):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def run(files, command, start=new_python):
    """A command as it stands on the page, from the folder of its files; gives the directories of its runs."""
    words = shlex.split(command)
    settings = [words.pop(0) for _ in range(len(words)) if "=" in words[0] and not words[0].startswith("-")]
    paths = [str(files), str(files / "my")] if settings else [str(files)]
    words = [
        str(ROOT / "run.py"),
        *words[2:],
        f"runs_dir={files}/runs",
        f"cache_dir={files}/cache",
    ]
    if not any(word.startswith("tracking=") for word in words):
        words.append("tracking=none")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    before = set(files.glob("runs/*/*/DONE"))
    done = start(words, files, environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(path.parent for path in set(files.glob("runs/*/*/DONE")) - before), done


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_page_has_its_seven_recipes():
    assert list(SECTIONS) == [
        "A method that trains", "An editor", "A task", "A held-out task", "A metric", "A tracker", "A launcher",
    ]  # fmt: skip
    assert set(SECTIONS) - set(COMMANDS) == {"A metric"}


@pytest.mark.slow
def test_a_method_and_its_metric(files):
    (folder,), _ = run(files, COMMANDS["A method that trains"])
    assert all(0 < record["loss"] < record["loss_nll"] for record in metrics(folder))


@pytest.mark.slow
def test_an_editor(files, warm_python):
    (folder,), _ = run(files, COMMANDS["An editor"], warm_python.run)
    results = json.loads((folder / "results.json").read_text())
    assert results["drift"]["raw"] > 0 and results["targets"]["numbers"]["tokens"] > 0


@pytest.mark.slow
def test_a_task(files, warm_python):
    (folder,), _ = run(files, COMMANDS["A task"], warm_python.run)
    results = json.loads((folder / "results.json").read_text())
    assert results["n_facts"] == 4 and results["probes"]["paraphrase"]["right"]["n"] == 4


@pytest.mark.slow
def test_a_held_out_task(files, warm_python):
    (folder,), _ = run(files, COMMANDS["A held-out task"], warm_python.run)
    assert json.loads((folder / "results.json").read_text())["retention"]["tasks"]["capitals"]["n"] == 2


@pytest.mark.slow
def test_a_tracker(files, warm_python):
    run(files, COMMANDS["A tracker"], warm_python.run)
    lines = [json.loads(line) for line in (files / "my/lines.jsonl").read_text().splitlines()]
    assert lines[0]["method"] == "sft" and lines[-1]["probes/recall"] == 0
    assert {record["step"] for record in lines if "train/loss" in record} == {1, 2}


@pytest.mark.slow
def test_a_launcher(files):
    folders, done = run(files, COMMANDS["A launcher"])
    assert len(folders) == 2 and done.stdout.index("-s2-") < done.stdout.index("-s1-")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_to_files_lead_somewhere(page):
    gone = [
        link
        for link, _ in LINKS.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not gone
