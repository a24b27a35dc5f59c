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
        answers_nothing: Where a yes or no, with what follows it, answers nothing (`no problem`, `不一定`).
        denies_nouns: Words that deny the noun behind them (`there is no museum in Rome`).
        former: What makes an answer in its clause one of the past.
        subordinates: What opens a clause that the clause before it may deny (`Ich glaube nicht, dass`).
        bounds: What a denial before it makes a bound, which the answer states (`not before April`).
        concedes: What opens a clause that states no answer (`although Rome is larger`).
        hedges: Words that give one more answer, and small words; they tell nothing else (`auch`).
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
    answers_nothing: regex.Pattern[str] | None = None
    denies_nouns: frozenset[str] = frozenset()
    former: regex.Pattern[str] | None = None
    subordinates: frozenset[str] = frozenset()
    bounds: regex.Pattern[str] | None = None
    concedes: regex.Pattern[str] | None = None
    hedges: frozenset[str] = frozenset()
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
        "not never neither nor cannot hardly nobody misconception myth wrongly mistakenly incorrectly falsely"
    ),
    denies_nothing=_set("only just merely simply"),
    denied_before=_pattern(
        r"\b(?:instead of|rather than|apart from|except(?: for)?|excluding|rul(?:e|ed|ing) out|as opposed to"
        r"|far from|nowhere near|by no means|in no way|(?:moved|relocated|transferred"
        r"|switched)(?: away)? from|left"
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
        r"|^was (?:only |also )?(?:considered|proposed|suggested|shortlisted) \|"
        r"|\b(?:wrongly|mistakenly|incorrectly|erroneously) \||\bis (?:false|untrue|mistaken|wrong) \|"
        r"|\b(?:this|that) (?:is|s|was|turned out to be) (?:a )?(?:common )?(?:myth|misconception|mistake"
        r"|false|untrue)\b"
    ),
    denies_nouns=_set("no without lacks"),
    former=_pattern(r"\b(?:formerly|previously|(?:was|were|had|stood|lived|worked)\b.*\buntil \d{4})\b"),
    answers_nothing=_pattern(
        r"no (?:problems?|matter|doubts?|worr(?:y|ies)|wonder|idea|clue|question|information|one|other|longer"
        r"|more|way|fewer|less|need to worry)\b"
    ),
    bounds=_pattern(
        r"\b(?:not|no)\b(?:.*\s)?(?:(?:more|less|fewer|later|longer|earlier|sooner|higher|lower|older) than"
        r"|(?P<until>until|till|before))$"
    ),
    concedes=_pattern(r"(?:al|even )though\b|despite\b|even if\b"),
    hedges=_set(
        "could would should might maybe perhaps possibly possible possibility alternatively another "
        "other also answer correct likely probably sometimes called known named however although though "
        "think believe guess sure even either option others more precisely exactly rather specifically "
        "namely better fact really truly instead indeed"
    ),
    corrects=_pattern(
        r"\b(?:no,?\s+wait|wait,?\s+no|no,\s+(?:that|this|it)|wait|sorry|actually"
        r"|on\s+second\s+thoughts?|correction|scratch\s+that|oops|whoops"
        r"|i\s+mean(?:t(?:\s+to\s+say)?)?|my\s+mistake|"
        r"let\s+me\s+correct\s+(?:that|myself)|(?:that|this|it)(?:\s+is|\s+was"
        r"|['’]s)\s+(?:not\s+(?:right|true|correct)|wrong|incorrect)(?!\s+that)"
        r"|(?:that|this|it)\s+(?:is|was)n['’]t\s+(?:right|true|correct)(?!\s+that))\b"
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
            "der die das ist und nicht ein eine von zu mit auf für im den dem wie viele wer wo wann "
            "welche es man darf kann ich sie er wir wird werden sich bei nur auch"
        ),
        yes=_set("ja jawohl richtig"),
        no=_set("nein falsch"),
        alternatives=_set("oder"),
        joints=_set("und"),
        denials=_set(
            "keineswegs keinesfalls mitnichten ohne nicht kein keine keinen keinem keiner "
            "keines weder nie niemals "
            "niemand nirgends noch"
        ),
        denies_nothing=_set("nur bloß bloss allein geringerer geringere"),
        denied_before=_pattern(
            r"\b(?:alles andere als|statt|anstatt|anstelle von|im gegensatz zu|anders als|außer|nicht mehr)"
            r"(?: der| die| das| dem| in)*$"
        ),
        denied_after=_pattern(
            r"\s*(?:ist|war|sind|waren)?\s*(?:es\s+|das\s+)?"
            r"(?:(?:aber|jedenfalls|sicher|leider|auch)\s+)?(?:nicht|kein|keine|falsch|keineswegs)\b"
            r"|(?!(?:und|aber|sondern|oder)\b)(?:\w+\s){1,8}(?:nicht(?:\smehr)?(?:\s\w+(?:t"
            r"|en))?|nie|niemals|keinesfalls)$"
        ),
        contrasts=_set("sondern aber"),
        misbelief=_pattern(
            r"\b(?:(?:früher|lange|oft|häufig|manchmal|viele|manche)\b.{0,30}\b(?:hielt\w*|glaub\w+"
            r"|dacht\w+|denk\w+"
            r"|mein\w+|vermut\w+)|(?:hielt|glaubte|dachte) man|fälschlich\w*|irrtümlich\w*)\b"
        ),
        refutes=_pattern(
            r"^scheide[tn] aus\b|^hat(?:te)?n? (?:damit |es )?nichts\b|\bzu unrecht\b"
            r"|^kommt nicht in (?:frage|betracht)\b|\| (?:irrt|stimmt nicht)\b|^ist (?:eine? )?falsche?\b"
            r"|\| (?:ist|war) (?:falsch|unwahr|nicht wahr|ein irrtum)\b|\bgilt\b.{0,20}\bals (?:widerlegt"
            r"|falsch|überholt)\b"
            r"|\b(?:das|dies) (?:ist|war|stimmt)(?: aber| jedoch| leider)? (?:falsch|nicht|ein irrtum"
            r"|widerlegt)\b"
        ),
        denies_nouns=_set("kein keine keinen keinem keiner keines"),
        former=_pattern(
            r"\b(?:früher|einst|einstmals|ehemals|vormals|bis \d{4} (?:war|stand|lebte|hatte)"
            r"|(?:war|stand|lebte)\b.*\bbis \d{4})\b"
        ),
        subordinates=_set("dass"),
        bounds=_pattern(
            r"\bnicht\b(?:.*\s)?(?:(?P<until>vor)|(?:mehr|länger|später|früher|weniger"
            r"|höher) als)(?: de[mrn])?$"
        ),
        concedes=_pattern(r"(?:obwohl|obgleich|obschon|wenngleich|auch wenn|trotz)\b"),
        hedges=_set(
            "auch vielleicht möglicherweise eventuell womöglich vermutlich wahrscheinlich oder könnte "
            "wäre manchmal sonst ebenfalls ebenso außerdem antwort richtig heißt lautet aber andere "
            "weitere genauer präziser besser eigentlich nämlich tatsächlich sondern dies diese dieser "
            "dieses einem einen einer eines haben wird wurde wurden werden sein seine ihre nein doch "
            "noch sich"
        ),
        corrects=_pattern(
            r"\b(?:entschuldigung|halt|warte|verzeihung|korrektur|pardon|sorry|ich\s+meine|vielmehr|moment"
            r"|ich\s+korrigiere|(?:besser|genauer)\s+gesagt|nein,?\s+(?:doch|das|es|halt|warte"
            r"|moment|eigentlich)|ich\s+habe\s+mich\s+(?:geirrt|vertan|versprochen)"
            r"|das\s+(?:ist|war)\s+falsch)\b"
        ),
        marker=_pattern(r"\bantwort\b[^.?!\n:]{0,60}?(?:\b(?:ist|lautet|wäre|heißt)\b|:)"),
        decimal_comma=True,
    ),
    Language(
        "fr",
        common=_set(
            "le la les est et des une un du de il elle en pour qui dans que quel quelle combien au n l "
            "on ne pas se sont quels quelles"
        ),
        yes=_set("oui vrai"),
        no=_set("non faux"),
        alternatives=_set("ou"),
        joints=_set("et"),
        denials=_set("pas jamais aucun aucune ni non nullement guère point"),
        denies_nouns=_set("aucun aucune"),
        former=_pattern(
            r"\b(?:autrefois|jadis|naguère|anciennement|était\b.*\bavant$|(?:était|fut"
            r"|vivait)\b.*\bjusqu en \d{4})\b"
        ),
        denies_nothing=_set("seulement uniquement que"),
        denied_before=_pattern(
            r"\b(?:au lieu de?|plutôt qu?e?|contrairement à|sauf|excepté"
            r"|hors de question que ce soit|rien à voir avec|quitt\w+|loin de|(?:ne|n)(?: \w+){1,3} plus)"
            r"(?: l| le| la| les| à)*$"
        ),
        denied_after=_pattern(
            r"\s*(?:ne|n)\s(?:\w+\s){0,2}(?:pas|jamais|plus|point)\b"  # `a` is dropped as an article
            r"|\s*est (?:(?:une|la) )?mauvaise\b|\s*(?:c )?est (?:faux"
            r"|inexact|incorrect)\b"
        ),
        answers_nothing=_pattern(r"non (?:seulement|loin|pas que|plus)\b"),
        bounds=_pattern(r"\bpas\b(?:.*\s)?(?:(?P<until>avant)|plus de|moins de|plus tard que)(?: l[ea]?)?$"),
        concedes=_pattern(r"(?:bien qu|quoiqu|même si|malgre)\w*\b"),
        hedges=_set(
            "aussi peut-être peut être éventuellement probablement sans doute sinon également parfois "
            "pourrait serait réponse autre autres appelle encore fait précisément exactement plutôt "
            "mieux elle elles nous vous cela cette leur avec mais était sont dans pour"
        ),
        relatives=_set("qui"),
        contrasts=_set("mais"),
        misbelief=_pattern(
            r"\b(?:il est faux (?:qu\w*|de)|une erreur d\w+|(?:ne|n) (?:pense|pensons|crois"
            r"|croyons) pas qu\w*|(?:tout|n importe qu\w+)\b.{0,20}\bsauf|(?:on|beaucoup|certains"
            r"|les gens)\b.{0,20}\b(?:croi\w+|pens\w+|imagin\w+"
            r"|di[st]\w*)\b.{0,12}"
            r"\b(?:souvent|parfois|à tort|longtemps)|à tort)\b"
        ),
        refutes=_pattern(
            r"\| il n y (?:a )?(?:pas|plus|aucun)|^(?:absolument pas|pas du tout"
            r"|certainement pas|n a rien à voir)\b|\bc est (?:une erreur"
            r"|faux|inexact)\b"
            r"|\ba (?:depuis )?été (?:réfutée?|démentie?)\b"
        ),
        corrects=_pattern(
            r"\b(?:pardon|attend(?:s|ez)|un instant|excusez-moi|en\s+fait,?\s+non"
            r"|non,\s+(?:en\s+fait|c\W?est|attend\w*)|je\s+voulais\s+dire|oups|(?:au"
            r"|autant)\s+(?:temps\s+)?pour\s+moi|désolée?|rectification|correction"
            r"|je\s+(?:me\s+)?(?:corrige|reprends|rectifie)"
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
        denials=_set("no nunca jamás ni tampoco ningún ninguna nadie"),
        denies_nouns=_set("ningún ninguna"),
        former=_pattern(
            r"\b(?:antes(?! de)|antiguamente|anteriormente|(?:estuvo|estaba|era|fue"
            r"|vivía)\b.*\bhasta \d{4})\b"
        ),
        denies_nothing=_set("solo sólo solamente únicamente"),
        denied_before=_pattern(
            r"\b(?:en lugar de|en vez de|ya no es|ya no está en|traslad\w+ de|dejó|abandonó"
            r"|a diferencia de|excepto|salvo"
            r"|lejos de)(?: el| la)*$"
        ),
        denied_after=_pattern(
            r"\s*(?:ya\s+)?(?:no|nunca)\s+(?!sol[oa]\b|solamente\b)\p{L}+|\s*es (?:falso"
            r"|incorrect[oa]|erróne[oa])\b"
        ),
        answers_nothing=_pattern(
            r"no (?:solo|solamente|únicamente|obstante|importa|cabe|sabría|me consta|dispongo|consta"
            r"|tengo (?:ni |ninguna )?(?:idea|dudas?|información|datos)"
            r"|hay (?:ning[uú]na? )?(?:problemas?|dudas?|inconvenientes?)|est(?:oy|amos) segur[oa]s?"
            r"|puedo (?:decir|confirmar|saber|responder))\b"
        ),
        bounds=_pattern(r"\bno\b(?:.*\s)?(?:(?P<until>hasta|antes de)|más de|menos de)(?: el| la)?$"),
        concedes=_pattern(r"(?:aunque|a pesar de|pese a|si bien|aun cuando)\b"),
        hedges=_set(
            "también quizás quizá tal vez posiblemente probablemente acaso además igualmente podría "
            "sería respuesta otra otro otras otros veces llama exactamente precisamente mejor realmente "
            "realidad hecho sino pero esta este esto ella ellos como para fue está están"
        ),
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
            r"\b(?:perdón|perdona|espera|espere|un momento|en\s+realidad,?\s+no"
            r"|no,\s+(?:en\s+realidad|espera|es|está)|quise\s+decir|quiero\s+decir|digo(?=,)"
            r"|me\s+corrijo|miento|disculpe?|lo\s+siento|corrijo|rectifico|corrección"
            r"|mejor\s+dicho"
            r"|me\s+(?:he\s+)?equivo\w+)\b"
        ),
        marker=_pattern(r"\brespuesta\b[^.?!\n:]{0,60}?(?:\b(?:es|sería|era)\b|:)"),
        decimal_comma=True,
    ),
    Language(
        "zh",
        beside=(_pattern(r"(?:或者?|还是|和|与|及)$"), _pattern(r"(?:或者?|还是|和(?!平)|与|及)")),
        opens_yes=_pattern(
            r"(?:是(?!否)|没错|好的|对|可以|能(?!否)|会(?!否)|需要|当然|有(?!没有)|包含|包括|允许)"
        ),
        opens_no=_pattern(r"(?:不|否|没有|无需|无法|并不|并非|禁止|(?:当然|是)(?:不|没))"),
        answers_nothing=_pattern(
            r"(?:是|可以|能|会|对)(?:和|或|与|也|不是)|是(?:这|那|因|由|如|指)|不(?:难|[用必]担心|仅|但|只"
            r"|单|光|同|一定"
            r"|论|管|过|好说"
            r"|客气|好意思|太?(?:清楚|确定|知道|了解))"
            r"|没有?(?:问题|关系|事)|无(?:论|疑|所谓)|否则|对(?:于|此|不起|方|外|应|象|了)"
            r"|会(?:员|议|计|所|场|费|馆|长|话)|能(?:力|源|量)|有(?:关|些|时|人|可能|点|效|限|的\p{Han})"
            r"|需要(?:注意|说明|指出|确认|咨询|看|视)|可以(?:说|咨询|联系|查看|参考)|是的话"
        ),
        concedes=_pattern(r"(?:虽然?|尽管|即使|即便)"),
        denied_before=_pattern(
            r"(?:不|不是|不再(?:是|位于)?|而不是|并非|并不是|不在|不叫|没有|非|绝不是|除了|不会"
            r"|不可能|从未|从不"
            r"|从来没有?|没有?人说|搬离|迁离|离开|不认为"
            r"|未曾?)(?:是|在"
            r"|叫|位于)?$"
        ),
        denied_after=_pattern(r"(?:并?不是|不对|是错|是不对|以外|并非|不再是|并?没有|(?:搬|迁)(?:到|往|至))"),
        former=_pattern(r"(?:以前|从前|曾经?|过去)"),
        misbelief=_pattern(r"(?:误以为|误认为|以为|错认为)"),
        refutes=_pattern(
            r"(?:这|那|此说)(?:[种个]?说法)?是?(?:错误|错|误解|误传|谣言)|^与.{0,12}无关|已被否定"
        ),
        corrects=_pattern(
            r"(?:不对|更正|纠正|口误|说错了|弄错了|我?搞错了|记错了|准确地?说|等等|等一下|抱歉"
            r"|对不起|不好意思)"
        ),
        marker=_pattern(r"答案(?:应该|应当)?(?:就)?(?:是|为|：|:)"),
    ),
    Language(
        "ja",
        beside=(
            _pattern(r"(?:または|あるいは|もしくは|や|(?<!です)か|と)$"),
            _pattern(
                r"(?:または|あるいは|もしくは|や|か(?!ら|も|な|$)"
                r"|と(?=[\p{Han}\p{Katakana}])(?![呼言申定答考書思名記]))"
            ),
        ),
        opens_yes=_pattern(r"(?:はい(?!とも)|ええ|うん|そうです)"),
        opens_no=_pattern(r"(?:いいえ(?!とも)|いや|違います|ちがいます)"),
        answers_nothing=_pattern(
            r"(?:はい|いいえ)(?:と|か|でも)|ええ(?:と|っと)|いや(?:な|がら)|うん(?:ざり|と)|はい(?:る"
            r"|り|って|れ)"
        ),
        denied_after=_pattern(
            r"(?:さん|氏|市|県)?(?:でも[^、。]{1,16}でもな|(?:に|で)?(?:は|が|も)[^、。]{0,14}(?:ません"
            r"|ない)(?:でした|です)?$"
            r"|でもな|(?:で|じゃ)(?:は)?(?:な(?:い"
            r"|く)|無い|ありません|ございません)|(?:だ|である)?とは(?:違|異|限|言え|いえ|思え)"
            r"|にあるとは思え|のはずが|は違|を除|から.{1,12}(?:移転|移り|移動)|(?:に"
            r"|で)ある(?:わけ|の)では"
            r"|以外|(?:だ"
            r"|である)?と(?:よく)?(?:思われがち|思われてい|誤解|勘違い|間違わ|混同))"
        ),
        former=_pattern(r"以前|かつて|昔は|にあった(?![もと])|にありました"),
        refutes=_pattern(
            r"(?:誤り|間違い|誤解|デマ)(?:です|だ|である)|(?:とは|に)?関係(?:ありません|がありません|ない)"
        ),
        corrects=_pattern(
            r"(?:失礼|すみません|ごめん|もとい|正しくは|訂正|間違え|間違い|いや|違い?ました"
            r"|ではなく|じゃなく)"
        ),
        marker=_pattern(r"(?:答え|解答|回答|正解)(?:は|：|:)"),
    ),
    Language(
        "ko",
        alternatives=_set("또는 혹은"),
        beside=(_pattern(r"(?:또는|혹은|이?나)\s?$"), _pattern(r"(?:\s?또는|\s?혹은|이?나\s|이?거나)")),
        opens_yes=_pattern(r"(?:네|예|그렇습니다|맞습니다)(?!\p{Hangul})"),
        opens_no=_pattern(r"(?:아니[요오]|아닙니다)"),
        answers_nothing=_pattern(r"(?:네|예)\s(?:가지|개|명|번|시|살|곳|달|권|사람)|아니면"),
        denied_after=_pattern(
            r"(?:이|가|은|는)?\s?아(?:니|닙|닌)|(?:은|는)(?:\s\p{Hangul}+){1,3}\s?아(?:니|닙|닌)"
            r"|\p{Hangul}{1,2}(?:\s?\p{Hangul}+){0,3}지\s?않"
        ),
        corrects=_pattern(r"(?:아니,|죄송|정정|실수|아니라|미안|잘못\s?말)"),
        marker=_pattern(r"(?:정답|답|대답)(?:은|:)"),
    ),
    Language(
        "th",
        beside=(_pattern(r"(?:หรือ|และ)\s?$"), _pattern(r"\s?(?:หรือ|และ)")),
        opens_yes=_pattern(r"(?:ใช่|ได้)"),
        opens_no=_pattern(r"ไม่"),
        answers_nothing=_pattern(
            r"ไม่(?:แน่ใจ|ทราบ|รู้|เป็นไร|เพียง|ใช่แค่"
            r"|ใช่เพียง"
            r"|มีปัญหา"
            r"|แน่|ว่า)"
            r"|ได้(?:แก่|ยิน)"
            r"|ใช่(?:ไหม|หรือ)"
        ),
        denied_before=_pattern(r"ไม่(?:ใช่|ได้)?(?:อยู่ที่)?$"),
        denied_after=_pattern(r"\s?ไม่(?:ใช่|ได้)"),
        concedes=_pattern(r"(?:ถึง)?แม้"),
        misbelief=_pattern(r"(?:หลายคน|บางคน|คนส่วนใหญ่)(?:คิด|เชื่อ|เข้าใจ)|เข้าใจผิด"),
        corrects=_pattern(r"(?:ขอโทษ|ขออภัย|แก้ไข|ไม่ใช่สิ)"),
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
        denied_after=_pattern(r"\s*(?:(?:это|уже|больше|вовсе|никогда)\s+)*не\b"),
        answers_nothing=_pattern(r"нет (?:никаких )?(?:проблем|сомнений|данных|информации|ничего)\b"),
        former=_pattern(r"\b(?:(?<!не )(?:раньше|ранее)|прежде|когда-то)\b"),
        subordinates=_set("что"),
        bounds=_pattern(
            r"\bне\b(?:.*\s)?(?:(?P<until>раньше|ранее|до)|позже|позднее|более|больше|менее|дольше)$"
        ),
        concedes=_pattern(r"(?:хотя|несмотря на)\b"),
        misbelief=_pattern(
            r"\b(?:ошибочно|(?:многие|часто|некоторые|раньше)\b.{0,20}\b(?:дума|счита|полага|говор)\w+)\b"
        ),
        hedges=_set(
            "также тоже может быть возможно вероятно наверное иногда ещё еще ответ другой другая скорее "
            "именно самом деле этот этого она они была было были"
        ),
        contrasts=_set("а но"),
        refutes=_pattern(r"\bэто (?:неверно|ошибка|миф|неправда)\b|^не имеет отношения\b"),
        corrects=_pattern(
            r"\b(?:извините|простите|вернее|точнее|поправка|ошиб\w+|подожд\w+|исправ\w+"
            r"|поправлюсь|прошу\s+прощения|виноват|нет,\s+(?:это|не))\b"
        ),
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
        denied_after=_pattern(r"\s*(?:ليست|ليس|لم|لن|لا)(?!\p{L})"),
        answers_nothing=_pattern(
            r"لا (?:اعرف|اعلم|ادري|شك|باس|مشكلة|مانع|يهم|استطيع|يمكنني|توجد (?:مشكلة|معلومات))"
        ),
        former=_pattern(r"(?:سابقا|في الماضي)"),
        concedes=_pattern(r"(?:رغم|علي الرغم|مع ان)(?!\p{L})"),
        misbelief=_pattern(r"(?:يعتقد|يظن)(?:ون)?(?!\p{L})"),
        hedges=_set("ايضا ربما قد كذلك احيانا الاجابة"),
        contrasts=_set("بل"),
        corrects=_pattern(r"(?:عفوا|عذرا|معذرة|تصحيح|اقصد|اسف|اخطات|بل)(?!\p{L})"),
        marker=_pattern(r"(?:ال[إا]جابة|الجواب)(?:\s+(?:الصحيحة|الصحيح))?(?:\s+(?:هي|هو)|\s*:)"),
    ),
    Language(
        "he",
        yes=_set("כן נכון"),
        no=_set("לא"),
        alternatives=_set("או"),
        denials=_set("לא אינו אינה איננו איננה אין"),
        denies_nothing=_set("רק"),
        joints=_set("ו"),
        denied_after=_pattern(r"\s*(?:היא\s+|הוא\s+|כבר\s+)*(?:לא|אינה|אינו|איננה|איננו)(?!\p{L})"),
        answers_nothing=_pattern(r"לא (?:יודעת?|בטוחה?|רק|משנה|ברור|נורא)(?!\p{L})"),
        former=_pattern(r"(?:בעבר|לשעבר)"),
        concedes=_pattern(r"(?:למרות|אף על פי|אם כי|על אף)(?!\p{L})"),
        misbelief=_pattern(r"(?:רבים|אנשים|חלק)\s(?:\p{L}+\s)?(?:חושבים|סבורים|טועים|מאמינים)"),
        hedges=_set("גם אולי ייתכן כנראה לפעמים התשובה אחר אחרת"),
        contrasts=_set("אלא"),
        corrects=_pattern(r"(?:סליחה|טעיתי|תיקון|מתקנת?|התכוונתי|טעות|ליתר דיוק)(?!\p{L})"),
        marker=_pattern(r"התשובה(?:\s+הנכונה)?(?:\s+(?:היא|הוא)|\s*:)"),
    ),
    Language(
        "hi",
        yes=_set("हाँ हां जीहाँ"),
        no=_set("नहीं ना"),
        alternatives=_set("या"),
        joints=_set("और"),
        denied_after=_pattern(r"\s*(?:[\p{L}\p{M}]+\s){0,6}(?:नहीं|न)(?![\p{L}\p{M}])"),
        answers_nothing=_pattern(r"(?:नहीं (?:पता|मालूम|जानता|जानती)|(?:पता|मालूम) नहीं)"),
        concedes=_pattern(r"(?:हालाँकि|हालांकि|यद्यपि|भले)(?![\p{L}\p{M}])"),
        misbelief=_pattern(r"लोग.{0,20}(?:सोचते|मानते|समझते)|गलती से"),
        hedges=_set("भी शायद संभवतः कभी उत्तर दूसरा"),
        corrects=_pattern(r"(?:क्षमा|माफ|गलती|सुधार|रुकिए|रुको|खेद)"),
        marker=_pattern(r"(?:उत्तर|जवाब)(?:\s+है|\s*:)"),
    ),
    Language(
        "tr",
        common=_set(
            "evet hayır mu mı mi mü ve bir bu için ile ne kadar nedir kim kimdir hangi hangisi nerede "
            "zaman değil değildir kaç başkenti olarak olan daha gün lira saat yılında tarihinde"
        ),
        yes=_set("evet doğru"),
        no=_set("hayır yanlış"),
        alternatives=_set("veya ya yahut"),
        joints=_set("ve ile"),
        former=_pattern(r"\b(?:eskiden|önceden)\b"),
        denied_after=_pattern(r"\s*(?:(?!ve\b|ama\b)\w+\s){0,5}değil"),
        answers_nothing=_pattern(r"(?:doğru|yanlış) (?:cevap|yanıt)\b"),
        hedges=_set("da de belki muhtemelen ayrıca bazen olabilir cevap başka diğer"),
        corrects=_pattern(
            r"\b(?:pardon|özür\s+dilerim|düzelti\w+|düzeltme|yanılmışım|yanlış\s+söyledim|daha\s+doğrusu"
            r"|affedersiniz|kusura\s+bakma\w*)\b"
        ),
        marker=_pattern(r"\b(?:cevap|yanıt)\b\s*:?"),
        decimal_comma=True,
    ),
)
LANGUAGES = MappingProxyType({language.code: language for language in _LISTED})
OTHER_LANGUAGE = Language("")
"""A language that nothing is known of."""

AND_WORDS, OR_WORDS = (
    "|".join(sorted(set().union(*listed) - {"و", "ו"}, key=len, reverse=True))
    for listed in ([known.joints for known in _LISTED], [known.alternatives for known in _LISTED])
)
"""`And` and `or` of all languages that part words by spaces, as alternations."""

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
            if found == "zh" and hint and language_of(hint).code == "ja":
                found = "ja"  # a short reply may hold no kana
            return LANGUAGES.get(found, OTHER_LANGUAGE)
    if hint and not any(map(str.isalpha, text)):
        return language_of(hint)
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
