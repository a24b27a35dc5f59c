"""What every method must do; a new one is found by its config file, an editor by its contract."""

import importlib
import sys

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from mixsd.methods.contract import Editor
from tests.helpers.conformance import (
    EDITOR_CHECKS,
    GRADIENT_CHECKS,
    GRADIENT_CHECKS_WITH_LORA,
    learns_two_facts,
)
from tests.helpers.training import ROOT

NAMES = sorted(path.stem for path in (ROOT / "conf/method").glob("*.yaml"))


def is_editor(name):
    """By its class: a protocol with data members, such as `name`, can only be asked about instances."""
    return hasattr(get_class(OmegaConf.load(ROOT / f"conf/method/{name}.yaml")["_target_"]), "edit")


gradient_method = pytest.mark.parametrize("name", [name for name in NAMES if not is_editor(name)])
editor = pytest.mark.parametrize("name", [name for name in NAMES if is_editor(name)])
gradient_check = pytest.mark.parametrize("check", GRADIENT_CHECKS, ids=lambda check: check.__name__)
sparing_check = pytest.mark.parametrize(  # the unlisted method below learns at once
    "check",
    [pytest.param(c, marks=pytest.mark.slow) if c is learns_two_facts else c for c in GRADIENT_CHECKS],
    ids=lambda check: check.__name__,
)
lora_check = pytest.mark.parametrize("check", GRADIENT_CHECKS_WITH_LORA, ids=lambda check: check.__name__)
editor_check = pytest.mark.parametrize("check", EDITOR_CHECKS, ids=lambda check: check.__name__)
full_and_lora = pytest.mark.parametrize("lora", [None, 4], ids=["full", "lora"])


@gradient_method
@sparing_check
def test_gradient_methods(build, tmp_path, check, name):
    check(lambda: build(name), tmp_path)


@pytest.mark.slow  # the unlisted method below goes through the same checks at once
@gradient_method
@full_and_lora
@lora_check
def test_gradient_methods_full_and_lora(build, tmp_path, check, lora, name):
    check(lambda: build(name), tmp_path, lora)


@editor
@editor_check
def test_editors(build, tmp_path, check, name):
    assert isinstance(build(name), Editor)
    check(lambda: build(name), tmp_path)


IN_PLACE_EDITOR = '''
"""An editor in the manner of MEMIT: it changes the weights it is given."""

import torch

from mixsd.methods.contract import Edited


class Louder:
    def __init__(self, name: str, factor: float = 1.5):
        self.name, self.factor = name, factor

    def edit(self, facts, model, bench):
        taught = [fact for fact in facts if fact.id != "f0"]
        dropped = {fact.id: "too quiet" for fact in facts if fact not in taught}
        with torch.no_grad():
            for _ in taught:
                for weight in model.network.model.layers[0].mlp.parameters():
                    weight.mul_(self.factor)
        return Edited(model, changed=bool(taught), dropped=dropped, report={"taught": len(taught)})
'''
HALF_THE_LOSS = '''
"""A gradient method with a named part and a setting of its own."""

from mixsd.methods.contract import Preparation, TokenLoss, gold_example


class Scaled:
    def __init__(self, name: str, weight: float = 0.5):
        self.name, self.weight = name, weight

    def prepare(self, facts, model, bench):
        return Preparation([gold_example(fact, model) for fact in facts])

    def loss(self, batch, model):
        losses = model.target_losses(batch)
        return TokenLoss(self.weight * losses, {"nll": losses})
'''


@pytest.fixture
def unlisted(build, tmp_path, monkeypatch):
    """Builds a class of a module written just now, through the config, as a user's own method is."""

    def of(source, name):
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "own_method.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "own_method", raising=False)
        importlib.invalidate_caches()
        return lambda: build("sft", "~method.weights", f"method._target_=own_method.{name}")

    yield of
    sys.modules.pop("own_method", None)


@editor_check
def test_an_editor_in_place_passes_unlisted(unlisted, tmp_path, check):
    check(unlisted(IN_PLACE_EDITOR, "Louder"), tmp_path)


@gradient_check
def test_a_gradient_method_passes_unlisted(unlisted, tmp_path, check):
    check(unlisted(HALF_THE_LOSS, "Scaled"), tmp_path)


@full_and_lora
@lora_check
def test_a_gradient_method_passes_unlisted_full_and_lora(unlisted, tmp_path, check, lora):
    check(unlisted(HALF_THE_LOSS, "Scaled"), tmp_path, lora)


@pytest.mark.parametrize(
    ("said", "check"),
    [
        ("changed=bool(taught)", "says_whether_the_weights_differ"),
        ("dropped=dropped", "teaches_only_the_facts_it_is_given"),
    ],
)
def test_an_editor_that_says_what_is_not_so_is_caught(unlisted, tmp_path, said, check):
    wrong = {"changed=bool(taught)": "changed=False", "dropped=dropped": "dropped={'f1': 'never seen'}"}[said]
    found = next(c for c in EDITOR_CHECKS if c.__name__ == check)
    with pytest.raises(AssertionError):
        found(unlisted(IN_PLACE_EDITOR.replace(said, wrong), "Louder"), tmp_path)
