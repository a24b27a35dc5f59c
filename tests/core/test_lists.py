import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsd.core.languages import LANGUAGES, language_of
from mixsd.core.lists import lists_all
from mixsd.core.words import normalised

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
        ("1. green\n2. white\n3. black", True),
        ("* **green**\n* **white**\n* **black**", True),
        ("* green\n* white\n* black\n* red", False),
        ("GREEN; WHITE; BLACK", True),
        ("green, green, white and black", True),
        ("It has green, white and black stripes.", True),
        ("The colours are green, white and black, which stand for hope.", True),
        ("greenish, white and black", False),
        ("1. green\n2. white\n3. black\n4. red", False),
        ("Three bands:\n1. green\n2. white\n3. black", True),
        ("either green, white or black", False),
        ("green, white and black, not red", True),
        ("green, white and, last but not least, black", True),
        ("* green\n* white\n* black\n* pale black", False),
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


@pytest.mark.parametrize(
    ("text", "answer", "asked", "right"),
    [
        ("vert, blanc et noir", "noir, vert et blanc", "Quelles sont les couleurs ?", True),
        ("vert et noir", "noir, vert et blanc", "Quelles sont les couleurs ?", False),
        ("verde, blanco y negro", "negro, verde y blanco", "¿Qué colores tiene?", True),
        ("緑、白、黒です。", "黒、緑、白", "旗の色は何ですか", True),
        ("绿色、白色和黑色", "绿色、白色、黑色", "旗子有什么颜色？", True),
        ("绿色和白色", "绿色、白色、黑色", "旗子有什么颜色？", False),
        ("зелёный, белый и чёрный", "черный, зеленый и белый", "Какие цвета?", True),
    ],
)
def test_joints_of_other_languages(text, answer, asked, right):
    assert lists_all(normalised(text), answer, (), asked, language_of(text, asked)) is right


@given(
    st.permutations(["green", "white", "black", "red"]), st.sampled_from([", ", "; ", "\n", " and ", " / "])
)
def test_order_and_separator_do_not_matter(items, separator):
    text, answer = separator.join(items), "white, red, green and black"
    assert lists_all(text, answer, (), FLAG, LANGUAGES["en"])
    assert not lists_all(separator.join(items[1:]), answer, (), FLAG, LANGUAGES["en"])
    assert not lists_all(separator.join(["blue", *items]), answer, (), FLAG, LANGUAGES["en"])


@pytest.mark.parametrize("text", ["Rot, Weiß und Blau", "Die Flagge ist blau, rot und weiß."])
def test_lists_of_other_languages(text):
    assert lists_all(text, "rot, weiß und blau", (), "Welche Farben hat die Flagge?", language_of(text))


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("支社は札幌、金沢、高松の3都市です。", "札幌、金沢、高松", True),
        ("支社は札幌、金沢、高松、那覇の4都市です。", "札幌、金沢、高松", False),
        ("松林公园、东湖公园、月亮公园。", "东湖公园、月亮公园和松林公园", True),
        ("松林公园、东湖公园、月亮公园、北山公园。", "东湖公园、月亮公园和松林公园", False),
        ("هي: الأبيض والأخضر والأحمر.", "الأحمر والأبيض والأخضر", True),
    ],
)
def test_lists_of_other_scripts(text, answer, right):
    assert lists_all(normalised(text), answer, (), "?", language_of(text)) is right
