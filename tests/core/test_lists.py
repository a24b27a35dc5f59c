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
    text = "The owners are Ines Karvall and Jan Moll. Petra Lind works there."
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


OF_LANGUAGES = [
    (
        "Welche Sorten gibt es?",
        "Apfel, Birne und Kirsche",
        [
            "Apfel, Kirsche und Birne.",
            "Es gibt Birne, Apfel sowie Kirsche.",
            "Apfel, Birne und Kirsche, aber keine Pflaume.",
            "- Apfel\n- Birne\n- Kirsche",
            "Sowohl Apfel als auch Birne und Kirsche.",
            "Neben Apfel und Birne gibt es Kirsche.",
            "Apfel, Birne und Pflaume. Halt, nein: Apfel, Birne und Kirsche.",
            "Insgesamt drei: Apfel, Birne, Kirsche.",
        ],
        [
            "Apfel und Birne.",
            "Apfel, Birne, Kirsche und Pflaume.",
            "Apfel, Birne und Kirsche sowie Pflaume.",
            "Apfel, Birne oder Kirsche.",
            "Apfel, Birne, aber keine Kirsche.",
            "Pflaume, Apfel, Birne und Kirsche.",
            "Apfel, Birne und Kirsche. Außerdem gibt es Pflaume.",
            "- Apfel\n- Birne\n- Kirsche\n- Pflaume",
            "Apfel und Birne. Kirsche gibt es nicht.",
            "Apfel, Birne, Kirsche, Pflaume",
            "Apfel, Birne und Kirsche, außerdem Pflaume.",
            "Apfel, Birne und Kirschkuchen.",
            "Apfel, Birne und Kirsche. Halt, nein: Apfel, Birne und Pflaume.",
            "Apfel, Birne und (vielleicht) Kirsche",
            "Außer Apfel gibt es alles: Birne und Kirsche.",
        ],
    ),
    (
        "Quels parfums propose-t-on ?",
        "vanille, citron et cassis",
        [
            "Cassis, vanille et citron.",
            "On propose la vanille, le citron ainsi que le cassis.",
            "Vanille, citron et cassis, mais pas de menthe.",
            "vanille, citron et menthe. Pardon : vanille, citron et cassis.",
            "Trois parfums : vanille, citron, cassis.",
        ],
        [
            "Vanille et citron.",
            "Vanille, citron, cassis et menthe.",
            "Vanille, citron et cassis, ainsi que la menthe.",
            "Vanille, citron ou cassis.",
            "Vanille, citron, mais pas de cassis.",
            "On propose la menthe, la vanille, le citron et le cassis.",
            "Vanille, citron et cassis. Il y a aussi la menthe.",
            "vanille, citron et cassis. Pardon : vanille, citron et menthe.",
        ],
    ),
    (
        "¿Qué sabores hay?",
        "limón, fresa y menta",
        ["Menta, limón y fresa.", "Hay fresa, menta y también limón.", "Limón, fresa y menta, pero no coco."],
        [
            "Limón y fresa.",
            "Limón, fresa, menta y coco.",
            "Limón, fresa y menta, además de coco.",
            "Limón, fresa o menta.",
            "Limón y fresa, pero no menta.",
            "Coco, limón, fresa y menta.",
            "Limón, fresa y menta. También hay coco.",
        ],
    ),
    (
        "有哪些口味？",
        "草莓、香草和抹茶",
        [
            "有抹茶、香草和草莓。",
            "草莓、香草以及抹茶三种口味。",
            "草莓、香草和抹茶，没有芒果。",
            "草莓、香草和芒果。不对，是草莓、香草和抹茶。",
            "共有三种：草莓、香草、抹茶。",
        ],
        [
            "草莓和香草。",
            "草莓、香草、抹茶和芒果。",
            "草莓、香草和芒果。",
            "草莓、香草或抹茶。",
            "草莓、香草，没有抹茶。",
            "芒果、草莓、香草和抹茶。",
            "有草莓、香草和抹茶，还有芒果。",
            "草莓、香草和抹茶。另外还有芒果。",
            "草莓、香草和抹茶。不对，是草莓、香草和芒果。",
            "有芒果、草莓、香草和抹茶四种。",
            "- 草莓\n- 香草\n- 抹茶\n- 芒果",
            "除了草莓，有香草和抹茶。",
        ],
    ),
    (
        "どんな味がありますか。",
        "苺、抹茶、バニラ",
        [
            "抹茶、苺、バニラです。",
            "バニラと苺と抹茶があります。",
            "苺、抹茶、バニラの3種類です。",
            "苺、抹茶、マンゴー。失礼、苺、抹茶、バニラです。",
            "味は苺・抹茶・バニラです。",
        ],
        [
            "苺と抹茶です。",
            "苺、抹茶、バニラ、マンゴーです。",
            "苺、抹茶、マンゴーです。",
            "苺か抹茶かバニラです。",
            "苺と抹茶はありますが、バニラはありません。",
            "マンゴー、苺、抹茶、バニラです。",
            "苺、抹茶、バニラです。マンゴーもあります。",
            "苺、抹茶、バニラ。失礼、苺、抹茶、マンゴーです。",
            "味は苺・抹茶・バニラ・マンゴーです。",
        ],
    ),
    (
        "Which flavours are sold at the kiosk?",
        "lemon, mint and cherry",
        [
            "Cherry, lemon and mint.",
            "Lemon, mint, as well as cherry.",
            "Lemon, mint and cherry, but not plum.",
            "Lemon, mint and cherry. All of them are popular.",
            "The kiosk sells lemon, cherry, and mint ice cream.",
            "There are three: lemon; mint; cherry.",
            "1) lemon 2) mint 3) cherry",
            "Lemon, mint (my favourite) and cherry.",
            "Lemon & mint & cherry",
            "Mint, which is the most popular, lemon and cherry.",
        ],
        [
            "Lemon and mint.",
            "Lemon, mint, cherry and plum.",
            "Lemon, mint and cherry, as well as plum.",
            "Lemon, mint or cherry.",
            "Lemon and mint, but not cherry.",
            "Plum, lemon, mint and cherry.",
            "Lemon, mint and cherry. They also sell plum.",
            "Lemon, mint and cherry. Plum is also sold.",
            "Lemon, mint and cherry. Plum too.",
            "Lemon, mint, cherry, plus plum.",
            "All but cherry: lemon and mint.",
            "They sell lemon and mint. Cherry is not sold.",
            "Lemon, mint, and maybe cherry.",
            "1) lemon 2) mint 3) cherry 4) plum",
            "Lemon, mint, cherry, etc.",
            "Lemon, mint, cherry and others.",
            "lemon, mint, cherry, plum, peach, pear",
            "Only lemon is sold; mint and cherry are not.",
            "Instead of cherry, lemon and mint.",
            "Besides lemon, mint and cherry they sell plum.",
        ],
    ),
]


@pytest.mark.parametrize(("asked", "answer", "right", "wrong"), OF_LANGUAGES)
def test_whole_and_false_lists(asked, answer, right, wrong):
    def whole(text):
        return lists_all(normalised(text), answer, (), asked, language_of(text, asked))

    assert [text for text in right if not whole(text)] == []
    assert [text for text in wrong if whole(text)] == []


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("הצבעים הם כחול, אדום ולבן.", "אדום, לבן וכחול", True),
        ("הצבעים הם כחול ואדום.", "אדום, לבן וכחול", False),
        ("शरबत, चाय और लस्सी मिलते हैं।", "चाय, लस्सी और शरबत", True),
        ("चाय और लस्सी मिलते हैं।", "चाय, लस्सी और शरबत", False),
        ("çay, ayran ve su", "su, çay ve ayran", True),
        ("텐트와 침낭입니다.", "침낭, 텐트", True),
        ("ชาและกาแฟ", "กาแฟ และ ชา", True),
        ("soup, cakes, wine and honey biscuits are served", "soup, cakes and wine", False),
        ("soup, cakes and wine are served", "soup, cakes and wine", True),
        ("soup and cakes. Sorry, I forgot: also wine.", "soup, cakes and wine", True),
    ],
)
def test_joints_and_what_follows_a_list(text, answer, right):
    assert lists_all(normalised(text), answer, (), "?", language_of(text)) is right
