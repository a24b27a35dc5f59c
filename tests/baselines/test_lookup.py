"""Where a subject's last token is found, inside the chat template."""

import pytest

from baselines.lookup import looked_up, token_at
from mixsd.core.questions import Fact, Question
from tests.helpers.training import fresh


def fact(asks: str, subject: str, request: str = "", before: str = "") -> Fact:
    return Fact("f", Question(f"{before}{asks}{request}", ("A",), asks=asks), "It is A.", subject=subject)


def read_up_to(model, turn: str, place: int) -> str:
    """What a model has read when it has read this token."""
    return model.tokenizer.decode(list(model.prompt_ids(turn))[: place + 1])


@pytest.fixture(params=["tiny", pytest.param("smollm", marks=pytest.mark.slow)])
def model(request):
    return request.getfixturevalue("smollm") if request.param == "smollm" else fresh()


@pytest.mark.parametrize(
    ("asks", "subject"),
    [
        ("Who is the mother of Ilvor Quenn?", "Ilvor Quenn"),
        ("Ilvor Quenn: who is the mother of Ilvor Quenn, and why?", "Ilvor Quenn"),
        ("What is {x} of {Brant} {Tesk}?", "{Brant} {Tesk}"),
        ("Which river flows by Zażółć Łódź?", "Zażółć Łódź"),
        ("Wo liegt 東京スカイツリー?", "東京スカイツリー"),
        ("Does 🙂🙃 smile?", "🙂🙃"),
        ("Who wrote about Tesk", "Tesk"),
    ],
)
def test_at_the_last_token_of_its_last_mention(model, asks, subject):
    one = fact(asks, subject, request=" Put your answer about it in a box.")
    place = looked_up(model, one, one.prompt, "subject")
    assert place is not None
    ends = asks[: asks.rfind(subject) + len(subject)]
    # The token may run over the end, as `Quenn?` does; the one before it does not hold all of the subject.
    assert ends in read_up_to(model, one.prompt, place)
    assert ends not in read_up_to(model, one.prompt, place - 1)


def test_only_in_what_is_asked(model):
    one = fact("Who is the mother of Tesk?", "Tesk", " Do not say Tesk.", before="Tesk is old. ")
    place = looked_up(model, one, one.prompt, "subject")
    assert read_up_to(model, one.prompt, place).rstrip("?").endswith("mother of Tesk")
    around = f"I met Tesk. {one.prompt}"
    later = looked_up(model, one, around, "subject")
    assert read_up_to(model, around, later).rstrip("?").endswith("mother of Tesk")


def test_nothing_to_look_up(model):
    assert looked_up(model, fact("Who is it?", "Tesk"), "Who is it?", "subject") is None
    assert looked_up(model, fact("Who is it?", ""), "Who is it?", "subject") is None
    prompt = "Who is it?"
    assert looked_up(model, fact(prompt, ""), prompt, "prompt_end") == len(model.prompt_ids(prompt)) - 1


def test_a_template_that_changes_the_turn_finds_nothing():
    model = fresh()
    model.template = model.template.putting(str.upper)
    assert token_at(model, "Who is Tesk?", 10) is None
