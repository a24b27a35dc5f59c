"""Chat templates that people have: each renders right, or is refused in one line."""

import pytest

from mixsd.core.errors import ModelUnavailableError, SettingError
from mixsd.lm.template import ChatTemplate
from mixsd.lm.tiny import TEMPLATE, tiny_random
from tests.helpers.models import DATED, NO_SYSTEM, PARTS, THOUGHT

USER = [{"role": "user", "content": "Who founded Marlow?"}]


def template(text, **how):
    tokenizer = tiny_random()[1]
    tokenizer.chat_template = text
    return ChatTemplate(tokenizer, name="m", **how)


def shown(text, turns=USER, **how):
    return template(text, **how).text(turns, reply_follows=True)


def test_ids_and_text_are_the_same_prompt():
    for text in (TEMPLATE, PARTS, THOUGHT, DATED):
        found = template(text)
        ids = found.ids(USER, reply_follows=True)
        assert found.tokenizer.decode(ids) == found.text(USER, reply_follows=True)


def test_a_plain_template_is_left_alone():
    assert shown(TEMPLATE) == "<|user|>Who founded Marlow?<|end|>\n<|assistant|>"
    found = template(TEMPLATE)
    assert found.notes == [] and found.can_ask("Be brief.", [("Hi", "Hello")])


@pytest.mark.parametrize(
    "text", [PARTS, TEMPLATE.replace("{{ m['content'] }}", "{{ m['content'][0]['text'] }}")]
)
def test_content_is_given_as_parts_where_the_template_wants_that(text):
    assert shown(text) == shown(TEMPLATE)
    told = [{"role": "system", "content": "Be brief."}, *USER]
    assert shown(text, told) == shown(TEMPLATE, told)


def test_parts_are_given_to_the_roles_that_want_them():
    """Content of users as parts, of others as text."""
    text = TEMPLATE.replace(
        "{{ m['content'] }}",
        "{% if m['role'] == 'user' %}{{ m['content'][0]['text'] }}{% else %}{{ m['content'] + '' }}{% endif %}",
    )
    turns = [*USER, {"role": "assistant", "content": "Petra."}, *USER]
    assert shown(text, turns) == shown(TEMPLATE, turns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" ", "leaves the question out"),
        (TEMPLATE.replace("m['content']", "m['content'][:12]"), "leaves the question out"),
        (TEMPLATE.replace("m['content']", "m['content']|lower"), "changes it"),
        (TEMPLATE.replace("m['content']", "m['content']|e"), "changes it"),
        (TEMPLATE.replace("m['content']", "m['content'].split('\\n')[0]"), "leaves the question out"),
        (
            TEMPLATE.replace("{% for m in messages %}", "{% for m in messages if m['role'] == 'human' %}"),
            "leaves",
        ),
        ("{% for m in messages %}{{ m['content'] }", "cannot be rendered"),
        (TEMPLATE + "{{ tools[0].name }}", "cannot be rendered"),
        ("{{ raise_exception('give language') }}" + TEMPLATE, r"cannot be rendered \(give language\)"),
        (None, "model.template=plain"),
    ],
)
def test_a_template_without_its_question_is_one_line(text, said):
    with pytest.raises(ModelUnavailableError, match=said) as caught:
        template(text)
    assert "\n" not in str(caught.value) and "model.template=plain" in str(caught.value)


@pytest.mark.parametrize(
    ("opened", "closing"),
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<think>", "<think>\n\n</think>\n\n"),
        ("<reasoning>\n", "<reasoning>\n\n</reasoning>\n\n"),
        ("<Think>\n", "<Think>\n\n</Think>\n\n"),
        ("<think>\nOkay,", "<think>\nOkay,\n\n</think>\n\n"),
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),
    ],
)
def test_a_thought_that_the_template_opens_is_closed(opened, closing):
    text = TEMPLATE.replace("<|assistant|>{% endif %}", f"<|assistant|>{opened}{{% endif %}}")
    assert shown(text).endswith("<|assistant|>" + closing)
    closed = template(text)
    assert any("opens a thought" in note for note in closed.notes) is ("</" not in opened)
    # A conversation without a reply to come opens none, so none is closed.
    assert "hink" not in closed.text(USER, reply_follows=False)


def test_a_switch_for_thoughts_is_told_unless_it_is_set():
    text = TEMPLATE.replace(
        "<|assistant|>{% endif %}",
        "<|assistant|>{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
        "{% endif %}",
    )
    assert any("enable_thinking=false" in note for note in template(text).notes)
    switched = template(text, options={"enable_thinking": False})
    assert switched.notes == [] and switched.text(USER, reply_follows=True).endswith("</think>\n\n")


@pytest.mark.parametrize(
    "text",
    [
        DATED,
        '{% if not date_string is defined %}{% set date_string = strftime_now("%d %b %Y") %}{% endif %}'
        "<|system|>Today is {{ date_string }}<|end|>\n" + TEMPLATE,
        DATED.replace("strftime_now('", "strftime_now( '"),
    ],
)
def test_a_template_prints_the_day_of_the_setting(text):
    assert "Today is 01 Jan 2026" in shown(text)
    assert "Today is 26 Jul 2024" in shown(text, date="2024-07-26")
    assert template(text).notes == ["prompts say that it is 2026-01-01 (model.date)"]
    assert "strftime_now" in template(text).tokenizer.chat_template, "what is saved is the model's own"


@pytest.mark.parametrize(
    "clock", ["{% set f = '%d %b %Y' %}{{ strftime_now(f) }}", "{{ strftime_now('%d' ~ ' %B') }}"]
)
def test_a_day_that_cannot_be_set_is_one_line(clock):
    with pytest.raises(ModelUnavailableError, match="prints today's date in a way that cannot be set"):
        template(clock + TEMPLATE)


def test_prompts_of_probes_and_of_held_out_tasks_are_the_same_tokens():
    """Where a token may join what is rendered and what closes a thought."""
    tokenizer = tiny_random()[1]
    tokenizer.add_tokens(["\n\n"])
    tokenizer.chat_template = THOUGHT
    found = ChatTemplate(tokenizer)
    text = found.text(USER, reply_follows=True)
    assert list(found.ids(USER, reply_follows=True)) == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_template_that_renders_no_reply_names_no_end():
    found = template(
        TEMPLATE.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'assistant' %}")
    )
    assert found.end_id is None and not found.can_ask("", [("Hi", "Hello")])


def test_a_template_of_the_first_turn_alone_asks_nothing_else():
    found = template(
        "<|user|>{{ messages[0]['content'] }}<|end|>{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    assert not found.can_ask("Be brief.", []) and not found.can_ask("", [("Hi", "Hello")])


def test_a_template_that_wants_the_user_last_names_no_end():
    refuses = (
        "{% if messages[-1]['role'] != 'user' %}{{ raise_exception('user last') }}{% endif %}" + TEMPLATE
    )
    assert template(refuses).end_id is None and template(refuses).notes


def test_a_plain_form_needs_no_end_token():
    tokenizer = tiny_random()[1]
    tokenizer.eos_token = None
    assert ChatTemplate(tokenizer, form="plain").text(USER, reply_follows=True).endswith("Answer:\n")


def test_the_time_of_day_stands_still_too():
    text = DATED.replace("%d %b %Y", "%H:%M:%S")
    assert "Today is 00:00:00" in shown(text)


@pytest.mark.parametrize("given", ["today", "26.07.2024", "2024-13-01", ""])
def test_a_day_that_is_none_is_one_line(given):
    with pytest.raises(SettingError, match=f"model.date={given}"):
        template(TEMPLATE, date=given)


@pytest.mark.parametrize(
    "text",
    [
        NO_SYSTEM,
        TEMPLATE.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}"),
    ],
)
def test_a_template_without_system_turns_is_told(text):
    found = template(text)
    assert not found.can_ask("Be brief.", []) and found.can_ask("", [("Hi", "Hello")])
    assert [note for note in found.notes if "no system turn" in note]


def test_a_template_of_one_turn_is_told():
    refuses = "{% if messages|length > 1 %}{{ raise_exception('one turn only') }}{% endif %}" + TEMPLATE
    found = template(refuses)
    assert not found.can_ask("", [("Hi", "Hello")]) and found.can_ask("", [])


def test_the_token_behind_a_reply_ends_it():
    assert template(TEMPLATE).end_id == tiny_random()[1].eos_token_id
    assert template(TEMPLATE.replace("<|end|>", "</turn>")).end_id is None


def test_a_base_model_is_asked_in_a_plain_form():
    found = template(None, form="plain")
    turns = [
        {"role": "system", "content": "Be brief."},
        *USER,
        {"role": "assistant", "content": "Petra."},
        *USER,
    ]
    assert found.text(turns, reply_follows=True) == (
        "Be brief.\n\nQuestion:\nWho founded Marlow?\n\nAnswer:\nPetra.<|end|>\n\n"
        "Question:\nWho founded Marlow?\n\nAnswer:\n"
    )
    assert found.end_id == found.tokenizer.eos_token_id
    assert any("model.template=plain" in note for note in found.notes)
