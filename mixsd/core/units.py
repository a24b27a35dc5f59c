"""Units of quantities: money, percent, time, length, area, mass, data, and one of them by another (km/h)."""

from dataclasses import dataclass
from fractions import Fraction

import regex

from mixsd.core.words import normalised

Units = frozenset[tuple[str, Fraction]]
CURRENCIES = (
    *("€", "$", "£", "¥", "cny", "chf", "₽", "₹", "won", "lira", "egp", "riyal", "dirham", "dinar", "₪", "฿"),
    *("zł", "kr", "peso"),
)
PERCENT = "percent"
_UNITS = """
percent     1         % percent percentage prozent パーセント 퍼센트 프로 เปอร์เซ็นต์
percent     1         процент процента процентов אחוז אחוזים प्रतिशत फीसदी
€           1         € eur euro euros ユーロ 欧元 유로 ยูโร евро يورو avro אירו יורו यूरो
$           1         $ usd dollar dollars dólar dólares dolar ドル 美元 달러 ดอลลาร์
$           1         доллар доллара долларов دولار دولارا دولارات דולר דולרים डॉलर
£           1         £ gbp pound pounds sterling 英镑 ポンド фунт фунта фунтов
¥           1         ¥ jpy yen 円 日元 엔 เยน
cny         1         元 块 块钱 cny yuan rmb 人民币 위안
chf         1         chf franken franc francs franco francos
₽           1         ₽ руб рубль рубля рублей ruble rubles 卢布
lira        1         ₺ tl try lira lirası
egp         1         egp جنيه جنيها جنيهات
riyal       1         ريال ريالا ريالات riyal riyals
dirham      1         درهم درهما دراهم dirham dirhams
dinar       1         دينار دينارا دنانير dinar dinars
₪           1         ₪ ils שקל שקלים ש"ח shekel shekels
฿           1         ฿ thb บาท baht
zł          1         zł pln zloty złoty złotych
kr          1         kr kronor kroner krona krone
₹           1         ₹ inr rupee rupees रुपये रुपए रुपया रुपयों
peso        1         peso pesos
won         1         ₩ krw won 원
time        1         s sec second seconds sekunde sekunden seconde secondes segundo segundos 秒 秒钟 초
time        1         секунда секунды секунд секунду ثانية ثوان ثواني שנייה שניות सेकंड saniye วินาที
time        60        min mins minute minutes minuten minuto minutos 分 分钟 分間 분 dakika นาที
time        60        мин минута минуты минут минуту دقيقة دقائق דקה דקות मिनट
time        3600      h hr hrs std hour hours stunde stunden heure heures hora horas 小时 時間 saat 시간 ชั่วโมง
time        3600      ч час часа часов ساعة ساعات שעה שעות घंटा घंटे घंटों
time        86400     day days tag tage tagen jour jours día días dia dias 天 日 日間 일 gün วัน
time        86400     день дня дней сутки суток يوم يوما أيام יום ימים दिन दिनों
time        604800    week weeks woche wochen semaine semaines semana semanas 周 週間 주 주일 hafta สัปดาห์
time        604800    неделя недели недель неделю أسبوع أسبوعا أسابيع שבוע שבועות सप्ताह हफ्ता हफ्ते हफ़्ते
time        1209600   fortnight fortnights
month       1         month months monat monate monaten mois mes meses 个月 ヶ月 か月 개월 달 ay เดือน
month       1         месяц месяца месяцев شهر شهرا أشهر شهور חודש חודשים महीना महीने महीनों माह
month       3         trimestre trimestres quartal quartale
month       6         semestre semestres halbjahr halbjahre
month       12        year years jahr jahre jahren an ans année années año años 年 年間 년 yıl ปี
month       12        год года лет سنة سنوات عام عاما أعوام שנה שנים साल वर्ष वर्षों
month       120       decade decades jahrzehnt jahrzehnte décennie décennies década décadas
length      1         m meter meters metern metre metres mètre mètres metro metros 米 メートル 미터 เมตร
length      1         м метр метра метров متر مترا أمتار מטר מטרים मीटर
length      1000      km kilometer kilometers kilometern kilometre kilometres kilomètre kilomètres kilómetro
length      1000      kilómetros 公里 キロメートル 킬로미터 км километр километра километров กิโลเมตร
length      1000      كم كيلومتر كيلومترا كيلومترات ק"מ קילומטר קילומטרים किमी किलोमीटर
length      0.01      cm centimeter centimeters centimetre centimetres zentimeter 厘米 センチ santimetre
length      0.01      см сантиметр сантиметра сантиметров سم سنتيمتر ס"מ सेंटीमीटर 센티미터 เซนติเมตร
length      0.001     mm millimeter millimeters millimetre millimetres 毫米
length      0.001     мм миллиметр миллиметра миллиметров
length      0.0254    inch inches
length      0.3048    ft foot feet
length      1609.344  mi mile miles meile meilen
length^2    10000     ha hectare hectares hektar hectárea hectáreas 公顷 ヘクタール га гектар гектара гектаров
length^2    4046.8564224 acre acres
length^3    0.001     l litre litres liter liters litern litro litros 升 リットル 리터 ลิตร
length^3    0.001     л литр литра литров لتر لترا لترات ליטר ליטרים लीटर
length^3    0.000001  ml millilitre millilitres milliliter milliliters 毫升 ミリリットル
mass        0.001     mg milligram milligrams milligramm 毫克
mass        1         g gram grams gramm grammes gramos 克 グラム 그램 กรัม
mass        1         г грамм грамма граммов غرام غراما جرام גרם ग्राम
mass        1000      kg kilogram kilograms kilo kilos kilogramm kilogrammes kilogramos 公斤 千克 キロ
mass        1000      キログラム 킬로그램 กิโลกรัม кг килограмм килограмма килограммов كغ كجم كيلوغرام كيلوجرام
mass        1000      ק"ג קילו קילוגרם किलो किलोग्राम
mass        1000000   t ton tons tonne tonnes tonnen toneladas 吨 トン 톤 ตัน
mass        1000000   тонна тонны тонн طن طنا أطنان טון טונות टन
celsius     1         °c celsius 摄氏度
fahrenheit  1         °f fahrenheit
data        1         byte bytes
data        1000      kb kilobyte kilobytes
data        1000000   mb megabyte megabytes
data        1000000000 gb gigabyte gigabytes
data        1000000000000 tb terabyte terabytes
voltage     0.001     mv millivolt millivolts
voltage     1         v volt volts voltios
voltage     1000      kv kilovolt kilovolts
power       1         w watt watts vatios
power       1000      kw kilowatt kilowatts
energy      1         wh
energy      1000      kwh
frequency   1         hz hertz
frequency   1000      khz kilohertz
frequency   1000000   mhz megahertz
frequency   1000000000 ghz gigahertz
current     0.001     ma milliamp milliamps
current     1         amp amps ampere
"""
"""A unit a line: what it measures, its factor, its spellings. Currencies are dimensions of their own."""
_SPEEDS = {"kph": "km/h", "kmh": "km/h", "mph": "mi/h", "км/ч": "km/h", "bpm": "/min"}
BEFORE: dict[str, str] = {
    "€": "€",
    "$": "$",
    "£": "£",
    "¥": "¥",
    "₹": "₹",
    "₩": "won",
    "₪": "₪",
    "฿": "฿",
    "₺": "lira",
    "us$": "$",
    "eur": "€",
    "usd": "$",
    "chf": "chf",
    "cny": "cny",
    "rmb": "cny",
}
"""Signs of money that stand before the number."""
_UNIT_OF: dict[str, tuple[str, Fraction]] = {
    normalised(word).lower(): (dimension, Fraction(factor))
    for dimension, factor, *spelled in map(str.split, _UNITS.strip().splitlines())
    for word in spelled
}
_POWERS = {
    "squ": 2,
    "sq": 2,
    "qua": 2,
    "平方": 2,
    "car": 2,
    "cua": 2,
    "cub": 3,
    "kub": 3,
    "立方": 3,
    "2": 2,
    "3": 3,
}


@dataclass(frozen=True)
class Unit:
    """What a number counts.

    Attributes:
        dimension: What is measured ('' for a bare number).
        factor: How many base units one is.
        by: The dimension that it is divided by ('' for none): km/h is length by time.
    """

    dimension: str = ""
    factor: Fraction = Fraction(1)
    by: str = ""


SPACED = r"[\p{Latin}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Devanagari}]"
"""Letters, and their marks, of scripts whose words end at a space."""


def any_of(options: object) -> str:
    """An alternation, longest first; a word of letters ends where its letters end."""
    listed = sorted(options, key=len, reverse=True)  # type: ignore[call-overload]
    # Scripts without spaces, and Korean particles, go on at once.
    spaced = [option for option in listed if regex.search(f"{SPACED}$", option)]
    others = [option for option in listed if option not in spaced]
    one = "|".join(map(regex.escape, spaced)), "|".join(map(regex.escape, others))
    return "|".join([f"(?:{one[0]})(?!{SPACED})"] * bool(spaced) + [one[1]] * bool(others))


_ONE = any_of(_UNIT_OF)
DURATIONS = rf"(?:{any_of(word for word, unit in _UNIT_OF.items() if unit[0] in ('time', 'month'))})"
"""Any unit of time, as a pattern."""
PATTERN = (
    # a quarter of an hour
    r"(?:[\s-]?(?:(?<=[/⁄]\d{1,3}\s)(?:of\s)?an?\s)?"
    rf"(?:(?P<unit>{any_of(_SPEEDS)}|degr[a-z]*\s(?:celsius|fahrenheit))"
    rf"|(?P<raised>square\s|sq\.?\s|cubic\s|quadrat|kubik|平方|立方)?(?P<plain>{_ONE})"
    r"(?P<squared>\s?\^?[23](?![\d.,]\d|\d)(?<=m\s?\^?\d|\^\d)|\s(?:squared|cubed|carres?|cubes?"
    r"|cuadrados?|cubicos?)\b)?))?"
    rf"(?:\s?(?:/|(?:per|pro|par|por|je|an?)\s)\s?(?P<per>{_ONE}))?"
)
"""What may follow the digits of a number; `unit_of` reads its groups."""
_UNIT_WORD = regex.compile(rf"(?<!{SPACED}|\d)(?:{_ONE})", regex.I)
_ASKS_PERCENT = regex.compile(r"percent|per cent|prozent|pour cent|por ciento|百分之几|パーセント")


def unit_of(found: regex.Match[str]) -> Unit:
    """The unit that a match of `PATTERN` names, with the sign of money before it in the group `before`."""
    whole = (found["unit"] or "").lower()
    if " " in whole:
        return Unit(whole.split()[1])
    if whole:
        over, _, under = _SPEEDS[whole].partition("/")
    else:
        over, under = (found["plain"] or "").lower(), (found["per"] or "").lower()
    if found["before"]:
        dimension, factor = BEFORE[found["before"].lower()], Fraction(1)
    else:
        dimension, factor = _UNIT_OF.get(over, ("", Fraction(1)))
        power = _power(found["raised"] or found["squared"] or "")
        dimension, factor = (f"{dimension}^{power}", factor**power) if power > 1 else (dimension, factor)
    by, share = _UNIT_OF.get(under, ("", Fraction(1)))
    return Unit(dimension, factor / share, by)


def _power(said: str) -> int:
    said = said.strip().lower().strip("^")
    return next((power for begins, power in _POWERS.items() if said.startswith(begins)), 1) if said else 1


def units_named(text: str) -> Units:
    """(dimension, factor) of the units that a question names, so that a bare number answers it."""
    said = normalised(text).lower()
    found = {_UNIT_OF[unit.lower()] for unit in _UNIT_WORD.findall(said)}
    return frozenset(found | ({(PERCENT, Fraction(1))} if _ASKS_PERCENT.search(said) else set()))
