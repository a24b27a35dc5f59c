from fractions import Fraction

import pytest

from mixsd.core.grading import grade
from mixsd.core.questions import Outcome, Question
from mixsd.core.values import OTHER, RIGHT, as_quantity, is_value, mark_dates, mark_numbers


def marks(text, accepted, asked, mark=mark_numbers):
    return [
        word for word in mark(text, (accepted,), asked).text.split() if word.startswith(("0right", "0other"))
    ]


@pytest.mark.parametrize(
    ("text", "accepted", "asked", "right"),
    [
        ("45", "45 days", "How long?", False),
        ("45", "45 days", "How many days?", True),
        ("45 days", "45", "How many?", True),
        ("$45", "€45", "What does it cost?", False),
        ("6 weeks", "42 days", "How long?", True),
        ("45%", "0.45", "What share?", True),
        ("0.45", "45%", "What share?", True),
        ("45", "45%", "What percentage?", True),
        ("45%", "45", "How many are left?", False),
        ("9:00 am", "9 a.m.", "When?", True),
        ("15:00", "3 pm", "When?", True),
        ("3", "3 pm", "When?", False),
        ("25%", "1/4", "What share?", True),
        ("1/4", "25%", "What share?", True),
        ("24 months", "2 years", "How long?", True),
        ("45 days", "45 hours", "How long?", False),
        ("3 km", "3000 m", "How far?", True),
        ("3 miles", "3 km", "How far?", False),
        ("1 kg", "1000 g", "How heavy?", True),
        ("45 dollars", "$45", "What does it cost?", True),
        ("1.250", "1250", "Wie viele Menschen wohnen dort?", True),
        ("1.250", "1250", "How many people live there?", False),
        ("45日", "45 days", "How long?", True),
        ("forty-five days", "45 days", "How long?", True),
        ("seventh", "7", "Which place?", True),
        ("5", "-5", "What is it?", False),
    ],
)
def test_units_count_where_they_are_given(text, accepted, asked, right):
    assert (marks(text, accepted, asked) == [RIGHT]) is right


def test_what_else_a_reply_counts_is_no_second_answer():
    assert marks("It has 64 rooms on 5 floors.", "64", "How many rooms are there?") == [RIGHT]
    assert marks("You have 45 days and pay $5.", "45 days", "How long?") == [RIGHT]
    assert marks("14 of the 20 are red.", "14", "How many of the 20 are red?") == [RIGHT]
    assert marks("It is 45 days. No, 30 days.", "45 days", "How long?") == [RIGHT, f"{OTHER}1"]


def test_a_bound_is_no_second_value():
    assert mark_numbers("24 months or longer", ("24 months",), "How long?").text.strip() == RIGHT


def test_a_statement_begins_with_its_answer_and_a_calculation_ends_with_it():
    assert mark_numbers("60 days. After 90 days you pay.", ("60 days",), "How many days?").first_counts
    assert not mark_numbers("30 days + 30 days = 60 days", ("60 days",), "How many days?").first_counts


def test_days_are_compared_in_parts():
    assert marks("On 12 June.", "12 June 2027", "When in 2027?", mark_dates) == [RIGHT]
    assert marks("On 12 June.", "12 June 2027", "When?", mark_dates) == [f"{OTHER}0"]
    assert marks("From 12 June 2027 to 20 June 2027.", "12 June 2027", "When does it start?", mark_dates) == [
        RIGHT
    ]


def test_the_words_of_a_value_are_kept():
    assert mark_numbers("It is forty-five.", ("45",), "").written == {RIGHT: "45"}
    assert as_quantity("007") is None


@pytest.mark.parametrize(
    ("reply", "accepted", "asked", "right"),
    [
        ("12.06.2027", "12 June 2027", "Wann ist es?", True),
        ("2027年6月12日", "12 June 2027", "When?", True),
        ("Saturday, 12 June 2027", "12 June 2027", "When?", True),
        ("12 June 2027", "12 June", "On which day?", True),
        ("03/04/2027", "3 April 2027", "Wann ist das?", True),
        ("03/04/2027", "3 April 2027", "When?", False),
        ("June 2027", "12 June 2027", "When?", False),
        ("12 June 2028", "12 June 2027", "When?", False),
    ],
)
def test_a_day_counts_however_it_is_written(reply, accepted, asked, right):
    assert (marks(reply, accepted, asked, mark_dates) == [RIGHT]) is right


def test_the_end_of_a_time_counts_where_it_is_asked_for():
    ends = mark_dates("June 12 to June 20", ("20 June",), "When does it end?")
    assert ends.text.split()[-1] == RIGHT and not ends.first_counts
    assert mark_dates("June 12 to June 20", ("12 June",), "When does it start?").first_counts


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("1,250 employees", 1250), ("three", 3), ("-5", -5), ("1/4", Fraction(1, 4)), ("45 %", 45),
        ("007", None), ("Route 66", None), ("7 of 9", None), ("3 big dogs", None), ("12 June", None), ("", None),
    ],
)  # fmt: skip
def test_an_answer_that_is_a_number(answer, number):
    found = as_quantity(answer)
    assert (found and found.number) == number


@pytest.mark.parametrize(
    ("word", "value"), [(RIGHT, True), (f"{OTHER}3", True), ("-4.5", True), ("four", False), ("4x", False)]
)
def test_words_that_stand_for_values(word, value):
    assert is_value(word) is value


OF_LANGUAGES = [
    (
        "How long is the trial period?",
        "45 days",
        [
            "forty-five days",
            "It lasts 45 days.",
            "a month and a half is not it; 45 days",
            "The 45-day trial",
            "forty five days",
            "45 (forty-five) days",
            "1080 hours",
        ],
        [
            "45 weeks",
            "54 days",
            "45",
            "forty days",
            "45 to 60 days",
            "about 30-45 days",
            "45 or 60 days",
            "not 45 days",
            "less than 45 days",
            "45 business days",
        ],
    ),
    (
        "How many seats are there?",
        "1,250",
        [
            "1250 seats",
            "twelve hundred and fifty",
            "1.25 thousand",
            "1 250",
            "one thousand two hundred fifty",
            "There are 1'250 seats.",
        ],
        ["1.250", "125", "12,50", "1,250,000", "1,205", "12500", "1,25"],
    ),
    (
        "How much does it cost?",
        "$1,250",
        [
            "1250 dollars",
            "USD 1,250",
            "$1250.00",
            "1.25k dollars",
            "It costs twelve hundred and fifty dollars.",
        ],
        ["€1,250", "1,250", "$1.25", "$1.250"],
    ),
    (
        "Wie viele Plätze gibt es?",
        "1.250",
        ["1250", "1.250 Plätze", "eintausendzweihundertfünfzig", "zwölfhundertfünfzig", "1 250", "1'250"],
        ["1,250", "12,50", "125"],
    ),
    (
        "Wie lange dauert die Fahrt?",
        "90 Minuten",
        [
            "eineinhalb Stunden",
            "anderthalb Stunden",
            "1,5 Stunden",
            "neunzig Minuten",
            "eine Stunde und dreißig Minuten",
            "1 Std. 30 Min.",
            "1 h 30 min",
        ],
        ["90 Stunden", "eine halbe Stunde"],
    ),
    (
        "Wie lang ist die Frist?",
        "14 Tage",
        [
            "zwei Wochen",
            "vierzehn Tage",
            "Die Frist beträgt 14 Tage.",
            "eine vierzehntägige Frist",
            "eine zweiwöchige Frist",
            "nicht 21 Tage, sondern 14 Tage",
            "14-tägig",
        ],
        ["14 Wochen", "40 Tage", "nicht 14 Tage, sondern 21 Tage"],
    ),
    (
        "Wie lang ist die Garantie?",
        "6 Monate",
        ["ein halbes Jahr", "sechs Monate", "ein halbes Jahr lang"],
        ["sechs Wochen"],
    ),
    (
        "Combien de temps dure la visite ?",
        "90 minutes",
        ["une heure et demie", "1 h 30", "1h30", "quatre-vingt-dix minutes", "une heure trente"],
        ["une demi-heure"],
    ),
    (
        "Quelle est la durée de la garantie ?",
        "6 mois",
        ["six mois", "une demi-année", "un semestre"],
        ["six ans"],
    ),
    (
        "Combien d'habitants ?",
        "1 250",
        ["mille deux cent cinquante", "1.250", "1250"],
        ["1,25", "douze cents"],
    ),
    (
        "¿Cuánto dura la visita?",
        "90 minutos",
        ["una hora y media", "noventa minutos", "1 h 30 min", "hora y media", "1,5 horas"],
        ["media hora", "90 horas"],
    ),
    (
        "¿Cuál es el plazo?",
        "15 días",
        ["quince días", "Son 15 días.", "360 horas"],
        ["dos semanas", "15 semanas"],
    ),
    ("¿Cuánto dura la garantía?", "6 meses", ["medio año", "seis meses"], ["seis años"]),
    (
        "¿Cuántos socios tiene?",
        "1.250",
        ["mil doscientos cincuenta", "1250", "1 250"],
        ["1,250", "mil doscientos"],
    ),
    ("保修期多长？", "18个月", ["一年半", "十八个月", "18个月", "1年半"], ["18天", "八个月"]),
    (
        "门票多少钱？",
        "80元",
        ["八十元", "80块", "人民币80元", "80元人民币", "¥80", "八十块钱"],
        ["80美元", "18元"],
    ),
    ("有多少座位？", "1250", ["一千二百五十个座位", "1,250", "一千两百五十个", "1250个"], ["一万二千五百"]),
    ("有多少居民？", "12000", ["1.2万", "一万二千", "12,000人", "一万两千人", "1万2千"], ["12万"]),
    ("営業時間は何時間ですか。", "8時間", ["八時間です。", "8時間です。"], ["八分です。", "18時間です。"]),
    (
        "料金はいくらですか。",
        "1500円",
        ["千五百円です。", "1,500円です。", "1500円", "一五〇〇円", "¥1,500"],
        ["150円", "1500ドル"],
    ),
    (
        "보증 기간은 얼마입니까?",
        "18개월",
        ["1년 반입니다.", "십팔 개월입니다.", "18개월입니다.", "일 년 육 개월", "열여덟 달입니다."],
        ["18일입니다."],
    ),
    (
        "좌석은 몇 개입니까?",
        "250",
        ["이백오십 개입니다.", "250석입니다.", "이백오십석"],
        ["이십오 개입니다."],
    ),
    (
        "요금은 얼마입니까?",
        "15000원",
        ["만 오천 원입니다.", "1만 5천 원", "15,000원입니다.", "만오천원"],
        ["오천 원"],
    ),
    ("कितने दिन?", "15 दिन", ["पंद्रह दिन", "15 दिनों", "१५ दिन"], ["15 हफ्ते"]),
]


@pytest.mark.parametrize(("asked", "answer", "right", "wrong"), OF_LANGUAGES)
def test_values_however_they_are_written(asked, answer, right, wrong):
    def states(text):
        question = Question(asked, (answer,), kind="number")
        return grade(text, question, ended=True).outcome is Outcome.CORRECT

    assert [text for text in right if not states(text)] == []
    assert [text for text in wrong if states(text)] == []
