"""The vocabulary of answers: what is said around an option, as data. Read by `mentions`, `verdicts` and `rules`.

A name holds alternatives of a regular expression (text) or a compiled pattern. Nothing here decides anything.
"""

from __future__ import annotations

import re

from lmmbench.scorers.extract.asked import FIT


def _compiled(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


# --- endings: what closes a sentence right after an option -------------------------------------------------

LATER = r"[가-힣]{0,8}(?:(?<![다요만음네죠]) [가-힣]{1,6}){0,2}"
"""The rest of a predicate: its own syllables, and two more words while it is not closed."""
_SURE = r"이?다|이?죠|이?네요?|입니[다더]|이에요|예요|에요|이예요|이옵니다|임|이?랍니다|이?야|이?지요|아이가|이?라예|이우다|이?여유|이?구만유|이?랑께|이?요"
"""Copulas that close whatever follows."""
_OPEN = r"(?:이|인|일|입|임|여|예|에[요여]|야|요|라|랑|다|네|지|제|죠|쥬|구|군|고마|거든|잖|랍|[겠겄]|니[더껴]|더|우[다게]|수[다게]|마[씸씀씨]|유|였|겨|껴|꽈|꼬마|당|응께|시[더껴]|아이|아입|것[제지]|오|주게|마?시다)"
"""How copulas begin, in Seoul and in the dialects: 이라예, 이제, 구만유, 우다, 마씸, 이랑께, 인갑다, 이드래요 …"""
_PARTICLES = (
    r"가|이|은|는|을|를|도|으?로(?:서)?|와|과|이?나|이?랑|하고|의|만|이?란|이?라는|이?라고|이?라서?|이?라면|에서?|보다|처럼|까지|부터"
    r"|인|인데|인지|인가요?|인듯|일|일까요?|이?고|이?며|이?지만|이?므로|이?니까?|이기|이?거나|이?였(?:고|으나|지만)?|뿐|밖에|아니라|이?자|이?지|이?어야|께서"
)
_OPEN_END = r"(?=\s*(?:[^\w\s]|\n|$|[ㅋㅎㅠㅜ]))(?<![나만며서로을를은는의와과면])"
_OPENING = rf"(?!(?:{_PARTICLES}|이상|이하|이내|일지|인가)(?![가-힣])(?!지(?=\W*$)))"
COPULA = rf"(?:(?:{_SURE})(?![가-힣])|(?:이?지|이?라|이?제|이?고)(?=\s*[.!?~^ㅋㅎㅠㅜ]|\s*$)|{_OPENING}{_OPEN}[가-힣]{{0,6}}{_OPEN_END})"
_SAYING = (
    rf"(?:인|일) ?(?:것|거|듯|겁|게|성){LATER}|일 ?수(?:도| ) ?있(?:습니다|어요|다|음|겠){LATER}"
    r"|(?:이?랑 )?같(?:습니다|아요|아|다|네요|은데요?|음|심더|소|아유|구만유?|구먼유?|은디요?|애요|당께)| ?닮(?:수다|아|은)[가-힣]{0,3}"
    rf"|이?라고 ?(?:생각|봅|보|판단|추[측정]|할|확신|답|말|볼|사료|여겨){LATER}|이지 ?싶{LATER}|이?라 (?:할|하겠|생각|보|봅|판단|카){LATER}"
    rf"|으?로 ?(?:하겠|할게|할래|할께|정하|가겠|갈게|결정|선택|보입|보여|생각|추[측정]|판단|답하|고르|사료|봅|하것|하께|바꾸|바꿔|변경|수정|정정){LATER}"
    rf"|일 (?:가능성|확률)이 (?:가장 |제일 |더 |매우 )?(?:높|크|커){LATER}|[가이] ?(?:되겠|됩니|돼요|된다(?!면)){LATER}|[가이]? ?아닐까{LATER}|[가이]? ?아니[겠것](?:습|어|나|지|소|는){LATER}|[가이]? ?아이겠{LATER}"
    r"|[가이]? ?(?:아닙니[꺼까]|아닌교|아인교|아니우꽈|아녀[유요]?(?= ?\?)|아닌가요?(?: (?:싶|생각)[^\n.!?]{0,8})?)"
    r"|에 (?:한 ?표|걸[겠게래]|투표)[가-힣 ]{0,12}| (?:선택|고를게요?|할게요?|할래요?|갈게요?|찍을게요?|찍습니다|찍음|픽)"
    rf"|[을를] ?(?:정?답으로 )?(?:고르겠|고를게?|고를래|고릅|고른다|골랐|골라|(?:선?택|추천)(?:합|해요|했|한다|하겠|할)|찍겠|찍을|꼽겠|꼽습){LATER}"
)
_GOING_ON = r"이?지(?=,? [A-Z\d가-힣])|이?[고며](?=[ ,])"
_SPACED = r"마[씸씀씨]|아이가|아이라예?|아이[겠것][가-힣]{0,3}|아입[가-힣]{1,3}|입니[다더]|이?[다요]|임|맞음|예요|이에요|라예|인교|꽈"
ENDING = re.compile(
    rf"(?:{COPULA}|(?:{_SAYING}|{_GOING_ON})(?![가-힣]))|\s(?=[가-힣]{{2}})(?:{_SPACED}|{_SAYING})(?![가-힣])"
)
"""What says an option by standing after it: a copula, or `라고 생각합니다`, `로 하겠습니다`, `를 고르겠습니다`."""
ATTACHED = re.compile(rf"(?:{_PARTICLES})(?![가-힣])|{COPULA}")
"""What may stand directly on a label; any other Hangul makes a word of it: `A형`, `2일`, `B세포`."""
HANGUL_ATTACHED = re.compile(
    rf"\s?(?:{_SURE}|(?:인|일) ?(?:것|듯)[^\n.!?,]{{0,10}}|이?라고 ?(?:생각|봅|보|판단|할)[가-힣]{{0,6}}|[이가] (?:정답|답|맞|옳)[가-힣]{{0,6}})(?![가-힣])"
)
"""The closed list that may stand on a Hangul label, and only after a marker (`정답은 다입니다`)."""
SAID_OF = re.compile(
    r"\s?(?:[이가] )?(?:맞(?:습니다|아요|다|네요|수다|지예|데이|당께|지라|심더|아유|음)|같[가-힣]{1,4})"
)

# --- judgements: what a clause says of an option --------------------------------------------------------

_STEM = r"(?:정답|답|맞|옳|적절|알맞|적합|타당|정확|일치|해당|가깝|자연스럽|어울리|될|볼|고를|골라)"
_FEW = r"(?:(?![가-힣]{0,3}(?:고|며|지만|므로)[ ,])[가-힣]{1,3} ?){0,3}"
DENIED_DIRECTLY = _compiled(
    r"\s?(?:인 것)?(?:은|는|이|가|도|을|를)?\s?(?:모두 |다 |둘 다 |절대 |결코 )?"
    r"(?:아니(?!우꽈|겠|것)|아닌(?!교|가)|아닙(?!니[까꺼])|아님|아녀(?![유요]? ?\?)|아이고|아이라(?!예)|않|제외|빼고|빼면|말고|대신|보다"
    r"|와는? (?:달리|다르)|과는? (?:달리|다르))",
    r",? (?:is|are|was) (?:not|wrong|incorrect|false)",
    r",? (?:isnt|arent|cannot be|cant be)",
    r"\? ?(?:no\b|아니|아뇨|X\b)",
    r"[은는]? ?[(\[|→=>:-]{0,3} ?X(?!\w)",
)
AFFIRMED_DIRECTLY = _compiled(
    r"\? ?(?:yes\b|네|예|맞|그렇|O\b)", r"밖에 (?:없|안 남)", r"[은는]? ?[(\[|→=>:-]{0,3} ?O(?!\w)"
)
_DOUBTED = (
    r"(?:라고|다고|걸로|것으로|줄|로) ?(?:생각했|봤|보았|알았|여겼|생각하기 쉽|생각할 수|착각|오해|판단했(?!습|어|다[.\n])|볼 수도|잘못)|같지만|처럼 ?보"
    r"|같았|헷갈|혼동|고민|수도? 있(?:지만|으나|는데)|싶었|인가(?:요)? ?\?|일까(?:요)? ?(?:\?|생각)|인지|듯하지만|라는 (?:의견|주장|사람)"
    r"|다는 (?:의견|주장|사람)|might |looks? like|[이다]?라면|다면|맞(?:는지|을지)|[와과] ?(?:비슷|유사|헷갈|혼동|구별|구분|착각|관련)"
    r"|(?:[을를] (?:먼저 )?|부터 )(?:보면|살펴|검토|보겠|보자|분석|비교)|[을를] (?:고르|선택하|택하)(?:기|면)|\A에서 \Z|\A ?→ ?\Z|답했지만"
)
_DENIED = (
    r"오답|틀리|틀렸|틀린|지워|지우|배제|소거|제외|탈락|부적절|부적합|거리가 ?멀|관계가? ?없|관련이? ?없|상관이? ?없|무관|다르|다른 (?:뜻|말|의미)"
    rf"|{_STEM}{_FEW}(?:아니|아닌|아닙|않|못|없|어렵|힘들)|어색|아닌 것 같|wrong|incorrect|(?:is|are) not|isnt|false"
)
_ANSWERED = (
    r"(?:정답|(?<![가-힣])답)(?!이?라면|일까|일지|인지|이라고 (?:해|하|볼)|이려면)(?=입|이[다에예고며므죠니라]|임|예요|인 |일 |이 (?:맞|됩|된)|으로 |\)|\]| *$| *[.,!|\n—–-]|이? *$)"
    r"|the (?:correct |right |best )?answer|final answer"
)
_AFFIRMED = (
    r"(?:맞(?:습|아|다|네|죠|는|을|음|고|으|당|데|심|지|수|겠|제|쥬)|옳|적절|알맞|올바|적합|타당|가깝|가까|자연스|그럴[듯싸]|정확|일치|해당|틀림없|유력|낫|남(?:습|는다|게|아 |네)|좋(?:다|습|아|을|네|겠))"
    r"(?![^\n.!?]{0,8}(?:지만|으나|는데 )|[가-힣]{0,2}(?:까[?요 ]|는지|을지|면(?![가-힣])|다고 ?(?:해|하|볼)))"
    r"|(?<=[을를로] )(?:선택(?!하?면|하기)|고르겠|고를|골라|하겠|할게|할래|택하겠|택합|꼽)|correct|(?<= )right|best|fits|appropriate|suitable|most likely"
)
VERDICT = re.compile(
    r"(?=[가거걸것고골관그꼽낫남는다답라로맞무배부상선소싶알어에오올옳유을를이인일자적정제좋줄지처타탈택틀하할해헷혼수같듯될볼와과bcfimrstwalo])"
    rf"(?:(?P<doubt>{_DOUBTED})|(?P<no>{_DENIED})|(?P<answer>{_ANSWERED})|(?P<yes>{_AFFIRMED}))",
    re.IGNORECASE,
)
"""What is said of an option in its clause. The look ahead is a matter of speed: the characters that one can begin with."""
DENIED_BEFORE = re.compile(
    r"(?=[nirueo오아않없틀잘부어])(?:\bnot|isnt|never|rather than|instead of|unlike|except|neither|nor|eliminate|exclude|exclud(?:ed|ing)|오답[은:)]?"
    r"|(?:아닌|않은|않는|없는|틀린|잘못된|부적절한|어색한) (?:것|보기|선택지|건|답|표현)[은는이:]*)[ :|]*"
    r"(?:option |choice |the |an? )?[\[(]?\Z",
    re.IGNORECASE,
)
CORRECTION = _compiled(
    r"다시 [가-힣]",
    r"(?:^|(?<=[\s.…,!]))(?:아니[다요]?|아뇨|아냐|아|앗|아차)[,.!…]",
    r"잠깐|잠시만|정정|수정|사실은?|실은|실제로|오히려|\b(?:actually|wait|correction|on second thought|sorry|reconsider)\b",
)
CORRECTED_BEFORE = re.compile(
    r"(?=[다아앗잠정수사실오\sawncos])(?:다시 [가-힣 ]{1,14}|(?:^|(?<=[\s.…,!]))(?:아니[다요]?|아뇨|아냐|아|앗)[,.!…]+|(?<=[.…,!?])\s?아니|(?:잠깐|잠시)(?:만요?)?|정정[가-힣]{0,6}|수정[가-힣]{0,6}|"
    r"\b(?:actually|wait|no|correction|on second thought|sorry)|사실은?|실은|오히려)[\s,.:!…)-]*"
    r"(?:it is |its |it should be |it must be )?$",
    re.IGNORECASE,
)
SO_BEFORE = re.compile(
    r"(?=[따그결즉고→=;으므니때tshbicmr])(?:따라서|그러므로|그래서|그러니|결국|즉|고로|결과적으로|therefore|thus|so|hence|but|→|=>|;|으?므로|니까|때문에"
    r"|\b(?:its|it is|that is|(?:it|this|that) (?:should|must|would|could|has to) be|corresponds to|matches|refers to)(?: option| choice)?)[\s,:]*$",
    re.IGNORECASE,
)
CONTRASTED_BEFORE = re.compile(r"\s?(?:이|가|은|는)?\s?(?:말고|아니라|아니고|아닌|빼고)[\s,]*")

# --- joints: what stands between two options -------------------------------------------------------------

PAIR = re.compile(r"[ .,):\]|–—=→>/-]{0,6}(?:즉,? |인 |바로 )?[ (\[]{0,3}")
PAIR_AGREED = re.compile(r"(?:은|는|이|가|인|번)?[ .,):\]|–—=→>/-]{0,6}(?:즉,? |인 |바로 )?[ (\[]{0,3}")
JOIN = re.compile(
    r" ?(?:일 수도 있고|일 수도|일 가능성도 있고|이거나|거나|이나|나|와|과|이랑|랑|하고|및|또는|혹은|아니면|그리고|내지는?|인지|도"
    r"|,|/|·|&|、|\+|or|and|nor)[ ,]{0,2}(?:또는|혹은|아니면|그리고|or |and |nor )? ?",
    re.IGNORECASE,
)
COMMA = re.compile(r" ?[,、] ?")
AMONG = re.compile(r"\s?(?:둘 ?|셋 ?|이 ?)?(?:중에서?|중|가운데(?:서|에)?|사이에서?)(?![가-힣])")
TOPIC = re.compile(r"\s?(?:은|는|이|가|을|를|도)(?![가-힣])")
ABOUT = re.compile(r"[은는](?![가-힣])")
LIKENED = re.compile(r"(?:와|과|이?랑|하고|처럼)\s")
LEADS_UP = re.compile(r"(?:와|과|이?랑|하고|처럼|의|을|를|이|가)\s")
CLOSED = re.compile(r"\s*(?:$|[.,!)\]:;\n|–—-]|입니다|이다|예요|이에요|같|번 )")
LINE_JUDGEMENT = re.compile(r"[(\[|→] ?(정답|오답|O|X)(?:입니다)?[ )\]|.]*\Z")
TIGHT = re.compile(r"\s?[가이]\s(?:가장 |제일 |더 |바로 |아마도? )*|\s?(?:\(|\||→|-+>|=>|:|-)\s?|\s")
"""What may stand between an option's own text and the word that affirms it."""

# --- labels ------------------------------------------------------------------------------------------------

NATIVE = ("한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열")
SINO = "일이삼사오육칠팔구십"
ENGLISH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
ORDINALS = {"첫": 1, "첫째": 1, "둘째": 2, "셋째": 3, "넷째": 4} | {w: n for n, w in enumerate(NATIVE, 1)}
ORDINALS |= {f"{word}째": n for n, word in enumerate(NATIVE, 1) if n > 4} | {w: n for n, w in enumerate(ENGLISH, 1)}
NOUN = r"보기|선택지|선지|옵션|항목|option|choice"
_COUNTERS = (
    r"년도?|개?월|일(?! ?(?:것|거|듯|수|겁|까|성))|시간?|분|초|주(?:일|년)?|개국?|명|인(?! ?(?:것|거|듯|데|게|갑|가|지|교|겨))|인분|세기?|살|원"
    r"|달러|만|천|백|억|조|도|배|차|층|위|등|호|권|장|편|곡|마리|그루|송이|병|잔|컵|그릇|대|척|채|벌|켤레|쪽|페이지|줄|단계?|킬로|미터|센티|그램"
    r"|리터|퍼센트|프로|가지|종류?|점|학년|반|군데|곳|건|회|차례|음절|글자|자|박|주기|분기|시대|급|부|단원|절|항|문제|문항|번 ?문[제항]|지선다|계절"
    r"|번 (?:먹|가|오|하|이상|정도|쯤|더|만)|번씩|번이나(?! ?[\dA-J])|번이상|번지|km|kg|cm|mm|ml|mg|GB|MB"
)
_LEFT = r"(?:(?<![A-Za-z0-9가-힣])|(?<=답은)|(?<=답이)|(?<=정답)|(?<=\b답)|(?<=\b제)|(?<=것은)|(?<=보기)|(?<=선택지)|(?<=옵션))"
_FIRST = r"(?=[(\[1-9ㄱ-ㅎ보선옵항제첫두세네다여일아열둘셋넷마이삼사오육칠팔구십가나라바자차A-JLNOST])"
_HERE = r"(?:(?=[(\[])|(?<![가-힣A-Za-z])|(?<=[은이답제기지션]))"
"""Where a label, its noun or its bracket can begin: what `_LEFT` and the noun allow, told by one character. A matter of
speed: most syllables of `_FIRST` stand within a word."""
LABEL = re.compile(
    _FIRST + _HERE + rf"(?P<noun>(?<![가-힣A-Za-z])(?:{NOUN})\s{{0,2}}#?|\b제(?=\d))?(?P<open>[(\[]\s?)?(?:"
    rf"{_LEFT}(?:(?P<latin>(?<![&°+])(?<![A-Za-z0-9]-)(?<![Nn]/)(?<!비타민)(?<!비타민 )(?<!itamin )(?<!간염 )"
    r"[A-Ja-j](?![A-Za-z0-9+#%°&]|[-.~–][A-Za-z0-9]))"
    rf"|(?P<ordinal>(?:(?:첫|{'|'.join(NATIVE[1:])})\s?번째|{'|'.join(w for w in ORDINALS if w[-1] == '째')}"
    rf"|(?:{'|'.join(ENGLISH)})(?![a-z])|(?:1st|2nd|3rd|[4-9]th|10th)(?![a-z])|마지막(?=\s?(?:{NOUN}|것))|last(?=\s(?:{NOUN}|one)))"
    rf"(?P<thing>\s?(?:{NOUN}|것|거|답|one\b|answer))?)"
    r"|(?P<digit>(?<![-+°^])(?<!uestion )(?<!문제 )(?<!문항 )(?<!tep )(?<!\d[.:/~–])(?:10|[1-9])(?:\s?(?P<counted>번째)(?P<counted_thing>\s?(?:보기|선택지|선지|옵션|항목|것|답))?"
    r"|(?!\d|[.:/]\d|\s?[%°]|[A-Za-z]|\s?[~–-]\s?\d|\s?[+×*=÷^]\s?\d|[.)]\s?\(?[A-J](?![\w가-힣]|[.)] ?\S)"
    rf"|\s?(?:{_COUNTERS})(?:{_PARTICLES}|{COPULA})?(?![가-힣]))))"
    r"|(?P<jamo>[ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊ](?![ㄱ-ㅣ])(?<![ㄱ-ㅣ][ㄱ-ㅊ]))"
    r"|(?P<sino>(?<![가-힣])[일이삼사오육칠팔구십](?=\s?번(?!째)))|(?P<hangul>(?<![가-힣)\]])(?!다 (?:맞|옳))[가나다라마바사아자차])))"
    r"(?P<close>\s?[)\]])?(?P<beon>\s?번(?!째|지))?",
    re.IGNORECASE,
)
"""A label in any system, with the noun before it, the brackets around it and the 번 after it. `다 맞다` says `all of them`."""
ARTICLE = re.compile(r"\s+(?!(?:because|since|is|was|as|and|or|but|not|for|due|seems)\b)[A-Za-z]{2}")

# --- markers: what announces the answer ----------------------------------------------------------------------

_ADJECTIVE = r"(?:제|내|저의|나의|나온|올바른|맞는|옳은|알맞은|적절한|적합한|고른|선택한|예상|추정|the|my|our|correct|best|right|selected|chosen|likely)"
_CALLED = r"(?:정답|답안|답변|해답|답|선택(?!지)|answer(?!ed|ing|s)|ans|prediction)"
_THING = r"(?:것|건|보기|선택지|선지|옵션|항목|표현|답|뜻|의미|말|단어|번호)"
_NOUNED = rf"(?:{_CALLED}(?:\s?(?:번호|보기|기호|선택지|옵션))?(?:\s?(?:및|과|/|와|,)\s?(?:해설|풀이|이유|설명|근거))?|나머지|{FIT} {_THING})"
_PICKING = (
    r"(?:(?:고르|선택하|꼽|찍|택하|추측하|골라 ?보|따지)자면|(?:고르|찍으|꼽으|선택하|고른다|선택한다|찍는다|꼽는다|추측하|택한다|골라야 ?한다)면"
    r"|골라야 한다면|고르라면|고르라고 하면|(?:would|will|i?d|i?ll|i|to|have to|must|should) (?:choose|pick|select|go with|say|guess|answer)"
    r"|going with|^choose|(?:my )?(?:choice|guess|pick) (?:is|would be)|choice(?=\s?[:=])|(?:correct|right|best) (?:option|choice|one))"
)
MARK = re.compile(
    r"(?=[최결제내저나올맞옳알적고선예추정답해가자타일어남꼽찍택골따A-DF-IL-MOPR-TW])"  # what a marker can begin with
    rf"(?<![가-힣A-Za-z])(?:(?:(?P<final>최종(?:적인|적으로)?|결론(?:적으로)?|final(?:ly)?)[ ,]{{0,2}}(?:{_ADJECTIVE} )?(?P<noun>{_NOUNED})?"
    rf"|(?:{_ADJECTIVE} ){{0,3}}{_NOUNED})"
    r"(?: (?:here|to (?:the|this|that|your) (?:question|problem|quiz)))?"
    r"(?P<says>(?:은|는)요?|이|을|으로는?|이?란| (?:is|would be|should be|must be)|s(?= ))?"
    rf"|{_PICKING}(?P<picks>,|은|는| is)?)(?![가-힣])",
    re.IGNORECASE,
)
GLUE = re.compile(
    r"(?P<colon>[\s)\]]{0,2}[:=→>|])?[ )\](\[:=→>|,~…?–—-]{0,8}(?:\.{2,6} ?)?"
    r"(?:(?:바로|아마도?|역시|물론|당연히|결국|분명히?|제 생각에는?|probably|likely|most likely|clearly|definitely|label|choice|번호|보기)[ :=]{1,3})?[(\[ ]{0,2}",
    re.IGNORECASE,
)
GLUE_LINES = re.compile(
    r"(?P<as>(?: ?(?:다음|아래)와 같(?:습니다|다)| ?as follows)?)[ :.|)\]=-]{0,6}\n{1,4}[ •(\[>-]{0,4}"
)
# --- openings, closings, refusals ------------------------------------------------------------------------------

LEAD = re.compile(
    r"[\W_ㅋㅎㅠㅜㅇ]*(?:\d{1,2}[.)] ?)?(?:(?:음|네|넵|예|어|글쎄요?|흠|그냥|저는|[제내] 생각(?:에는|엔)|아마도?|ok|sure|well|maybe|probably|definitely|certainly|clearly"
    r"|[이그요]건|그거는?|[이그]기|assistant|(?:i think |id say )?(?:the|its|it is)|i think|id say|(?:q|question|문제|문항) ?\d{0,3}\s?번?[.:)]?"
    r"|(?:\d|한|두|세|네|다섯)\s?(?:개|가지|지선다)(?:의 보기)? ?중(?:에서?)?|중(?:에서?)?)[\s,.:…]+)?[\W_]*",
    re.IGNORECASE,
)
REST = re.compile(r"[^\w:]{0,40}(?:[ㅋㅎㅠㅜㅡ]|[^\w:]){0,20}")
_ABLE = (
    r"(?:답변|대답|응답|판단|선택|특정|확인|확정|도움|도와|제공|알려|고르|고를|풀|설명|언급|답하|답을|답|구별|구분|결정|추론|파악|식별|정답을)[가-힣]{0,4}"
    r"(?: ?[가-힣]{1,4}){0,3}? ?(?:어렵|힘들|불가|곤란|수가? 없|못하|못 하|못합|드리지 못|않겠|지 않습|지 않는다|삼가|제한|거부|거절)(?!지만|으나|는데|더라도)"
)
_SENSES = r"(?:볼|들을|열|접근할|인식할|읽을|재생할) 수가? 없(?:습|어|네|다|음|으)|(?:이미지|사진|그림|음성|파일|소리)[가-힣]{0,2} (?:보이|들리|열리|첨부되)지 않"
_KNOWS = (
    r"알 ?수가? 없(?:습니|어|네|다|음|구)(?!지만)|알기 어렵(?!지만|으나)"
    r"|(?<![가-힣])(?:잘 )?(?:모르겠|모르것|모르겄|모릅니|모르쿠|몰르쿠|몰르것|모른다(?![가-힣])|모름|몰[라러](?:요|유|예|여)?(?![가-힣]))(?!지만|으나|는데)(?![가-힣]{1,2}지만)"
)
_NONE_IS = (
    r"(?:정답|답|[맞옳]은 (?:것|보기|답)|맞는 (?:것|보기|답)|(?:적절|알맞|적합)[한은] (?:것|보기|답)|해당 ?사?항?|보기|선택지)(?:이|가|은|는|도)?"
    r"(?: (?:보기에|여기에?|이 ?중에는?|중에는?|전혀|따로|아예|아무것도))? ?[:=]? ?없(?:음|습니|어|다|네|는 것|어라)"
    r"|(?:보기|선택지)(?:가|는|들은|들이)? (?:모두|전부|다|어느 것도) [^\n.]{0,10}(?:아닙|아니다|아니에|않습|않아|틀렸|오답)"
)
_ENGLISH_REFUSAL = (
    r"sorry|(?:cant|cannot|can not|unable to|wont|not able to|could not|couldnt)\b.{0,40}?(?:help|assist|answer|provide|determine"
    r"|comply|fulfill|view|see|hear|identify|choose|respond|say|know|discuss|select|pick)|(?:dont|do not) (?:really )?know|not sure|refuse to|answer is not (?:listed|given|among|here|provided)"
    r"|none of (?:the|these)|no (?:correct |right |valid )?(?:answer|option)|(?:must|have to) decline|(?:insufficient|not enough) (?:information|context)|as an ai\b"
)
REFUSAL = re.compile(
    r"(?=[답대응판선특확도제알고풀설언구결추파식정볼들열접인읽재이사그음소잘모몰맞옳적해보죄유acdhimnrsuw])"  # what one can begin with
    rf"(?:{_ABLE}|{_SENSES}|{_KNOWS}|{_NONE_IS}|죄송|유감스럽게도|정보가 (?:부족|충분하지)|{_ENGLISH_REFUSAL})",
    re.IGNORECASE,
)
"""A refusal in prose. What is outweighed in the same breath (`모르겠지만 …`) is none."""
