"""What `method=retrieval` finds at each threshold: the right text, and any text for prompts of no one fact.

    python -m benchmarks.studies.retrieval                                  100 facts, development seed
    python -m benchmarks.studies.retrieval task=mquake_pocket method.k=3    another task, three texts

Takes the overrides of `run.py`. No model is run. A text is right where it is of the probe's own fact. For
prompts about nothing that is stored (the retention axis, held-out tasks) whatever is found is false.
"""

import sys
import time
from collections.abc import Mapping, Sequence

from hydra.errors import HydraException
from rich.console import Console
from rich.table import Table

from baselines.retrieval import Found, Retrieval, Store
from benchmarks.heldout.suite import LmEvalSuite
from mixsd.core.errors import MixSDError
from mixsd.core.questions import Axis, Probe
from mixsd.run.config import RunConfig, compose_run
from mixsd.run.messages import config_error

THRESHOLDS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
SEED = 1000
"""A development seed: the threshold is chosen on worlds that no result is of (decision 3)."""


def main(overrides: list[str]) -> int:
    """Print the table, or how to ask for it."""
    if {"-h", "--help"} & set(overrides):
        print(__doc__)
        return 0
    try:
        config = compose_run(["method=retrieval", f"seed={SEED}", "tracking=none", *overrides])
    except (MixSDError, HydraException) as error:
        print(config_error(error), file=sys.stderr)
        return 2
    method = config.method
    if not isinstance(method, Retrieval):
        print(f"method={method.name} finds no texts; leave it out", file=sys.stderr)
        return 2
    start = time.perf_counter()
    store = Store(config.task.facts, method.k1, method.b)
    indexed = time.perf_counter() - start
    probes = {split: [p for p in config.probes if p.split == split] for split in config.axes}
    about = {split: asked for split, asked in probes.items() if _is_stored(config, split, asked)}
    prompts = {
        split: [p.question.prompt for p in asked] for split, asked in probes.items() if split not in about
    }
    prompts |= {name: _turns(config, name) for name in config.retention.generated}
    start = time.perf_counter()
    right = {split: _places(store, asked) for split, asked in about.items()}
    found = {name: [store.find(prompt, method.k, 0.0) for prompt in asked] for name, asked in prompts.items()}
    count = sum(map(len, [*right.values(), *found.values()]))
    each = (time.perf_counter() - start) / max(count, 1)
    console = Console(width=None if sys.stdout.isatty() else 200)
    title = f"{config.task.name}, {len(config.task.facts)} texts, k={method.k}, seed {config.seed}"
    console.print(_table(title, right, found, method.k))
    console.print(f"made in {indexed * 1000:.0f} ms; {each * 1e6:.0f} microseconds a question")
    for split, places in right.items():
        mean = sum(1 / place for place, _ in places if place) / len(places)
        console.print(f"{split}: mean reciprocal rank {mean:.3f}, of {len(places)}")
    return 0


def _is_stored(config: RunConfig, split: str, asked: Sequence[Probe]) -> bool:
    """Whether a split asks for the facts themselves."""
    ids = {fact.id for fact in config.task.facts}
    return config.axes[split] is not Axis.RETENTION and any(probe.fact_id in ids for probe in asked)


def _turns(config: RunConfig, task: str) -> list[str]:
    assert isinstance(config.retention, LmEvalSuite)
    return config.retention.turns(task)


def _places(store: Store, asked: Sequence[Probe]) -> list[tuple[int, float]]:
    """For each probe the place of its own text (0: not found) and its score."""
    found = []
    for probe in asked:
        texts = store.find(probe.question.prompt, len(store), 0.0)
        place = next((n for n, text in enumerate(texts, 1) if text.fact.id == probe.fact_id), 0)
        found.append((place, texts[place - 1].score if place else 0.0))
    return found


def _table(
    title: str, right: Mapping[str, list[tuple[int, float]]], found: Mapping[str, list[list[Found]]], k: int
) -> Table:
    table = Table(
        "threshold", *(f"{name}: right" for name in right), *(f"{name}: any" for name in found), title=title
    )
    for threshold in THRESHOLDS:
        hits = [
            sum(1 for place, score in places if 0 < place <= k and score >= threshold) / len(places)
            for places in right.values()
        ]
        false = [
            sum(1 for texts in asked if texts and texts[0].score >= threshold) / max(len(asked), 1)
            for asked in found.values()
        ]
        table.add_row(f"{threshold:g}", *(f"{share:.2f}" for share in (*hits, *false)))
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
