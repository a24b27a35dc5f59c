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


OF_LANGUAGES = [
    (
        "Можно ли вернуть товар?",
        "Да",
        ["Да, можно.", "Нет, простите, да."],
        ["Нет, нельзя.", "И да, и нет.", "Не знаю.", "Когда-да, когда нет."],
    ),
    ("Можно ли вернуть товар?", "Нет", ["Нет, нельзя."], ["Нет проблем.", "Нет сомнений, что можно.", "Да."]),
    ("هل يمكن إرجاع البضاعة؟", "نعم", ["نعم، يمكن ذلك."], ["لا، لا يمكن.", "لا أعرف.", "نعم ولا."]),
    ("هل يمكن إرجاع البضاعة؟", "لا", ["لا، لا يمكن."], ["لا مانع من ذلك.", "لا شك في ذلك.", "نعم."]),
    ("האם אפשר להחזיר?", "כן", ["כן, אפשר."], ["לא, אי אפשר.", "כן ולא.", "לא יודע."]),
    (
        "क्या सामान लौटा सकते हैं?",
        "हाँ",
        ["हाँ, लौटा सकते हैं।", "जी हाँ।"],
        ["नहीं, नहीं लौटा सकते।", "हाँ और नहीं।", "पता नहीं।"],
    ),
    ("क्या सामान लौटा सकते हैं?", "नहीं", ["नहीं, नहीं लौटा सकते।", "जी नहीं।"], ["मुझे पता नहीं।", "हाँ।"]),
    (
        "Ürün iade edilebilir mi?",
        "Evet",
        ["Evet, edilebilir."],
        ["Hayır, edilemez.", "Evet ve hayır.", "Bilmiyorum."],
    ),
    ("คืนสินค้าได้ไหม", "ใช่", ["ใช่ คืนได้", "ได้ครับ"], ["ไม่ได้", "ไม่แน่ใจ"]),
    ("คืนสินค้าได้ไหม", "ไม่", ["ไม่ได้ครับ"], ["ไม่มีปัญหา", "ไม่แน่ใจ", "ได้"]),
    (
        "반품할 수 있습니까?",
        "예",
        ["네, 할 수 있습니다.", "예."],
        ["아니요, 할 수 없습니다.", "네 가지 방법이 있습니다.", "예를 들면 신발."],
    ),
    (
        "Darf man Hunde mitbringen?",
        "Ja",
        [
            "Ja, Hunde sind erlaubt.",
            "Ja! Hunde dürfen mit.",
            "Nein, Moment: ja.",
            "Jawohl.",
            "Die Antwort ist ja.",
        ],
        [
            "Nein, Hunde sind verboten.",
            "Jein.",
            "Ja und nein.",
            "Das hängt davon ab.",
            "Ich weiß es nicht.",
            "Ja, äh, nein.",
            "Das ist ja klar.",
            "Ob ja oder nein, steht nicht fest.",
            "Nein. Doch, halt: nein.",
            "Man darf ja wohl fragen.",
            "Ja, wo kämen wir da hin? Nein.",
            "Vielleicht ja, vielleicht nein.",
            "Ja, nein, keine Ahnung.",
        ],
    ),
    (
        "Darf man Hunde mitbringen?",
        "Nein",
        ["Nein, leider nicht.", "Nein.", "Leider nein."],
        [
            "Hunde sind kein Problem.",
            "Keine Frage.",
            "Nein, das ist kein Problem, ja, gern.",
            "Ich sage nicht nein.",
            "Ja.",
            "Nein? Doch, ja.",
        ],
    ),
    (
        "Les chiens sont-ils admis ?",
        "Oui",
        [
            "Oui, tout à fait.",
            "Oui ! Ils sont admis.",
            "La réponse est oui.",
            "Non, pardon : oui.",
            "Mais oui, bien sûr.",
        ],
        [
            "Non, hélas.",
            "Oui et non.",
            "Ni oui ni non.",
            "Peut-être.",
            "Oui, enfin non.",
            "Je ne dirais pas oui.",
            "Oui pour les petits, non pour les grands.",
            "C'est ouï-dire.",
        ],
    ),
    (
        "Les chiens sont-ils admis ?",
        "Non",
        ["Non, ils ne sont pas admis.", "Malheureusement non."],
        [
            "Les chiens non tenus en laisse paient plus.",
            "Non seulement ils le sont, mais ils sont gratuits.",
            "Pourquoi non ?",
            "Un espace non-fumeur est prévu.",
            "Je ne dis pas non.",
            "Non loin de là, oui.",
        ],
    ),
    (
        "¿Se admiten perros?",
        "Sí",
        ["Sí, se admiten.", "Claro que sí.", "No, perdón: sí."],
        [
            "Si se admiten, lo dirán.",
            "No, no se admiten.",
            "Sí y no.",
            "No sé.",
            "Depende: sí en invierno, no en verano.",
        ],
    ),
    (
        "¿Se admiten perros?",
        "No",
        ["No, no se admiten.", "No se admiten perros."],
        [
            "No hay problema.",
            "No solo se admiten, sino que entran gratis.",
            "No sé si se admiten.",
            "No me consta.",
            "No obstante, sí.",
            "Perros no peligrosos entran.",
        ],
    ),
    (
        "可以退货吗？",
        "是",
        [
            "可以退货。",
            "是的，可以。",
            "当然可以。",
            "能退。",
            "不，等等，可以退货。",
            "没错，可以。",
            "好的，可以退货。",
        ],
        [
            "不可以。",
            "是否可以要看情况。",
            "有些可以，有些不可以。",
            "可以和不可以都有可能。",
            "不一定。",
            "对不起，我不知道。",
            "当然不可以。",
            "会员请咨询前台。",
            "需要咨询客服。",
            "是这样的：不能退。",
            "可以吗？我不清楚。",
            "是不可以的。",
            "有关退货，请咨询。",
            "可以退货吗？不可以。",
            "可以。不对，不可以。",
            "是也不是。",
            "商品不可以退货。",
        ],
    ),
    (
        "可以退货吗？",
        "否",
        ["不可以。", "不行。", "不能退货。", "很抱歉，不可以。", "否。"],
        [
            "不仅可以退货，还免费。",
            "不知道。",
            "不清楚。",
            "没问题。",
            "没有问题，可以退。",
            "不用担心，可以退货。",
            "不好意思，我不确定。",
            "不但可以，而且免费",
            "不难退货，可以的。",
            "不同商品规定不同。",
            "无论何时都可以。",
            "不管怎样，可以。",
        ],
    ),
    (
        "返品できますか。",
        "はい",
        [
            "はい、できます。",
            "ええ、できます。",
            "いいえ、失礼、はい。",
            "もちろん、はい。",
            "返品できます。はい。",
        ],
        [
            "いいえ。",
            "はいとは言えません。",
            "はいともいいえとも言えません。",
            "ええと、わかりません。",
            "はい。いや、違います。",
            "はいかいいえかわかりません。",
            "はい、いいえ。",
        ],
    ),
    (
        "返品できますか。",
        "いいえ",
        ["いいえ、できません。", "いいえ。"],
        ["いいえというわけではありません。", "はい。", "いやな質問です。", "返品に問題はありません。"],
    ),
    (
        "May goods be returned?",
        "Yes",
        [
            "Yes, they may.",
            "Yep.",
            "I'd say yes.",
            "Yes, absolutely yes.",
            "No, sorry, I mean yes.",
            "The answer is yes, not no.",
            "Of course, yes.",
        ],
        [
            "Yes or no?",
            "I can't say yes.",
            "It's not a yes.",
            "Yes? No.",
            "Not yes.",
            "I wish I could say yes.",
            "Yes, no, maybe.",
            "Yesterday.",
            "People often say yes, but the truth is no.",
            "Neither yes nor no.",
            "The answer isn't yes.",
            "Yes for members, no for others.",
            "Whether yes or no, I can't tell.",
        ],
    ),
    (
        "May goods be returned?",
        "No",
        ["No, they may not.", "No. There is no such right.", "Sadly, no.", "Nope, never."],
        [
            "No problem at all.",
            "There is no reason why not.",
            "Nobody knows.",
            "No one has ever asked.",
            "No need to worry, they may.",
            "No doubt, yes.",
            "There is no fee for it.",
            "Know that they may.",
            "No, that's not right, they may: yes.",
            "No fewer than ten have been.",
            "I'm not saying no.",
            "No wonder you ask: yes.",
            "Not no.",
        ],
    ),
]


@pytest.mark.parametrize(("asked", "answer", "right", "wrong"), OF_LANGUAGES)
def test_what_says_yes_or_no_and_what_only_holds_the_word(asked, answer, right, wrong):
    def says(text):
        return stated_polarity(text, asked, answer)[0] is polarity(answer)

    assert [text for text in right if not says(text)] == []
    assert [text for text in wrong if says(text)] == []
