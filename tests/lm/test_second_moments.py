"""Second moments against a plain sum over tokens, and the texts that they are of."""

import json

import pytest
import torch

from mixsd.core.errors import DataError
from mixsd.core.files import File
from mixsd.lm.second_moments import cached_moments, corpus, second_moments, self_written
from tests.helpers.training import fresh

TEXTS = [[5, 6, 7], [9] * 40, list(range(30, 60)), [11]]


def projections(model):
    return [layer.mlp.down_proj for layer in model.network.model.layers]


def plainly(model, texts):
    """One text at a time, the whole model, no padding."""
    sums, count = [0.0, 0.0], 0
    for text in texts:
        seen = []
        handles = [
            p.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0][0].double()))
            for p in projections(model)
        ]
        with torch.no_grad():
            model.network(torch.tensor([text]))
        for handle in handles:
            handle.remove()
        sums = [total + keys.T @ keys for total, keys in zip(sums, seen, strict=True)]
        count += len(text)
    return [total / count for total in sums]


def test_they_are_the_mean_over_all_tokens_whatever_is_read_together(monkeypatch):
    model = fresh()
    wanted = plainly(model, TEXTS)
    for rows in (1, 3, 16):
        monkeypatch.setattr("mixsd.lm.second_moments.ROWS", rows)
        found = second_moments(model, projections(model), TEXTS)
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == torch.float32 and torch.allclose(a.double(), b, atol=1e-7, rtol=1e-4)
            assert torch.equal(a, a.T) and torch.linalg.eigvalsh(a.double()).min() > -1e-6


def test_the_model_is_run_no_further_than_the_last_layer_that_is_asked_for():
    model = fresh()
    later = []
    model.network.model.layers[1].register_forward_hook(lambda *_: later.append(1))
    (found,) = second_moments(model, projections(model)[:1], TEXTS)
    assert torch.allclose(found.double(), plainly(fresh(), TEXTS)[0], atol=1e-7, rtol=1e-4) and not later
    assert not model.network.model.layers[0].mlp.down_proj._forward_pre_hooks


def test_they_are_kept_and_a_damaged_file_is_made_anew(tmp_path):
    model, path, asked = fresh(), tmp_path / "c/moments.safetensors", []

    def texts():
        asked.append(1)
        return TEXTS

    # Copied: the file that they lie in is damaged below.
    first = [m.clone() for m in cached_moments(path, model, projections(model), texts)]
    again = cached_moments(path, model, projections(model), texts)
    assert len(asked) == 1 and all(map(torch.equal, first, again))
    path.write_bytes(path.read_bytes()[:-9])
    assert (
        all(map(torch.equal, cached_moments(path, model, projections(model), texts), first))
        and len(asked) == 2
    )


def test_self_written_texts_are_chats_and_the_same_every_time(monkeypatch):
    monkeypatch.setattr("mixsd.lm.second_moments.REPLY", 6)
    model, prompts = fresh(), ["One?", "Two or three?"]
    once = self_written(model, prompts, 1, 2)
    asked = [list(model.prompt_ids(prompt)) for prompt in prompts]
    assert [text[: len(ids)] for text, ids in zip(once, asked, strict=True)] == asked
    more = self_written(model, prompts, sum(map(len, once)) + 1, 1)
    assert more[:2] == once and len(more) == 4 and more[2:] != once, "drawn replies follow greedy ones"
    assert more == self_written(model, prompts, sum(map(len, once)) + 1, 8), "whatever is decoded together"


def test_a_corpus_is_read_from_its_beginning(tmp_path):
    model = fresh()
    plain, lines = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("\n".join(["Some text."] * 300), encoding="utf-8")
    lines.write_text("".join(json.dumps({"text": "Some text."}) + "\n" for _ in range(300)), encoding="utf-8")
    found = corpus(model, File("method.corpus", plain), 1200)
    assert found == corpus(model, File("method.corpus", lines), 1200)
    assert [len(window) for window in found] == [512, 512, 176]
    for path, content in ((tmp_path / "empty.txt", ""), (tmp_path / "b.jsonl", '{"words": 1}\n')):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=r"method\.corpus"):
            corpus(model, File("method.corpus", path), 10)
