"""A KV cache by rows: rows of text join, leave and are rewound while the others are decoded.

A rewound row goes back to its prompt, whose keys and values stay in the cache. The cache is written in place,
in buffers with room to grow, instead of being copied at every step.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, Cache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mixsd.lm.batches import left_pad

GROUPED = "mixsd_grouped"
"""The name under which transformers knows the attention below."""
ROOM = 64
"""Columns that a buffer is made longer than it has to be."""
PADDING_SHARE = 0.25
"""Prompts are read together while padding is at most this share of a row."""


def _grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of one new token per row, without a copy of the keys for every query head.

    With grouped-query attention, the query heads of a group read the same keys under the same mask, so
    they can stand where the queries of successive tokens do: (R, G, H / G, D) instead of (R, H, 1, D).
    """
    rows, heads, columns, size = query.shape
    # Folded queries share one mask; the positions of a prompt have a causal one each.
    if columns != 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    folded = query.reshape(rows, key.shape[1], heads // key.shape[1], size)
    mixed = F.scaled_dot_product_attention(
        folded, key, value, attn_mask=attention_mask, scale=options.get("scaling")
    )
    return mixed.reshape(rows, 1, heads, size), None


AttentionInterface.register(GROUPED, _grouped_attention)
AttentionMaskInterface.register(GROUPED, sdpa_mask)


class _BufferedLayer(DynamicLayer):
    """One layer's keys and values, (rows, heads, columns, size), as views into longer buffers."""

    _buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new columns behind the old ones and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.get_seq_length(), self.get_seq_length() + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            keys, values = (self.keys, self.values) if start else (key_states, value_states)
            self._fill(keys, values, columns=start, room=end - start + ROOM)  # type: ignore[arg-type]
        assert self._buffers is not None
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self._view(end)
        return self.keys, self.values  # type: ignore[return-value]

    def rebuild(self, rows: Tensor, columns: Tensor) -> None:
        """Keep `columns` (R, T) of `rows` (R,)."""
        kept = [states[rows[:, None], :, columns].transpose(1, 2) for states in (self.keys, self.values)]  # type: ignore[index]
        self._fill(*kept, columns=columns.shape[1], room=ROOM)

    def spread(self, rows: int) -> None:
        """Stand the only row in `rows` rows."""
        states = [states.expand(rows, -1, -1, -1) for states in (self.keys, self.values)]  # type: ignore[union-attr]
        self._fill(*states, columns=self.get_seq_length(), room=ROOM)

    def join(self, parts: Sequence["_BufferedLayer"], seats: Sequence[Mapping[int, int]]) -> None:
        """Become the rows of all parts, each in its places, all ending together."""
        joined = [_align_right([getattr(part, name) for part in parts], seats) for name in ("keys", "values")]
        self.lazy_initialization(*joined)  # sets dtype and device, which no `update` has done here
        self._fill(*joined, columns=joined[0].shape[-2], room=ROOM)

    def _fill(self, keys: Tensor, values: Tensor, columns: int, room: int) -> None:
        buffers = []
        for states in (keys, values):
            # Zeros, not garbage: a masked column still takes part in a product.
            buffer = states.new_zeros(*states.shape[:2], columns + room, states.shape[-1])
            buffer[:, :, :columns] = states[:, :, :columns]
            buffers.append(buffer)
        self._buffers = (buffers[0], buffers[1])
        self._view(columns)

    def _view(self, columns: int) -> None:
        assert self._buffers is not None
        self.keys, self.values = (buffer[:, :, :columns] for buffer in self._buffers)


class KVRows:
    """The rows of text that a model is reading, over one key-value cache.

    Args:
        model: A causal language model in eval mode, with full attention in every layer.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = Cache(layer_class_to_replicate=_BufferedLayer)
        self._mask = torch.zeros(0, 0, dtype=torch.bool, device=model.device)
        # Kept on the host too: reading the mask would synchronise with the GPU.
        self._start: list[int] = []
        self._length: list[int] = []

    @property
    def waste(self) -> float:
        """The share of columns that even the longest row does not use."""
        return 1 - max(self._length) / self._mask.shape[1] if self._length else 0.0

    def admit(self, prompts: Sequence[Sequence[int]], keep: Sequence[int]) -> Tensor:
        """Keep some rows in the order given, and read new prompts as further rows.

        What all prompts begin with is read once, equal prompts are, and those of like length together.

        Returns:
            (len(prompts), V) logits of each prompt's next token.
        """
        unique = list(dict.fromkeys(map(tuple, prompts)))
        shared = _shared_length(unique)
        groups = _alike(unique, shared)
        read = [self._read_prompts([unique[index] for index in group], shared) for group in groups]
        parts = [(cache, mask) for cache, mask, _ in read]
        # Place -> row of the part that holds it; equal prompts take several places from one row.
        row_of = [{unique[index]: row for row, index in enumerate(group)} for group in groups]
        seats = [
            {len(keep) + place: rows[p] for place, p in enumerate(map(tuple, prompts)) if p in rows}
            for rows in row_of
        ]
        logits = read[0][2].new_empty(len(prompts), read[0][2].shape[-1])
        for (_, _, part), seat in zip(read, seats, strict=True):
            logits[[place - len(keep) for place in seat]] = part[list(seat.values())]
        if keep:
            self.keep(keep)
            parts = [(self._cache, self._mask), *parts]
            seats = [{row: row for row in range(len(keep))}, *seats]
        self._cache = _join([cache for cache, _ in parts], seats)
        self._mask = _align_right([mask[:, None, :, None] for _, mask in parts], seats)[:, 0, :, 0]
        self._length = [*(self._length if keep else []), *map(len, prompts)]
        self._start = [self._mask.shape[1] - length for length in self._length]
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows (one at least), in the order given, and drop the columns none of them uses."""
        index = torch.tensor(rows, device=self._mask.device)
        self._length = [self._length[row] for row in rows]
        # A stable sort by "is used" moves each row's used columns to its end, in order.
        columns = self._mask[index].int().argsort(dim=1, stable=True)[:, -max(self._length) :]
        for layer in self._cache.layers:
            layer.rebuild(index, columns)  # type: ignore[union-attr]
        self._mask = self._mask[index[:, None], columns]
        self._start = [self._mask.shape[1] - length for length in self._length]

    def rewind(self, row: int, length: int) -> None:
        """Forget all of a row but its first `length` tokens."""
        # Only masked: the columns stay until `keep` drops them.
        self._mask[row, self._start[row] + length :] = False
        self._length[row] = length

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Feed one token to every row.

        Returns:
            (rows, V) logits of each row's next token.
        """
        # A row's own length, not the cache's: padding and rewinds leave masked columns between.
        positions = torch.tensor(self._length, device=self._model.device)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self._length = [length + 1 for length in self._length]
        fed = torch.tensor(tokens, device=self._model.device)[:, None]
        with self._grouped():
            return self._read(fed, self._mask, positions, self._cache)

    @contextmanager
    def _grouped(self) -> Iterator[None]:
        """Use the attention above where the model would use torch's own."""
        # Set for the call alone: training and other readers of the model keep their own attention.
        config = self._model.config
        usual = config._attn_implementation
        if usual == "sdpa":
            config._attn_implementation = GROUPED
        try:
            yield
        finally:
            config._attn_implementation = usual

    def _read(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        # An index, not a number: a strided slice of the hidden states would make the output layer's matrix
        # product copy its weights once per row, gigabytes of them.
        last = torch.tensor([tokens.shape[1] - 1], device=tokens.device)
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=last,
        )
        return output.logits[:, -1]

    def _read_prompts(self, prompts: Sequence[Sequence[int]], shared: int) -> tuple[Cache, Tensor, Tensor]:
        """Read prompts that share their first tokens: their cache, its mask (R, T), and logits (R, V)."""
        device = self._model.device
        cache = Cache(layer_class_to_replicate=_BufferedLayer)
        if shared:
            prefix = torch.tensor([prompts[0][:shared]], device=device)
            everything = torch.ones_like(prefix, dtype=torch.bool)
            self._read(prefix, everything, torch.arange(shared, device=device)[None], cache)
            for layer in cache.layers:  # the shared prefix was read as one row
                layer.spread(len(prompts))  # type: ignore[union-attr]
        tokens, mask = left_pad([prompt[shared:] for prompt in prompts], device)
        positions = shared + (mask.cumsum(dim=1) - 1).clamp(min=0)
        whole = torch.cat([mask.new_ones(len(prompts), shared), mask], dim=1).bool()
        return cache, whole, self._read(tokens, whole, positions, cache)


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, leaving each at least one of its own."""
    # A single prompt is read in one pass; a prefix of its own would make it two.
    if len(prompts) == 1:
        return 0
    # In lexicographic order, the first and the last share least.
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    # The first logits come from reading a prompt's own last token.
    return min(shared, min(map(len, prompts)) - 1)


def _alike(prompts: Sequence[Sequence[int]], shared: int) -> list[list[int]]:
    """Indices of the prompts in groups of like length: none is padded by more than `PADDING_SHARE`."""
    groups: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=lambda index: len(prompts[index])):
        shortest = len(prompts[groups[-1][0]]) - shared if groups else 0
        if (len(prompts[index]) - shared) * (1 - PADDING_SHARE) <= shortest:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _join(caches: Sequence[Cache], seats: Sequence[Mapping[int, int]]) -> Cache:
    joined = Cache(layer_class_to_replicate=_BufferedLayer)
    for parts in zip(*(cache.layers for cache in caches), strict=True):
        layer = _BufferedLayer()
        layer.join(parts, seats)  # type: ignore[arg-type]
        joined.layers.append(layer)
    return joined


def _align_right(parts: Sequence[Tensor], seats: Sequence[Mapping[int, int]]) -> Tensor:
    """One tensor, (R, H, T, D), of the parts' rows, aligned at the last column; seats: place -> row."""
    width = max(part.shape[2] for part in parts)
    first = parts[0]
    out = first.new_zeros(sum(map(len, seats)), first.shape[1], width, first.shape[3])
    for part, seat in zip(parts, seats, strict=True):
        out[list(seat), :, width - part.shape[2] :] = part[list(seat.values())]
    return out
