"""What the reader of answers knows of languages: how they say yes and no, deny, and announce an answer.

Only closed classes of words stand here. A language that is not listed is read by its script alone: its words
are compared, and no rule of another language is applied to them.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import regex

_ACCENTS = regex.compile(r"(?<=\p{Latin})\p{Mn}+")


def plain(text: str) -> str:
    """Without accents of Latin letters: what patterns are matched against (`words.normalised`)."""
    if text.isascii():
        return text
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", bare).replace("ı", "i")


def unaccented(text: str) -> str:
    """The same of equal length, where places count; the text is in NFC, or its accents stay."""
    if text.isascii():
        return text
    return "".join(bare if len(bare := plain(char)) == 1 else char for char in text)


def _set(text: str) -> frozenset[str]:
    return frozenset(plain(text).casefold().split())


def _pattern(source: str) -> regex.Pattern[str]:
    return regex.compile(plain(source), regex.IGNORECASE)


@dataclass(frozen=True)
class Language:
    """The closed-class words of a language, in small letters.

    Attributes:
        code: Its ISO 639-1 code.
        common: Frequent words that tell it from other languages of the Latin script.
        yes: Words that answer yes.
        no: Words that answer no.
        alternatives: Words for `or`.
        joints: Words for `and`.
        denials: Words that deny what follows in their clause.
        denies_nothing: What makes a denial before it none (`not only`).
        denied_before: What denies an answer directly behind it, where words are not parted by spaces.
        denied_after: What denies an answer directly before it.
        misbelief: What makes an answer behind it in its clause an error of others (`if you thought it was`).
        refutes: What denies, further on or in the next sentence, an answer before it (`they are mistaken`).
        beside: What stands directly beside an answer that is one of several, without spaces.
        opens_yes: How a reply that says yes begins, where words are not parted by spaces.
        opens_no: How one that says no begins.
        relatives: What opens a part of a clause whose denial ends with it (`les clients qui n'ont pas`).
        contrasts: Words behind which a denial before them ends (`not Rome but Paris`).
        corrects: What withdraws an answer, so that what follows counts.
        marker: What announces an answer.
        decimal_comma: Whether 1.250 is a thousand two hundred and fifty.
    """

    code: str
    common: frozenset[str] = frozenset()
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    alternatives: frozenset[str] = frozenset()
    joints: frozenset[str] = frozenset()
    denials: frozenset[str] = frozenset()
    denies_nothing: frozenset[str] = frozenset()
    denied_before: regex.Pattern[str] | None = None
    denied_after: regex.Pattern[str] | None = None
    misbelief: regex.Pattern[str] | None = None
    refutes: regex.Pattern[str] | None = None
    beside: tuple[regex.Pattern[str], regex.Pattern[str]] | None = None
    opens_yes: regex.Pattern[str] | None = None
    opens_no: regex.Pattern[str] | None = None
    relatives: frozenset[str] = frozenset()
    contrasts: frozenset[str] = frozenset()
    corrects: regex.Pattern[str] | None = None
    marker: regex.Pattern[str] | None = None
    decimal_comma: bool = False


ENGLISH = Language(
    "en",
    common=_set("the is of and to it are for on with that this be by from has have not does how what which"),
    yes=_set("yes yeah yep true"),
    no=_set("no nope false"),
    alternatives=_set("or"),
    joints=_set("and"),
    denials=_set(
        "not never neither nor cannot hardly nobody misconception myth wrongly mistakenly incorrectly "
        "falsely formerly previously"
    ),
    denies_nothing=_set("only just merely simply"),
    denied_before=_pattern(
        r"\b(?:instead of|rather than|apart from|except(?: for)?|excluding|rul(?:e|ed|ing) out|as opposed to"
        r"|far from|by no means|in no way"
        r"|used to be(?: called)?"
        r"|no longer(?! than)(?: \w+)?|(?<!no )(?<!without )doubt(?: that)?(?: it is| it was)?"
        r"|wrong to say|ceased to be)(?: the| a| an| in| called)*$"
    ),
    misbelief=_pattern(
        r"\b(?:i (?:first|initially|originally) (?:thought|said)|used to (?:be|live|work|stand|belong"
        r"|take place)"
        r"|it is (?:false|wrong|untrue|not true) that|if you (?:thought|think|guessed|said|believed"
        r"|expected)|(?:many|some|most)(?: people)? "
        r"(?:wrongly|mistakenly|used to)|(?:often|widely|commonly|once|long) (?:believed|thought|assumed))\b"
    ),
    refutes=_pattern(
        r"^(?:had|has|have) nothing to do with\b|^(?:is|was) (?:out of the question|a (?:myth"
        r"|misconception))\b"
        r"|\b(?:have|has|had|was|were)(?: \w+)? (?:been )?(?:rejected|refuted|disproved|disproven|debunked)\b"
        r"|\b(?:he|she|it|they) (?:did|does|do|is|was|were|are) not(?: any ?more| any longer)? \|"
        r"|\b(?:they|you) (?:are|were)(?: all)? (?:mistaken|wrong)\b|\bthink again\b"
        r"|\b(?:this|that) (?:is|was|turned out to be) (?:a )?(?:common )?(?:myth|misconception|mistake"
        r"|false|untrue)\b"
    ),
    corrects=_pattern(
        r"\b(?:no,?\s+wait|wait,?\s+no|no,\s+(?:that|this|it)|wait|sorry|actually"
        r"|on\s+second\s+thoughts?|correction|scratch\s+that|i\s+mean(?:t\s+to\s+say)?|my\s+mistake|"
        r"let\s+me\s+correct\s+(?:that|myself)|(?:that|this|it)(?:\s+is|\s+was"
        r"|['’]s)\s+(?:not\s+(?:right|true|correct)|wrong|incorrect)"
        r"|(?:that|this|it)\s+(?:is|was)n['’]t\s+(?:right|true|correct))\b"
    ),
    marker=regex.compile(
        r"(?:\b(?:the|my|our)\s+(?:(?:final|correct|right|short|best)\s+)*|\b(?:final|correct|right)\s+"
        r"|(?:^|\n)[\W_]{0,4})answer(?:\s+to\s[^.?!\n:]{1,120}?)?[\s*_]*"
        r"(?:\b(?:is|was|would\s+be|should\s+be)\b|:)",
        regex.IGNORECASE,
    ),
)
_LISTED = (
    ENGLISH,
    Language(
        "de",
        common=_set(
            "der die das ist und nicht ein eine von zu mit auf für im den dem wie viele wer wo wann welche es"
        ),
        yes=_set("ja jawohl richtig"),
        no=_set("nein falsch"),
        alternatives=_set("oder"),
        joints=_set("und"),
        denials=_set("keineswegs nicht kein keine keinen keinem keiner keines weder nie niemals noch"),
        denies_nothing=_set("nur bloß bloss allein geringerer geringere"),
        denied_before=_pattern(
            r"\b(?:statt|anstatt|anstelle von|im gegensatz zu|anders als|außer|nicht mehr)"
            r"(?: der| die| das| dem| in)*$"
        ),
        denied_after=_pattern(
            r"\s*(?:ist|war|sind|waren)?\s*(?:es\s+|das\s+)?"
            r"(?:(?:aber|jedenfalls|sicher|leider|auch)\s+)?(?:nicht|kein|keine|falsch|keineswegs)\b"
            r"|(?:\w+\s){1,8}nicht(?:\smehr)?$"
        ),
        contrasts=_set("sondern aber"),
        misbelief=_pattern(
            r"\b(?:(?:früher|lange|oft|häufig|manchmal|viele|manche)\b.{0,30}\b(?:hielt\w*|glaub\w+"
            r"|dacht\w+|denk\w+"
            r"|mein\w+|vermut\w+)|(?:hielt|glaubte|dachte) man|fälschlich\w*|irrtümlich\w*)\b"
        ),
        refutes=_pattern(
            r"^scheide[tn] aus\b|^hat(?:te)?n? (?:damit )?nichts\b|\bgilt\b.{0,20}\bals (?:widerlegt"
            r"|falsch|überholt)\b"
            r"|\b(?:das|dies) (?:ist|war|stimmt)(?: aber| jedoch| leider)? (?:falsch|nicht|ein irrtum"
            r"|widerlegt)\b"
        ),
        corrects=_pattern(
            r"\b(?:entschuldigung|halt|warte|verzeihung|korrektur|pardon|ich\s+meine|vielmehr|moment"
            r"|das\s+(?:ist|war)\s+falsch)\b"
        ),
        marker=_pattern(r"\bantwort\b[^.?!\n:]{0,60}?(?:\b(?:ist|lautet|wäre|heißt)\b|:)"),
        decimal_comma=True,
    ),
    Language(
        "fr",
        common=_set(
            "le la les est et des une un du de il elle en pour qui dans que quel quelle combien au n l"
        ),
        yes=_set("oui vrai"),
        no=_set("non faux"),
        alternatives=_set("ou"),
        joints=_set("et"),
        denials=_set("pas jamais aucun aucune ni non"),
        denies_nothing=_set("seulement uniquement que"),
        denied_before=_pattern(
            r"\b(?:au lieu de?|plutôt qu?e?|contrairement à|sauf|n est plus|n était plus)"
            r"(?: l| le| la| les| à)*$"
        ),
        denied_after=_pattern(r"\s*(?:ne|n)\s\w+\s(?:pas|jamais|plus)\b"),
        relatives=_set("qui"),
        contrasts=_set("mais"),
        misbelief=_pattern(
            r"\b(?:il est faux qu\w*|(?:tout|n importe qu\w+)\b.{0,20}\bsauf|(?:on|beaucoup|certains"
            r"|les gens)\b.{0,20}\b(?:croi\w+|pens\w+|imagin\w+"
            r"|di[st]\w*)\b.{0,12}"
            r"\b(?:souvent|parfois|à tort|longtemps)|à tort)\b"
        ),
        refutes=_pattern(
            r"^(?:absolument pas|pas du tout|certainement pas|n a rien à voir)\b|\bc est (?:une erreur"
            r"|faux|inexact)\b"
            r"|\ba (?:depuis )?été (?:réfutée?|démentie?)\b"
        ),
        corrects=_pattern(
            r"\b(?:pardon|attend(?:s|ez)|un instant|excusez-moi|désolée?|rectification|correction"
            r"|je\s+(?:me\s+)?corrige"
            r"|je\s+me\s+(?:suis\s+)?tromp\w+|plutôt)\b"
        ),
        marker=_pattern(r"\br[ée]ponse\b[^.?!\n:]{0,60}?(?:\b(?:est|serait|était)\b|:)"),
        decimal_comma=True,
    ),
    Language(
        "es",
        common=_set("el la los las es y de que en un una por para con se del al quién cuál cuántos su lo"),
        yes=_set("sí verdadero cierto"),
        no=_set("no falso"),
        alternatives=_set("o u"),
        joints=_set("y e"),
        denials=_set("no nunca jamás ni tampoco ningún ninguna"),
        denies_nothing=_set("solo sólo solamente únicamente"),
        denied_before=_pattern(
            r"\b(?:en lugar de|en vez de|ya no es|ya no está en|a diferencia de|excepto|salvo)(?: el| la)*$"
        ),
        denied_after=_pattern(r"\s*(?:ya\s+)?(?:no|nunca)\s+(?!sol[oa]\b|solamente\b)\p{L}+"),
        relatives=_set("quienes"),
        contrasts=_set("sino pero"),
        misbelief=_pattern(
            r"\b(?:es falso que|no es cierto que|cualquier\w*\b.{0,20}\bmenos|es un error(?: común"
            r"| frecuente)? (?:pensar|creer|decir)|(?:a menudo|muchos"
            r"|muchas personas|se suele"
            r"|algunos)\b.{0,20}\b(?:cree\w*|piensa\w*|pensar|creer|dice\w*|confund\w+)|erróneamente)\b"
        ),
        refutes=_pattern(
            r"^(?:en absoluto|para nada|no tiene nada que ver)\b|\b(?:eso|esto) (?:es|era) (?:falso"
            r"|incorrecto|un error)\b"
            r"|\bha sido (?:refutad|descartad)\w+|\bestán? equivocad\w+"
        ),
        corrects=_pattern(
            r"\b(?:perdón|espera|espere|un momento|disculpe?|lo\s+siento|corrijo|rectifico|corrección"
            r"|mejor\s+dicho"
            r"|me\s+(?:he\s+)?equivo\w+)\b"
        ),
        marker=_pattern(r"\brespuesta\b[^.?!\n:]{0,60}?(?:\b(?:es|sería|era)\b|:)"),
        decimal_comma=True,
    ),
    Language(
        "zh",
        beside=(_pattern(r"(?:或者?|还是|和|与|及)$"), _pattern(r"(?:或者?|还是|和(?!平)|与|及)")),
        opens_yes=_pattern(r"(?:是(?!否)|对|可以|能(?!否)|会(?!否)|需要|当然|有(?!没有)|包含|包括|允许)"),
        opens_no=_pattern(r"(?:不|否|没有|无需|无法|并不|并非|禁止)"),
        denied_before=_pattern(
            r"(?:不|不是|不再是|而不是|并非|并不是|不在|不叫|没有|非|绝不是|除了|不会是)(?:在|叫|位于)?$"
        ),
        denied_after=_pattern(r"(?:并?不是|不对|是错|是不对|以外|并非|不再是)"),
        misbelief=_pattern(r"(?:误以为|误认为|以为|错认为)"),
        refutes=_pattern(r"(?:这|那|此说)(?:种说法)?是?(?:错误|错|误解|误传|谣言)|^与.{0,12}无关|已被否定"),
        corrects=_pattern(r"(?:不对|更正|说错了|我?搞错了|记错了|等等|等一下|抱歉|对不起|不好意思)"),
        marker=_pattern(r"答案(?:应该|应当)?(?:就)?(?:是|为|：|:)"),
    ),
    Language(
        "ja",
        beside=(
            _pattern(r"(?:または|あるいは|もしくは|や|(?<!です)か|と)$"),
            _pattern(
                r"(?:または|あるいは|もしくは|や|か(?!ら|も|な|$)|と(?=[\p{Han}\p{Katakana}])(?![呼言申定答考書思名記]))"
            ),
        ),
        opens_yes=_pattern(r"(?:はい(?!とも)|ええ|うん|そうです)"),
        opens_no=_pattern(r"(?:いいえ(?!とも)|いや|違います|ちがいます)"),
        denied_after=_pattern(
            r"(?:さん|氏|市|県)?(?:(?:に|で)?(?:は|が|も)[^、。]{0,14}(?:ません|ない)(?:でした|です)?$|でもな|(?:で|じゃ)(?:は)?(?:な(?:い"
            r"|く)|無い|ありません|ございません)|とは(?:違|異|限)|以外|(?:だ"
            r"|である)?と(?:よく)?(?:思われがち|思われてい|誤解|勘違い|間違わ|混同))"
        ),
        refutes=_pattern(
            r"(?:誤り|間違い|誤解|デマ)(?:です|だ|である)|(?:とは|に)?関係(?:ありません|がありません|ない)"
        ),
        corrects=_pattern(r"(?:失礼|すみません|訂正|間違え|間違い|いや|違い?ました|ではなく|じゃなく)"),
        marker=_pattern(r"(?:答え|解答|回答|正解)(?:は|：|:)"),
    ),
    Language(
        "ko",
        alternatives=_set("또는 혹은"),
        beside=(_pattern(r"(?:또는|혹은|이?나)\s?$"), _pattern(r"(?:\s?또는|\s?혹은|이?나\s|이?거나)")),
        opens_yes=_pattern(r"(?:네|예|그렇습니다|맞습니다)(?!\p{Hangul})"),
        opens_no=_pattern(r"(?:아니[요오]|아닙니다)"),
        denied_after=_pattern(r"(?:이|가|은|는)?\s?아(?:니|닙|닌)"),
        corrects=_pattern(r"(?:아니,|죄송|정정|실수|아니라)"),
        marker=_pattern(r"(?:정답|답|대답)(?:은|:)"),
    ),
    Language(
        "th",
        beside=(_pattern(r"(?:หรือ|และ)\s?$"), _pattern(r"\s?(?:หรือ|และ)")),
        opens_yes=_pattern(r"(?:ใช่|ได้)"),
        opens_no=_pattern(r"ไม่"),
        denied_before=_pattern(r"ไม่(?:ใช่|ได้)?(?:อยู่ที่)?$"),
        corrects=_pattern(r"(?:ขอโทษ|แก้ไข)"),
        marker=_pattern(r"คำตอบ(?:คือ|:)"),
    ),
    Language(
        "ru",
        yes=_set("да верно"),
        no=_set("нет неверно"),
        alternatives=_set("или либо"),
        joints=_set("и"),
        denials=_set("не ни никогда вместо кроме"),
        denies_nothing=_set("только просто"),
        denied_after=_pattern(r"\s*(?:это\s+)?не\b"),
        contrasts=_set("а но"),
        refutes=_pattern(r"\bэто (?:неверно|ошибка|миф|неправда)\b|^не имеет отношения\b"),
        corrects=_pattern(r"\b(?:извините|простите|вернее|точнее|поправка|ошиб\w+)\b"),
        marker=_pattern(r"\bответ\b[^.?!\n:]{0,40}?(?:—|–|-|:|\bэто\b)"),
        decimal_comma=True,
    ),
    Language(
        "ar",
        yes=_set("نعم أجل صحيح"),
        no=_set("لا كلا خطأ"),
        alternatives=_set("أو او أم ام"),
        joints=_set("و"),
        denials=_set("ليس ليست ليسوا لا لم لن غير"),
        denies_nothing=_set("فقط"),
        denied_after=_pattern(r"\s*(?:ليست|ليس)(?!\p{L})"),
        contrasts=_set("بل"),
        corrects=_pattern(r"(?:عفوا|عذرا|تصحيح|أقصد|بل)"),
        marker=_pattern(r"(?:الإجابة|الجواب)(?:\s+(?:الصحيحة|الصحيح))?(?:\s+(?:هي|هو)|\s*:)"),
    ),
    Language(
        "he",
        yes=_set("כן נכון"),
        no=_set("לא"),
        alternatives=_set("או"),
        denials=_set("לא אינו אינה איננו איננה אין"),
        denies_nothing=_set("רק"),
        denied_after=_pattern(r"\s*(?:היא\s+|הוא\s+)?(?:לא|אינה|אינו)(?!\p{L})"),
        contrasts=_set("אלא"),
        corrects=_pattern(r"(?:סליחה|טעיתי|תיקון)"),
        marker=_pattern(r"התשובה(?:\s+הנכונה)?(?:\s+(?:היא|הוא)|\s*:)"),
    ),
    Language(
        "hi",
        yes=_set("हाँ हां जीहाँ"),
        no=_set("नहीं ना"),
        alternatives=_set("या"),
        joints=_set("और"),
        denied_after=_pattern(r"\s*नहीं"),
        corrects=_pattern(r"(?:क्षमा|माफ़|गलती)"),
        marker=_pattern(r"उत्तर(?:\s+है|\s*:)"),
    ),
    Language(
        "tr",
        common=_set("evet hayır mu mı ve bir bu için ile nedir kim hangi değil değildir kaç başkenti olarak"),
        yes=_set("evet doğru"),
        no=_set("hayır yanlış"),
        alternatives=_set("veya ya yahut"),
        joints=_set("ve ile"),
        denied_after=_pattern(r"\s*de[gğ]il"),
        corrects=_pattern(r"\b(?:pardon|özür\s+dilerim|düzeltiyorum|yanılmışım)\b"),
        marker=_pattern(r"\b(?:cevap|yanıt)\b\s*:?"),
        decimal_comma=True,
    ),
)
LANGUAGES = MappingProxyType({language.code: language for language in _LISTED})
OTHER_LANGUAGE = Language("")
"""A language that nothing is known of."""

SPACELESS = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts whose words are not parted by spaces (Katakana and Hangul mark theirs by other means)."""
_BY_SCRIPT = (
    ("ja", regex.compile(r"[\p{Hiragana}\p{Katakana}]")),
    ("ko", regex.compile(r"\p{Hangul}")),
    ("zh", regex.compile(r"\p{Han}")),
    ("th", regex.compile(r"\p{Thai}")),
    ("he", regex.compile(r"\p{Hebrew}")),
    ("ar", regex.compile(r"\p{Arabic}")),
    ("hi", regex.compile(r"\p{Devanagari}")),
    ("ru", regex.compile(r"\p{Cyrillic}")),
)
_LATIN = tuple(language for language in _LISTED if language.common)
_WORD = regex.compile(r"\p{L}+")
_OWN_LETTERS = {"de": "ß", "es": "¿¡ñ", "tr": "ışğİ", "fr": "œç"}


@lru_cache(maxsize=8192)
def language_of(text: str, hint: str = "") -> Language:
    """The language of a text: by its script, in the Latin script by its frequent words.

    Args:
        text: What to look at.
        hint: A text whose language decides where the first tells nothing, such as the question.
    """
    if not text.isascii():
        foreign = regex.sub(r"[\p{Latin}\p{Common}\p{Inherited}]", "", text)
        # A name in another script within a sentence of Latin letters does not make its language.
        latin = sum(map(str.isalpha, text)) - len(foreign)
        if foreign and len(foreign) * 2 >= latin:
            found = next((code for code, script in _BY_SCRIPT if script.search(foreign)), "")
            return LANGUAGES.get(found, OTHER_LANGUAGE)
    counts = _counts(text)
    if hint:
        asks = language_of(hint).code
        # A reply mostly is in the language of its question.
        counts = {code: 2 * count + (code == asks) for code, count in counts.items()}
    best = max(counts, key=lambda code: counts[code])
    return LANGUAGES[best] if counts[best] else ENGLISH


def _counts(text: str) -> dict[str, int]:
    """How much speaks for each language of the Latin script."""
    words = [word.casefold() for word in _WORD.findall(plain(text))]
    return {
        language.code: sum(word in language.common for word in words)
        + 2 * any(letter in text for letter in _OWN_LETTERS.get(language.code, ""))
        for language in _LATIN
    }
