import pytest

from mixsd.core.languages import LANGUAGES, language_of


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
