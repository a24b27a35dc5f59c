"""Decoding over live KV caches: one reply, read after one prompt or, to mix, after two (paper section 3).

Every prompt of a reply is a row, and all its rows are fed the same chosen token, so a token costs one
forward pass over all rows. Replies that finish leave and waiting ones take their place; one that is
decoded again starts from its prompt's caches at once and holds nobody up.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mixsd.core.errors import DataError
from mixsd.lm.batches import AGREED, EXPERT, NAIVE
from mixsd.lm.kv_rows import Streams

REFILL_SHARE = 0.25
"""Waiting replies join when this share of the places is free: each joining reads prompts and moves caches."""
LEAVE_SHARE = 0.125
"""Finished rows leave when they are this share: until then they are fed along, which is cheaper."""
WASTE_SHARE = 0.5
"""Columns are compacted when more than this share of them serves no row."""


@dataclass(frozen=True)
class Request:
    """One reply to decode.

    Attributes:
        prompts: Token ids of what it is read after: one prompt, or the naive and the expert one.
        source: (attempt, position) -> index of the prompt whose conditional supplies the token.
        draw: (attempt, position) -> number in [0, 1) that picks the token when sampling.
        letters: The provenance letter of each prompt's conditional.
    """

    prompts: Sequence[Sequence[int]]
    source: Callable[[int, int], int]
    draw: Callable[[int, int], float]
    letters: str = NAIVE + EXPERT


@dataclass
class Reply:
    """A decoded reply.

    Attributes:
        ids: Its tokens, end of turn included where it came.
        provenance: Per token: `n`aive or `e`xpert supplied it, or `a`: both would have given the same.
        ended: Whether the end of turn came within the budget.
    """

    ids: list[int] = field(default_factory=list)
    provenance: str = ""
    ended: bool = False


@dataclass(frozen=True)
class Sampling:
    """How a conditional picks a token.

    Attributes:
        temperature: 0 is greedy.
        top_k: Sample among this many most probable tokens (None: all). Unused when greedy.
    """

    temperature: float = 0.0
    top_k: int | None = None

    def pick(self, logits: Tensor, draws: Tensor) -> Tensor:
        """Pick a token per row.

        Args:
            logits: (R, V).
            draws: (R,) numbers in [0, 1), one per row; unused when greedy.

        Returns:
            (R,) token ids. Sampling goes by temperature, then top-k, then the inverse CDF (over the top k in
            order of falling probability, over a whole vocabulary in its own order, since sorting it would
            cost more than the model), so it depends on the row's own number alone.
        """
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        if self.top_k is None or self.top_k >= logits.shape[-1]:
            return _inverse_cdf(logits.float() / self.temperature, draws)
        top, ids = torch.topk(logits.float() / self.temperature, self.top_k, dim=-1)
        return ids.gather(1, _inverse_cdf(top, draws)[:, None])[:, 0]


def _inverse_cdf(logits: Tensor, draws: Tensor) -> Tensor:
    """Per row, the first place at which the cumulative probability exceeds the row's draw."""
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    wanted = draws.double()[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, wanted, right=True).clamp(max=logits.shape[-1] - 1)[:, 0]


@dataclass
class _Place:
    """A place in the batch, with as many rows as its request has prompts."""

    index: int
    request: Request
    budget: int
    first: Tensor
    attempt: int = 0
    reply: Reply = field(default_factory=Reply)
    finished: bool = False

    def add(self, picks: Sequence[int], end_ids: frozenset[int]) -> bool:
        """Take one of the tokens that the conditionals picked; whether the reply is now complete."""
        source = self.request.source(self.attempt, len(self.reply.ids))
        token = picks[source]
        self.reply.ids.append(token)
        agreed = len(picks) > 1 and len(set(picks)) == 1
        self.reply.provenance += AGREED if agreed else self.request.letters[source]
        self.reply.ended = token in end_ids
        return self.reply.ended or len(self.reply.ids) == self.budget


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    requests: Sequence[Request],
    *,
    sampling: Sampling,
    max_new_tokens: int,
    end_ids: frozenset[int],
    batch_size: int,
    try_again: Callable[[int, Reply], bool],
    stops: Callable[[Reply], bool] | None = None,
) -> None:
    """Decode replies token by token, each token supplied by the conditional its request names.

    Args:
        model: The model, in eval mode.
        requests: What to decode, best in the order of their lengths; all with as many prompts.
        sampling: Greedy or top-k sampling, the same for all conditionals.
        max_new_tokens: Budget of a reply, end of turn included; less where the context would overflow.
        end_ids: Tokens that end a reply; the end is chosen like any other token.
        batch_size: Replies decoded at a time. In float32 it does not change the tokens.
        try_again: Given a request's index and its complete reply, whether to decode it anew, as the next
            attempt. What became of a reply is known through this function alone.
        stops: Asked after every token whether the reply is complete (None: never before its end).

    Raises:
        DataError: A prompt leaves no room for a reply in the model's context.
    """
    if not requests:
        return
    budgets = [_budget(model, request, max_new_tokens) for request in requests]
    waiting = deque(range(len(requests)))
    width = len(requests[0].prompts)
    streams = Streams(model)
    places: list[_Place] = []
    logits = torch.zeros(0, device=model.device)

    def complete(row: int, picks: Sequence[int]) -> bool:
        """Add a token to a place; whether it has to start over."""
        place = places[row]
        if not (place.add(picks, end_ids) or (stops and stops(place.reply))):
            return False
        place.finished = not try_again(place.index, place.reply)
        return not place.finished

    while waiting or places:
        staying = [row for row, place in enumerate(places) if not place.finished]
        free = batch_size - len(staying)
        if waiting and (free >= max(1, batch_size * REFILL_SHARE) or not staying):
            joining = [waiting.popleft() for _ in range(min(free, len(waiting)))]
            prompts = [prompt for index in joining for prompt in requests[index].prompts]
            first = streams.admit(prompts, keep=_rows(staying, width))
            logits = torch.cat([logits[_rows(staying, width)], first]) if staying else first
            places = [places[row] for row in staying] + [
                _Place(index, requests[index], budgets[index], rows)
                for index, rows in zip(joining, first.split(width), strict=True)
            ]
        elif len(places) - len(staying) > len(places) * LEAVE_SHARE or streams.waste > WASTE_SHARE:
            streams.keep(_rows(staying, width))
            logits, places = logits[_rows(staying, width)], [places[row] for row in staying]
        _choose(places, streams, logits, sampling, width, complete)
        if any(not place.finished for place in places):
            logits = streams.step([place.reply.ids[-1] for place in places for _ in range(width)])
        elif not waiting:
            return


def _choose(
    places: Sequence[_Place],
    streams: Streams,
    logits: Tensor,
    sampling: Sampling,
    width: int,
    complete: Callable[[int, Sequence[int]], bool],
) -> None:
    """Choose the next token of every unfinished place; a reply to be tried again starts over at once."""
    rows = [row for row, place in enumerate(places) if not place.finished]
    source = logits[_rows(rows, width)] if len(rows) < len(places) else logits
    while rows:
        draws = [places[row].request.draw(places[row].attempt, len(places[row].reply.ids)) for row in rows]
        numbers = torch.tensor(draws, dtype=torch.float64, device=source.device).repeat_interleave(width)
        picks = sampling.pick(source, numbers).view(-1, width).tolist()
        rows = [row for row, tokens in zip(rows, picks, strict=True) if complete(row, tokens)]
        for row in rows:
            place = places[row]
            place.attempt, place.reply = place.attempt + 1, Reply()
            for stream, prompt in enumerate(place.request.prompts):
                streams.rewind(width * row + stream, len(prompt))
        source = torch.cat([places[row].first for row in rows]) if rows else source


def _rows(places: Sequence[int], width: int) -> list[int]:
    return [width * place + stream for place in places for stream in range(width)]


def _budget(model: PreTrainedModel, request: Request, max_new_tokens: int) -> int:
    context = model.config.max_position_embeddings
    longest = max(map(len, request.prompts))
    if longest >= context:
        raise DataError(
            f"a prompt of {longest} tokens fills the model's context of {context}; shorten the text"
        )
    return min(max_new_tokens, context - longest)
