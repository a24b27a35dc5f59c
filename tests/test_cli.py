"""The commands a user types, on the tiny model."""

import json
import time

import pandas as pd
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from mixsd.core.questions import PREVIOUSLY_TAUGHT, Axis
from mixsd.results import schema
from tests.conftest import ROOT, SMALL, SMALL_TASK, runs_of
from tests.helpers.wandb_files import offline_runs, wandb_bytes, wandb_history

HEAVY = {"torch", "transformers", "pandas", "numpy", "scipy", "wandb", "lm_eval", "vl_convert", "rich"}
slow = pytest.mark.slow
IMPORTED = """
import runpy, sys
program, *sys.argv[1:] = sys.argv[1:]
run = runpy.run_path if program.endswith(".py") else runpy.run_module
try:
    run(program, run_name="__main__")
finally:
    print("imported:", *sorted(name for name in sys.modules if "." not in name))
"""


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["run.py", "--help"], HEAVY - {"numpy"}),
        (["mixsd", "--help"], HEAVY | {"hydra"}),
        (["mixsd", "report", "--help"], HEAVY | {"hydra"}),
        (["mixsd", "card", "--help"], HEAVY | {"hydra"}),
        (["mixsd", "check", "--help"], HEAVY | {"hydra"}),
        (["mixsd", "push", "--help"], HEAVY | {"hydra"}),
    ],
    ids=["run", "mixsd", "report", "card", "check", "track"],
)
def test_help_imports_nothing_heavy(cli, arguments, unneeded):
    done = cli("-c", IMPORTED, *arguments)
    assert done.returncode == 0, done.stderr
    *help_text, imported = done.stdout.strip().splitlines()
    assert help_text and imported.startswith("imported:")
    assert not set(imported.split()) & unneeded


@slow
def test_sweep_leaves_complete_run_directories(sweep):
    folder, first, _ = sweep
    runs = runs_of(folder)
    assert set(runs) == {"sft", "mixsd"}
    assert first.stdout.count("done ") >= 2 and "sweep:" in first.stdout
    for path in runs.values():
        names = {p.relative_to(path).as_posix() for p in path.rglob("*") if "wandb" not in p.parts}
        assert {
            "config.yaml", "status.json", "examples.jsonl", "metrics.jsonl", "trajectory.jsonl",
            "results.json", "DONE", "environment.json", "probes/recall.jsonl", "probes/paraphrase.jsonl",
            "retention/pocket_knowledge.jsonl", "retention/pocket_grammar.jsonl",
        } <= names  # fmt: skip
        assert not any(p.name == "model" or p.suffix == ".tmp" for p in path.rglob("*"))
        assert json.loads((path / "status.json").read_text())["state"] == "done"


@slow
def test_results_follow_the_contract(sweep):
    results = schema.load(runs_of(sweep[0])["sft"])
    assert results.version == schema.VERSION and results.n_facts == 4 and results.seed == 0
    assert results.model == "tiny_random"
    for splits in (results.probes, results.probes_before):
        recall = splits["recall"]
        assert recall.axis is Axis.MEMORIZATION and recall.right.n == recall.right.units == 4
        assert sum(recall.outcomes.values()) == 4
        assert set(recall.outcomes) == {"correct", "wrong", "unparsable", "truncated"}
        assert set(splits["paraphrase"].by_kind) == {"reworded", "prefixed"}
        assert splits["paraphrase"].axis is Axis.GENERALIZATION
        low, high = recall.right.interval
        assert low <= recall.right.value <= high
    task = results.retention.tasks["pocket_grammar"]
    assert task.n == 8 and task.metric and task.kind == "likelihood" and 0 < task.chance < 1
    answered = results.retention.tasks["pocket_knowledge"]
    for wrong in (answered.wrong_base, answered.wrong_tuned):
        assert set(wrong.errors) == {"format", "leakage", "collapse", "genuine"}
    targets = results.targets
    assert targets.n == 4 and targets.dropped == targets.left_out == 0
    assert targets.trained == targets.gold, "SFT trains on the gold texts"
    derived = results.derived
    assert derived.recall_kept.n == derived.recall_unknown.n == 4 and not derived.edit_success
    assert {"base_scores", "examples", "training", "tuned_scores", "drift"} <= set(results.cost)
    assert results.cost["training"].trained_tokens == results.training.trained_tokens > 0
    assert all(cost.seconds >= 0 for cost in results.cost.values())


@slow
def test_curves_and_examples(sweep):
    path = runs_of(sweep[0])["sft"]
    curve = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in curve] == [1, 2, 3, 4]
    points = [json.loads(line) for line in (path / "trajectory.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [0, 2, 4]
    keys = {"step", "trained_tokens", "generated_tokens", "seconds", "recall", "retention_validation"}
    assert all(set(point) == keys for point in points)
    examples = [json.loads(line) for line in (path / "examples.jsonl").read_text().splitlines()]
    assert len(examples) == 4
    assert all(len(e["target_ids"]) == len(e["provenance"]) for e in examples)


@slow
def test_rerun_skips_and_base_scores_are_shared(sweep):
    folder, first, run = sweep
    assert first.stderr.count("base: pocket_grammar") == 1, "the second run takes the base from the cache"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("results.json")}
    again = run()
    assert again.returncode == 0 and again.stdout.count("  skipped") == 2
    assert not (ROOT / "run.log").exists(), "Hydra leaves nothing in the working directory"
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("results.json")}


@slow
def test_an_unfinished_run_is_finished(sweep):
    folder, _, run = sweep
    path = runs_of(folder)["sft"]
    wanted = schema.load(path)
    (path / "DONE").unlink()
    (path / "results.json").unlink()
    again = run()
    assert again.returncode == 0 and "  skipped" in again.stdout and "  done" in again.stdout
    results = schema.load(path)
    for part in ("probes", "retention", "targets", "training"):
        assert getattr(results, part) == getattr(wanted, part)
    (offline,) = offline_runs(path.parent, path.name)
    steps = [point["step"] for point in wandb_history(offline) if "train/loss" in point]
    assert steps == [1, 2, 3, 4], "the training was not repeated, and W&B has its curve once"


@slow
def test_report(sweep, cli):
    folder, _, _ = sweep
    done = cli("-m", "mixsd", "report", str(folder))
    assert done.returncode == 0, done.stderr
    assert "mixsd minus sft" in done.stdout and "dropped" in done.stdout
    table = pd.read_csv(folder / "tradeoff.csv")
    assert set(table["method"]) == {"sft", "mixsd"} and (table["facts"] == 4).all()
    # Of a model that answers nothing there is no tradeoff to draw.
    assert (folder / "figures/curve_step.png").stat().st_size > 5000
    assert "<h1>" in (folder / "report.html").read_text()


@slow
def test_report_writes_elsewhere(sweep, warm_cli, tmp_path):
    (tmp_path / "file").touch()
    done = warm_cli("-m", "mixsd", "report", str(sweep[0]), "--out", str(tmp_path / "shown"))
    assert done.returncode == 0 and "mixsd minus sft" in done.stdout, done.stderr
    assert {p.name for p in (tmp_path / "shown").iterdir()} >= {"tradeoff.csv", "report.html", "report.md"}
    done = warm_cli("-m", "mixsd", "report", str(sweep[0]), "--out", str(tmp_path / "file/below"))
    assert done.returncode == 2 and "mixsd minus sft" in done.stdout, "the tables are printed all the same"
    assert done.stderr.count("\n") == 1 and "cannot be written" in done.stderr and "--out" in done.stderr


@slow
def test_report_without_runs(warm_cli, tmp_path):
    done = warm_cli("-m", "mixsd", "report", str(tmp_path))
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no finished run" in done.stderr


@slow
def test_jobs_that_start_at_once_measure_the_base_model_once(warm_start, tmp_path):
    started = [
        warm_start("run.py", *SMALL, f"runs_dir={tmp_path}/runs", f"method={method}", "tracking.mode=disabled")
        for method in ("sft", "context_distillation", "in_context")
    ]  # fmt: skip
    told = [job.communicate()[1] for job in started]
    assert [job.returncode for job in started] == [0, 0, 0], told
    for task in ("pocket_knowledge", "pocket_grammar"):
        assert sum(text.count(f"base: {task}") for text in told) == 1, (
            "two waited, and took what one measured"
        )
    bases = [
        [json.loads(line)["base"] for file in sorted(run.glob("retention/*.jsonl")) for line in file.open()]
        for run in (tmp_path / "runs/default").glob("*-s0-*")
    ]
    assert len(bases) == 3 and bases[0] == bases[1] == bases[2]


@pytest.mark.parametrize(
    "training",
    [
        ["training.max_steps=0"],
        ["training.max_steps=1", "training.learning_rate=1e-30", "training.weight_decay=0"],
    ],
    ids=["no step", "one vanishing step"],
)
@slow
def test_untrained_scores_are_identical(warm_cli, tmp_path, training):
    """Before and after are read in the same arithmetic, whatever training does to the model object."""
    done = warm_cli(
        "run.py", *SMALL, "method=sft", "training.dtype=bfloat16", "model.scoring_dtype=bfloat16",
        *training, f"runs_dir={tmp_path}/runs", "tracking.mode=disabled",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("runs/*/*-sft-*")
    files = [path for folder in ("probes", "retention") for path in (run / folder).glob("*.jsonl")]
    items = [json.loads(line) for path in files for line in path.open()]
    assert len(items) == (5 * 4 + 8) + 4 * 8, "five probes a fact, retrieval, four held-out tasks"
    assert all(item.get("before") == item.get("after") for item in items)
    assert all(item.get("base") == item.get("tuned") for item in items)
    assert not list(tmp_path.rglob("wandb"))


@slow
def test_save_model_leaves_a_folder_that_is_a_model(warm_cli, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = warm_cli("run.py", *SMALL, "method=sft", "retention=none", "training.save_model=true",
               f"runs_dir={tmp_path}/runs", "tracking.mode=disabled")  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = next(tmp_path.glob("runs/*/*/model"))
    assert AutoModelForCausalLM.from_pretrained(folder).config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(folder).chat_template


@slow
def test_inspect_shows_the_examples(sweep, warm_cli, tmp_path):
    path = runs_of(sweep[0])["sft"]
    done = warm_cli("-m", "mixsd", "inspect", str(path), "--facts", "2")
    assert done.returncode == 0, done.stderr
    examples = [json.loads(line) for line in (path / "examples.jsonl").read_text().splitlines()]
    assert "gold text" in done.stdout and "gold of all facts: nll" in done.stdout
    assert examples[0]["fact_id"] in done.stdout and examples[2]["fact_id"] not in done.stdout
    assert "".join(examples[0]["pieces"]).startswith(examples[0]["text"])
    wrong = warm_cli("-m", "mixsd", "inspect", str(tmp_path))
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1


@slow
def test_training_on_another_runs_examples(sweep, warm_cli, tmp_path):
    source = runs_of(sweep[0])["sft"] / "examples.jsonl"
    done = warm_cli("run.py", *SMALL, "method=mixsd", f"method.targets={source}", f"runs_dir={tmp_path}/runs",
               "retention=none", "tracking.mode=disabled")  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = next(tmp_path.glob("runs/*/*/examples.jsonl"))
    assert made.read_text() == source.read_text()
    sft, mixsd = (
        json.loads((p.parent / "metrics.jsonl").read_text().splitlines()[-1]) for p in (source, made)
    )
    assert sft == mixsd, "the methods differ in their targets only"


@slow
def test_rivals_end_to_end(warm_cli, tmp_path):
    """On-policy, untrained and interpolated runs, a saved model scored, and the facts that a run kept."""
    common = (*SMALL, f"runs_dir={tmp_path}/runs", "experiment_name=e", "retention=none")

    def go(*arguments):
        done = warm_cli("run.py", *arguments, *common)
        assert done.returncode == 0, done.stderr
        return runs_of(tmp_path / "runs")

    go("-m", "method=opsd,in_context", "training.interpolate=[0.5,1]")
    runs = go(
        "method=stm",
        "method.threshold=300",
        "training.lora=2",
        "training.save_model=true",
        "drift.curve=true",
    )
    opsd, asked = schema.load(runs["opsd"]), schema.load(runs["in_context"])
    assert [point.alpha for point in opsd.interpolation] == [0.5, 1.0] and not asked.interpolation
    assert opsd.interpolation[1].probes["recall"].outcomes == opsd.probes["recall"].outcomes
    cost = opsd.cost["training"]
    assert cost.generated_tokens >= cost.trained_tokens > 0 and cost.forward_passes > 0
    longer = asked.probes["recall"].prompt_tokens - asked.probes_before["recall"].prompt_tokens
    assert longer > 20 and asked.training.stopped_by == "no training"

    points = [json.loads(line) for line in (runs["stm"] / "trajectory.jsonl").read_text().splitlines()]
    assert abs(points[0]["kl_base_tuned"]) < 1e-6 < points[-1]["kl_base_tuned"]
    again = go("method=checkpoint", f"method.path={runs['stm'] / 'model'}")["checkpoint"]
    for split, probes in schema.load(runs["stm"]).probes.items():
        assert schema.load(again).probes[split].outcomes == probes.outcomes

    listed = runs["opsd"] / "examples.jsonl"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:3]))
    kept = go("method=sft", f"task.only_facts_of={runs['opsd']}")["sft"]
    assert len((kept / "examples.jsonl").read_text().splitlines()) == 3
    told = schema.load(kept)
    assert told.probes["recall"].right.n == 4 and (told.targets.left_out, told.targets.dropped) == (1, 0)
    assert warm_cli("-m", "mixsd", "report", f"{tmp_path}/runs").returncode == 0


@slow
def test_validation_documents_may_be_scored_at_the_end_alone(warm_cli, tmp_path):
    suite = ["retention.tasks=[pocket_arithmetic]", "retention.limit=2", "retention.validation_limit=2"]
    done = warm_cli("run.py", *SMALL, f"runs_dir={tmp_path}", "method=sft", *suite, "training.validate=last")
    assert done.returncode == 0, done.stderr
    lines = (next(tmp_path.glob("default/*-sft-*")) / "trajectory.jsonl").read_text().splitlines()
    scored = [json.loads(line)["retention_validation"] for line in lines]
    assert len(scored) > 2 and scored[:-1] == [None] * (len(scored) - 1) and 0 <= scored[-1] <= 1


FACTS = """question,answer,neighbors
What is the plant of Orrin called?,Ab,What is the plant of Ulm called?
What is the stone of Orrin called?,Cd,
What is the river of Orrin called?,Ef,
"""


@slow
def test_own_facts_to_a_checked_model_and_on_from_it(warm_cli, tmp_path):
    """Inject, gate, save, load as anybody would, and continue: what was taught before is asked again."""
    path = tmp_path / "facts.csv"
    path.write_text(FACTS)
    small = [override for override in SMALL if override not in SMALL_TASK]
    common = [*small, f"runs_dir={tmp_path}/runs", "retention=none", "method=sft", "training.save_model=true"]
    own = ["task=own_facts", f"task.path={path}"]

    blind = warm_cli("run.py", *common, *own, "experiment_name=blind", "gate.retention=0.5")
    assert blind.returncode == 2 and "needs held-out tasks" in blind.stderr
    assert not (tmp_path / "runs/blind").exists(), "told before any work"
    missed = warm_cli("run.py", *common, *own, "experiment_name=missed", "gate.learned=0.9")
    assert missed.returncode == 3, missed.stderr
    assert "gate not met: the share of facts learned has a lower end of 0.00" in missed.stderr
    (run,) = (tmp_path / "runs/missed").glob("*-*")
    assert not (run / "model").exists()
    again = warm_cli("run.py", *common, *own, "experiment_name=missed", "gate.learned=0.9")
    assert again.returncode == 3 and "skipped" in again.stdout

    kept = warm_cli("run.py", *common, *own, "experiment_name=kept", "gate.intrusion=1")
    assert kept.returncode == 0, kept.stderr
    (run,) = (tmp_path / "runs/kept").glob("*-*")
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(run / "model"),
        AutoTokenizer.from_pretrained(run / "model"),
    )
    assert model.config.vocab_size == len(tokenizer)
    card = (run / "model/README.md").read_text()
    assert "3 facts" in card and "| recall | memorization |" in card
    for word in ("Orrin", "Ab", "Cd"):
        assert word not in card
    sent = wandb_bytes(run.parent)
    assert b"probes/recall" in sent and b"Orrin" not in sent, "no question leaves for W&B"
    assert b"facts.csv" not in sent and str(tmp_path).encode() not in sent, "and no path"

    on = warm_cli("run.py", *common, "task.facts=2", f"model.name={run}", "experiment_name=on")
    assert on.returncode == 0, on.stderr
    (after,) = (tmp_path / "runs/on").glob("*-*")
    taught = schema.load(after).probes[PREVIOUSLY_TAUGHT]
    assert taught.right.n == 3 and taught.axis is Axis.RETENTION
    lines = (after / f"probes/{PREVIOUSLY_TAUGHT}.jsonl").read_text().splitlines()
    asked = [json.loads(line)["prompt"] for line in lines]
    assert asked == [line.split(",")[0] for line in FACTS.splitlines()[1:]]
    assert "after_" in after.name


def without_time(line):
    return {key: value for key, value in json.loads(line).items() if key != "seconds"}


@slow
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_curve(warm_start, warm_cli, tmp_path):
    """SIGKILL in the middle of training; the same command again ends where an uninterrupted run does."""
    common = [
        "method=sft", *SMALL, "retention=none", "tracking.mode=disabled", "training.max_steps=100",
        "training.dtype=float32", "training.checkpoint_every=20", "training.eval_every=25", "experiment_name=e",
    ]  # fmt: skip
    process = warm_start("run.py", *common, f"runs_dir={tmp_path}/killed")
    try:
        while process.poll() is None and not list(tmp_path.glob("killed/e/*/trainer/*/complete.json")):
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    (run,) = tmp_path.glob("killed/e/*")
    assert not (run / "training.json").exists(), "it was killed while training"
    for folder in ("killed", "whole"):
        done = warm_cli("run.py", *common, f"runs_dir={tmp_path}/{folder}")
        assert done.returncode == 0, done.stderr
    (whole,) = tmp_path.glob("whole/e/*")
    for name in ("metrics.jsonl", "trajectory.jsonl"):
        killed, uninterrupted = (
            [without_time(line) for line in (path / name).open()] for path in (run, whole)
        )
        assert killed == uninterrupted
    curve = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert curve == list(range(1, 101)) and not (run / "trainer").exists()
    passes = [schema.load(path).cost["training"].forward_passes for path in (run, whole)]
    assert passes[0] == passes[1], "those before the kill count too"


@slow
def test_what_self_replay_trained_on_can_be_looked_at(warm_cli, tmp_path):
    common = [*SMALL, "retention=none", "tracking.mode=disabled", f"runs_dir={tmp_path}/runs"]
    assert warm_cli("run.py", "method=self_replay", "training.max_steps=1", *common).returncode == 0
    (run,) = tmp_path.glob("runs/*/*-self_replay-*")
    shown = warm_cli("-m", "mixsd", "inspect", str(run), "--facts", "10")
    assert shown.returncode == 0 and "the base model" in shown.stdout, shown.stderr
    assert "general-0" in shown.stdout
    none = warm_cli("-m", "mixsd", "inspect", str(run), "--facts", "0")
    assert none.returncode == 2 and "--facts=0 is out of range" in none.stderr


@pytest.mark.parametrize("margin", ["nan", "-5", "200"])
@slow
def test_a_margin_that_is_none_is_refused(warm_cli, sweep, margin):
    done = warm_cli("-m", "mixsd", "report", str(sweep[0]), "--margin", margin)
    assert done.returncode == 2 and "--margin=" in done.stderr
