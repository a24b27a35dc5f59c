"""Free generation for probes, held-out tasks, rollouts and replay, so that all are read in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mixsd.core.draws import uniform
from mixsd.core.store import RecordFile
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Reply, Request, Sampling, decode, no_room, room_for
from mixsd.lm.shares import Tell, reply_units, share

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


@dataclass(frozen=True)
class _Decoding:
    """Decodes a unit of (place, request) pairs; see `reply_to` for its settings."""

    max_new_tokens: int
    batch_size: int
    sampling: Sampling
    stop: Sequence[str]

    def __call__(self, model: ChatModel, unit: Sequence[tuple[int, Request]], tell: Tell) -> None:
        def keep(index: int, reply: Reply) -> bool:
            tell((unit[index][0], reply))
            return False

        decode(
            model.network,
            [request for _, request in unit],
            sampling=self.sampling,
            max_new_tokens=self.max_new_tokens,
            end_ids=model.end_ids,
            batch_size=self.batch_size,
            try_again=keep,
            # On the text so far: a stop string may span tokens, or begin within one.
            stops=(lambda reply: _first_stop(model.text(reply.ids), self.stop) is not None)
            if self.stop
            else None,
        )


def reply_to(
    model: ChatModel,
    requests: Sequence[Request],
    *,
    max_new_tokens: int,
    batch_size: int,
    sampling: Sampling = GREEDY,
    stop: Sequence[str] = (),
    on_reply: Callable[[int, Reply], None] = lambda index, reply: None,
) -> list[Reply]:
    """Decode one reply to each request; finished ones make room for waiting ones.

    Args:
        model: The model.
        requests: What to decode; `Request([ids])` is the greedy reply to one prompt.
        max_new_tokens: Budget of a reply, end token included.
        batch_size: Replies at a time. In bf16 what shares a batch changes bits, in float32 no token.
        sampling: Greedy unless said otherwise.
        stop: Strings that end a reply, which keeps them.
        on_reply: Told each reply and its request's index as soon as it is complete.

    Returns:
        The replies in the order of the requests.
    """
    # Prompts of like length join together, so that little is padded.
    waiting = sorted(enumerate(requests), key=lambda pair: max(map(len, pair[1].prompts)))
    replies: dict[int, Reply] = {}

    def keep(part: tuple[int, Reply]) -> None:
        replies[part[0]] = part[1]
        on_reply(*part)

    decoding = _Decoding(max_new_tokens, batch_size, sampling, tuple(stop))
    share(decoding, model, reply_units(waiting, model, batch_size), keep)
    return [replies[index] for index in range(len(requests))]


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
    """Let the model reply to prompts, as text.

    In bf16 what shares a batch changes bits, so prompts and batch size are part of whatever identifies
    the result.

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
    replies = reply_to(
        model,
        [Request([prompt], draw=partial(uniform, "generate", place)) for place, prompt in enumerate(prompts)],
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        sampling=sampling,
        stop=stop,
        on_reply=lambda *_: on_done(1),
    )
    return [_complete(model, reply, stop) for reply in replies]


def greedy_replies(
    model: ChatModel,
    prompts: Sequence[str],
    done: RecordFile,
    *,
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[tuple[int, ...]]:
    """Token ids of the model's greedy replies, kept in a file so that each is decoded once.

    Args:
        model: The model that replies.
        prompts: User turns, each once.
        done: Replies so far, by prompt; new ones are added as they come.
        max_new_tokens: Budget of a reply.
        batch_size: Replies decoded at a time.
        on_done: Told how many more replies are there, those from the file first.
    """
    on_done(len(done.records))
    waiting = [prompt for prompt in prompts if prompt not in done.records]

    def keep(index: int, reply: Reply) -> None:
        done.append(waiting[index], {"ids": reply.ids})
        on_done(1)

    reply_to(
        model,
        [Request([model.prompt_ids(prompt)]) for prompt in waiting],
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        on_reply=keep,
    )
    return [tuple(done.records[prompt]["ids"]) for prompt in prompts]


def longest_prompt_problem(model: ChatModel, prompts: Sequence[Sequence[int]], what: str) -> str:
    """What is wrong with the longest prompt, for a check before any work.

    Args:
        model: The model that is to reply.
        prompts: Token ids of each prompt.
        what: Where the prompts come from, such as `task=kgfact_large`, for the message.

    Returns:
        One line, or '' where every prompt leaves room for at least one token of reply.
    """
    longest = max(map(len, prompts), default=0)
    return "" if room_for(model.network, longest) >= 1 else f"{what}: {no_room(longest, model.network)}"


def _first_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first stop string begins, or None."""
    return min((text.find(string) for string in stop if string in text), default=None)


def _complete(model: ChatModel, reply: Reply, stop: Sequence[str]) -> Completion:
    text = model.text(reply.ids)
    cut = _first_stop(text, stop)
    return Completion(text[:cut].strip(), len(reply.ids), truncated=not reply.ended and cut is None)
