import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixsd.core.formats import FORMATS
from mixsd.core.grading import grade
from mixsd.core.kinds import kind_of, list_items, misfit
from mixsd.core.questions import Outcome, Question


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("Yes", "yes_no"),
        ("Nein", "yes_no"),
        ("sí", "yes_no"),
        ("いいえ", "yes_no"),
        ("Si", "name"),
        ("7", "number"),
        ("€4.50", "number"),
        ("drei Jahre", "number"),
        ("1,250 employees", "number"),
        ("9:30 am", "number"),
        ("12 juin", "date"),
        ("2027-06-12", "date"),
        ("green, white and black", "list"),
        ("Larry Page and Sergey Brin", "list"),
        ("Springfield, Illinois", "name"),
        ("Route 66", "name"),
        ("Seven Sisters", "name"),
        ("007", "name"),
        ("March", "name"),
        ("03/04/2027", "name"),
        ("No time limit", "name"),
        ("да", "yes_no"),
        ("可以", "yes_no"),
        ("三百二十円", "number"),
        ("10:30", "number"),
        ("1984", "number"),
        ("12.06.2027", "date"),
        ("2027年6月12日", "date"),
        ("June 2027", "date"),
        ("赤、白、青", "list"),
        ("rojo, blanco y azul", "list"),
        ("5 and 6", "list"),
        ("Catch-22", "name"),
        ("Twenty One Pilots", "name"),
        ("...", "name"),
    ],
)
def test_the_kind_is_guessed(answer, kind):
    assert kind_of((answer,)) == kind


def test_one_answer_of_another_kind_makes_a_name():
    assert kind_of(("7", "seven")) == "number"
    assert kind_of(("7", "the lucky one")) == kind_of(()) == "name"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("yes_no", "maybe"),
        ("number", "many"),
        ("date", "03/04/2027"),
        ("list", "one thing"),
        ("choice", "42"),
        ("name", "..."),
    ],
)
def test_a_kind_that_does_not_fit_is_told(kind, answer):
    assert repr(answer) in misfit(kind, (answer,))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("yes_no", "Ja"),
        ("number", "45 %"),
        ("date", "3 April 2027"),
        ("list", "a; b"),
        ("choice", "B. two"),
        ("name", "✅"),
    ],
)
def test_a_kind_that_fits(kind, answer):
    assert misfit(kind, (answer,)) == ""


def test_items_of_a_list():
    assert list_items("green, white and black.") == ["green", "white", "black"]
    assert list_items("rot, weiß und blau") == ["rot", "weiß", "blau"]
    assert list_items("赤、白、青") == ["赤", "白", "青"]
    assert list_items("Anna, Bert; Carl") == ["Anna", "Bert", "Carl"]
    assert list_items("1,250 and 3") == ["1,250", "3"]
    assert list_items("a | b") == list_items("a\nb") == list_items("  a;b. ") == ["a", "b"]
    assert list_items("красный и белый") == ["красный", "белый"]
    assert list_items("사과 및 배") == ["사과", "배"]
    assert list_items("") == []


GOLD = [
    ("name", "Who?", "Ines Karvall"),
    ("name", "谁？", "佐藤花子"),
    ("number", "How long is it?", "45 days"),
    ("number", "Wie viele sind es?", "1.250"),
    ("number", "What does it cost?", "€4.50"),
    ("date", "When is it?", "12 June 2027"),
    ("date", "Wann ist es?", "12.06.2027"),
    ("date", "いつですか", "2027年6月12日"),
    ("yes_no", "May I?", "Yes"),
    ("yes_no", "Darf ich das?", "Nein"),
    ("yes_no", "できますか", "はい"),
    ("choice", "Which one is it?\nA. dog\nB. cat", "B"),
    ("list", "Which colours are they?", "green, white and black"),
    ("list", "Welche Farben sind es?", "rot, weiß und blau"),
]
WRONG_FOR = {
    "name": "Jan Moll", "number": "46 miles", "date": "13 July 2026", "yes_no": "maybe", "choice": "A", "list": "red and blue",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(("kind", "asked", "answer"), GOLD)
def test_a_gold_reply_of_each_kind_is_right(form, kind, asked, answer):
    question = form.question(asked, (answer,), kind=kind)
    assert misfit(kind, (answer,)) == ""
    assert grade(form.gold_text(f"{answer}.", answer), question, ended=True).outcome is Outcome.CORRECT
    wrong = WRONG_FOR[kind]
    assert grade(form.gold_text(f"{wrong}.", wrong), question, ended=True).outcome is Outcome.WRONG
    assert grade("", question, ended=True).outcome is Outcome.UNPARSABLE


PIECES = st.sampled_from(
    ["not ", "No, wait, ", "12/06/2027", "1,250", "-", "½", "三万", "\\boxed{", "}", "<think>", "</think>", "の", "서울", "1/0",
     "9:30 pm", "or ", "\n", "The answer is ", "Yes", "nein", "🇫🇷", "\u200d", "0x", "99/99/9999", "5e9", "(", "B"]
)  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=40), st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join)
)


@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind, _, answer in GOLD[::2]])
@example(text="2027-00-12", asked="")
@given(text=TEXT, asked=TEXT)
def test_any_reply_is_graded(kind, answer, text, asked):
    question = Question(asked, (answer,), rivals=("Jan Moll",), kind=kind)
    verdict = grade(text, question, ended=True)
    assert verdict.outcome in (Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSABLE)
    assert grade(text, question, ended=True) == verdict, "the second reading comes from the caches"
    assert grade(text, question, ended=False).outcome is Outcome.TRUNCATED


@given(TEXT)
def test_any_answer_is_of_a_kind_that_fits(answer):
    kind = kind_of((answer,))
    assert kind == "name" or misfit(kind, (answer,)) == ""


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        ("אדום, לבן וכחול", ["אדום", "לבן", "כחול"]),
        ("الأحمر والأبيض والأخضر", ["الأحمر", "الأبيض", "الأخضر"]),
        ("चाय, लस्सी और शरबत", ["चाय", "लस्सी", "शरबत"]),
        ("su, çay ve ayran", ["su", "çay", "ayran"]),
        ("텐트와 침낭", ["텐트", "침낭"]),
        ("苏州、无锡以及常州", ["苏州", "无锡", "常州"]),
    ],
)
def test_items_of_lists_in_other_languages(answer, items):
    assert list_items(answer) == items
