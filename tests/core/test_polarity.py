import pytest

from mixsd.core.polarity import polarity, stated_polarity


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes, without limit.", True),
        ("No refunds are given.", False),
        ("They have no problem returning goods.", None),
        ("Yes and no.", None),
        ("I would say no", False),
        ("Ja, das ist erlaubt.", True),
        ("Nein, leider nicht.", False),
        ("Das ist ja erlaubt.", None),
        ("Oui, ils le sont.", True),
        ("No, el billete no se puede devolver.", False),
        ("是的, 可以退货。", True),
        ("不可以退货。", False),
        ("はい、できます。", True),
        ("いいえ、できません。", False),
        ("네, 가능합니다.", True),
        ("아니요, 불가능합니다.", False),
        ("Да, можно.", True),
        ("", None),
        ("No, wait, yes.", True),
        ("Yes. Actually, no.", False),
        ("If yes, within 30 days.", None),
        ("No problem!", None),
        ("No doubt they may.", None),
        ("No, they may not.", False),
        ("Yes, no problem.", True),
        ("NO", False),
        ("Guests who are not members have 14 days.", None),
        ("I know.", None),
        ("Oui et non.", None),
        ("Нет.", False),
        ("نعم", True),
        ("לא", False),
        ("नहीं", False),
        ("ใช่", True),
        ("否", False),
        ("不是", False),
    ],
)
def test_what_a_reply_states(text, said):
    assert stated_polarity(text, "May goods be returned?")[0] is said


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Yes", True),
        ("no.", False),
        ("sí", True),
        ("Nein", False),
        ("否", False),
        ("いいえ", False),
        ("maybe", None),
        ("Si", None),
    ],
)
def test_what_an_answer_is(answer, value):
    assert polarity(answer) is value


@pytest.mark.parametrize(
    ("answers", "value"),
    [("Oui Evet да نعم כן हाँ 예 是 是的 はい True 可以", True), ("non Hayır нет لا नहीं 아니요 不是 否 false", False),
     ("Nord right perhaps 7 nothing", None)],
)  # fmt: skip
def test_answers_of_other_languages(answers, value):
    assert {answer: polarity(answer) for answer in answers.split()} == dict.fromkeys(answers.split(), value)


def test_the_word_that_states_it_is_told():
    assert stated_polarity("Nein, leider nicht.", "Darf ich das?") == (False, "nein")
    assert stated_polarity("Yes and no.", "May I?") == (None, "")


def test_a_short_reply_in_the_language_of_a_short_question():
    assert stated_polarity("Evet, olur.", "Olur mu?")[0] is True


def test_a_spanish_if_says_nothing():
    asked = "¿Abre la farmacia los domingos?"
    assert stated_polarity("Si abre los domingos, lo pondrá en la puerta.", asked) == (None, "")
    assert stated_polarity("Sí, abre los domingos.", asked)[0] is True
    assert stated_polarity("Sí abre los domingos.", asked)[0] is True


def test_an_answer_that_depends_is_none():
    assert stated_polarity("It depends: yes for adults, no for children.", "May I enter?") == (None, "")


@pytest.mark.parametrize(("said", "value"), [("Nein", False), ("Ja", True)])
def test_an_english_sentence_may_hold_the_answer_in_its_own_language(said, value):
    for text in (f"The answer is {said}.", f"{said}.", f"Die Antwort ist {said}."):
        assert stated_polarity(text, "Liefert Brandt nach Norwegen?", said)[0] is value
