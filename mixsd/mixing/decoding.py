"""Two-stream decoding: one shared reply, read after two prompts, over live KV caches (paper section 3).

Each reply has two rows, the naive and the expert prompt, and both are fed the same chosen token, so a token
costs one forward pass over all rows. Replies that finish leave and waiting ones take their place; one
that is decoded again starts from its prompt's caches at once and holds nobody up.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mixsd.errors import DataError
from mixsd.mixing.streams import Streams

NAIVE, EXPERT, AGREED = "n", "e", "a"
REFILL_SHARE = 0.25
"""Waiting replies join when this share of the places is free: each joining reads prompts and moves caches."""
LEAVE_SHARE = 0.125
"""Finished rows leave when they are this share: until then they are fed along, which is cheaper."""
WASTE_SHARE = 0.5
"""Columns are compacted when more than this share of them serves no row."""


@dataclass(frozen=True)
class Pair:
    """One reply to decode.

    Attributes:
        naive_ids: The prompt without the answer.
        expert_ids: The prompt with the gold text.
        coin: (attempt, position) -> True where the naive conditional supplies the token.
        draw: (attempt, position) -> number in [0, 1) that picks the token when sampling.
    """

    naive_ids: Sequence[int]
    expert_ids: Sequence[int]
    coin: Callable[[int, int], bool]
    draw: Callable[[int, int], float]


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
            (R,) token ids. Sampling goes by temperature, then top-k, then the inverse CDF over
            tokens in order of falling probability, so it depends on the row's own number alone.
        """
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        size = min(self.top_k or logits.shape[-1], logits.shape[-1])
        top, ids = torch.topk(logits.double() / self.temperature, size, dim=-1)
        cumulative = torch.softmax(top, dim=-1).cumsum(dim=-1)
        rank = torch.searchsorted(cumulative, draws.double()[:, None], right=True).clamp(max=size - 1)
        return ids.gather(1, rank)[:, 0]


@dataclass
class _Place:
    """A place in the batch: rows 2i and 2i + 1 of the streams belong to place i."""

    index: int
    pair: Pair
    budget: int
    first: Tensor
    attempt: int = 0
    reply: Reply = field(default_factory=Reply)
    finished: bool = False

    def add(self, naive: int, expert: int, end_ids: frozenset[int]) -> bool:
        """Let the coin choose between two tokens; whether the reply is now complete."""
        is_naive = self.pair.coin(self.attempt, len(self.reply.ids))
        token = naive if is_naive else expert
        self.reply.ids.append(token)
        self.reply.provenance += AGREED if naive == expert else NAIVE if is_naive else EXPERT
        self.reply.ended = token in end_ids
        return self.reply.ended or len(self.reply.ids) == self.budget


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    pairs: Sequence[Pair],
    *,
    sampling: Sampling,
    max_new_tokens: int,
    end_ids: frozenset[int],
    batch_size: int,
    try_again: Callable[[int, Reply], bool],
) -> None:
    """Decode replies token by token, each token supplied by the conditional its coin picks.

    Args:
        model: The frozen base model, in eval mode.
        pairs: What to decode, best in the order of their lengths.
        sampling: Greedy or top-k sampling, the same for both conditionals.
        max_new_tokens: Budget of a reply, end of turn included; less where the context would overflow.
        end_ids: Tokens that end a reply; the end is chosen by coin like any other token.
        batch_size: Replies decoded at a time; the model reads twice as many rows. In float32 it does not
            change the tokens.
        try_again: Given a pair's index and its complete reply, whether to decode it anew, as the next
            attempt. What became of a reply is known through this function alone.

    Raises:
        DataError: A prompt leaves no room for a reply in the model's context.
    """
    budgets = [_budget(model, pair, max_new_tokens) for pair in pairs]
    waiting = deque(range(len(pairs)))
    streams = Streams(model)
    places: list[_Place] = []
    logits = torch.zeros(0, device=model.device)
    while waiting or places:
        staying = [row for row, place in enumerate(places) if not place.finished]
        free = batch_size - len(staying)
        if waiting and (free >= max(1, batch_size * REFILL_SHARE) or not staying):
            joining = [waiting.popleft() for _ in range(min(free, len(waiting)))]
            prompts = [ids for i in joining for ids in (pairs[i].naive_ids, pairs[i].expert_ids)]
            first = streams.admit(prompts, keep=_rows(staying))
            new = [
                _Place(index, pairs[index], budgets[index], first[2 * k : 2 * k + 2])
                for k, index in enumerate(joining)
            ]
            logits = torch.cat([logits[_rows(staying)], first]) if staying else first
            places = [places[row] for row in staying] + new
        elif len(places) - len(staying) > len(places) * LEAVE_SHARE or streams.waste > WASTE_SHARE:
            streams.keep(_rows(staying))
            logits, places = logits[_rows(staying)], [places[row] for row in staying]
        _choose(places, streams, logits, sampling, end_ids, try_again)
        if any(not place.finished for place in places):
            logits = streams.step([place.reply.ids[-1] for place in places for _ in range(2)])
        elif not waiting:
            return


def _choose(
    places: Sequence[_Place],
    streams: Streams,
    logits: Tensor,
    sampling: Sampling,
    end_ids: frozenset[int],
    try_again: Callable[[int, Reply], bool],
) -> None:
    """Choose the next token of every unfinished place; a reply to be tried again starts over at once."""
    rows = [row for row, place in enumerate(places) if not place.finished]
    source = logits[_rows(rows)] if len(rows) < len(places) else logits
    while rows:
        draws = [places[row].pair.draw(places[row].attempt, len(places[row].reply.ids)) for row in rows]
        numbers = torch.tensor(draws, dtype=torch.float64, device=source.device).repeat_interleave(2)
        picks = sampling.pick(source, numbers).view(-1, 2).tolist()
        again = []
        for row, (naive, expert) in zip(rows, picks, strict=True):
            place = places[row]
            if not place.add(naive, expert, end_ids):
                continue
            if try_again(place.index, place.reply):
                place.attempt, place.reply = place.attempt + 1, Reply()
                streams.rewind(2 * row, len(place.pair.naive_ids))
                streams.rewind(2 * row + 1, len(place.pair.expert_ids))
                again.append(row)
            else:
                place.finished = True
        rows = again
        source = torch.cat([places[row].first for row in rows]) if rows else source


def _rows(places: Sequence[int]) -> list[int]:
    return [row for place in places for row in (2 * place, 2 * place + 1)]


def _budget(model: PreTrainedModel, pair: Pair, max_new_tokens: int) -> int:
    context = model.config.max_position_embeddings
    room = context - max(len(pair.naive_ids), len(pair.expert_ids))
    if room < 1:
        raise DataError(
            f"a prompt of {context - room} tokens fills the model's context of {context}; "
            "shorten the gold text"
        )
    return min(max_new_tokens, room)
