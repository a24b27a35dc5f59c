"""The command line as people type it."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mixsd.run.command_line import arranged, mistake


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["a=1", "-m", "b=2"], ["-m", "a=1", "b=2"]),
        (["a=1", "b=2", "--multirun"], ["--multirun", "a=1", "b=2"]),
        (["-m", "a=1", "-m"], ["-m", "a=1"]),
        (["a=1", "--cfg", "job"], ["a=1", "--cfg", "job"]),
        ([], []),
    ],
)
def test_the_flag_of_a_sweep_goes_anywhere(given, read):
    assert arranged(given) == read


@pytest.mark.parametrize(
    "value", ["x=1.csv", "~/facts.csv", "größe 東京.csv", "it's ~.csv", 'say "hi" ~.csv']
)
def test_a_value_that_hydra_reads_otherwise_is_told_with_its_quotes(value):
    said = mistake([f"task.path={value}"])
    assert said.startswith(f"task.path={value} holds ") and "\n" not in said
    (typed,) = shlex.split(said.rpartition("twice: ")[2])  # as a shell reads it
    assert OverridesParser.create().parse_override(typed).value() == value


@pytest.mark.parametrize("value", ["[1,2", "a(b.csv", "{a: 1"])
def test_a_bracket_that_is_not_closed_is_told(value):
    assert "a bracket without its other half" in mistake([f"task.facts={value}"])


@pytest.mark.parametrize(
    "given",
    [
        ["seed=0,1"], ["task.path=facts.csv"], ["+model.template_options.enable_thinking=false"], ["~task.facts"],
        ["retention.tasks=[a,b]"], ["model.template_options={a: 1}"], ["seed=range(0,3)"], ["task.path='a b.csv'"],
        ["hydra.job.chdir=false"], ["--cfg", "job"], ["task.about="],
    ],
)  # fmt: skip
def test_what_hydra_reads_is_left_alone(given):
    assert mistake(given) == ""


def test_what_cannot_go_together_is_told():
    assert "give one of them" in mistake(["-m", "seed=0,1", "--cfg", "job"])
    assert mistake(["--resolve"]) == "--resolve goes with --cfg job"
    assert "is not offered: paths are those of where the command is given" in mistake(
        ["hydra.job.chdir=true"]
    )
    assert "is one value for a whole group" in mistake(["method=3"])
