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
