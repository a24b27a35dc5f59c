"""Rows of text that a model goes on reading, over KV caches that live as long as the rows do.

Rows join and leave while the others go on; a row can be rewound to its prompt, whose keys and values are
kept. The caches are written in place, in buffers with room to grow, instead of being copied every step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, Cache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mixsd.method import left_pad

GROUPED = "mixsd_grouped"
"""The name under which transformers knows the attention below."""
ROOM = 64
"""Columns that a buffer is made longer than it has to be."""


def _grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of one new token per row, without a copy of the keys for every query head.

    With grouped-query attention, the query heads of a group read the same keys under the same mask, so
    they can stand where the queries of successive tokens do: (R, G, H / G, D) instead of (R, H, 1, D).
    """
    rows, heads, columns, size = query.shape
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

    def rebuild(self, rows: Tensor, columns: Tensor, joining: "_BufferedLayer | None") -> None:
        """Keep `columns` (R, T) of `rows` (R,), then append the rows of `joining`; all end together."""
        kept = [states[rows[:, None], :, columns].transpose(1, 2) for states in (self.keys, self.values)]  # type: ignore[index]
        if joining is None:
            self._fill(*kept, columns=columns.shape[1], room=ROOM)
            return
        new = joining.keys, joining.values
        width = max(columns.shape[1], joining.get_seq_length())
        joined = [_stack_right(a, b, width) for a, b in zip(kept, new, strict=True)]  # type: ignore[arg-type]
        self._fill(*joined, columns=width, room=ROOM)

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


class Streams:
    """The rows that a model is reading.

    Args:
        model: A causal language model in eval mode, with full attention in every layer.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = Cache(layer_class_to_replicate=_BufferedLayer)
        self._mask = torch.zeros(0, 0, dtype=torch.bool, device=model.device)
        # Known here as well as in the mask, so that nothing has to be asked of the device.
        self._start: list[int] = []
        self._length: list[int] = []

    @property
    def waste(self) -> float:
        """The share of columns that even the longest row does not use."""
        return 1 - max(self._length) / self._mask.shape[1] if self._length else 0.0

    def admit(self, prompts: Sequence[Sequence[int]], keep: Sequence[int]) -> Tensor:
        """Keep some rows in the order given, and read new prompts as further rows.

        Returns:
            (len(prompts), V) logits of each prompt's next token.
        """
        tokens, mask = left_pad(prompts, self._model.device)
        cache = Cache(layer_class_to_replicate=_BufferedLayer)
        logits = self._read(tokens, mask.bool(), (mask.cumsum(dim=1) - 1).clamp(min=0), cache)
        if keep:
            self._rebuild(keep, cache, mask.bool())
        else:
            self._cache, self._mask, self._length = cache, mask.bool(), []
        self._length += map(len, prompts)
        self._start = [self._mask.shape[1] - length for length in self._length]
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows (one at least), in the order given, and drop the columns none of them uses."""
        self._rebuild(rows, None, None)
        self._start = [self._mask.shape[1] - length for length in self._length]

    def rewind(self, row: int, length: int) -> None:
        """Forget all of a row but its first `length` tokens."""
        self._mask[row, self._start[row] + length :] = False
        self._length[row] = length

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Feed one token to every row.

        Returns:
            (rows, V) logits of each row's next token.
        """
        positions = torch.tensor(self._length, device=self._model.device)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self._length = [length + 1 for length in self._length]
        fed = torch.tensor(tokens, device=self._model.device)[:, None]
        with self._grouped():
            return self._read(fed, self._mask, positions, self._cache)

    @contextmanager
    def _grouped(self) -> Iterator[None]:
        """Use the attention above where the model would use torch's own."""
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

    def _rebuild(self, keep: Sequence[int], joining: Cache | None, joining_mask: Tensor | None) -> None:
        rows = torch.tensor(keep, device=self._mask.device)
        self._length = [self._length[row] for row in keep]
        width = max(self._length)
        # A stable sort by "is used" moves each row's used columns to its end, in order.
        columns = self._mask[rows].int().argsort(dim=1, stable=True)[:, -width:]
        mask = self._mask[rows[:, None], columns]
        for index, layer in enumerate(self._cache.layers):
            layer.rebuild(rows, columns, joining.layers[index] if joining else None)  # type: ignore[union-attr]
        self._mask = mask if joining_mask is None else _stack_mask(mask, joining_mask)


def _stack_right(first: Tensor, second: Tensor, width: int) -> Tensor:
    """Rows of both, (R, H, T, D), aligned at the last of `width` columns."""
    out = first.new_zeros(len(first) + len(second), first.shape[1], width, first.shape[-1])
    out[: len(first), :, width - first.shape[2] :] = first
    out[len(first) :, :, width - second.shape[2] :] = second
    return out


def _stack_mask(first: Tensor, second: Tensor) -> Tensor:
    width = max(first.shape[1], second.shape[1])
    out = first.new_zeros(len(first) + len(second), width)
    out[: len(first), width - first.shape[1] :] = first
    out[len(first) :, width - second.shape[1] :] = second
    return out
