import pytest

from mixsd.core.kinds import kind_of, list_items, misfit


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
