"""Prompts as the embedded model reads them, pinned as text and token ids."""

import json
from pathlib import Path

import pytest

from benchmarks.tasks.kgfact.task import KGFact
from mixsd.core.errors import SettingError
from mixsd.core.questions import Fact, Question
from mixsd.mixing.expert_prompt import WORDINGS, context_reference, unsupported, wording

GOLDEN = Path(__file__).parents[1] / "data" / "smollm2_prompts.json"
FACT = Fact("id", Question("What is X called?", ("Zan",)), "X is called Zan.")


def rendered(student, form):
    fact = KGFact("k", 5, 10, 1, form, 48, 0).facts[0]
    prompts = {"naive": fact.prompt, **{f"expert/{name}": w.render(fact) for name, w in WORDINGS.items()}}
    ids = {name: list(student.prompt_ids(prompt)) for name, prompt in prompts.items()}
    golden = {name: {"text": student.tokenizer.decode(i), "ids": i} for name, i in ids.items()}
    return golden | {"gold target": {"text": fact.gold_text, "ids": list(student.target_ids(fact.gold_text))}}


@pytest.mark.parametrize("form", ["plain", "boxed"])
def test_prompts_of_the_embedded_model_are_pinned(smollm, form):
    assert rendered(smollm, form) == json.loads(GOLDEN.read_text())[form]


def test_target_ends_at_the_end_token(smollm):
    ids = smollm.target_ids("Hello.")
    assert ids[-1] == smollm.end_id == 2 and smollm.text(ids) == "Hello."
    assert smollm.end_ids == {2}


@pytest.mark.parametrize("name", WORDINGS)
def test_expert_turn_is_the_naive_turn_with_the_gold_text_inserted(name):
    turn = WORDINGS[name].render(FACT)
    assert turn.startswith(FACT.prompt) and turn.count(FACT.gold_text) == 1


def test_context_reference_is_found_but_not_when_the_question_holds_it():
    expert = WORDINGS["reference"]
    assert context_reference("According to the solution, it is Zan.", FACT, expert) == "according to the"
    assert context_reference("X is called Zan.", FACT, expert) == ""
    asked = Fact(
        "id", Question("According to the law, what is X?", ("Zan",)), "According to the law it is Zan."
    )
    assert context_reference("According to the law, Zan.", asked, expert) == ""


def test_unsupported_names_and_numbers():
    assert unsupported("It was built in 1492 by Kolgrim. X is Zan.", FACT) == ["1492", "Kolgrim"]
    assert unsupported("The thing X is called Zan.", FACT) == []


def test_unknown_wording():
    with pytest.raises(SettingError, match="did you mean answer"):
        wording("anwser")
