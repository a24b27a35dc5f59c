import pytest

from mixsd.core.languages import LANGUAGES, language_of, plain
from mixsd.core.words import normalised


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The capital is Paris.", "en"),
        ("Die Hauptstadt ist Berlin.", "de"),
        ("La capitale est Paris.", "fr"),
        ("La capital es Madrid.", "es"),
        ("Başkent Ankara'dır ve büyük", "tr"),
        ("答案是北京", "zh"),
        ("首都は東京です", "ja"),
        ("서울입니다", "ko"),
        ("Столица Москва", "ru"),
        ("العاصمة القاهرة", "ar"),
        ("הבירה היא ירושלים", "he"),
        ("राजधानी दिल्ली", "hi"),
        ("คำตอบ", "th"),
        ("The director is 佐藤花子.", "en"),
        ("", "en"),
        ("Wie heißt der Fluss?", "de"),
        ("WIE VIELE SIND ES", "de"),
        ("¿Qué?", "es"),
        ("œuvre", "fr"),
        ("Türkiye'nin başkenti nedir?", "tr"),
        ("Bilet ne kadar?", "tr"),
        ("Quelles villes ?", "fr"),
        ("Man darf das.", "de"),
        ("カタカナ", "ja"),
        ("猫 means cat", "en"),
        ("12", "en"),
    ],
)
def test_the_language_of_a_text(text, code):
    assert language_of(text).code == code


def test_a_bare_answer_is_in_the_language_of_its_question():
    assert language_of("1.250", "Wie viele Menschen sind es?").code == "de"
    assert language_of("1.250", "How many are there?").code == "en"


def test_an_unlisted_script_has_no_rules():
    unknown = language_of("ქართული")
    assert unknown.code not in LANGUAGES and not unknown.denials


def test_the_script_of_a_reply_outweighs_the_question():
    assert language_of("東京", "What is the capital?").code == "zh"
    assert language_of("Paris", "首都是哪里？").code == "en"
    assert language_of("Paris", "Quelle est la capitale ?").code == "fr"


@pytest.mark.parametrize("code", LANGUAGES)
def test_words_are_listed_as_they_are_compared(code):
    """A closed word that no normalised text holds would never be found."""
    said = LANGUAGES[code]
    for listed in (said.denials, said.denies_nothing, said.alternatives, said.joints, said.contrasts):
        assert {word for word in listed if normalised(word).casefold() not in listed} == set()


def test_a_reply_that_tells_nothing_is_in_the_language_of_its_question():
    assert language_of("¥80", "门票多少钱？").code == "zh"
    assert language_of("東京", "首都はどこですか。").code == "ja"
    assert language_of("東京", "首都是哪里？").code == "zh"


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_no_word_says_two_things(language):
    assert not language.yes & language.no
    assert not language.joints & language.alternatives
    assert not language.denials & language.denies_nothing


@pytest.mark.parametrize(
    ("word", "bare"),
    [("fünf", "funf"), ("kaç", "kac"), ("ısı", "isi"), ("が", "が"), ("й", "й"), ("मीरा", "मीरा")],
)
def test_accents_fall_away_where_they_are_no_letters(word, bare):
    assert plain(word) == bare
