"""Decoding over live KV caches: one reply, read after one prompt or, to mix, after two (paper section 3).

Every prompt of a reply is a row, and all its rows are fed the same chosen token, so a token costs one
forward pass over all rows. Replies that finish leave and waiting ones take their place; one that is
decoded again starts from its prompt's caches at once and holds nobody up.
"""

import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mixsd.core.errors import DataError
from mixsd.lm.batches import AGREED, EXPERT, NAIVE
from mixsd.lm.kv_rows import KVRows
from mixsd.lm.packed import packed
from mixsd.lm.row_caches import RowCaches, has_full_attention

REFILL_SHARE = 0.25
"""Waiting replies join when this share of the places is free: each joining reads prompts and moves caches."""
LEAVE_SHARE = 0.125
"""Finished rows leave when they are this share: until then they are fed along, which is cheaper."""
WASTE_SHARE = 0.5
"""Columns are compacted when more than this share of them serves no row."""


def first_prompt(attempt: int, position: int) -> int:
    """The source of every token where there is one prompt."""
    return 0


def no_draw(attempt: int, position: int) -> float:
    """The draw of greedy replies, which draw nothing."""
    return 0.0


@dataclass(frozen=True)
class Request:
    """One reply to decode.

    Attributes:
        prompts: Token ids of what it is read after: one prompt, or the naive and the expert one.
        source: (attempt, position) -> index of the prompt whose conditional supplies the token; the first
            prompt's unless said otherwise.
        draw: (attempt, position) -> number in [0, 1) that picks the token; never called when greedy.
        letters: The provenance letter of each prompt's conditional.
    """

    prompts: Sequence[Sequence[int]]
    source: Callable[[int, int], int] = first_prompt
    draw: Callable[[int, int], float] = no_draw
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

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken, so that no number is drawn."""
        return self.temperature == 0

    def pick(self, logits: Tensor, draws: Tensor | None) -> Tensor:
        """Pick a token per row.

        Args:
            logits: (R, V).
            draws: (R,) numbers in [0, 1), one per row; None when greedy.

        Returns:
            (R,) token ids. Sampling goes by temperature, then top-k, then the inverse CDF (over the top k in
            order of falling probability, over a whole vocabulary in its own order, since sorting it would
            cost more than the model), so it depends on the row's own number alone.
        """
        if self.greedy or draws is None:
            # In float32, where the search is faster; the first of equal ones either way.
            return logits.float().argmax(dim=-1)
        if self.top_k is None or self.top_k >= logits.shape[-1]:
            return _inverse_cdf(logits.float() / self.temperature, draws)
        top, ids = torch.topk(logits.float() / self.temperature, self.top_k, dim=-1)
        return ids.gather(1, _inverse_cdf(top, draws)[:, None])[:, 0]


def _inverse_cdf(logits: Tensor, draws: Tensor) -> Tensor:
    """Per row, the first place at which the cumulative probability exceeds the row's draw."""
    # float64: in float32, small probabilities are lost in the running sum over a large vocabulary.
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    # The last sum may miss 1 by rounding: scale the draw to what is there.
    wanted = draws.double()[:, None] * cumulative[:, -1:]
    # `right=True`: a draw of exactly 0 must not pick a first token of probability 0.
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
        # With one prompt there is nothing to agree with.
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
        try_again: Gets every complete reply with its request's index; replies are delivered here and nowhere
            else. Says whether to decode the request anew, as the next attempt. Where no reply is ever
            decoded again, `generate.reply_to` gives a list instead.
        stops: Asked after every token whether the reply is complete (None: never before its end).

    Raises:
        DataError: A prompt leaves no room for a reply in the model's context.
    """
    if not requests:
        return
    budgets = [_budget(model, request, max_new_tokens) for request in requests]
    waiting = deque(range(len(requests)))
    width = len(requests[0].prompts)
    kv_rows = KVRows(model) if has_full_attention(model.config) else RowCaches(model)
    places: list[_Place] = []
    logits = torch.zeros(0, device=model.device)

    def complete(row: int, picks: Sequence[int]) -> bool:
        """Add a token to a place; whether it has to start over."""
        place = places[row]
        if not (place.add(picks, end_ids) or (stops and stops(place.reply))):
            return False
        place.finished = not try_again(place.index, place.reply)
        return not place.finished

    with packed(model):
        while waiting or places:
            # Before each token: let waiting replies join, else let finished rows leave, else neither.
            staying = [row for row, place in enumerate(places) if not place.finished]
            free = batch_size - len(staying)
            if waiting and (free >= max(1, batch_size * REFILL_SHARE) or not staying):
                joining = [waiting.popleft() for _ in range(min(free, len(waiting)))]
                prompts = [prompt for index in joining for prompt in requests[index].prompts]
                first = kv_rows.admit(prompts, keep=_rows(staying, width))
                logits = torch.cat([logits[_rows(staying, width)], first]) if staying else first
                places = [places[row] for row in staying] + [
                    _Place(index, requests[index], budgets[index], rows)
                    for index, rows in zip(joining, first.split(width), strict=True)
                ]
            elif len(places) - len(staying) > len(places) * LEAVE_SHARE or kv_rows.waste > WASTE_SHARE:
                kv_rows.keep(_rows(staying, width))
                logits, places = logits[_rows(staying, width)], [places[row] for row in staying]
            _choose(places, kv_rows, logits, sampling, width, complete)
            if any(not place.finished for place in places):
                # Finished rows are fed along until enough of them leave together.
                logits = kv_rows.step([place.reply.ids[-1] for place in places for _ in range(width)])
            elif not waiting:
                return


def _choose(
    places: Sequence[_Place],
    kv_rows: KVRows | RowCaches,
    logits: Tensor,
    sampling: Sampling,
    width: int,
    complete: Callable[[int, Sequence[int]], bool],
) -> None:
    """Choose the next token of every unfinished place; a reply to be tried again starts over at once."""
    rows = [row for row, place in enumerate(places) if not place.finished]
    source = logits[_rows(rows, width)] if len(rows) < len(places) else logits
    # More than once: a new attempt needs its first token now, and that may end it too.
    while rows:
        picks = sampling.pick(source, _draws([places[row] for row in rows], sampling, width, source.device))
        picked = picks.view(-1, width).tolist()
        rows = [row for row, tokens in zip(rows, picked, strict=True) if complete(row, tokens)]
        for row in rows:
            place = places[row]
            place.attempt, place.reply = place.attempt + 1, Reply()
            for number, prompt in enumerate(place.request.prompts):
                kv_rows.rewind(width * row + number, len(prompt))
        # The prompt's own logits, kept since it was read: a new attempt costs no pass.
        source = torch.cat([places[row].first for row in rows]) if rows else source


def _draws(places: Sequence[_Place], sampling: Sampling, width: int, device: torch.device) -> Tensor | None:
    """Each place's number for its next token, (places * width,); None when greedy, where none is drawn."""
    if sampling.greedy:
        return None
    numbers = [place.request.draw(place.attempt, len(place.reply.ids)) for place in places]
    # All conditionals of a place get the same number, so that agreeing ones pick the same token.
    return torch.tensor(numbers, dtype=torch.float64, device=device).repeat_interleave(width)


def _rows(places: Sequence[int], width: int) -> list[int]:
    """The rows of the cache that belong to places with `width` prompts each."""
    return [width * place + number for place in places for number in range(width)]


def _budget(model: PreTrainedModel, request: Request, max_new_tokens: int) -> int:
    """Tokens that a reply may have: less than asked for where its longest prompt leaves less room."""
    room = room_for(model, max(map(len, request.prompts)))
    if room < 1:
        raise DataError(no_room(max(map(len, request.prompts)), model))
    return min(max_new_tokens, room)


def room_for(model: PreTrainedModel, prompt_tokens: int) -> int:
    """Tokens that a reply to a prompt may have in the model's context; 0 or less where there is no room."""
    return _context(model) - prompt_tokens


def _context(model: PreTrainedModel) -> int:
    """Positions that a model has; those with relative ones alone name no limit."""
    return getattr(model.config, "max_position_embeddings", None) or sys.maxsize


def no_room(prompt_tokens: int, model: PreTrainedModel) -> str:
    """What to tell a user whose prompt leaves no room for a reply."""
    return (
        f"a prompt of {prompt_tokens} tokens fills the model's context of "
        f"{_context(model)}; shorten the text or choose a model with a longer context"
    )
