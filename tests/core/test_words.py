"""Normalised words and short answers that are equal."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixsd.core.words import normalised, same_answer, tokens, words


@example("0:A:A")  # a capital A is a name, and no longer one once it is small
@given(st.text(max_size=60))
def test_words_are_idempotent_but_for_articles(text):
    def bare(found):
        return [word for word in found if word not in {"a", "an", "the"}]

    once = words(text)
    assert bare(words(" ".join(once))) == bare(once)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S.A., 1,000 men and Málaga", ("usa", "1000", "men", "and", "malaga")),
        ("Plan A", ("plan", "a")),
        ("A dog", ("dog",)),
        ("It isn't 007.", ("it", "is", "not", "007")),
        ("C++ and C#", ("c++", "and", "c#")),
        ("मीरा", ("मीरा",)),
        ("佐藤です", ("佐", "藤", "で", "す")),
        ("ハトバ港", ("ハトバ", "港")),
        ("서울은", ("서", "울", "은")),
        ("Ｐａｒｉｓ，４５", ("paris", "45")),
        ("İstanbul", ("istanbul",)),
        ("القاهِرة", ("قاهرة",)),
        ("Ёж", ("еж",)),
        ("Passed ✅", ("passed", "✅")),
        ("10\u00b2", ("10", "2")),
        ("ﾊﾞﾄ", ("バト",)),
        ("ＡＢＣ　１２３", ("abc", "123")),
        ("ISPARTA ısparta", ("isparta", "isparta")),
        ("STRASSE straße", ("strasse", "strasse")),
        ("ΕΛΛΑΔΑ Ελλάδα", ("ελλαδα", "ελλαδα")),
        ("مُحَمَّد أحمد", ("محمد", "احمد")),
        ("שָׁלוֹם", ("שלום",)),
        ("٣ \u22125", ("3", "-5")),
        ("👍🏽", ("👍",)),
        ("Acme®", ("acme",)),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_clauses_know_what_parts_them():
    said = tokens("Paris, of course. It is\nlarge but not new; 3.5 is a number")
    assert [(t.word, t.mark) for t in said if t.mark != said[said.index(t) - 1].mark or t is said[0]] == [
        ("paris", ""), ("of", ","), ("it", "."), ("large", "\n"), ("not", "but"), ("3.5", ";"),
    ]  # fmt: skip
    assert tokens("No -- , . 7")[-1].mark == ",."


@pytest.mark.parametrize(
    "text", ["Zoë", "Málaga", "が", "서울", "मीरा", "Йод", "café", "Đà Nẵng", "أحمد", "İzmir", "Ελλάδα"]
)
def test_composed_and_decomposed_letters_are_one(text):
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("मारा", "मीरा"),
        ("कि", "की"),
        ("क", "कि"),
        ("かき", "がき"),
        ("ハト", "バト"),
        ("ハ", "パ"),
        ("йод", "иод"),
        ("강", "간"),
        ("👍", "👎"),
        ("C++", "C#"),
        ("ไม้", "ไม่"),
    ],
)
def test_marks_that_are_letters_stay(one, other):
    assert not same_answer(one, other)


def test_what_stands_between_two_words():
    paris, hilton, saint = tokens("Paris Hilton-Saint")
    assert hilton.spaced and saint.hyphened and not paris.joined
    assert tokens("東京")[1].joined


def test_a_sign_is_the_same_with_a_variation_selector():
    assert same_answer("❤\ufe0f", "❤")


def test_a_flag_is_a_word():
    assert words("🇫🇷") != ()


@given(st.text(max_size=40))
def test_normalised_is_idempotent_and_has_one_form(text):
    once = normalised(text)
    assert normalised(once) == once
    assert unicodedata.is_normalized("NFC", once)


def test_case_and_lines_stay_in_a_normalised_text():
    assert normalised("Málaga\n１２。５") == "Malaga\n12. 5"
