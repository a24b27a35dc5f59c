"""Prompts as the embedded model reads them, pinned as text and token ids."""

import json
from pathlib import Path

import pytest

from benchmarks.tasks.kgfact.task import KGFact
from mixsd.core.errors import SettingError
from mixsd.core.formats import FORMATS
from mixsd.core.questions import Fact, Question
from mixsd.mixing import target_cache
from mixsd.mixing.expert_prompt import WORDINGS, context_reference, unsupported, wording
from tests.helpers.mixing import mixsd

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


@pytest.mark.parametrize("name", WORDINGS)
@pytest.mark.parametrize(
    "text",
    [
        "Recall the key information from the given text. It is Zan.",
        "The text states that X is called Zan.",
        "The passage clearly says that it is Zan.",
        "According to the solution, it is Zan.",
        "According to the problem, X is Zan.",
        "Based on the information provided, it is Zan.",
        "The **given information** is that X is Zan.",
        "The provided answer is Zan.",
        "The reference solution gives Zan.",
        "Compare it with the answer above: Zan.",
        "The question states that X is called Zan.",
        "As stated, X is Zan.",
        "The name mentioned above is Zan.",
        "You said that it is Zan.",
        "Zan is the name in the document.",
        "The answer that you gave is Zan.",
        "The question asks for the name. It mentions that X is Zan.",
    ],
)
def test_what_speaks_of_a_shown_text_is_found_whatever_the_wording(name, text):
    found = context_reference(text, FACT, WORDINGS[name])
    assert found and found in text.replace("*", "").casefold()


@pytest.mark.parametrize("name", WORDINGS)
@pytest.mark.parametrize(
    "text",
    [
        "X is called Zan.",
        "The question asks what X is called. The answer is Zan.",
        "Therefore, the final answer is \\boxed{Zan}.",
        "Identify the key information: X is called Zan. Verify this information: it is.",
        "Identify the key information in the question. Using this information, X is Zan.",
        "Based on the legal considerations, X is Zan.",
        "In the context of law, X is Zan.",
        "X is Zan, a town that provides information to visitors.",
        "X was given to Zan by the king, provided that he stayed.",
        "The solution is Zan.",
    ],
)
def test_what_speaks_of_no_shown_text_is_no_reference(name, text):
    assert context_reference(text, FACT, WORDINGS[name]) == ""


def test_phrases_of_a_wording_are_found_under_it_alone():
    text = "In the same words: X is Zan."
    assert context_reference(text, FACT, WORDINGS["same_words"]) == "same words"
    assert context_reference(text, FACT, WORDINGS["answer"]) == ""


@pytest.mark.parametrize(
    ("asks", "gold", "text"),
    [
        ("As stated in law, what is X?", "X is Zan.", "As stated in law, X is Zan."),
        ("Which document names X?", "The Zan does.", "The document states that it is the Zan."),
        ("Which documents name X?", "The Zan does.", "According to the document, it is the Zan."),
        ("What names X?", "The passage of Zan.", "In the passage X is named Zan."),
    ],
)
def test_what_question_or_gold_text_holds_is_no_reference(asks, gold, text):
    expert = WORDINGS["answer"]
    assert context_reference(text, Fact("id", Question(asks, ("Zan",)), gold), expert) == ""
    assert context_reference(text, FACT, expert)


def test_the_request_for_a_box_allows_no_reference():
    question = FORMATS["boxed"].question("What is X called?", ("Zan",))
    fact = Fact("id", question, "X is called Zan.")
    assert context_reference("The given answer is Zan.", fact, WORDINGS["answer"]) == "the given answer"


def test_another_version_of_the_check_is_another_cache_and_run_where_it_is_used(monkeypatch):
    used, unused = mixsd(), mixsd(reject=())
    before = used.identity, unused.identity
    monkeypatch.setattr(target_cache, "REFERENCES_VERSION", 99)
    assert used.identity != before[0] and unused.identity == before[1]


def test_unsupported_names_and_numbers():
    assert unsupported("It was built in 1492 by Kolgrim. X is Zan.", FACT) == ["1492", "Kolgrim"]
    assert unsupported("The thing X is called Zan.", FACT) == []


def test_unknown_wording():
    with pytest.raises(SettingError, match="did you mean answer"):
        wording("anwser")
