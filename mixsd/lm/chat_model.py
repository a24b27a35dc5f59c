"""A model as methods see it: prompts in, token losses and states out."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from mixsd.core.errors import ModelUnavailableError
from mixsd.lm.batches import Batch, Example, collate, left_pad
from mixsd.lm.row_caches import has_full_attention
from mixsd.lm.template import ChatTemplate

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def nll(logits: Tensor, target_ids: Tensor) -> Tensor:
    """Negative log-likelihood in nats, -log p(target).

    Args:
        logits: (N, V), any float type; computed in float32.
        target_ids: (N,).

    Returns:
        (N,) float32.
    """
    return F.cross_entropy(logits.float(), target_ids, reduction="none")


class ChatModel:
    """A model with its tokenizer and its chat template: all that a method may ask of either.

    Args:
        model: A causal language model.
        template: Its chat template, with the tokenizer.
    """

    def __init__(self, model: PreTrainedModel, template: ChatTemplate) -> None:
        # Any: the stubs of transformers know neither chat templates nor generation on these classes.
        self.network: Any = model
        self.template, self.tokenizer = template, template.tokenizer
        self.end_ids, self.end_id = _ends(model, template)
        self._base: ChatModel | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return self.network.device

    def in_dtype(self, dtype: str) -> "ChatModel":
        """The model as scoring and decoding read it: computing in `dtype`, LoRA adapters merged.

        Itself where it is that already, else a frozen copy. So an evaluation during training reads what the
        final scores are of; the adapter unmerged would round differently.
        """
        if self.has_adapter:
            return self._frozen(_merged_copy(self.network, DTYPES[dtype]))
        return self if self.network.dtype == DTYPES[dtype] else self.copy(dtype)

    def putting(self, put: Callable[[str], str]) -> "ChatModel":
        """The same model, whose prompts put the last user turn in another way (`str`: as it is)."""
        return self if put is str else ChatModel(self.network, self.template.putting(put))

    def copy(self, dtype: str) -> "ChatModel":
        """A frozen copy that computes in `dtype`, with its LoRA adapters where it has some."""
        return self._frozen(_cast_copy(self.network, DTYPES[dtype]))

    def _frozen(self, network: Any) -> "ChatModel":
        return ChatModel(network.eval().requires_grad_(False), self.template)

    def same_weights(self, other: "ChatModel") -> bool:
        """Whether two models have the same parameters, by name, shape and every bit."""
        own, others = (dict(model.network.named_parameters()) for model in (self, other))
        return own.keys() == others.keys() and all(
            torch.equal(weight, others[name].to(weight.device)) for name, weight in own.items()
        )

    @property
    def has_adapter(self) -> bool:
        """Whether LoRA is being trained, over frozen weights that stay those of the base model."""
        return hasattr(self.network, "disable_adapter")

    def keep_base_copy(self, dtype: str) -> None:
        """Keep the model as it is now for `as_base`; with an adapter, that is at hand anyway."""
        self._base = None if self.has_adapter else self.copy(dtype)

    def drop_base_copy(self) -> None:
        """Let go of what `keep_base_copy` kept."""
        self._base = None

    @contextmanager
    def as_base(self) -> Iterator["ChatModel"]:
        """The frozen base model, without gradients.

        Raises:
            RuntimeError: The method did not say that it reads the base model.
        """
        with torch.no_grad():
            if self.has_adapter:
                # Equals the base model bit for bit, so no copy of it is needed.
                with self.network.disable_adapter():
                    yield self
            elif self._base is None:
                raise RuntimeError("a method that calls as_base must set reads_base")
            else:
                yield self._base

    def prompt_ids(
        self, prompt: str, system: str = "", earlier: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, ...]:
        """Token ids of a chat that ends with this user turn, up to where the reply begins.

        Args:
            prompt: The user turn.
            system: A system prompt instead of the template's own ('' leaves that).
            earlier: (user, assistant) turns before it.
        """
        # Without a system turn the template may add its own, as SmolLM2's does.
        turns = [{"role": "system", "content": system}] if system else []
        for user, assistant in earlier:
            turns += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        return self.template.ids([*turns, {"role": "user", "content": prompt}], reply_follows=True)

    def target_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a reply, closed by the end-of-turn token (and nothing after it)."""
        # Not rendered by the template: SmolLM2's puts a line break after the end token.
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*ids, self.end_id)

    def text(self, ids: Sequence[int]) -> str:
        """The reply that token ids spell, without its end token."""
        kept = [token for token in ids if token not in self.end_ids]
        return self.tokenizer.decode(kept, skip_special_tokens=True).strip()

    def target_logits(self, batch: Batch) -> Tensor:
        """Logits (N, V) at the positions that predict target tokens, and nowhere else."""
        output = self.network(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            # A boolean mask (B, T): prompt tokens and padding cost no logits.
            logits_to_keep=batch.is_predictor,
            use_cache=False,
        )
        return output.logits.reshape(-1, output.logits.shape[-1])

    def target_losses(self, batch: Batch) -> Tensor:
        """NLL in nats of every trained target token, (N,)."""
        return nll(self.target_logits(batch), batch.target_ids)

    def target_states(self, batch: Batch) -> Tensor:
        """Last hidden states (N, D) at the positions that predict target tokens, for `head`.

        Where several examples share a prompt, as the answers to one question do, it is read once for all.
        """
        # Two passes pay once prompts are shared by two examples on average.
        prompts = dict.fromkeys(example.prompt_ids for example in batch.examples)
        shared = 2 * len(prompts) <= len(batch.examples) and has_full_attention(self.network.config)
        # A layer that is run again for the gradient would find its own keys in the cache.
        if shared and not (self.network.is_activation_checkpointing and self.network.training):
            return self._states_after(list(prompts), batch)
        output = self.network.get_decoder()(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        )
        return output.last_hidden_state[batch.is_predictor]

    def _states_after(self, prompts: list[tuple[int, ...]], batch: Batch) -> Tensor:
        """`target_states` by way of a cache: prompts first, then all targets but their last tokens."""
        place = {prompt: number for number, prompt in enumerate(prompts)}
        rows = torch.tensor([place[example.prompt_ids] for example in batch.examples], device=self.device)
        tokens, mask = left_pad(prompts, self.device)
        cache, decoder = DynamicCache(), self.network.get_decoder()
        # Padding would be at -1; it is masked, so any valid position does.
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        read = decoder(
            input_ids=tokens, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True
        )
        states = read.last_hidden_state[rows, -1:]
        lengths = torch.tensor([len(example.target_ids) for example in batch.examples], device=self.device)
        # The last target token predicts nothing that is trained, so it is never fed.
        width = int(lengths.max()) - 1
        if width:
            cache.batch_select_indices(rows)  # each target goes on from its own prompt's row
            fed = torch.zeros(len(rows), width, dtype=torch.long, device=self.device)
            for row, example in enumerate(batch.examples):
                fed[row, : len(example.target_ids) - 1] = torch.tensor(example.target_ids[:-1])
            columns = torch.arange(width, device=self.device)
            is_fed = columns < (lengths - 1)[:, None]
            after = decoder(
                input_ids=fed,
                attention_mask=torch.cat([mask[rows], is_fed.long()], dim=1),
                # Counted in real tokens: the padding on the left must not shift positions.
                position_ids=mask.sum(dim=1)[rows][:, None] + columns,
                cache=cache,
                use_cache=True,
            )
            states = torch.cat([states, after.last_hidden_state], dim=1)
        trained = torch.arange(width + 1, device=self.device) < lengths[:, None]
        for row, example in enumerate(batch.examples):
            trained[row, list(example.masked)] = False
        return states[trained]

    def head(self, states: Tensor) -> Tensor:
        """Logits (n, V) of hidden states (n, D)."""
        return self.network.get_output_embeddings()(states)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad examples on the right into one batch on the model's device."""
        # Any id would do: padding is masked by position.
        return collate(examples, pad_id=self.end_id).to(self.device)


def _cast_copy(network: Any, dtype: torch.dtype, values: dict[int, Tensor] | None = None) -> Any:
    """A deep copy in `dtype`, cast weight by weight: a copy in float32 first would double the peak.

    Only what a checkpoint holds is cast, as `from_pretrained(dtype=...)` does. Buffers that are computed,
    such as the rotary frequencies, stay in float32: rounded to bf16 they would shift positions.

    Args:
        network: Any module.
        dtype: Of the copy's weights.
        values: Other values for some weights, in `dtype`, by `id` of the weight.
    """
    memo: dict[int, Any] = {}
    for weight in network.state_dict(keep_vars=True).values():
        if id(weight) in memo or not weight.is_floating_point():
            continue  # tied weights have one id, so the copy ties them too
        given = (values or {}).get(id(weight))
        cast = weight.detach().to(dtype, copy=True) if given is None else given
        is_parameter = isinstance(weight, nn.Parameter)
        memo[id(weight)] = nn.Parameter(cast, requires_grad=False) if is_parameter else cast
    return copy.deepcopy(network, memo)  # what the memo holds is taken from there


def _merged_copy(network: Any, dtype: torch.dtype) -> Any:
    """A copy of a model with LoRA adapters that has them merged, bit for bit as `merge_and_unload` merges."""
    from peft.tuners.lora import LoraLayer  # heavy, and only needed here

    merged: dict[int, Tensor] = {}
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, LoraLayer):
                weight: Any = layer.get_base_layer().weight
                delta = sum(layer.get_delta_weight(name) for name in layer.active_adapters)  # type: ignore[operator]
                # The sum is cast, not its terms: in bf16 a small delta would round away.
                merged[id(weight)] = (weight + delta).to(dtype)
    return _cast_copy(network, dtype, merged).unload()


def _ends(model: PreTrainedModel, template: ChatTemplate) -> tuple[frozenset[int], int]:
    """Every token that ends a reply, and the one that targets end with.

    Targets end as the template ends a reply: the tokenizer may name another token, which nobody would say.

    Raises:
        ModelUnavailableError: Nothing is named that could end a reply.
    """
    configured = getattr(model.generation_config, "eos_token_id", None)
    # Some chat models list several end tokens; a reply may end with any of them.
    ids = configured if isinstance(configured, list) else [configured]
    named = {token for token in [*ids, template.tokenizer.eos_token_id] if token is not None}
    if template.end_id is None and not named:
        raise ModelUnavailableError(
            f"{template.name} names no token that ends a reply; give its tokenizer an eos_token"
        )
    end = min(named) if template.end_id is None else template.end_id
    return frozenset({*named, end}), end
