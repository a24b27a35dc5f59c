"""The files of a run by layer: what marks a layer as complete, and when one must begin anew."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixsd.core.store import content_hash, discard, read_json, sweep, write_json
from mixsd.results import schema
from mixsd.results.model_card import CARD, WEIGHTS
from mixsd.results.schema import METRICS, TRAJECTORY
from mixsd.run.identity import LAYERS, Identity, changes, stored
from mixsd.run.state import DONE, is_done
from mixsd.trackers.wandb import STATE

PREPARATION, EXAMPLES = "preparation.json", "examples.jsonl"
TRAINING = "training.json"
SCRATCH = "trainer"
"""The checkpoints of a training that is not finished."""
SCORES, DRIFT, COST = "scores", "drift.json", "cost.json"
EARLIER = "earlier"
"""Results of the same weights that were measured in another way."""
_PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "prepared": (PREPARATION, EXAMPLES),
    # A training that begins anew is another curve, and gets another run in W&B.
    "trained": (TRAINING, METRICS, TRAJECTORY, WEIGHTS, SCRATCH, STATE),
    "measured": (SCORES, DRIFT, "interpolation"),
}
_STAGES = {
    "prepared": ("examples",),
    "trained": ("training", "evaluations"),
    "measured": ("tuned_scores", "drift", "interpolation"),
}
"""Entries of `cost.json` by layer."""
_MARKS = {"prepared": PREPARATION, "trained": TRAINING}


@dataclass
class Layers:
    """The state of a run's directory.

    Args:
        run_dir: The directory.
        identity: What the run is now.
        now: Software and device of this process.

    Attributes:
        made_by: Software and device that began each layer.
        notes: What the user is told about layers that begin anew.
        kept_weights: Whether the run was finished and kept its weights; then they are not dropped now.
    """

    run_dir: Path
    identity: Identity
    now: Mapping[str, Any]
    made_by: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept_weights: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all of it is finished, measured as is asked for now."""
        return is_done(self.run_dir, content_hash(self.identity.measured))

    def open(self) -> None:
        """Keep what can be gone on from, discard the rest, and write `identity.json`.

        A complete layer stays, with the software that made it on record. One that stopped half-way under
        other software or on another device begins anew: a run's numbers must not mix arithmetic.
        """
        # Safe, since the run's lock is held: nobody else writes here.
        sweep(self.run_dir)
        # The card marks weights that were kept; those of an unfinished run have none yet.
        self.kept_weights = (self.run_dir / DONE).exists() and (self.run_dir / WEIGHTS / CARD).exists()
        before = stored(self.run_dir)
        self.made_by = dict(before.get("made_by", {}))
        self._reopen(before)
        for layer in LAYERS:
            if self._complete(layer):
                continue
            moved = changes(self.made_by.get(layer, self.now), self.now)
            if moved and self.restart(layer):
                self.notes.append(
                    f"what was {layer} so far was made with another {', '.join(moved)}; that begins anew"
                )
            self.made_by[layer] = dict(self.now)
        self.identity.save(self.run_dir, self.made_by)

    def restart(self, layer: str) -> bool:
        """Discard a layer's products and those of the layers above it; whether there were any."""
        above = LAYERS[LAYERS.index(layer) :]
        found = [path for name in above for file in _PRODUCTS[name] if (path := self.run_dir / file).exists()]
        for path in found:
            discard(path)
        costs = self.run_dir / COST
        if costs.exists():
            gone = {stage for name in above for stage in _STAGES[name]}
            write_json(costs, {stage: cost for stage, cost in read_json(costs).items() if stage not in gone})
        return bool(found)

    def _complete(self, layer: str) -> bool:
        return layer in _MARKS and (self.run_dir / _MARKS[layer]).exists()

    def _reopen(self, before: Mapping[str, Any]) -> None:
        """A finished run that is to be measured in another way keeps its earlier results beside."""
        if not (self.run_dir / DONE).exists():
            return
        # First of all: a run that is killed while it measures anew must not look finished.
        (self.run_dir / DONE).unlink()
        differing = changes(before.get("measured", {}), self.identity.measured)
        if not differing:
            return
        self.notes.append(f"done before; now measured with another {', '.join(differing)}")
        results = self.run_dir / schema.FILE
        if results.exists():
            kept = self.run_dir / EARLIER / f"{content_hash(before.get('measured', {}))}.json"
            kept.parent.mkdir(exist_ok=True)
            shutil.move(results, kept)
