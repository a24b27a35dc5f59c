"""Free generation, shared by probes and held-out tasks, so that both are read in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mixsd.core.draws import uniform
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Reply, Request, Sampling, decode

GREEDY = Sampling()


@dataclass(frozen=True)
class Completion:
    """A generated reply.

    Attributes:
        text: The reply without its end token, cut at a stop string if one came.
        tokens: Tokens generated, end included.
        truncated: Whether the budget ran out before the end of turn or a stop string.
    """

    text: str
    tokens: int
    truncated: bool


def generate(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
    stop: Sequence[str] = (),
    sampling: Sampling = GREEDY,
) -> list[Completion]:
    """Let the model reply to prompts.

    Finished replies make room for waiting prompts. In bf16 what shares a batch changes bits, so prompts
    and batch size are part of whatever identifies the result.

    Args:
        model: The model.
        prompts: Token ids of each prompt.
        max_new_tokens: Budget, end token included.
        batch_size: Replies at a time.
        on_done: Told how many more prompts are answered.
        stop: Strings at which a reply ends; they are cut off.
        sampling: Greedy unless said otherwise; a token is drawn by (place in `prompts`, position).

    Returns:
        One completion per prompt, in order.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    requests = [Request([prompts[i]], lambda *_: 0, partial(uniform, "generate", i)) for i in order]
    completions: dict[int, Completion] = {}

    def finish(place: int, reply: Reply) -> bool:
        completions[order[place]] = _complete(model, reply, stop)
        on_done(1)
        return False

    decode(
        model.network,
        requests,
        sampling=sampling,
        max_new_tokens=max_new_tokens,
        end_ids=model.end_ids,
        batch_size=batch_size,
        try_again=finish,
        stops=(lambda reply: _first_stop(model.text(reply.ids), stop) is not None) if stop else None,
    )
    return [completions[index] for index in range(len(prompts))]


def _first_stop(text: str, stop: Sequence[str]) -> int | None:
    return min((text.find(string) for string in stop if string in text), default=None)


def _complete(model: ChatModel, reply: Reply, stop: Sequence[str]) -> Completion:
    text = model.text(reply.ids)
    cut = _first_stop(text, stop)
    return Completion(text[:cut].strip(), len(reply.ids), truncated=not reply.ended and cut is None)
