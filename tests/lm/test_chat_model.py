from dataclasses import replace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from mixsd.lm.batches import collate, left_pad
from mixsd.lm.likelihood import target_nll
from mixsd.methods.contract import gold_example
from mixsd.run.meter import ForwardPasses
from tests.helpers.fakes import FakeTask
from tests.helpers.training import END, example


def test_collate_trains_on_targets_with_their_end_token_and_on_nothing_else():
    # The pad id equals the end id, as with SmolLM2: masking by id would lose every end token.
    batch = collate([example(3, 2), example(1, 4)], pad_id=END)
    assert batch.input_ids.tolist() == [[10, 11, 12, 50, END], [10, 50, 51, 52, END]]
    assert batch.is_predictor.int().tolist() == [[0, 0, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert batch.target_ids.tolist() == [50, END, 50, 51, 52, END]
    assert batch.target_rows.tolist() == [0, 0, 1, 1, 1, 1]
    short = collate([example(1, 1), example(3, 3)], pad_id=END)
    assert short.attention_mask.int().tolist() == [[1, 1, 0, 0, 0, 0], [1] * 6]
    assert short.target_ids.tolist() == [END, 50, 51, END]


@torch.no_grad()
def test_target_logits_are_those_of_each_example_alone(tiny):
    batch = collate([example(5, 3), example(2, 6)], pad_id=END)
    together = tiny.target_logits(batch)
    assert together.shape == (9, tiny.network.config.vocab_size)
    alone = torch.cat([tiny.target_logits(collate([e], END)) for e in (example(5, 3), example(2, 6))])
    assert torch.allclose(together, alone, atol=1e-5)
    full = tiny.network(batch.input_ids, attention_mask=batch.attention_mask).logits
    assert torch.allclose(together, full[batch.is_predictor], atol=1e-5)


def test_a_prompt_that_several_examples_share_is_read_once_to_the_same_end(tiny):
    """Values and gradients equal those of reading every row whole, masked tokens included."""
    rows = [example(5, length, f"f{length}") for length in (1, 4, 6, 3)] + [example(3, 2), example(3, 5)]
    rows[2] = replace(rows[2], masked=(0, 3))
    assert len({row.prompt_ids for row in rows}) == 2
    batch = collate(rows, pad_id=END)
    results = []
    for shared in (True, False):
        tiny.network.zero_grad()
        passes = ForwardPasses(tiny.network)
        if shared:
            with passes:
                states = tiny.target_states(batch)
            assert passes.count == 2, "prompts, then targets"
        else:
            output = tiny.network.get_decoder()(batch.input_ids, attention_mask=batch.attention_mask)
            states = output.last_hidden_state[batch.is_predictor]
        assert torch.allclose(tiny.head(states), tiny.target_logits(batch), atol=1e-5)
        (states.sin() * torch.arange(len(states))[:, None]).sum().backward()
        grads = [p.grad.clone() for p in tiny.network.parameters() if p.grad is not None]
        results.append((states.detach(), torch.cat([grad.flatten() for grad in grads])))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-3)


def test_no_gradient_reaches_prompt_or_padding(tiny):
    batch = collate([example(4, 2), example(2, 1)], pad_id=END)
    embedded = tiny.network.get_input_embeddings()(batch.input_ids).detach().requires_grad_(True)
    logits = tiny.network(inputs_embeds=embedded, attention_mask=batch.attention_mask).logits
    scored = logits[batch.is_predictor]
    scored.sum().backward()
    touched = embedded.grad.abs().sum(dim=-1) > 0
    assert not touched[~batch.attention_mask].any()
    assert not touched[0, -1], "the last target token predicts nothing that is trained"


def test_target_nll_splits_by_example(tiny):
    examples = [example(3, 2), example(2, 4), example(1, 1)]
    losses = target_nll(tiny, examples, batch_size=2)
    assert [len(loss) for loss in losses] == [2, 4, 1]
    alone = target_nll(tiny, examples[1:2], batch_size=1)[0]
    assert torch.allclose(losses[1], alone, atol=1e-5)


def test_gold_example_round_trips(tiny):
    fact = FakeTask(1).facts[0]
    made = gold_example(fact, tiny)
    assert tiny.text(made.target_ids) == fact.gold_text and made.target_ids[-1] == tiny.end_id
    assert made.prompt_ids == tiny.prompt_ids(fact.prompt) and made.provenance == "g" * len(made.target_ids)


def test_in_dtype_copies_and_leaves_the_original(tiny):
    half = tiny.in_dtype("bfloat16")
    assert half.network.dtype == torch.bfloat16 and tiny.network.dtype == torch.float32
    assert tiny.in_dtype("float32") is tiny
    assert not any(parameter.requires_grad for parameter in half.network.parameters())


def test_left_pad():
    tokens, mask = left_pad([[5], [6, 7]], torch.device("cpu"))
    assert tokens[:, -1].tolist() == [5, 7] and mask.tolist() == [[0, 1], [1, 1]]


def test_a_copy_in_bf16_is_what_transformers_would_load_in_bf16(tiny, tmp_path):
    """Weights are cast, computed buffers such as the rotary frequencies are not."""
    tiny.network.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    copied = tiny.copy("bfloat16").network
    assert {n: b.dtype for n, b in copied.named_buffers()} == {n: b.dtype for n, b in loaded.named_buffers()}
    ids = torch.arange(1, 200)[None]
    with torch.no_grad():
        assert torch.equal(copied(ids).logits, loaded(ids).logits)


class Allocated(TorchDispatchMode):
    """Adds up the bytes of float32 tensors that casts and copies make."""

    def __init__(self):
        super().__init__()
        self.float32_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if (
            isinstance(out, torch.Tensor)
            and out.dtype == torch.float32
            and function.__name__ != "detach.default"
        ):
            self.float32_bytes += out.numel() * 4
        return out


def test_a_copy_in_bf16_is_never_a_copy_in_float32_first(tiny):
    whole = sum(parameter.numel() * 4 for parameter in tiny.network.parameters())
    with Allocated() as seen:
        half = tiny.copy("bfloat16")
    assert seen.float32_bytes < whole / 10
    assert half.network.lm_head.weight is half.network.get_input_embeddings().weight, "still tied"


def test_a_copy_has_no_gradients_and_leaves_those_of_the_model(tiny):
    tiny.target_losses(tiny.collate([example(3, 2)])).sum().backward()
    copied = tiny.copy("float32")
    assert all(p.grad is None and not p.requires_grad for p in copied.network.parameters())
    assert any(p.grad is not None and p.requires_grad for p in tiny.network.parameters())
