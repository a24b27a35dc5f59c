"""A cache for each row, of the kind that the model itself wants: sliding windows, linear attention, hybrids.

The rows of one cache (`kv_rows`) stand beside each other in columns, some of them masked. A window counts
columns, and a state swallows them, so either would go wrong; a row alone has no padding and no gaps. So every
architecture that transformers generates with is decoded right, one row at a time and therefore slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

FULL = "full_attention"


def has_full_attention(config: Any) -> bool:
    """Whether every layer of a model attends to all that came before.

    Args:
        config: The model's.
    """
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None)
    if kinds:
        return set(kinds) == {FULL}
    # Older configs name a window for all layers, and some a switch beside it.
    return not (getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True))


@dataclass
class _Row:
    tokens: list[int]
    cache: Cache | None


class RowCaches:
    """The rows of text that a model is reading, each over its own cache; as `KVRows` to who decodes.

    Args:
        model: A causal language model in eval mode.
    """

    waste = 0.0
    """No row has a column that it does not use."""

    def __init__(self, model: Any) -> None:
        self._model, self._rows = model, list[_Row]()

    def admit(self, prompts: Sequence[Sequence[int]], keep: Sequence[int]) -> Tensor:
        """Keep some rows in the order given, and read new prompts as further rows.

        Returns:
            (len(prompts), V) logits of each prompt's next token.
        """
        self.keep(keep)
        new = [_Row(list(prompt), None) for prompt in prompts]
        self._rows += new
        return torch.cat([self._read(row, row.tokens) for row in new])

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in the order given."""
        self._rows = [self._rows[row] for row in rows]

    def rewind(self, row: int, length: int) -> None:
        """Forget all of a row but its first `length` tokens; they are read again, for no state goes back."""
        self._rows[row] = _Row(self._rows[row].tokens[:length], None)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Feed one token to every row.

        Returns:
            (rows, V) logits of each row's next token.
        """
        logits = []
        for row, token in zip(self._rows, tokens, strict=True):
            fed = [token] if row.cache else [*row.tokens, token]
            row.tokens.append(token)
            logits.append(self._read(row, fed))
        return torch.cat(logits)

    def _read(self, row: _Row, tokens: Sequence[int]) -> Tensor:
        row.cache = row.cache or DynamicCache(config=self._model.config)
        fed = torch.tensor([tokens], device=self._model.device)
        read = self._model(input_ids=fed, cache=row.cache, use_cache=True, logits_to_keep=1)
        return read.logits[:, -1]
