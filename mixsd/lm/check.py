"""Is a model what it seems? Looked at when it is loaded, in a second or two.

Each check stands for a way to get a wrong number without a word: weights that a file lacks or that hold NaN,
tokens without an embedding, layers or positions that the decoder would treat wrongly.
"""

import torch
from transformers import PreTrainedModel

from mixsd.core.errors import MixSDError, ModelUnavailableError
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request
from mixsd.lm.generate import reply_to
from mixsd.lm.template import ChatTemplate

_PROMPTS = ("Hi", "Which town?", "How many days may a guest stay, and who pays for them in the end?")
_TOKENS = 7
_TIE = 1e-2
"""Logits; two tokens that are so near may change places by rounding."""


def see_that_it_is_whole(network: PreTrainedModel, template: ChatTemplate) -> None:
    """Look at the weights of a model.

    Raises:
        ModelUnavailableError: Some are not finite, or a token has no embedding.
    """
    name = template.name
    tokenizer = template.tokenizer
    rows = network.get_input_embeddings().weight.shape[0]  # type: ignore[union-attr]
    beyond = {token for token in tokenizer.get_vocab().values() if token >= rows}
    if beyond - {tokenizer.pad_token_id}:  # padding is masked, whatever it is
        raise ModelUnavailableError(
            f"model.name={name}: the tokenizer has {len(tokenizer)} tokens, the model {rows} embeddings; "
            "give the tokenizer that the model was trained with, or a model whose embeddings were resized"
        )
    broken = next((key for key, value in network.named_parameters() if not _is_finite(value)), None)
    if broken:
        raise ModelUnavailableError(
            f"model.name={name}: its weights hold NaN or infinite numbers ({broken}); give a sound copy"
        )


@torch.no_grad()
def see_that_it_decodes(model: ChatModel) -> None:
    """Decode a short padded batch, and compare it with whole forward passes.

    Raises:
        ModelUnavailableError: The two differ, so replies would be wrong.
    """
    prompts = [model.prompt_ids(prompt) for prompt in _PROMPTS]
    try:
        replies = reply_to(
            model, [Request([prompt]) for prompt in prompts], max_new_tokens=_TOKENS, batch_size=len(prompts)
        )
        right = all(
            _is_greedy(model, prompt, reply.ids) for prompt, reply in zip(prompts, replies, strict=True)
        )
    except MixSDError:
        raise
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:120]
        raise _undecodable(model, f"its cache is of another kind ({type(error).__name__}: {said})") from error
    if not right:
        raise _undecodable(model, "replies in a batch differ from those of whole forward passes")


def _is_greedy(model: ChatModel, prompt: tuple[int, ...], reply: list[int] | tuple[int, ...]) -> bool:
    """Whether each token of a reply is the most likely one after all before it."""
    ids = torch.tensor([[*prompt, *reply]], device=model.device)
    logits = model.network(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    said = logits.gather(1, ids[0, len(prompt) :, None])[:, 0]
    return bool((logits.max(dim=1).values - said <= _TIE).all())


def _undecodable(model: ChatModel, why: str) -> ModelUnavailableError:
    kind = getattr(model.network.config, "model_type", "unknown")
    return ModelUnavailableError(
        f"model.name={model.template.name} ({kind}) cannot be decoded here: {why}; "
        "give a model with full attention and rotary or learned positions, such as Llama, Qwen or SmolLM"
    )


def _is_finite(values: torch.Tensor) -> bool:
    # A sum is quicker than a mask, and holds every NaN and infinity.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
