"""Rows over live caches against the model reading each row alone."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixsd.lm import load as models
from mixsd.lm.kv_rows import KVRows, _alike, _shared_length
from tests.conftest import settings as model_settings

TOKENS = st.integers(1, 250)
PROMPTS = st.lists(st.lists(TOKENS, min_size=1, max_size=12), min_size=1, max_size=5).flatmap(
    lambda prompts: st.lists(st.sampled_from(prompts), max_size=2).map(lambda again: [*prompts, *again])
)


@torch.no_grad()
def alone(model, row):
    return model(torch.tensor([row])).logits[0, -1]


def check(model, rows, logits):
    for row, seen in zip(rows, logits, strict=True):
        assert torch.allclose(seen, alone(model, row), atol=1e-5)


@pytest.fixture(scope="module")
def model():
    return models.load(model_settings("tiny_random"), Path("/nowhere")).network


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    shared=st.lists(TOKENS, max_size=9),
    first=PROMPTS,
    second=PROMPTS,
    steps=st.lists(TOKENS, min_size=1, max_size=3),
    data=st.data(),
)
def test_rows_join_leave_and_rewind_without_being_changed(model, shared, first, second, steps, data):
    """Whatever is shared, padded, kept or rewound, every row's logits are those of the row alone."""
    rows = [[*shared, *prompt] for prompt in first]
    prompts = list(rows)
    with torch.inference_mode():
        kv_rows = KVRows(model)
        check(model, rows, kv_rows.admit(rows, keep=[]))
        for token in steps:
            rows = [[*row, token + i] for i, row in enumerate(rows)]
            check(model, rows, kv_rows.step([row[-1] for row in rows]))
        back = data.draw(st.integers(0, len(rows) - 1))
        kv_rows.rewind(back, len(prompts[back]))
        rows[back] = prompts[back]
        keep = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(1, len(rows)))]
        joining = [[*shared, *prompt] for prompt in second]
        check(model, joining, kv_rows.admit(joining, keep=keep))
        rows = [*(rows[row] for row in keep), *joining]
        rows = [[*row, 7] for row in rows]
        check(model, rows, kv_rows.step([7] * len(rows)))
        kv_rows.keep([len(rows) - 1])
        check(model, [[*rows[-1], 8]], kv_rows.step([8]))


def test_what_prompts_begin_with_is_read_once():
    assert _shared_length([[1, 2, 3], [1, 2, 4], [1, 2, 3, 9]]) == 2
    assert _shared_length([[1, 2], [1, 2, 3]]) == 1, "each prompt keeps a token of its own"
    assert _shared_length([[5], [6, 7]]) == 0
    assert _shared_length([[1, 2, 3]]) == 0, "nobody to share with"


def test_prompts_of_like_length_are_read_together():
    lengths = [10, 40, 11, 42, 12, 14]
    prompts = [[0] * length for length in lengths]
    assert _alike(prompts, shared=0) == [[0, 2, 4], [5], [1, 3]]
    assert _alike(prompts, shared=9) == [[0], [2], [4], [5], [1, 3]]
