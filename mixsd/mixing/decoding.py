"""Two-stream decoding: one shared reply, read after two prompts, over live KV caches (paper section 3).

Naive and expert prompts of all facts are the rows of one batch, so each token costs one forward pass.
Both rows of a pair are fed the same chosen token. Finished pairs leave the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from mixsd.method import left_pad

NAIVE, EXPERT, AGREED = "n", "e", "a"


@dataclass(frozen=True)
class Pair:
    """One reply to decode.

    Attributes:
        naive_ids: The prompt without the answer.
        expert_ids: The prompt with the gold text.
        coin: position -> True where the naive conditional supplies the token.
        draw: position -> number in [0, 1) that picks the token when sampling.
    """

    naive_ids: Sequence[int]
    expert_ids: Sequence[int]
    coin: Callable[[int], bool]
    draw: Callable[[int], float]


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


@torch.inference_mode()
def decode_pairs(
    model: PreTrainedModel,
    pairs: Sequence[Pair],
    *,
    sampling: Sampling,
    max_new_tokens: int,
    end_ids: frozenset[int],
) -> list[Reply]:
    """Decode one batch of pairs, token by token, each token supplied by the conditional its coin picks.

    Args:
        model: The frozen base model, in eval mode.
        pairs: B pairs; the model sees 2B rows.
        sampling: Greedy or top-k sampling, the same for both conditionals.
        max_new_tokens: Budget of a reply, end of turn included.
        end_ids: Tokens that end a reply; the end is chosen by coin like any other token.

    Returns:
        One reply per pair, in order.
    """
    replies = [Reply() for _ in pairs]
    active = list(range(len(pairs)))
    tokens, mask = left_pad([p.naive_ids for p in pairs] + [p.expert_ids for p in pairs], model.device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    for step in range(max_new_tokens):
        output = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        coins = [pairs[i].coin(step) for i in active]
        draws = [pairs[i].draw(step) for i in active] if sampling.temperature else [0.0] * len(active)
        rows = torch.tensor(draws * 2, dtype=torch.float64, device=model.device)
        picks = sampling.pick(output.logits[:, -1], rows).view(2, -1).tolist()
        chosen = []
        for index, is_naive, naive, expert in zip(active, coins, *picks, strict=True):
            token = naive if is_naive else expert
            chosen.append(token)
            reply = replies[index]
            reply.ids.append(token)
            reply.provenance += AGREED if naive == expert else NAIVE if is_naive else EXPERT
            reply.ended = token in end_ids
        alive = [row for row, index in enumerate(active) if not replies[index].ended]
        if not alive:
            break
        tokens = torch.tensor([chosen[row] for row in alive] * 2, device=model.device)[:, None]
        positions = positions[:, -1:] + 1
        if len(alive) < len(active):
            rows = torch.tensor(alive + [row + len(active) for row in alive], device=model.device)
            cache.batch_select_indices(rows)
            mask, positions = mask[rows], positions[rows]
            active = [active[row] for row in alive]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return replies
