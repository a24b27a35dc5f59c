"""Number words, halves and units in the languages that text2num does not read."""

import pytest

from mixsd.core.halves import without_halves
from mixsd.core.languages import LANGUAGES
from mixsd.core.number_words import in_digits
from mixsd.core.numerals import readable
from mixsd.core.quantities import quantities
from mixsd.core.words import normalised


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("триста пятьдесят рублей", "ru", [(350, "₽")]),
        ("две недели", "ru", [(1209600, "time")]),
        ("14-дневный срок", "ru", [(1209600, "time")]),
        ("двухнедельный срок", "ru", [(1209600, "time")]),
        ("полтора часа", "ru", [(5400, "time")]),
        ("полгода", "ru", [(6, "month")]),
        ("три с половиной часа", "ru", [(12600, "time")]),
        ("20 тысяч рублей", "ru", [(20000, "₽")]),
        ("двадцать пять процентов", "ru", [(25, "percent")]),
        ("مئة وعشرين غرفة", "ar", [(120, "")]),
        ("١٥ يومًا", "ar", [(1296000, "time")]),
        ("ساعة ونصف", "ar", [(5400, "time")]),
        ("نصف ساعة", "ar", [(1800, "time")]),
        ("أسبوعان", "ar", [(1209600, "time")]),
        ("خمسة عشر يوما", "ar", [(1296000, "time")]),
        ("25 بالمئة", "ar", [(25, "percent")]),
        ("لأسبوعين", "ar", [(1209600, "time")]),
        ("שעה וחצי", "he", [(5400, "time")]),
        ("חצי שעה", "he", [(1800, "time")]),
        ("שבועיים", "he", [(1209600, "time")]),
        ("עשרים וחמש שקלים", "he", [(25, "₪")]),
        ("חמישה עשר ימים", "he", [(1296000, "time")]),
        ("30 ש״ח", "he", [(30, "₪")]),
        ("שלוש שעות וחצי", "he", [(12600, "time")]),
        ("שלוש וחצי שעות", "he", [(12600, "time")]),
        ("दस दिन", "hi", [(864000, "time")]),
        ("डेढ़ घंटे", "hi", [(5400, "time")]),
        ("आधा घंटा", "hi", [(1800, "time")]),
        ("साढ़े तीन घंटे", "hi", [(12600, "time")]),
        ("दो हज़ार रुपये", "hi", [(2000, "₹")]),
        ("25 प्रतिशत", "hi", [(25, "percent")]),
        ("५० लाख", "hi", [(5000000, "")]),
        ("yüz elli lira", "tr", [(150, "lira")]),
        ("14 gündür", "tr", [(1209600, "time")]),
        ("bir buçuk saat", "tr", [(5400, "time")]),
        ("yarım saat", "tr", [(1800, "time")]),
        ("yüzde yirmi beş", "tr", [(25, "percent")]),
        ("%25", "tr", [(25, "percent")]),
        ("otuz günlük süre", "tr", [(2592000, "time")]),
        ("on beş gün", "tr", [(1296000, "time")]),
        ("หนึ่งร้อยยี่สิบบาท", "th", [(120, "฿")]),
        ("120 ดอลลาร์", "th", [(120, "$")]),
        ("ชั่วโมงครึ่ง", "th", [(5400, "time")]),
        ("1 ชั่วโมงครึ่ง", "th", [(5400, "time")]),
        ("ครึ่งชั่วโมง", "th", [(1800, "time")]),
        ("ร้อยละ 25", "th", [(25, "percent")]),
        ("สองสัปดาห์", "th", [(1209600, "time")]),
        ("ห้างสรรพสินค้าห้ามเก้าอี้", "th", []),
        ("一个半小时", "zh", [(5400, "time")]),
        ("半年", "zh", [(6, "month")]),
        ("半个小时", "zh", [(1800, "time")]),
        ("两年半", "zh", [(30, "month")]),
        ("半个月", "zh", [(0.5, "month")]),
        ("下半年", "zh", []),
        ("1時間半飛行", "ja", [(5400, "time")]),
        ("半年", "ja", [(6, "month")]),
        ("2年半", "ja", [(30, "month")]),
        ("반년", "ko", [(6, "month")]),
        ("한 시간 반", "ko", [(5400, "time")]),
        ("1시간 반", "ko", [(5400, "time")]),
        ("열다섯 명", "ko", [(15, "")]),
        ("삼십 분", "ko", [(1800, "time")]),
        ("십이만 원", "ko", [(120000, "won")]),
        ("두 시간", "ko", [(7200, "time")]),
    ],
)
def test_what_is_counted(text, code, expected):
    language = LANGUAGES[code]
    assert [(q.value, q.dimension) for q in quantities(readable(text, language), language)] == expected


@pytest.mark.parametrize(
    ("text", "code", "digits"),
    [
        ("тысяча девятьсот восемьдесят четыре", "ru", "1984"),
        ("двадцать пятого июня", "ru", "25 июня"),
        ("пять шесть", "ru", "5 6"),
        ("пятница", "ru", "пятница"),
        ("ألفان وخمسمئة وأربعة وثلاثون", "ar", "2534"),
        ("أحد عشر", "ar", "11"),
        ("שלוש מאות ארבעים ושתיים", "he", "342"),
        ("שתים עשרה", "he", "12"),
        ("יום שני", "he", "יום שני"),
        ("दो लाख पचास हज़ार", "hi", "250000"),
        ("bin dokuz yüz doksan dokuz", "tr", "1999"),
        ("onbeş", "tr", "15"),
        ("สามหมื่นสองพัน", "th", "32000"),
        ("ศูนย์การค้า", "th", "ศูนย์การค้า"),
        ("두부", "ko", "두부"),
        ("twenty", "en", "twenty"),
    ],
)
def test_words_as_digits(text, code, digits):
    assert in_digits(normalised(text), code) == normalised(digits)


def test_zero_is_read_where_it_is_asked_for():
    assert in_digits("ноль", "ru") == "ноль" and in_digits("ноль", "ru", zero=True) == "0"


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("1个半小时", "zh", "1.5 小时"), ("下半年", "zh", "下半年"), ("半价", "zh", "半价"),
        ("2年半", "ja", "2.5 年"), ("media hora", "es", "0.5 hora"), ("demi-heure", "fr", "0.5 heure"),
        ("ein halbes Jahr", "de", "0.5 Jahr"), ("half an hour", "en", "half an hour"),
    ],
)  # fmt: skip
def test_halves_beside_a_unit(text, code, expected):
    assert without_halves(text, code) == expected
