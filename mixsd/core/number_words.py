"""Number words as digits where text2num reads none: триста пятьдесят, مئة وعشرين, yüz elli.

A table a language: a number and its words. Words of a line that begins with `*` multiply what stands before
them (two *hundred*); all others are added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import regex

from mixsd.core.words import normalised

_RUSSIAN = """
0 ноль ноля
1 один одна одно одного одной одному одну одним
2 два две двух двум двумя
3 три трех трем тремя
4 четыре четырех четырем
5 пять пяти пятью
6 шесть шести шестью
7 семь семи семью
8 восемь восьми
9 девять девяти девятью
10 десять десяти
11 одиннадцать одиннадцати
12 двенадцать двенадцати
13 тринадцать тринадцати
14 четырнадцать четырнадцати
15 пятнадцать пятнадцати
16 шестнадцать шестнадцати
17 семнадцать семнадцати
18 восемнадцать восемнадцати
19 девятнадцать девятнадцати
20 двадцать двадцати
30 тридцать тридцати
40 сорок сорока
50 пятьдесят пятидесяти
60 шестьдесят шестидесяти
70 семьдесят семидесяти
80 восемьдесят восьмидесяти
90 девяносто девяноста
100 сто ста
200 двести двухсот
300 триста трехсот
400 четыреста четырехсот
500 пятьсот пятисот
600 шестьсот шестисот
700 семьсот семисот
800 восемьсот восьмисот
900 девятьсот девятисот
1.5 полтора полторы полутора
*1000 тысяча тысячи тысяч тысячу
*1000000 миллион миллиона миллионов
*1000000000 миллиард миллиарда миллиардов
"""
_ORDINALS = """
1 перв
2 втор
4 четверт
5 пят
6 шест
7 седьм
8 восьм
9 девят
10 десят
11 одиннадцат
12 двенадцат
13 тринадцат
14 четырнадцат
15 пятнадцат
16 шестнадцат
17 семнадцат
18 восемнадцат
19 девятнадцат
20 двадцат
30 тридцат
40 сороков
50 пятидесят
"""
"""Russian ordinals, which days are told by, without their endings."""
_ENDINGS = ("ый", "ой", "ая", "ое", "ого", "ому", "ом", "ую")
_ARABIC = """
0 صفر
1 واحد واحدة أحد إحدى
2 اثنان اثنين اثنتان اثنتين اثنا اثني اثنتا اثنتي
3 ثلاث ثلاثة
4 أربع أربعة
5 خمس خمسة
6 ست ستة
7 سبع سبعة
8 ثمان ثماني ثمانية
9 تسع تسعة
10 عشر عشرة
20 عشرون عشرين
30 ثلاثون ثلاثين
40 أربعون أربعين
50 خمسون خمسين
60 ستون ستين
70 سبعون سبعين
80 ثمانون ثمانين
90 تسعون تسعين
100 مئة مائة
200 مئتان مئتين مائتان مائتين مئتا مائتا
300 ثلاثمئة ثلاثمائة
400 أربعمئة أربعمائة
500 خمسمئة خمسمائة
600 ستمئة ستمائة
700 سبعمئة سبعمائة
800 ثمانمئة ثمانمائة ثمانيمائة ثمانيمئة
900 تسعمئة تسعمائة
2000 ألفان ألفين
*1000 ألف آلاف ألفا
*1000000 مليون ملايين مليونا
*1000000000 مليار مليارات
"""
_HEBREW = """
0 אפס
1 אחד אחת
2 שניים שתיים שני שתי שנים שתים
3 שלוש שלושה שלושת
4 ארבע ארבעה ארבעת
5 חמש חמישה חמשת
6 שש שישה ששת
7 שבע שבעה שבעת
8 שמונה שמונת
9 תשע תשעה תשעת
10 עשר עשרה עשרת
20 עשרים
30 שלושים
40 ארבעים
50 חמישים
60 שישים
70 שבעים
80 שמונים
90 תשעים
100 מאה
200 מאתיים
2000 אלפיים
*100 מאות
*1000 אלף אלפים
*1000000 מיליון
*1000000000 מיליארד
"""
_HINDI = """
0 शून्य
1 एक
2 दो
3 तीन
4 चार
5 पांच पाँच
6 छह छः छे
7 सात
8 आठ
9 नौ
10 दस
11 ग्यारह
12 बारह
13 तेरह
14 चौदह
15 पंद्रह पन्द्रह
16 सोलह
17 सत्रह
18 अठारह
19 उन्नीस
20 बीस
21 इक्कीस
22 बाईस बाइस
23 तेईस तेइस
24 चौबीस
25 पच्चीस
26 छब्बीस
27 सत्ताईस सत्ताइस
28 अट्ठाईस अट्ठाइस अठाईस
29 उनतीस
30 तीस
31 इकतीस इकत्तीस
32 बत्तीस
33 तैंतीस
34 चौंतीस
35 पैंतीस
36 छत्तीस
37 सैंतीस
38 अड़तीस
39 उनतालीस
40 चालीस
41 इकतालीस
42 बयालीस
43 तैंतालीस
44 चवालीस चौवालीस
45 पैंतालीस
46 छियालीस
47 सैंतालीस
48 अड़तालीस
49 उनचास
50 पचास
51 इक्यावन
52 बावन
53 तिरपन
54 चौवन
55 पचपन
56 छप्पन
57 सत्तावन
58 अट्ठावन अठावन
59 उनसठ
60 साठ
61 इकसठ
62 बासठ
63 तिरसठ
64 चौंसठ
65 पैंसठ
66 छियासठ
67 सड़सठ
68 अड़सठ
69 उनहत्तर
70 सत्तर
71 इकहत्तर
72 बहत्तर
73 तिहत्तर
74 चौहत्तर
75 पचहत्तर
76 छिहत्तर
77 सतहत्तर
78 अठहत्तर
79 उनासी
80 अस्सी
81 इक्यासी
82 बयासी
83 तिरासी
84 चौरासी
85 पचासी
86 छियासी
87 सत्तासी
88 अट्ठासी
89 नवासी
90 नब्बे
91 इक्यानवे
92 बानवे
93 तिरानवे
94 चौरानवे
95 पचानवे पंचानवे
96 छियानवे
97 सत्तानवे
98 अट्ठानवे
99 निन्यानवे
1.5 डेढ़
2.5 ढाई
*100 सौ
*1000 हज़ार हजार
*100000 लाख
*10000000 करोड़
"""
_TURKISH = """
0 sıfır
1 bir
2 iki
3 üç
4 dört
5 beş
6 altı
7 yedi
8 sekiz
9 dokuz
10 on
20 yirmi
30 otuz
40 kırk
50 elli
60 altmış
70 yetmiş
80 seksen
90 doksan
*100 yüz
*1000 bin
*1000000 milyon
*1000000000 milyar
"""
_THAI = """
0 ศูนย์
1 หนึ่ง เอ็ด
2 สอง ยี่
3 สาม
4 สี่
5 ห้า
6 หก
7 เจ็ด
8 แปด
9 เก้า
*10 สิบ
*100 ร้อย
*1000 พัน
*10000 หมื่น
*100000 แสน
*1000000 ล้าน
"""
_KOREAN = """
1 하나 한
2 둘 두
3 셋 세
4 넷 네
5 다섯
6 여섯
7 일곱
8 여덟
9 아홉
10 열
20 스물 스무
30 서른
40 마흔
50 쉰
60 예순
70 일흔
80 여든
90 아흔
"""
_KOREAN_COUNTERS = "시간|시|개|명|살|달|주|번|마리|권|대|곳|가지|사람|분"
"""Behind these a Korean numeral is one: `두` begins many words."""


@dataclass(frozen=True)
class Numerals:
    """The number words of a language.

    Attributes:
        values: What a word adds.
        factors: What a word multiplies by.
        pattern: A number in words.
        word: One of its words.
        units_first: Whether ten stands behind its unit (Arabic and Hebrew fifteen is `five ten`).
    """

    values: dict[str, float]
    factors: dict[str, int]
    pattern: regex.Pattern[str]
    word: regex.Pattern[str]
    units_first: bool = False


_RUSSIAN_ADJECTIVES = {
    "секундн": "секунд", "минутн": "минут", "часов": "часов", "дневн": "дней", "недельн": "недель",
    "месячн": "месяцев", "годичн": "лет", "летн": "лет", "метров": "метров", "километров": "километров",
    "граммов": "граммов", "литров": "литров", "рублев": "рублей", "процентн": "процентов",
}  # fmt: skip
"""What a number is written in one with: `двухнедельный`, `14-дневный`."""
_RUSSIAN_ADJECTIVE = regex.compile(
    rf"(?<=\d)-?({'|'.join(_RUSSIAN_ADJECTIVES)})(?:ый|ой|ий|ая|ое|ого|ому|ом|ую|ые|ых)\b", regex.I
)

_BARE = r"(?<![\p{L}\p{M}\p{N}])"
_END = r"(?![\p{L}\p{M}])"
# Each: the table, what may stand before the first word, between two, and behind the last.
_CUSTOMS = {
    "ru": (_RUSSIAN, _BARE, r"[\s-]?", rf"(?:{_END}|(?=-?(?:{'|'.join(_RUSSIAN_ADJECTIVES)})))"),
    "ar": (_ARABIC, rf"(?:{_BARE}|(?<={_BARE}[بلوف]))", r"\s(?:و\s?)?", _END),
    "he": (_HEBREW, rf"(?:{_BARE}|(?<={_BARE}[בלוכ]))(?<!יום\s)", r"[\s-]ו?", _END),
    "hi": (_HINDI, _BARE, r"\s", _END),
    "tr": (_TURKISH, _BARE, r"[\s-]?", _END),
    "th": (_THAI, "", r"\s?", r"(?![ม\p{M}]|ง|อี้)"),
    "ko": (_KOREAN, _BARE, "", rf"(?=\s?(?:{_KOREAN_COUNTERS}))"),
}


def in_digits(text: str, code: str, zero: bool = False) -> str:
    """A text with the number words of a language as digits.

    Args:
        text: What to read, in the form that `normalised` gives.
        code: The language.
        zero: Whether to read a lone `zero`, too (in Thai it is a word for `centre`).
    """
    if code not in _CUSTOMS:
        return text
    said = _numerals(code)

    def written(found: regex.Match[str]) -> str:
        words = found.group().lower()
        magnitude = said.word.match(words).group() in said.factors  # type: ignore[union-attr]
        # `20 тысяч` is read where the units are.
        if magnitude and found.string[: found.start()].rstrip()[-1:].isdigit():
            return found.group()
        numbers = list(_read(words, said))
        return found.group() if numbers == [0] and not zero else " ".join(f"{n:.10g}" for n in numbers)

    text = said.pattern.sub(written, text)
    if code == "ru":
        text = _RUSSIAN_ADJECTIVE.sub(lambda found: f" {_RUSSIAN_ADJECTIVES[found[1].lower()]}", text)
    return text


@cache
def _numerals(code: str) -> Numerals:
    table, before, between, behind = _CUSTOMS[code]
    lines = [normalised(line).lower().split() for line in table.strip().splitlines()]
    values = {word: float(size) for size, *words in lines if size[0] != "*" for word in words}
    if code == "ru":
        stems = (line.split() for line in _ORDINALS.strip().splitlines())
        values |= {f"{stem}{end}": float(size) for size, stem in stems for end in _ENDINGS}
    factors = {word: int(size[1:]) for size, *words in lines if size[0] == "*" for word in words}
    one = "|".join(sorted({*values, *factors}, key=len, reverse=True))
    pattern = rf"{before}(?:{one})(?:{between}(?:{one}))*{behind}"
    return Numerals(
        values, factors, regex.compile(pattern, regex.I), regex.compile(one), code in ("ar", "he")
    )


def _read(words: str, said: Numerals) -> Iterator[float]:
    """The numbers that number words are: one, or several where they do not join ("five six")."""
    number, begun = 0.0, False
    for found in said.word.finditer(words):
        word = found.group()
        if factor := said.factors.get(word):
            smaller = number % factor
            number += (smaller or 1) * factor - smaller
        else:
            value = said.values[word]
            if begun and not _joins(number, value, said.units_first):
                yield number
                number = 0.0
            number += value
        begun = True
    yield number


def _joins(number: float, value: float, units_first: bool) -> bool:
    """Whether a value goes on with a number: 20 with 5, but not 5 with 6."""
    size = next(size for size in (10, 100, 1000, 10_000) if value < size)
    smaller = number % size
    return not smaller or (units_first and size == 100 and smaller < 10)
