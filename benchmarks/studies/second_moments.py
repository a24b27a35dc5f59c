"""How settled second moments are: what changes as the tokens double, of them and of an edit by them.

    python -m benchmarks.studies.second_moments                           the embedded model, its own replies
    python -m benchmarks.studies.second_moments method.corpus=text.txt    another text

Takes the overrides of `run.py`. For each layer that `method=memit` edits: the relative difference (Frobenius
norm) of C from that of half the tokens, and that of a change of random values at the keys of the task's
subjects.
"""

import sys
from collections.abc import Sequence

import torch
from hydra.errors import HydraException
from rich.console import Console
from rich.table import Table
from torch import Tensor

from baselines.edit_updates import memit
from baselines.edit_values import Subject, Values
from baselines.lookup import looked_up
from baselines.memit import Memit, damped, default_layers, projections
from mixsd.core.errors import MixSDError, SettingError
from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.second_moments import corpus, second_moments, self_written
from mixsd.run.config import RunConfig, compose_run
from mixsd.run.messages import config_error

TOKENS = (2_500, 5_000, 10_000, 20_000, 40_000)


def main(overrides: list[str]) -> int:
    """Print the table, or how to ask for it."""
    if {"-h", "--help"} & set(overrides):
        print(__doc__)
        return 0
    try:
        config = compose_run(["method=memit", "seed=1000", "retention=none", "tracking=none", *overrides])
        model = models.load(config.model, config.cache_dir)
        rows = measured(config, model)
    except (MixSDError, HydraException) as error:
        print(config_error(error), file=sys.stderr)
        return 2
    table = Table("tokens", "layer", "C from half the tokens", "change from half the tokens")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def measured(config: RunConfig, model: ChatModel) -> list[tuple[str, ...]]:
    """A row for each number of tokens and each layer."""
    method = config.method
    if not isinstance(method, Memit):
        raise SettingError(
            f"method={method.name} reads no second moments; give memit, emmet, rome or alphaedit"
        )
    texts = _texts(method, model)
    layers = method.layers or default_layers(model.network)
    edited = [projections(model.network)[layer] for layer in layers]
    keys = _keys(config, model, method, layers)
    draw = torch.Generator().manual_seed(0)
    lacking = torch.randn(edited[0].out_features, keys[0].shape[1], generator=draw, dtype=torch.float64)
    rows, before = [], None
    for tokens in TOKENS:
        found = second_moments(model, edited, _first(texts, tokens))
        moments = [damped(moment) for moment in found]
        changes = [memit(k, lacking, c, method.covariance_weight) for k, c in zip(keys, moments, strict=True)]
        if before:
            rows += [
                (f"{tokens:,}", str(layer), f"{_apart(a, b):.3f}", f"{_apart(c, d):.3f}")
                for layer, a, b, c, d in zip(layers, moments, before[0], changes, before[1], strict=True)
            ]
        before = moments, changes
    return rows


def _texts(method: Memit, model: ChatModel) -> Sequence[Sequence[int]]:
    if method.corpus:
        return corpus(model, method.corpus, TOKENS[-1])
    return self_written(model, method.prompts, TOKENS[-1], method.decode_batch_size)


def _first(texts: Sequence[Sequence[int]], tokens: int) -> list[Sequence[int]]:
    """The first texts, so many tokens of them."""
    taken: list[Sequence[int]] = []
    for text in texts:
        left = tokens - sum(map(len, taken))
        if left <= 0:
            break
        taken.append(text[:left])
    return taken


def _keys(config: RunConfig, model: ChatModel, method: Memit, layers: Sequence[int]) -> list[Tensor]:
    """The keys of the task's subjects at each layer, (d_in, n), float64."""
    facts = [f for f in config.task.facts if looked_up(model, f, f.prompt, method.lookup) is not None]
    subjects = [Subject(fact.id, (fact,)) for fact in {fact.subject: fact for fact in facts}.values()]
    last = model.network.get_decoder().layers[layers[-1]]
    values = Values(model, last, (), method.lookup, method.search)
    return [values.read(subjects, projections(model.network)[layer])[0].double() for layer in layers]


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / a.norm())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
