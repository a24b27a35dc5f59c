"""What editors read of a model at the place of a lookup, and the value that they seek there.

A subject's *key* is what a layer's down-projection is given at the lookup, its *value* what the last edited
layer gives there. A key is half of the prompt alone and half of the prompt in other contexts, a value of the
prompt alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.lookup import SUBJECT, looked_up, token_at
from mixsd.core.questions import Fact
from mixsd.lm.batches import GOLD, Batch, Example, left_pad
from mixsd.lm.chat_model import ChatModel, nll
from mixsd.lm.second_moments import inputs_of, run_up_to

ENOUGH = 0.05
"""The loss at which a search ends."""
ROWS = 32
"""Prompts read together."""


@dataclass(frozen=True)
class Subject:
    """Facts that are looked up by the same key, and so share one value.

    Attributes:
        name: The subject, or the fact's id where facts are not merged.
        facts: The facts.
    """

    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Search:
    """How a value is sought.

    Attributes:
        steps: Of Adam; the last one only looks.
        learning_rate: Adam's.
        weight_decay: Of the added vector's norm, over the squared norm of what stands there.
        clamp: The vector's norm is at most so many times that of what stands there.
        kl_weight: Of KL(now || before) for what follows the subject in "<subject> is a".
    """

    steps: int
    learning_rate: float
    weight_decay: float
    clamp: float
    kl_weight: float


class Values:
    """Reads keys and values of a model, as it stands, and seeks new values.

    Args:
        model: The model; nothing in here changes it.
        layer: The last edited one.
        contexts: What is put before prompts.
        lookup: Where in a prompt, see `lookup`.
        search: How a value is sought.
    """

    def __init__(
        self, model: ChatModel, layer: nn.Module, contexts: Sequence[str], lookup: str, search: Search
    ) -> None:
        self._model, self._layer, self._contexts = model, layer, contexts
        self._lookup, self._search = lookup, search

    @torch.no_grad()
    def read(self, subjects: Sequence[Subject], projection: nn.Module) -> tuple[Tensor, Tensor]:
        """Keys at a projection (d_in, n) and present values (d, n) of subjects, means over their facts."""
        keys, values = [], []
        for subject in subjects:
            found = [self._read_fact(fact, projection) for fact in subject.facts]
            keys.append(torch.stack([key for key, _ in found]).mean(dim=0))
            values.append(torch.stack([value for _, value in found]).mean(dim=0))
        return torch.stack(keys, dim=1), torch.stack(values, dim=1)

    def _read_fact(self, fact: Fact, projection: nn.Module) -> tuple[Tensor, Tensor]:
        (alone, *around) = self._turns(fact)
        key, value = self._read([alone], projection)
        if not around:
            return key[0], value[0]
        return (key[0] + self._read(around, projection)[0].mean(dim=0)) / 2, value[0]

    def _read(self, turns: Sequence[tuple[str, int]], projection: nn.Module) -> tuple[Tensor, Tensor]:
        """What a projection is given (n, d_in) and the last layer gives (n, d), at a place of each turn."""
        ids = [self._model.prompt_ids(turn) for turn, _ in turns]
        tokens, mask = left_pad(ids, self._model.device)
        rows = torch.arange(len(ids))
        places = torch.tensor(
            [tokens.shape[1] - len(row) + at for row, (_, at) in zip(ids, turns, strict=True)]
        )
        given: list[Tensor] = []
        handle = self._layer.register_forward_hook(lambda _, inputs, output: given.append(_hidden(output)))
        try:
            with inputs_of([projection]) as read:
                run_up_to(
                    self._layer,
                    self._model,
                    input_ids=tokens,
                    attention_mask=mask,
                    # Padding would be at -1; it is masked, so any valid position does.
                    position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
                )
        finally:
            handle.remove()
        return read[0][rows, places].float(), given[0][rows, places].float()

    def _turns(self, fact: Fact) -> list[tuple[str, int]]:
        """The fact's prompt alone and in each context, with the place of the lookup."""
        turns = [fact.prompt, *(f"{context}{fact.prompt}" for context in self._contexts)]
        places = [looked_up(self._model, fact, turn, self._lookup) for turn in turns]
        return [(turn, place) for turn, place in zip(turns, places, strict=True) if place is not None]

    def seek(
        self, subjects: Sequence[Subject], projection: nn.Module
    ) -> Iterator[tuple[Subject, Tensor, float]]:
        """For each subject the value (d,) with which the model says its gold texts, and their mean NLL then.

        Minimised over a vector v added at the lookup, by Adam from v = 0: the NLL of the gold texts' tokens,
        a mean over tokens, contexts and facts, with the terms of `Search` (MEMIT, arXiv 2210.07229, eq. 16).
        Subjects that are read together do not touch each other.
        """
        for chunk in self._chunks(subjects):
            values, losses = self._seek(chunk, self.read(chunk, projection)[1].T)
            yield from zip(chunk, values, losses.tolist(), strict=True)

    def _chunks(self, subjects: Sequence[Subject]) -> Iterator[list[Subject]]:
        """Subjects with as many prompts as are read together; one with more of them comes alone."""
        chunk: list[Subject] = []
        for subject in subjects:
            prompts = sum(len(one.facts) for one in [*chunk, subject]) * (1 + len(self._contexts))
            if chunk and prompts > ROWS:
                yield chunk
                chunk = []
            chunk.append(subject)
        if chunk:
            yield chunk

    def _seek(self, subjects: Sequence[Subject], stand: Tensor) -> tuple[Tensor, Tensor]:
        """The values (n, d) of some subjects and their NLL (n,), from what stands there (n, d)."""
        search, device = self._search, self._model.device
        batch, places, owners = self._examples(subjects)
        abouts = self._abouts(subjects)
        added = torch.zeros_like(stand, requires_grad=True)
        before = self._after(abouts, added).detach() if abouts else None
        optimizer = torch.optim.Adam([added], lr=search.learning_rate)
        sizes = stand.norm(dim=1)
        limits = search.clamp * sizes
        found, losses = torch.zeros_like(stand), torch.zeros(len(subjects), device=device)
        open_ = torch.ones(len(subjects), dtype=torch.bool, device=device)
        for step in range(search.steps):
            optimizer.zero_grad()
            said = self._nll(batch, places, added[owners])
            texts = torch.zeros(len(subjects), device=device).index_add(0, owners, said)
            texts = texts / torch.bincount(owners, minlength=len(subjects))
            total = texts + search.weight_decay * added.norm(dim=1) / sizes**2
            if before is not None:
                now = self._after(abouts, added)
                total = total + search.kl_weight * F.kl_div(
                    before, now, log_target=True, reduction="none"
                ).sum(-1)
            ends = open_ & ((total.detach() < ENOUGH) | (step == search.steps - 1))
            found[ends], losses[ends] = (stand + added.detach())[ends], texts.detach()[ends]
            open_ &= ~ends
            if not open_.any():
                break
            # What others' vectors do from here on is of no consequence: no row is in another's loss.
            total.sum().backward()
            optimizer.step()
            with torch.no_grad():
                added.mul_((limits / added.norm(dim=1).clamp(min=1e-12)).clamp(max=1.0)[:, None])
        return found.cpu(), losses

    def _examples(self, subjects: Sequence[Subject]) -> tuple[Batch, Tensor, Tensor]:
        """Prompts in all contexts with gold texts, where each is looked up, and the subject it is of."""
        examples, places, owners = [], [], []
        for owner, subject in enumerate(subjects):
            for fact in subject.facts:
                target = self._model.target_ids(fact.gold_text)
                for turn, place in self._turns(fact):
                    ids = self._model.prompt_ids(turn)
                    examples.append(Example(fact.id, ids, target, GOLD * len(target), fact.gold_text))
                    places.append(place)
                    owners.append(owner)
        device = self._model.device
        batch = self._model.collate(examples)
        return batch, torch.tensor(places, device=device), torch.tensor(owners, device=device)

    def _nll(self, batch: Batch, places: Tensor, vectors: Tensor) -> Tensor:
        """The mean NLL of each gold text's tokens (B,), with a vector (B, d) added to each row."""
        with _adding(self._layer, places, vectors):
            losses = nll(self._model.target_logits(batch), batch.target_ids)
        sums = torch.zeros(len(batch.examples), device=losses.device).index_add(0, batch.target_rows, losses)
        return sums / batch.is_predictor.sum(dim=1)

    def _abouts(self, subjects: Sequence[Subject]) -> list[tuple[tuple[int, ...], int]]:
        """A prompt about each subject, and where it names it; none where nothing is held there."""
        if self._lookup != SUBJECT or not self._search.kl_weight:
            return []
        names = [subject.facts[0].subject for subject in subjects]
        places = [token_at(self._model, f"{name} is a", len(name) - 1) for name in names]
        if None in places:  # the template changes such turns
            return []
        return [
            (self._model.prompt_ids(f"{n} is a"), place or 0) for n, place in zip(names, places, strict=True)
        ]

    def _after(self, abouts: Sequence[tuple[tuple[int, ...], int]], added: Tensor) -> Tensor:
        """Log-probabilities (n, V) of what follows each subject, with its vector added."""
        examples = [Example("", ids, (self._model.end_id,), GOLD, "") for ids, _ in abouts]
        batch = self._model.collate(examples)
        places = torch.tensor([place for _, place in abouts], device=self._model.device)
        wanted = torch.zeros_like(batch.is_predictor)
        wanted[torch.arange(len(abouts)), places] = True
        with _adding(self._layer, places, added):
            logits = self._model.target_logits(replace(batch, is_predictor=wanted))
        return logits.float().log_softmax(dim=-1)


@contextmanager
def _adding(layer: nn.Module, places: Tensor, vectors: Tensor) -> Iterator[None]:
    """Add a vector (B, d) to what a layer gives, at one place of each row."""

    def add(module: nn.Module, inputs: Any, output: Any) -> Any:
        hidden = _hidden(output)
        changed = hidden.clone()
        changed[torch.arange(len(places)), places] += vectors.to(hidden)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = layer.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _hidden(output: Any) -> Tensor:
    """What a layer gives: a tensor, or the first of a tuple, by the version of transformers."""
    return output[0] if isinstance(output, tuple) else output
