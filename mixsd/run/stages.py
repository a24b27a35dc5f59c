"""The stages of a run: base scores, examples, training, tuned scores, drift, interpolation, results.

Every stage writes its product into the run directory before the next begins; `DONE` comes last. A run
that was interrupted goes on after its last finished stage.
"""

import datetime
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import yaml
from pydantic import TypeAdapter

from mixsd.core.errors import Interrupted
from mixsd.core.questions import RECALL, notes_of
from mixsd.core.scores import Scores
from mixsd.core.store import Records, discard, locked, read_json, read_jsonl, write_json, write_text
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.processes import helpers, lead
from mixsd.lm.sources import is_whole
from mixsd.methods.contract import GradientMethod
from mixsd.results import schema
from mixsd.results.build import Reports, Subject, build_results, write_items
from mixsd.results.gate import unmet
from mixsd.results.model_card import model_card
from mixsd.results.schema import Drift, RunResults, TargetReport, TrainingReport
from mixsd.run import layers as files
from mixsd.run import memory
from mixsd.run.config import RunConfig
from mixsd.run.drift import measure_drift
from mixsd.run.environment import environment, made_by
from mixsd.run.folders import lock_warning, make_folder
from mixsd.run.interpolate import interpolate
from mixsd.run.layers import Layers
from mixsd.run.lease import taken_gpus
from mixsd.run.ledger import Ledger
from mixsd.run.measure import Scorer
from mixsd.run.mirror import run_info, show_results
from mixsd.run.probes_file import write_probes
from mixsd.run.push import replay
from mixsd.run.software import code_state
from mixsd.run.state import DONE, LOCK, LOG, STATUS
from mixsd.run.tuning import Tuning
from mixsd.run.workbench import Bench, console
from mixsd.trackers.tracker import Harmless
from mixsd.trackers.wandb import in_agent


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: `done`, or `skipped` because it was done before.

    Attributes:
        run_id: The run.
        state: `done` or `skipped`.
        unmet: What of its gate is not met, a sentence each.
        model_kept: Whether its directory holds tuned weights.
    """

    run_id: str
    state: str
    unmet: list[str]
    model_kept: bool


def run_experiment(config: RunConfig) -> RunOutcome:
    """Run all stages, or nothing if the run is done already.

    `status.json` says which stage runs, and after a failure why it failed (`log.txt` has the traceback).
    """
    for key, folder in (("runs_dir", config.run_dir), ("cache_dir", config.cache_dir)):
        make_folder(key, folder)
    # A second process with the same config waits, then finds the run done.
    with locked(config.run_dir / LOCK):
        layers = Layers(config.run_dir, config.identity, made_by())
        if layers.is_done and not _model_is_wanted(config):
            if in_agent():
                replay(config.run_dir, Harmless(config.tracking))
            return _outcome(config, "skipped")
        lead(config.devices, torch.get_num_threads(), taken_gpus())
        _write_status(config, "running", stage="the start")
        run = _Run(config, layers)
        try:
            results = run.run()
        # A run that was stopped must not stay `running`.
        except KeyboardInterrupt as error:
            stage = read_json(config.run_dir / STATUS).get("stage", "the start")
            raise Interrupted(
                f"interrupted in {stage}{_step(config)}; the same command goes on from there: "
                f"{config.run_dir}"
            ) from error
        except SystemExit:  # a launcher ends the process, and queues it again
            raise
        except BaseException as error:
            with suppress(OSError):  # on a full disk, the first error is the one to tell
                with (config.run_dir / LOG).open("a", encoding="utf-8") as log:
                    log.write(traceback.format_exc())
                _write_status(config, "failed", error=f"{type(error).__name__}: {error}")
            raise
        run.drop_weights(results)
    return _outcome(config, "done")


def _step(config: RunConfig) -> str:
    """The last step that was trained, for people."""
    path = config.run_dir / schema.METRICS
    rows = read_jsonl(path) if path.exists() else []
    return f" after step {rows[-1]['step']}" if rows else ""


def _model_is_wanted(config: RunConfig) -> bool:
    """Whether a finished run kept no weights, although that is asked for now and its gate is met."""
    if not config.training.save_model or is_whole(config.run_dir / files.WEIGHTS):
        return False
    changed = read_json(config.run_dir / files.TRAINING).get("changed", True)
    return changed and not unmet(schema.load(config.run_dir), config.gate)


def cache_identity(config: RunConfig) -> dict[str, Any]:
    """What every cached product of a base model hangs on: the model, and what computes it."""
    return {
        "model": config.model_fingerprint,
        **config.model.rendering,
        "software": made_by(),
        "results_version": schema.VERSION,
    }


def _outcome(config: RunConfig, state: str) -> RunOutcome:
    kept = (config.run_dir / files.WEIGHTS).exists()
    return RunOutcome(config.run_id, state, unmet(schema.load(config.run_dir), config.gate), kept)


def _write_status(config: RunConfig, state: str, **more: str) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(config.run_dir / STATUS, {"run_id": config.run_id, "state": state, "time": now, **more})


class _Run:
    """One run: its config, its directory, and the stages."""

    def __init__(self, config: RunConfig, layers: Layers) -> None:
        self.config, self.layers, self.dir = config, layers, config.run_dir
        self.bench = Bench(config.cache_dir, cache_identity(config), self.dir / LOG)
        self.scorer = Scorer(config, self.bench)
        self.tracker = Harmless(config.tracking)
        self.bench.on_progress = self.tracker.stage
        self.ledger = Ledger(self.dir, self.bench, self._on_stage)
        self.tuning = Tuning(config, self.bench, self.ledger, self.scorer, self.tracker)

    def _on_stage(self, name: str) -> None:
        _write_status(self.config, "running", stage=name)
        self.tracker.stage(name, 0, 0)

    def run(self) -> RunResults:
        """All stages in order, shown by the tracker while they go on."""
        self._open()
        caveats = (*self.config.model_notes, *self.config.retention.caveats)
        shown = run_info(
            self.dir, self.config.resolved, self.config.method.name, self.config.model.label, caveats=caveats
        )
        try:
            self.tracker.start(shown)
            results = self._stages()
            self._keep_weights(results)
            # Before it is shown: however long a server takes to answer, the run is done.
            _write_status(self.config, "done")
            write_text(self.dir / DONE, "")
            show_results(
                self.tracker, self.dir, results, self.config.resolved, weights=self._is_kept(results)
            )
        except (KeyboardInterrupt, SystemExit):
            if not (self.dir / DONE).exists():
                stage = read_json(self.dir / STATUS).get("stage", "the start")
                _write_status(self.config, "interrupted", stage=stage)
            self.tracker.interrupted()
            raise
        except BaseException as error:
            self.tracker.finish(None, f"{type(error).__name__}: {error}")
            raise
        finally:
            # Also after a failure: W&B merges runs of one process unless each is finished.
            self.tracker.close()
        return results

    def _open(self) -> None:
        """Say what is run, on what, and what is kept of an earlier start."""
        config = self.config
        self.layers.open()
        write_text(self.dir / "config.yaml", yaml.safe_dump(config.resolved, sort_keys=False))
        write_json(
            self.dir / "environment.json",
            {**environment(), "model": list(config.model_notes), "devices": 1 + len(helpers())},
        )
        diff = code_state().get("diff")
        if diff:
            write_text(self.dir / "code.diff", diff)
        write_probes(self.dir, config.probes)
        console.rule(config.run_id, style="dim")
        for note in (
            *filter(None, map(lock_warning, (self.dir, config.cache_dir))),
            *filter(None, [memory.warning(config)]),
            *self.layers.notes,
            *notes_of(config.task),
            *config.model_notes,
            *config.retention.caveats,
        ):
            self.bench.say(note, "yellow")

    def _stages(self) -> RunResults:
        with self.ledger.stage("base scores") as meter:
            base = self.scorer.base(self.tuning.base_model)
        # Not added up: the cache counts what its parts took before an interruption.
        self.ledger.write("base_scores", self.ledger.cost(meter))
        self._restart_where_weights_are_gone()
        self.tuning.make(base)
        with self.ledger.stage("tuned scores") as meter:
            tuned = self._scores("tuned", self.tuning.tuned_model)
        self.ledger.write("tuned_scores", self.ledger.cost(meter), add=True)
        drift = self._drift(base)
        between = self._interpolated(tuned)
        self.ledger.on_stage("results")
        return self._write_results(base, tuned, between, drift)

    def _restart_where_weights_are_gone(self) -> None:
        """A finished run drops its weights unless `training.save_model` keeps them; an edit is made again."""
        trained, folder = (self.dir / name for name in (files.TRAINING, files.WEIGHTS))
        trains = isinstance(self.config.method, GradientMethod)
        gone = trains and trained.exists() and not is_whole(folder)
        if gone and self._weights_are_needed():
            self.bench.say(
                "this run kept no weights (training.save_model=false), and what is asked for now needs them: "
                "it trains again",
                "yellow",
            )
            self.layers.restart("trained")

    def _weights_are_needed(self) -> bool:
        """Whether something is still to be measured of the tuned weights, or they are to be kept."""
        config = self.config
        names = ["tuned", *(f"alpha-{alpha}" for alpha in config.training.interpolate if alpha != 1)]
        measured = all(self.scorer.is_complete(self._scores_file(name)) for name in names)
        drifted = (self.dir / files.DRIFT).exists() or not config.drift.measure
        return config.training.save_model or not (measured and drifted)

    def _scores(self, name: str, load: Callable[[], ChatModel]) -> Scores:
        return self.scorer.tuned(load, self.tuning.ask, self.tuning.put, self._scores_file(name), name)

    def _scores_file(self, name: str) -> Records:
        """The scores so far of a tuned or interpolated model."""
        folder = self.dir / files.SCORES
        folder.mkdir(exist_ok=True)
        return Records(folder / f"{name}.jsonl")

    def _drift(self, scores: Scores) -> Drift | None:
        """How far the tuned model is from its base; None where it is the base, or this is switched off.

        Args:
            scores: The base model's.
        """
        path = self.dir / files.DRIFT
        if not self.tuning.changed or not self.config.drift.measure:
            return None
        if not path.exists():
            # Before the base: an editor may change that in place, and it is then loaded anew.
            tuned = self.tuning.tuned_model()
            base = self.tuning.base_model()
            with self.ledger.stage("drift", base, tuned) as meter:
                asked = [(answer.prompt, answer.text) for answer in scores.probes[RECALL]]
                found = measure_drift(base, tuned, self.bench, asked)
            self.ledger.write("drift", self.ledger.cost(meter))
            write_json(path, asdict(found))
        return Drift(**read_json(path))

    def _interpolated(self, at_one: Scores) -> dict[float, Scores]:
        """Scores between base and tuned, by alpha; nothing where the tuned model is the base model."""
        alphas = sorted(self.config.training.interpolate)
        if not alphas or not self.tuning.changed:
            return {}
        found = {}
        with self.ledger.stage("interpolation") as meter:
            for alpha in alphas:
                load = partial(self._between, alpha)
                # At 1 it is the tuned model, which is scored already.
                found[alpha] = at_one if alpha == 1 else self._scores(f"alpha-{alpha}", load)
        self.ledger.write("interpolation", self.ledger.cost(meter), add=True)
        return found

    def _between(self, alpha: float) -> ChatModel:
        tuned = self.tuning.tuned_model()
        return self.ledger.watch(interpolate(self.tuning.base_model(), tuned, alpha))

    def _write_results(
        self, base: Scores, tuned: Scores, between: dict[float, Scores], drift: Drift | None
    ) -> RunResults:
        config = self.config
        subject = Subject(
            run_id=config.run_id,
            task=config.task.name,
            method=config.method.name,
            model=config.model.label,
            seed=config.seed,
            facts=config.task.facts,
            axes=config.axes,
            measured_by=config.identity.measured_by,
            caveats=(*config.model_notes, *config.retention.caveats),
            suite={"name": config.retention.name, **config.retention.fingerprint()},
        )
        preparation, training = (read_json(self.dir / name) for name in (files.PREPARATION, files.TRAINING))
        # Ours alone: it is no field of `TrainingReport`.
        training.pop("changed", None)
        reports = Reports(
            targets=TypeAdapter(TargetReport).validate_python(preparation["report"]),
            trained_facts=frozenset(preparation["trained"]),
            training=TrainingReport(**training),
            cost=self.ledger.read(),
            drift=drift,
        )
        write_items(self.dir, base, tuned, config.task.facts)
        for alpha, scores in between.items():
            write_items(self.dir / "interpolation" / str(alpha), base, scores, config.task.facts)
        results = build_results(subject, base, tuned, between, reports)
        schema.save(results, self.dir)
        return results

    def _keep_weights(self, results: RunResults) -> None:
        """The tuned model stays, with its card, where that is asked for and the gate is met."""
        if self._is_kept(results):
            folder = self.dir / files.WEIGHTS
            if not is_whole(folder):  # an editor's model
                discard(folder)
                self.tuning.save(folder)
            model, missing = self.config.model, unmet(results, self.config.gate)
            card = model_card(model.public_name, self.config.model_fingerprint, results, missing)
            write_text(folder / files.CARD, card)

    def drop_weights(self, results: RunResults) -> None:
        """Delete weights that are not to be kept; after `DONE`, so that an interruption loses nothing."""
        if not self._is_kept(results):
            discard(self.dir / files.WEIGHTS)

    def _is_kept(self, results: RunResults) -> bool:
        if not self.tuning.changed:
            return False
        asked = self.config.training.save_model and not unmet(results, self.config.gate)
        return asked or self.layers.kept_weights
