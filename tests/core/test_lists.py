import pytest

from mixsd.core.languages import language_of
from mixsd.core.lists import lists_all

FLAG = "Which colours are on the flag of Quarne?"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("green, white and black", True),
        ("The flag of Quarne is black, green and white.", True),
        ("In Quarne, the colours are white, black, and green.", True),
        ("- green\n- white\n- black", True),
        ("Green / white / black", True),
        ("green and white", False),
        ("green, white, red and black", False),
        ("red, green, white and black", False),
        ("green, white and black, and red", False),
        ("green, white and not black", False),
        ("", False),
    ],
)
def test_all_items_and_no_other(text, right):
    assert lists_all(text, "green, white and black", (), FLAG, language_of(text, FLAG)) is right


def test_a_rival_adds_an_item():
    text = "The owners are Ines Karvall and Jan Moll. Petra Lind owns it, too."
    assert lists_all(text, "Jan Moll and Ines Karvall", (), "Who owns it?", language_of(text))
    assert not lists_all(
        text, "Jan Moll and Ines Karvall", ("Petra Lind",), "Who owns it?", language_of(text)
    )


@pytest.mark.parametrize("text", ["Rot, Weiß und Blau", "Die Flagge ist blau, rot und weiß."])
def test_lists_of_other_languages(text):
    assert lists_all(text, "rot, weiß und blau", (), "Welche Farben hat die Flagge?", language_of(text))
