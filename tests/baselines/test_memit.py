"""Editing as a whole: what is written is there when it is looked up, and only there."""

from dataclasses import replace

import pytest
import torch

from baselines.edit_values import Search, Subject, Values
from baselines.efficacy import prefers_new
from baselines.memit import Memit, default_layers, projections
from mixsd.core.errors import DataError, SettingError
from mixsd.core.files import File
from mixsd.core.questions import Fact, Question
from mixsd.lm.batches import GOLD, Example
from mixsd.lm.likelihood import target_nll
from mixsd.run.config import read_config
from tests.helpers.fakes import MemoryBench
from tests.helpers.training import ROOT, fresh, weights

CORPUS = File("method.corpus", ROOT / "mixsd/methods/general_prompts.txt")
FACTS = [
    Fact("f0", Question("Who is the mother of Ilvor?", ("Brant",)), "It is Brant.", subject="Ilvor"),
    Fact("f1", Question("Who is the father of Quenn?", ("Tesk",)), "It is Tesk.", subject="Quenn"),
    Fact("f2", Question("Who is the sister of Ilvor?", ("Osric",)), "It is Osric.", subject="Ilvor"),
]
SEARCH = Search(steps=12, learning_rate=0.02, weight_decay=0.001, clamp=10.0, kl_weight=0.0625)


def editor(**settings):
    small = {
        "layers": [0], "learning_rate": 0.02, "corpus": CORPUS, "moment_tokens": 400, "steps": 12, "clamp": 10.0, "weight_decay": 0.001,
        "covariance_weight": 0.1,
    }  # fmt: skip
    return Memit("memit", **{**small, **settings})


def nll_of(model, facts=FACTS):
    ids = {fact.id: model.target_ids(fact.gold_text) for fact in facts}
    examples = [
        Example(f.id, model.prompt_ids(f.prompt), ids[f.id], GOLD * len(ids[f.id]), f.gold_text)
        for f in facts
    ]
    return torch.stack([losses.mean() for losses in target_nll(model, examples, 2)])


@pytest.mark.parametrize("update", ["memit", "emmet", "alphaedit"])
def test_an_edit_brings_the_gold_texts_about(update):
    model = fresh()
    before = nll_of(model)
    edited = editor(update=update, ridge=0.01, null_threshold=1.0).edit(FACTS, model, MemoryBench())
    assert edited.changed and not edited.dropped
    assert edited.report["subjects"] == 2 and edited.report["value_nll"] < before.mean()
    assert (nll_of(edited.model) < before).all()
    assert edited.report["change_norm"] == pytest.approx(
        float((weights(edited.model) - weights(fresh())).norm()), rel=1e-3
    )


def test_rome_is_emmet_of_one_subject_after_another_in_one_layer():
    found = [
        editor(**settings).edit(FACTS, fresh(), MemoryBench()).model
        for settings in ({"update": "rome"}, {"update": "emmet", "batch": 1})
    ]
    assert torch.equal(*map(weights, found))
    model = fresh()
    editor(update="rome", layers=None).edit(FACTS, model, MemoryBench())
    pairs = zip(model.network.named_parameters(), fresh().network.named_parameters(), strict=True)
    assert [n for (n, a), (_, b) in pairs if not torch.equal(a, b)] == ["model.layers.1.mlp.down_proj.weight"]


def test_only_the_named_projections_change():
    model = fresh()
    before = {name: weight.clone() for name, weight in model.network.named_parameters()}
    editor(layers=[0]).edit(FACTS, model, MemoryBench())
    changed = [
        name for name, weight in model.network.named_parameters() if not torch.equal(weight, before[name])
    ]
    assert changed == ["model.layers.0.mlp.down_proj.weight"]


def test_an_exact_update_of_one_layer_leaves_no_misfit():
    """At the place of the lookup the edited layer gives the value that was sought."""
    report = editor(update="emmet", layers=[0], ridge=0.0).edit(FACTS, fresh(), MemoryBench()).report
    assert report["misfit"] < 1e-3
    held = (
        editor(update="memit", layers=[0], covariance_weight=1e6).edit(FACTS, fresh(), MemoryBench()).report
    )
    assert held["misfit"] > 10 * report["misfit"] and held["change_norm"] < report["change_norm"]


def test_rome_writes_one_subject_after_another():
    together, alone = (
        editor(update="emmet", layers=[0], batch=batch).edit(FACTS, fresh(), MemoryBench())
        for batch in (None, 1)
    )
    assert alone.report["subjects"] == 2
    assert not torch.equal(weights(together.model), weights(alone.model))
    one = [replace(FACTS[1])]
    same = [editor(update="emmet", layers=[0], batch=b).edit(one, fresh(), MemoryBench()) for b in (None, 1)]
    assert torch.equal(*(weights(edited.model) for edited in same))


def test_values_sought_together_are_those_sought_one_by_one(monkeypatch):
    model = fresh()
    model.network.requires_grad_(False)
    subjects = [Subject("Ilvor", (FACTS[0], FACTS[2])), Subject("Quenn", (FACTS[1],))]
    layer, projection = model.network.model.layers[0], projections(model.network)[0]

    def sought(rows):
        monkeypatch.setattr("baselines.edit_values.ROWS", rows)
        return list(Values(model, layer, ["I. "], "subject", SEARCH).seek(subjects, projection))

    for (a, value, loss), (b, other, loss_too) in zip(sought(100), sought(1), strict=True):
        assert (
            a == b and torch.allclose(value, other, atol=1e-3) and loss == pytest.approx(loss_too, abs=1e-3)
        )


def test_a_value_that_says_the_text_at_once_is_left_as_it_stands():
    model = fresh()
    model.network.requires_grad_(False)
    values = Values(model, model.network.model.layers[0], [], "subject", replace(SEARCH, steps=2, clamp=1e-9))
    subject = Subject("Quenn", (FACTS[1],))
    ((_, value, loss),) = values.seek([subject], projections(model.network)[0])
    _, stands = values.read([subject], projections(model.network)[0])
    assert torch.allclose(value, stands[:, 0], atol=1e-6), "the clamp holds"
    assert loss == pytest.approx(float(nll_of(model, [FACTS[1]])), abs=1e-4), "NLL with nothing added"


def test_contexts_change_keys_by_half():
    model = fresh()
    subject, projection = Subject("Quenn", (FACTS[1],)), projections(model.network)[0]

    def key(*contexts):
        return Values(model, model.network.model.layers[0], contexts, "subject", SEARCH).read(
            [subject], projection
        )[0]

    alone, both = key(), key("The sun. ", "I. ")
    parts = [key(context) for context in ("The sun. ", "I. ")]
    around = [2 * part - alone for part in parts]
    assert torch.allclose(both, (alone + (around[0] + around[1]) / 2) / 2, atol=1e-5)
    assert not torch.allclose(both, alone)


def test_it_goes_on_from_the_values_that_it_has(monkeypatch):
    bench = MemoryBench()
    whole = weights(editor().edit(FACTS, fresh(), bench).model)
    monkeypatch.setattr(Values, "_seek", lambda *_: pytest.fail("sought again"))
    assert torch.equal(weights(editor().edit(FACTS, fresh(), bench).model), whole)
    other = [replace(fact, gold_text="It is Nobody.") for fact in FACTS]
    with pytest.raises(pytest.fail.Exception):
        editor().edit(other, fresh(), bench)


def test_facts_without_a_subject_are_dropped_with_a_reason():
    nameless = replace(FACTS[0], id="f9", subject="")
    edited = editor().edit([*FACTS, nameless], fresh(), MemoryBench())
    assert edited.dropped == {"f9": "its question names no subject"}
    none = editor().edit([nameless], fresh(), MemoryBench())
    assert not none.changed and none.dropped
    found = editor(lookup="prompt_end").edit([nameless], fresh(), MemoryBench())
    assert found.changed and not found.dropped


def test_what_is_unmerged_has_a_value_for_each_fact():
    assert editor(merge=False).edit(FACTS, fresh(), MemoryBench()).report["subjects"] == 3


def test_an_edit_is_preferred_where_its_new_answer_is_likelier():
    model = fresh()
    pairs = [(fact, "Zanzibar" if n else fact.answer.lower()) for n, fact in enumerate(FACTS[:2])]
    edits = [replace(fact, replaces=(old,)) for fact, old in pairs]
    wanted = []
    for fact, old in pairs:
        new, former = (replace(fact, gold_text=f"It is {answer}.") for answer in (fact.answer, old))
        sums = [float(nll_of(model, [f])) * len(model.target_ids(f.gold_text)) for f in (new, former)]
        wanted.append(sums[0] < sums[1])
    assert prefers_new(model, edits) == pytest.approx(sum(wanted) / 2)
    assert prefers_new(model, FACTS) is None
    report = editor().edit([*edits, FACTS[2]], model, MemoryBench()).report
    assert report["prefers_new_before"] == pytest.approx(sum(wanted) / 2) and 0 <= report["prefers_new"] <= 1


def test_default_layers_are_an_eighth_to_a_quarter_of_the_depth():
    model = fresh().network
    model.model.layers = torch.nn.ModuleList([model.model.layers[0]] * 30)
    assert default_layers(model) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["method.layers=[2,1]"], "method.layers=[2, 1]"),
        (["method.layers=[0,9]"], "method.layers=[0, 9] is out of range; allowed: 0 to 1"),
        (["method.contexts=6"], "method.contexts=6"),
        (["method.update=alphaedit"], "method.ridge=0"),
        (["method.covariance_weight=0"], "method.covariance_weight=0"),
        (["method.lookup=middle"], "method.lookup=middle"),
        (["method.corpus=nowhere.txt"], "nowhere.txt does not exist"),
        (["task=kgfunc_pocket"], "give method.lookup=prompt_end"),
    ],
)
def test_mistakes_are_told_before_any_work(composed, overrides, said):
    with pytest.raises((SettingError, DataError)) as told:
        read_config(composed("method=memit", "model=tiny_random", "retention=none", *overrides))
    assert said in str(told.value)


def test_a_corpus_without_text_is_told_before_any_work(composed, tmp_path):
    path = tmp_path / "words.jsonl"
    path.write_text('{"words": 1}\n', encoding="utf-8")
    with pytest.raises(SettingError, match="give UTF-8 text, or JSON lines"):
        read_config(composed("method=memit", "model=tiny_random", "retention=none", f"method.corpus={path}"))


def test_where_no_direction_is_free_nothing_changes_and_it_says_so():
    edited = editor(update="alphaedit", ridge=1.0, null_threshold=0.0).edit(FACTS, fresh(), MemoryBench())
    assert not edited.changed and edited.report["free_share"] == 0


def test_a_model_without_gated_mlps_is_refused_before_any_work():
    from transformers import AutoModelForCausalLM, GPT2Config

    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(GPT2Config(n_layer=1, n_embd=8, n_head=2))
    assert "no such layers; give a model with gated MLPs" in editor().problems(FACTS, network)
