"""A model's own greedy replies to prompts, kept in a file so that each is made once."""

from collections.abc import Callable, Sequence
from functools import partial

from mixsd.core.draws import uniform
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Reply, Request, Sampling, decode
from mixsd.methods.contract import RecordFile


def greedy_replies(
    model: ChatModel,
    prompts: Sequence[str],
    done: RecordFile,
    *,
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[tuple[int, ...]]:
    """Token ids of the replies, in the order of the prompts.

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

    def keep(index: int, reply: Reply) -> bool:
        done.append(waiting[index], {"ids": reply.ids})
        on_done(1)
        return False

    decode(
        model.network,
        [Request([model.prompt_ids(p)], lambda *_: 0, partial(uniform, p)) for p in waiting],
        sampling=Sampling(),
        max_new_tokens=max_new_tokens,
        end_ids=model.end_ids,
        batch_size=batch_size,
        try_again=keep,
    )
    return [tuple(done.records[prompt]["ids"]) for prompt in prompts]
