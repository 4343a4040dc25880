"""Read which option a model chose from its free-text answer to a closed question.

The way of an answer: `clean` (what is markup, thinking or a look-alike character goes), `read` (where is an option
named, and is it affirmed or denied there), then `RULES` in order: the first rule that has something to say decides.
No rule guesses: two options that stand side by side are `multi`, nothing found is `none`.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

EXTRACTOR_VERSION = 1

Status = Literal["ok", "multi", "none", "refuse"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was read. `choice` is the 1-based number of the option as shown, and stands only with status ok."""

    status: Status
    choice: int | None
    rule: str


# --- cleaning: the same characters, whoever typed them -------------------------------------------------

_HEAD, _TAIL = 4_000, 12_000
"""How much of a very long answer is read: its beginning and its end, where answers stand."""

_HANGUL_LABELS = "가나다라마바사아자차"
_JAMO_LABELS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊ"


def _enclosed() -> Iterator[tuple[int, str]]:
    """①, ⑴, ❶, Ⓐ, ㉠, ㉮ and their kin become (1), (A), (ㄱ), (가); NFKC would lose that they were labels."""
    latin, lower, digits = "ABCDEFGHIJ", "abcdefghij", [str(n) for n in range(1, 11)]
    runs: tuple[tuple[int, Sequence[str]], ...] = (
        (0x2460, digits), (0x2474, digits), (0x2488, digits), (0x24F5, digits), (0x2776, digits), (0x2780, digits),
        (0x278A, digits), (0x249C, lower), (0x24D0, lower), (0x24B6, latin), (0x1F110, latin), (0x1F130, latin),
        (0x1F150, latin), (0x1F170, latin), (0x3260, _JAMO_LABELS), (0x3200, _JAMO_LABELS),
        (0x326E, _HANGUL_LABELS), (0x320E, _HANGUL_LABELS),
    )  # fmt: skip
    for first, labels in runs:
        for offset, label in enumerate(labels):
            yield first + offset, f"({label})"


def _chars() -> dict[int, str]:
    """One table for all that is decided by a single character; Hangul compatibility jamo are not touched."""
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms
    table |= {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)}  # mathematical A, B
    table |= dict(_enclosed())
    invisible = [0xAD, 0x115F, 0x1160, 0x180E, 0x20E3, 0x3164, 0xFE0E, 0xFE0F, 0xFEFF, 0xFFA0, *range(0x200B, 0x2010)]
    table |= dict.fromkeys([*invisible, *range(0x202A, 0x202F), *range(0x2060, 0x206A)], "")
    table |= dict.fromkeys(map(ord, "\t\u00a0\u202f\u205f\u3000_{}"), " ") | dict.fromkeys(range(0x2000, 0x200B), " ")
    table |= dict.fromkeys(map(ord, "\r\v\f\x85\u2028\u2029"), "\n")
    table |= dict.fromkeys(map(ord, "\"'`´′″“”‘’„‟「」『』＂＇*$\\"), "")
    table |= dict.fromkeys(map(ord, "【〔［〈《〖⟨‹«"), "[") | dict.fromkeys(map(ord, "】〕］〉》〗⟩›»"), "]")
    table |= dict.fromkeys(map(ord, "✅✔☑⭕◯🟢"), "(정답)") | dict.fromkeys(map(ord, "❌✖✗✘❎⛔🚫"), "(오답)")
    return table


_CHARS = _chars()
_THINK = re.compile(
    r"<(?P<xml>/?)\s?(?:think|thinking|thought|reasoning|reflection|analysis|생각|사고|추론)\s?>|\[(?P<square>/?)THINK\]"
    r"|◁(?P<kimi>/?)think▷|<\|(?:begin|(?P<end>end))_of_thought\|>|(?P<channel><\|channel\|>final<\|message\|>)",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{")
_LATEX = re.compile(r"\\(?:text(?:bf|rm|it|sf)?|math(?:bf|rm|it|sf)|mbox|bm|left|right|quad|displaystyle)(?![a-z])")
_FENCE = re.compile(r"```[a-zA-Z]*")
_STRIKE = re.compile(r"~~[^~\n]{1,200}~~")
_LINE_HEAD = re.compile(r"(?m)^ *[#>]+ *")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OBJECT = re.compile(r"\{[^{}]{2,2000}\}")
_TAG = re.compile(r"<(/?)([^<>\n]{1,40})>")
_FORMAT_TAG = re.compile(r"(?:b|strong|em|i|u|p|div|span|code|mark|center|font|h\d)(?: .*)?")
_LABEL_TAG = re.compile(r"(?:[A-J]|10|[1-9]|[가나다라마바사아자차ㄱ-ㅊ])번?")
_ANSWER_NAME = re.compile(
    r"(?P<final>최종|final)?(?:정답|답|답안|답변|해답|선택|correct(?:answer|option)|selected(?:answer|option)?|answer|ans"
    r"|choice|(?<=최종)|(?<=final))(?:번호|보기|선택지)?",
    re.IGNORECASE,
)


def _marker_for(name: str) -> str:
    """The marker that a JSON key, a tag or a table head stands for; empty when it names no answer."""
    match = _ANSWER_NAME.fullmatch(re.sub(r"[\s_\-]", "", name))
    if not match:
        return ""
    return "최종 정답: " if match["final"] else "정답: "


def _without_thinking(text: str) -> str:
    """Cut think blocks; a close tag without an open one ends thinking that began with the text, an open one rules."""
    kept: list[str] = []
    start, thinking = 0, False
    for tag in _THINK.finditer(text):
        if any(tag[name] for name in ("xml", "square", "kimi", "end", "channel")):
            if not thinking:
                kept.clear()
            start, thinking = tag.end(), False
        elif not thinking:
            kept.append(text[start : tag.start()])
            thinking = True
    return "\n".join(kept if thinking else [*kept, text[start:]])


def _capped(text: str) -> str:
    """Head and tail of a very long text. The seam's Hangul keeps a word cut in two from looking like a label."""
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}힣\n힣{text[-_TAIL:]}"


def _object_answer(match: re.Match[str]) -> str:
    """A JSON object with a key for the answer becomes `정답: <value>`; any other object stays as it is."""
    try:
        members = json.loads(match[0])
    except (ValueError, RecursionError):
        return match[0]
    for key, value in members.items():
        if (marker := _marker_for(key)) and isinstance(value, str | int | list) and not isinstance(value, bool):
            return f"\n{marker}{', '.join(map(str, value)) if isinstance(value, list) else value}\n"
    return match[0]


def _tag_text(match: re.Match[str]) -> str:
    """<정답> is a marker, <b> is nothing, <B> is a label in brackets, <br> and the rest only part the text."""
    name = match[2].strip()
    if not match[1] and (marker := _marker_for(name)):
        return f"\n{marker}"
    if _FORMAT_TAG.fullmatch(name):
        return ""
    return f"({name})" if _LABEL_TAG.fullmatch(name) and not match[1] else "\n" if name.startswith("br") else " "


def _is_rule(line: str) -> bool:
    return "-" in line and "|" in line and not line.strip(" |:-+")


def _column_answer(head: str, rows: list[str]) -> str:
    """The answer of a table that has a column for it and one row: `| 번호 | 정답 |` over `| 1 | B |`."""
    if "|" not in rows[0] or any("|" in row for row in rows[1:]):
        return ""
    cells = (part.strip(" |").split("|") for part in (head, rows[0]))
    for name, cell in zip(*cells, strict=False):
        if marker := _marker_for(name):
            return f"\n{marker}{cell.strip()}\n"
    return ""


def _without_tables(text: str) -> str:
    """Drop the |---| lines; a column of answers with one row becomes a marker after the table's head."""
    if "|" not in text:
        return text
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if _is_rule(line):
            lines[at] = _column_answer(lines[at - 1], lines[at + 1 : at + 3]) if 0 < at < len(lines) - 1 else ""
    return "\n".join(lines)


def _plain(text: str) -> str:
    """What is done alike to answers and options: characters to their plain form, thousands commas out."""
    return _THOUSANDS.sub("", unicodedata.normalize("NFC", text.translate(_CHARS)))


def clean(answer: str) -> str:
    """The answer as plain text: no thinking, no markup, JSON and tags turned into markers."""
    text = _capped(_without_thinking(unicodedata.normalize("NFC", answer)))
    text = _OBJECT.sub(_object_answer, text) if "{" in text and "\\" not in text else text
    text = _LATEX.sub("", _BOX.sub(" 정답: {", text)) if "\\" in text else text
    text = _plain(_STRIKE.sub("", _FENCE.sub("\n", text)))
    text = _TAG.sub(_tag_text, text) if "<" in text else text
    return _LINE_HEAD.sub("", _without_tables(text))


# --- vocabulary: what stands after an option, and says what is thought of it ---------------------------

_COPULA = (
    r"이?(?:다|요|죠|쥬|지요|네요?|랍니다|래요|올시다|외다|오|잖아요?|거든요?|군요?|구나|데이|제|제라|지라우?|라우|어라"
    r"|여라|여유|유|어유|구만유?|구먼유?|구마|여|겨|랑께요?|당께요?|라니께|응께|우다게?|수다|라?마씸|라?마씀|라?마씨|라카이"
    r"|다아이가|다카이|라예|라요|라고요|드래요|더래요|니더|시더|껴|지비|꼬마|꼬마이|임둥|입지비|야|였다|였어요|였네요|었다|었어요|주게|지예|고마)"
    r"|입니다|입니더|입니데이|임니다|입네다|이에요|예요|에요|이예요|이옵니다|옵니다|이로소이다|임|임더|아이가|아이라예?|아입니까|아입니꺼"
    r"|인교|인겨|인디요?|인데요|이?꽈|인갑(?:다|네|소)|임메|입메다|였습니다|이었습니다"
)
"""Copulas, polite, plain and of the dialects, that close `B…` or `2번…`."""
_LATER = r"[가-힣]{0,8}(?:(?<![다요만음네죠]) [가-힣]{1,6}){0,2}"
_MODAL = (
    rf"(?:인|일) ?(?:것|거|듯|겁|게|성){_LATER}|일 ?수(?:도| ) ?있(?:습니다|어요|다|음|겠){_LATER}"
    r"|(?:이?랑 )?같(?:습니다|아요|아|다|네요|은데요?|음|심더|소|아유|구만유?|구먼유?|은디요?|애요|당께)"
    rf"|이?라고 ?(?:생각|봅|보|판단|추[측정]|할|확신|답|말|볼|사료|여겨){_LATER}|이지 ?싶{_LATER}"
    rf"|으?로 ?(?:하겠|할게|할래|할께|정하|가겠|갈게|결정|선택|보입|보여|생각|추[측정]|판단|답하|고르|사료|봅|하것|하께){_LATER}"
    rf"|일 가능성이 (?:높|크|커){_LATER}|[가이]? ?아닐까{_LATER}|[가이]? ?아니겠(?:습|어|나|지){_LATER}"
    r"|[가이]? ?(?:아닙니[꺼까]|아닌교|아인교|아니우꽈|아녀[유요]?(?= ?\?)|아닌가요?(?: (?:싶|생각)[^\n.!?]{0,8})?)"
    rf"|이?라 (?:할|하겠|생각|보|봅|판단){_LATER}"
    r"| (?:선택|고를게요?|할게요?|할래요?|갈게요?|찍을게요?|찍습니다|찍음|픽)"
    rf"|[을를] ?(?:정?답으로 )?(?:고르겠|고를게|고를래|고릅|고른다|골랐|골라|(?:선?택|추천)(?:합|해요|했|한다|하겠|할)|찍겠|찍을|꼽겠|꼽습){_LATER}"
    r"|이?지(?=,? [A-Z\d가-힣])|이?[고며](?=[ ,])"
)
_PARTICLE = (
    r"가|이|은|는|을|를|도|으?로(?:서)?|와|과|이?나|이?랑|하고|의|만|이?란|이?라는|이?라고|이?라서?|이?라면|에서?|보다|처럼|까지|부터"
    r"|인|인데|인지|인가요?|인듯|일|일까요?|이?고|이?며|이?지만|이?므로|이?니까?|이기|이?거나|이?였(?:고|으나|지만)?|뿐|아니라|이?자|이?지|이?어야|께서"
)
_ENDING = re.compile(rf"(?:{_COPULA}|{_MODAL})(?![가-힣])|\s(?=[가-힣]{{2}})(?:{_COPULA}|{_MODAL})(?![가-힣])")
_ATTACHED = re.compile(rf"(?:{_PARTICLE}|{_COPULA})(?![가-힣])")
"""What may stand directly on a label; any other Hangul makes a word of it: `A형`, `2일`, `B세포`."""
_HANGUL_ATTACHED = re.compile(
    r"\s?(?:입니다|이다|예요|이에요|에요|임|요|이요|이옵니다|아이가|이?라예|이여유|입니더|이랑께|이구만유|이?죠|이지요|이네요|이우다"
    r"|(?:인|일) ?(?:것|듯)[^\n.!?,]{0,10}|이?라고 ?(?:생각|봅|보|판단|할)[가-힣]{0,6})(?![가-힣])"
)
"""The closed list that may stand on a Hangul label, and only after a marker (`정답은 다입니다`)."""

_STEM = r"(?:정답|답|맞|옳|적절|알맞|적합|타당|정확|일치|해당|가깝|자연스럽|어울리|될|볼|고를|골라)"
_WORDS = r"(?:(?![가-힣]{0,3}(?:고|며|지만|므로)[ ,])[가-힣]{1,3} ?){0,3}"
_DENIED_DIRECTLY = re.compile(
    r"\s?(?:인 것)?(?:은|는|이|가|도|을|를)?\s?(?:모두 |다 |둘 다 |절대 |결코 )?"
    r"(?:아니(?!우꽈|겠)|아닌(?!교|가)|아닙(?!니[까꺼])|아님|아녀(?![유요]? ?\?)|아이고|아이라(?!예)|않|제외|빼고|빼면|말고|대신|보다|와는? (?:달리|다르)|과는? (?:달리|다르))"
    r"|,? (?:is|are|was) (?:not|wrong|incorrect|false)|,? (?:isnt|arent|cannot be|cant be)"
)
_DOUBTED = (
    r"(?:라고|다고|걸로|것으로|줄|로) ?(?:생각했|봤|보았|알았|여겼|생각하기 쉽|생각할 수|착각|오해|판단했|볼 수도|잘못)|같지만|처럼 ?보"
    r"|같았|헷갈|혼동|고민|수도? 있(?:지만|으나|는데)|싶었|인가(?:요)? ?\?|일까(?:요)? ?\?|인지|듯하지만|라는 (?:의견|주장|사람)"
    r"|다는 (?:의견|주장|사람)|might |looks? like|[이다]?라면|다면|맞(?:는지|을지)|[와과] ?(?:비슷|유사|헷갈|혼동|구별|구분|착각)"
    r"|(?:[을를] (?:먼저 )?|부터 )(?:보면|살펴|검토|보겠|보자|분석)|[을를] (?:고르|선택하|택하)(?:기|면)"
)
_DENIED = (
    rf"오답|틀리|틀렸|틀린|지워|지우|배제|소거|제외|탈락|부적절|부적합|거리가 ?멀|관계가? ?없|관련이? ?없|상관이? ?없|무관|다르|다른 (?:뜻|말|의미)"
    rf"|{_STEM}{_WORDS}(?:아니|아닌|아닙|않|못|없|어렵|힘들)|어색|아닌 것 같|wrong|incorrect|(?:is|are) not|isnt|false"
    r"|(?<=[:=|>(-] )X(?!\w)|(?<=[:=|>(-])X(?!\w)"
)
_ANSWERED = (
    r"(?:정답|(?<![가-힣])답)(?!이?라면|일까|일지|인지|이라고 (?:해|하|볼)|이려면)(?=입|이[다에예고며므죠니라]|임|예요|인 |일 |이 (?:맞|됩|된)|으로 |\)|\]| *$| *[.,!|\n]|이? *$)"
    r"|the (?:correct |right |best )?answer"
)
_AFFIRMED = (
    r"(?:맞(?:습|아|다|네|죠|는|을|음|고|으|당|데|심|지|수)|옳|적절|알맞|올바|적합|타당|가깝|가까|자연스|정확|일치|해당|틀림없|유력|낫|남(?:습|는다|게|아 |네)|좋(?:다|습|아|을|네|겠))"
    r"(?![^\n.!?]{0,8}(?:지만|으나|는데 )|[가-힣]{0,2}(?:까[?요 ]|는지|을지|면(?![가-힣])|다고 ?(?:해|하|볼)))"
    r"|(?<=[을를로] )(?:선택(?!하?면|하기)|고르겠|고를|골라|하겠|할게|할래|택하겠|택합|꼽)|correct|(?<= )right|best|fits|appropriate|suitable|most likely"
    r"|(?<=[:=|>(-] )O(?!\w)|(?<=[:=|>(-])O(?!\w)"
)
_VERDICT = re.compile(
    rf"(?P<doubt>{_DOUBTED})|(?P<no>{_DENIED})|(?P<answer>{_ANSWERED})|(?P<yes>{_AFFIRMED})", re.IGNORECASE
)
_CLAUSE = re.compile(r"[^\n.!?;]{0,80}\??")
_TIGHT = re.compile(r"\s?[가이]\s(?:가장 |제일 |더 |바로 |아마도? )*|\s?(?:\(|\||→|-+>|=>|:|-)\s?|\s")
"""What may stand between an option's own text and the word that affirms it."""
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|isnt|never|rather than|instead of|unlike|except|neither|nor|eliminate|exclude|exclud(?:ed|ing)|오답[은:)]?"
    r"|(?:아닌|않은|않는|없는|틀린|잘못된|부적절한|어색한) (?:것|보기|선택지|건|답|표현)[은는이:]*)[ :|]*"
    r"(?:option |choice |the |an? )?[\[(]?\Z",
    re.IGNORECASE,
)
_CORRECTED_BEFORE = re.compile(
    r"(?:다시 [가-힣 ]{1,14}|(?:^|(?<=[\s.…,!]))(?:아니[다요]?|아뇨|아냐|아|앗)[,.!…]+|정정[가-힣]{0,6}|수정[가-힣]{0,6}|"
    r"\b(?:actually|wait|no|correction|on second thought|sorry)|사실은?|실은|오히려)[\s,.:!…-]*"
    r"(?:it is |its |it should be |it must be )?$",
    re.IGNORECASE,
)
_SO_BEFORE = re.compile(
    r"(?:따라서|그러므로|그래서|그러니|결국|즉|고로|therefore|thus|so|hence|but|→|=>|;)[\s,:]*$", re.IGNORECASE
)


# --- reading: where options are named ------------------------------------------------------------------

_NATIVE = ("한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열")
_ORDINALS = {"첫": 1, "첫째": 1, "둘째": 2, "셋째": 3, "넷째": 4} | {w: n for n, w in enumerate(_NATIVE, 1)}
_ORDINALS |= {f"{word}째": n for n, word in enumerate(_NATIVE, 1) if n > 4}
_ENGLISH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINALS |= {word: n for n, word in enumerate(_ENGLISH, 1)}
_SINO = "일이삼사오육칠팔구십"
_COUNTERS = (
    r"년도?|개?월|일(?! ?(?:것|거|듯|수|겁|까|성))|시간?|분|초|주(?:일|년)?|개국?|명|인(?! ?(?:것|거|듯|데|게|갑|가|지|교|겨))|인분|세기?|살|원"
    r"|달러|만|천|백|억|조|도|배|차|층|위|등|호|권|장|편|곡|마리|그루|송이|병|잔|컵|그릇|대|척|채|벌|켤레|쪽|페이지|줄|단계?|킬로|미터|센티|그램"
    r"|리터|퍼센트|프로|가지|종류?|점|학년|반|군데|곳|건|회|차례|음절|글자|자|박|주기|분기|시대|급|부|단원|절|항|문제|문항|번 ?문[제항]"
    r"|번 (?:먹|가|오|하|이상|정도|쯤|더|만)|번씩|번이나|번이상|번지|km|kg|cm|mm|ml|mg|GB|MB"
)
_NOUN = r"보기|선택지|선지|옵션|항목|option|choice"
_LEFT = r"(?:(?<![A-Za-z0-9가-힣])|(?<=답은)|(?<=답이)|(?<=정답)|(?<=\b답)|(?<=\b제)|(?<=것은)|(?<=보기)|(?<=선택지)|(?<=옵션))"
_FIRST = r"(?=[(\[1-9ㄱ-ㅎ보선옵항제첫두세네다여일아열둘셋넷마이삼사오육칠팔구십가나라바자차A-JLNOST])"
"""Characters that a label can begin with: one look at most places instead of all of the alternatives."""
_LABEL = re.compile(
    _FIRST + rf"(?P<noun>(?<![가-힣A-Za-z])(?:{_NOUN})\s{{0,2}}#?|\b제(?=\d))?(?P<open>[(\[]\s?)?(?:"
    rf"{_LEFT}(?:(?P<latin>(?<![&°+])(?<!\w-)(?<![Nn]/)(?<!비타민)(?<!비타민 )(?<!itamin )(?<!간염 )"
    r"[A-Ja-j](?![A-Za-z0-9+#%°&]|[-.~–][A-Za-z0-9]))"
    rf"|(?P<ordinal>(?:(?:첫|두|세|네|다섯|여섯|일곱|여덟|아홉|열)\s?번째|{'|'.join(w for w in _ORDINALS if w[-1] == '째')}"
    rf"|(?:{'|'.join(_ENGLISH)})(?![a-z])|(?:1st|2nd|3rd|[4-9]th|10th)(?![a-z])|마지막(?=\s?(?:{_NOUN}|것))|last(?=\s(?:{_NOUN}|one)))"
    rf"(?P<thing>\s?(?:{_NOUN}|것|거|답|one\b|answer))?)"
    r"|(?P<digit>(?<![-+°^])(?<!\d[.:/~–])(?:10|[1-9])(?:\s?(?P<counted>번째)(?P<counted_thing>\s?(?:보기|선택지|선지|옵션|항목|것|답))?"
    rf"|(?!\d|[.:/]\d|\s?[%°]|[A-Za-z]|\s?[~–-]\s?\d|\s?[+×*=÷^]\s?\d|\s?(?:{_COUNTERS})(?:{_PARTICLE}|{_COPULA})?(?![가-힣]))))"
    r"|(?P<jamo>[ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊ](?![ㄱ-ㅣ])(?<![ㄱ-ㅣ][ㄱ-ㅊ]))"
    r"|(?P<sino>(?<![가-힣])[일이삼사오육칠팔구십](?=\s?번(?!째)))|(?P<hangul>(?<![가-힣])[가나다라마바사아자차])))"
    r"(?P<close>\s?[)\]])?(?P<beon>\s?번(?!째|지))?",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\s+(?!(?:because|since|is|was|as|and|or|but|not|for|due|seems)\b)[A-Za-z]{2}")


class Mention(NamedTuple):
    """An option named in the text. `weak`: 0 by itself a label, 1 only where one is expected, 2 only after a marker."""

    start: int
    end: int
    choices: frozenset[int]
    kind: Literal["L", "T"]
    weak: int = 0


@dataclass(slots=True)
class Group:
    """Mentions that belong together: a label with its text, or several options named side by side (`units`).

    `commas`: nothing but commas between the units. `gloss`: a label explained by its text (`A는 부추를 뜻한다`).
    """

    start: int
    end: int
    units: list[frozenset[int]]
    kinds: str
    weak: int
    commas: bool = True
    gloss: bool = False
    verdict: str = ""

    @property
    def choices(self) -> frozenset[int]:
        return frozenset[int]().union(*self.units)


# Between two mentions: what makes them one (`B. 상추`, `상추(B)`), and what sets them side by side (`A 또는 B`).
_PAIR = re.compile(r"[ .,):\]|–—=→>/-]{0,6}(?:즉,? |인 |바로 )?[ (\[]{0,3}")
_PAIR_AGREED = re.compile(r"(?:은|는|이|가|인|번)?[ .,):\]|–—=→>/-]{0,6}(?:즉,? |인 |바로 )?[ (\[]{0,3}")
_JOIN = re.compile(
    r" ?(?:일 수도 있고|일 가능성도 있고|이거나|거나|이나|나|와|과|이랑|랑|하고|및|또는|혹은|아니면|그리고|내지는?|인지|도"
    r"|,|/|·|&|、|\+|or|and|nor)[ ,]{0,2}(?:또는|혹은|아니면|그리고|or |and |nor )? ?",
    re.IGNORECASE,
)
_LINE_JUDGEMENT = re.compile(r"[(\[|→] ?(정답|오답|O|X)(?:입니다)?[ )\]|.]*\Z")
_LINE_HEADED = re.compile(r"(?:\A|\n)[\W_]*\Z")
_GLOSS = re.compile(r"[은는이가]\s")
_COMMA = re.compile(r" ?[,、] ?")
_AMONG = re.compile(r"\s?(?:둘 ?|셋 ?|이 ?)?(?:중에서?|중|가운데(?:서|에)?|사이에서?)(?![가-힣])")
_TOPIC = re.compile(r"\s?(?:은|는|이|가|을|를|도)(?![가-힣])")
_ABOUT = re.compile(r"[은는](?![가-힣])")
_CLOSED = re.compile(r"\s*(?:$|[.,!)\]:;\n|–—-]|입니다|이다|예요|이에요|같|번 )")
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=4096)
def _key(option: str) -> str:
    """What options are compared by: plain, without spaces, lower case, no full stop at the end."""
    return _SPACES.sub("", _plain(option)).lower().rstrip(".!?~。")


def _option_keys(options: Sequence[str]) -> list[tuple[str, frozenset[int]]]:
    """Each different option text and the options that read so, the longest first."""
    numbers: dict[str, set[int]] = {}
    for number, option in enumerate(options, 1):
        numbers.setdefault(_key(option), set()).add(number)
    found = [(key, frozenset(members)) for key, members in numbers.items() if key]
    return sorted(found, key=lambda pair: (-len(pair[0]), pair[0]))


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣"


def _wordlike(char: str) -> bool:
    return char.isalnum() or _is_hangul(char)


def _stands_alone(text: str, start: int, end: int, key: str) -> bool:
    """An option's text is named only as a word: nothing of a word before it, a particle or an ending at most after."""
    if start and _wordlike(text[start - 1]) and _wordlike(text[start]):
        return False
    after = text[end : end + 1]
    if not after or not _wordlike(after) or not _wordlike(text[end - 1]):
        return True
    if not _is_hangul(after):
        return not (after.isascii() and text[end - 1].isascii())
    if len(key) >= 6 or (len(key) > 3 and key[-1] in "다요음까"):
        return True
    return bool((_ATTACHED if len(key) > 1 else _HANGUL_ATTACHED).match(text, end))


def _text_mentions(text: str, options: Sequence[str]) -> list[Mention]:
    """Where an option's own text stands, the longest first: a text inside another option's text is not named."""
    squeezed = "".join(text.split())
    lower = squeezed.lower()
    if len(lower) == len(squeezed):
        squeezed = lower
    else:  # İ becomes two characters: such ones stay as they are, so that places stay right
        squeezed = "".join(low if len(low := char.lower()) == 1 else char for char in squeezed)
    keys = [pair for pair in _option_keys(options) if pair[0] in squeezed]
    if not keys:
        return []
    places = [at for at, char in enumerate(text) if not char.isspace()]
    taken = bytearray(len(squeezed))
    found: list[Mention] = []
    for key, choices in keys:
        for at in _finds(squeezed, key):
            start, end = places[at], places[at + len(key) - 1] + 1
            if not taken[at] and not taken[at + len(key) - 1] and _stands_alone(text, start, end, key):
                found.append(Mention(start, end, choices, "T"))
                taken[at : at + len(key)] = b"\1" * len(key)
    return sorted(found)


def _finds(text: str, key: str) -> Iterator[int]:
    """Every place where the key begins."""
    at = text.find(key)
    while at >= 0:
        yield at
        at = text.find(key, at + 1)


def _number(match: re.Match[str]) -> int:
    """The option's number that a label stands for, in whichever of the label systems it is written."""
    if match["latin"]:
        return ord(match["latin"].upper()) - ord("A") + 1
    if match["digit"]:
        return int(re.match(r"\d+", match["digit"])[0])  # type: ignore[index]
    for group, labels in (("sino", _SINO), ("hangul", _HANGUL_LABELS), ("jamo", _JAMO_LABELS)):
        if match[group]:
            return labels.index(match[group]) + 1
    word = match["ordinal"].removesuffix(match["thing"] or "").replace("번째", "").strip().lower()
    return int(digits[0]) if (digits := re.match(r"\d+", word)) else _ORDINALS.get(word, 0)


def _weakness(match: re.Match[str], text: str) -> int | None:
    """How far a label stands on its own (see Mention.weak); None where it is part of a word or an article."""
    attached = _is_hangul(text[match.end() : match.end() + 1])
    if match["close"]:
        return 0 if match["open"] or match["noun"] or (match["latin"] or "").isupper() else 1
    if match["hangul"] and not match["beon"]:
        if attached:
            return 2 if _HANGUL_ATTACHED.match(text, match.end()) else None
        return 0 if match["noun"] else 1
    if attached and not _ATTACHED.match(text, match.end()) and not _ENDING.match(text, match.end()):
        return None
    if match["latin"] and match["latin"] in "aAiI" and not match["noun"] and _ARTICLE.match(text, match.end()):
        return None
    if match["sino"]:
        return 1
    return 0 if _is_firm(match, attached) else 1


def _is_firm(match: re.Match[str], attached: bool) -> bool:
    """Written so that it can only be a label: `B`, `2번`, `보기 2`, `ㄴ`, `두 번째 보기`, `2가`."""
    named = match["noun"] or match["beon"] or match["thing"] or match["counted_thing"] or match["jamo"]
    return bool(named or attached or (match["latin"] or "").isupper())


def _label_mentions(text: str, count: int) -> list[Mention]:
    """Every label within the options' number; a last-option word (`마지막 보기`) is the last one."""
    found = []
    for match in _LABEL.finditer(text):
        weak = _weakness(match, text)
        if weak is None:  # most often the first syllable of a word, such as 다른 or 나이
            continue
        last = (match["ordinal"] or "").lower().startswith(("마지막", "last"))
        number = count if last else _number(match)
        if 1 <= number <= count:
            found.append(Mention(match.start(), match.end(), frozenset({number}), "L", weak))
    return found


def _without_overlap(labels: list[Mention], texts: list[Mention]) -> list[Mention]:
    """Labels inside an option's text are part of it; one that is the whole text counts for both readings."""
    kept = {mention.start: mention for mention in texts}
    starts = [mention.start for mention in texts]
    for label in labels:
        at = bisect.bisect_left(starts, label.end) - 1
        inside = texts[at] if at >= 0 and texts[at].end > label.start else None
        if inside is None:
            kept[label.start] = label
        elif label.end - label.start >= inside.end - inside.start:
            kept[inside.start] = label._replace(start=inside.start, choices=label.choices | inside.choices, kind="T")
    return [kept[start] for start in sorted(kept)]


def _link(text: str, group: Group, mention: Mention) -> str:
    """How a mention hangs together with the group before it: `pair`, `clash`, `join`, `comma` or not at all."""
    gap = text[group.end : mention.start]
    if len(gap) > 16:
        return ""
    if group.kinds[-1] != mention.kind:
        agreed = bool(group.units[-1] & mention.choices)
        if agreed and _PAIR_AGREED.fullmatch(gap):
            return "pair"
        if not agreed and _PAIR.fullmatch(gap) and _clashes(text, group, mention):
            return "clash"
    elif _COMMA.fullmatch(gap):
        return "comma"
    return "join" if _JOIN.fullmatch(gap) or (not gap and text[mention.start] in "([") else ""


def _clashes(text: str, group: Group, mention: Mention) -> bool:
    """`A. 상추` and `상추 (A)` say two things; `B. 부추와 달리…` and `상추, A는…` go on to something else."""
    if mention.kind == "L":
        return text[mention.start] in "([" and group.kinds[-2:] != "LT"
    rest = text[mention.end : mention.end + 24]
    return not _DENIED_DIRECTLY.match(rest) and bool(_CLOSED.match(rest) or _ENDING.match(rest))


def _grouped(text: str, mentions: list[Mention]) -> list[Group]:
    groups: list[Group] = []
    for mention in mentions:
        link = _link(text, groups[-1], mention) if groups else ""
        if not link:
            groups.append(Group(mention.start, mention.end, [mention.choices], mention.kind, mention.weak))
            continue
        group = groups[-1]
        gap = text[group.end : mention.start]
        group.end, group.weak = mention.end, min(group.weak, mention.weak)
        group.commas &= link != "join"
        group.gloss |= bool(group.kinds == "L" and _GLOSS.match(gap))
        if link == "pair":
            group.units[-1] &= mention.choices
        elif link == "clash":
            group.units[-1] |= mention.choices
        else:
            group.units.append(mention.choices)
        group.kinds += mention.kind
    return groups


def _verdict(text: str, group: Group, stop: int) -> str:
    """What the clause says of the options named: no, doubt, answer, yes, said (a copula only), or nothing ("")."""
    if _DENIED_BEFORE.search(text[max(0, group.start - 24) : group.start]):
        return "no"
    if at_line_end := _line_verdict(text, group):
        return at_line_end
    clause = _CLAUSE.match(text, group.end, min(stop, len(text)))
    rest = clause[0] if clause else ""
    if _DENIED_DIRECTLY.match(rest):
        return "no"
    found = _VERDICT.search(rest)
    ending = _ENDING.match(text, group.end)
    if ending and (not found or (found.lastgroup in ("yes", "answer") and found.start() > 0)) and "?" not in rest[-1:]:
        return _ending_verdict(ending[0])
    if found and found.lastgroup in ("answer", "yes") and not _may_affirm(group, rest[: found.start()]):
        return ""
    return str(found.lastgroup) if found else ""


def _line_verdict(text: str, group: Group) -> str:
    """`- B: 상추는 부루입니다. (정답)`: the judgement in brackets that closes the line an option heads."""
    if "L" not in group.kinds or not _heads_line(text, group.start):
        return ""
    end = text.find("\n", group.end, group.end + 300)
    found = _LINE_JUDGEMENT.search(text[group.end : end if end >= 0 else group.end + 300][-16:])
    return "" if not found else "answer" if found[1] in ("정답", "O") else "no"


def _heads_line(text: str, start: int) -> bool:
    return bool(_LINE_HEADED.search(text[max(0, start - 8) : start]))


def _ending_verdict(ending: str) -> str:
    """`B로 하겠습니다` and `B입니다` both say it; an ending that takes itself back does not."""
    return "doubt" if re.search(r"지만|으나|않|못|없|어렵|했는데|았는데", ending) else "said"


def _may_affirm(group: Group, between: str) -> bool:
    """A label may be affirmed from afar (`B는 …므로 적절하다`); an option's text only from next to it."""
    if "L" in group.kinds and not group.weak:
        return True
    return (
        bool(_TIGHT.fullmatch(between)) if "T" in group.kinds else bool(re.fullmatch(r"\s?[가이를을]\s.{0,6}", between))
    )


def _judged(text: str, groups: list[Group]) -> list[Group]:
    for at, group in enumerate(groups):
        group.verdict = _verdict(text, group, groups[at + 1].start if at + 1 < len(groups) else len(text))
    return groups


@dataclass(frozen=True)
class Reading:
    """A clean answer, the options, what it names of them, and the text with the options' own texts blanked."""

    text: str
    options: tuple[str, ...]
    groups: list[Group] = field(default_factory=list)
    masked: str = ""

    @property
    def count(self) -> int:
        return len(self.options)

    @cached_property
    def starts(self) -> list[int]:
        return [group.start for group in self.groups]

    @cached_property
    def claims(self) -> list[Claim]:
        return sorted([*_marked_claims(self), *_judged_claims(self)], key=lambda claim: claim.at)

    @cached_property
    def lines(self) -> list[tuple[int, int]]:
        """Where lines and closed Korean sentences begin and end, the empty ones left out."""
        cuts = [0, *(cut.end() for cut in _LINE_END.finditer(self.text)), len(self.text)]
        spans = itertools.pairwise(cuts)
        return [(start, end) for start, end in spans if self.text[start:end].strip(" \n|-*•·")]


class Claim(NamedTuple):
    """Somewhere the answer says which option it chooses: 3 finally, 2 by a marker, 1 by a plain statement."""

    at: int
    rank: int
    choices: frozenset[int]


_LINE_END = re.compile(r"\n+|(?<=[가-힣][다요까죠네음임유여])[.!?]+\s+")


def _masked(text: str, texts: list[Mention]) -> str:
    """The text with the options' own texts blanked, so that no marker or refusal is read inside one."""
    cuts = [0, *(edge for mention in texts for edge in (mention.start, mention.end)), len(text)]
    pieces = (text[a:b] if at % 2 == 0 else "\1" * (b - a) for at, (a, b) in enumerate(itertools.pairwise(cuts)))
    return "".join(pieces)


def _scan(text: str, options: Sequence[str]) -> Reading:
    texts = _text_mentions(text, options)
    mentions = _without_overlap(_label_mentions(text, len(options)), texts)
    return Reading(text, tuple(options), _judged(text, _grouped(text, mentions)), _masked(text, texts))


_LIST_END = re.compile(r"[ ).\]|,]*(?:$|\n|(?:최종 )?정답|답|answer|중|[(]?[1Aㄱ가][).])", re.IGNORECASE)
_TRIVIAL = re.compile(r"[\s,;/|·•().*\[\]>-]*")


def _echoes(reading: Reading) -> list[tuple[int, int]]:
    """The spans of option lists that are only repeated: all options in order with nothing said between them."""
    spans: list[tuple[int, int]] = []
    run: list[Group] = []
    everything = [frozenset({number}) for number in range(1, reading.count + 1)]
    for group in reading.groups:
        following = run and _TRIVIAL.fullmatch(reading.text, run[-1].end, group.start)
        run = [*run, group] if following and group.units == [{len(run) + 1}] else [group]
        whole = group.units == everything and len(group.kinds) == 2 * reading.count
        listed = len(run) == reading.count > 1 and run[0].units == [{1}]
        if (whole or listed) and not _followed(reading.text, group.end):
            spans.append((run[0].start, group.end))
            run = []
    return spans


def _followed(text: str, end: int) -> bool:
    """The last of a list is still only repeated when its line ends there; else something is said of it."""
    return not _LIST_END.match(text, end)


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    cuts = [0, *(edge for span in spans for edge in span), len(text)]
    return "\n\n".join(text[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True))


def read(answer: str, options: Sequence[str]) -> Reading:
    """Clean the answer, cut repeated option lists, and find every option named in what is left."""
    reading = _scan(clean(answer), options)
    spans = _echoes(reading)
    return _scan(_without(reading.text, spans), options) if spans else reading


# --- claims: where the answer says "this one" ----------------------------------------------------------

_ADJECTIVE = r"(?:제|내|저의|나의|나온|올바른|맞는|옳은|알맞은|적절한|적합한|고른|선택한|예상|추정|the|my|our|correct|best|right|selected|chosen|likely)"
_FIT = r"(?:적절한|알맞은|옳은|맞는|올바른|가까운|자연스러운|타당한|정확한|적합한|일치하는|해당하는|어울리는|남는|남은|가능한|고른|선택한)"
_CALLED = r"(?:정답|답안|답변|해답|답|선택(?!지)|answer(?!ed|ing|s)|ans|prediction)"
_THING = r"(?:것|건|보기|선택지|선지|옵션|항목|표현|답|뜻|의미|말|단어|번호)"
_NOUNED = rf"(?:{_CALLED}(?:\s?(?:번호|보기|기호|선택지|옵션))?(?:\s?(?:및|과|/|와|,)\s?(?:해설|풀이|이유|설명|근거))?|나머지|{_FIT} {_THING})"
_PICKING = (
    r"(?:(?:고르|선택하|꼽|찍|택하|추측하|골라 ?보|따지)자면|(?:고르|찍으|꼽으|선택하|고른다|선택한다|찍는다|꼽는다|추측하|택한다|골라야 ?한다)면"
    r"|골라야 한다면|고르라면|고르라고 하면|(?:would|will|i?d|i?ll|i|to|have to|must|should) (?:choose|pick|select|go with|say|guess|answer)"
    r"|going with|^choose|(?:my )?(?:choice|guess|pick) (?:is|would be)|choice(?=\s?[:=])|(?:correct|right|best) (?:option|choice|one))"
)
_MARK = re.compile(
    r"(?=[최결제내저나올맞옳알적고선예추정답해가자타일어남꼽찍택골따A-DF-IL-MOPR-TW])"  # what a marker can begin with
    rf"(?<![가-힣A-Za-z])(?:(?:(?P<final>최종(?:적인|적으로)?|결론(?:적으로)?|final(?:ly)?)[ ,]{{0,2}}(?:{_ADJECTIVE} )?(?P<noun>{_NOUNED})?"
    rf"|(?:{_ADJECTIVE} ){{0,3}}{_NOUNED})"
    r"(?: to (?:the|this|that|your) (?:question|problem|quiz))?(?P<says>은|는|이|을|으로는?|이?란| (?:is|would be|should be|must be)|s(?= ))?"
    rf"|{_PICKING}(?P<picks>,|은|는| is)?)(?![가-힣])",
    re.IGNORECASE,
)
_GLUE = re.compile(
    r"(?P<colon>[\s)\]]{0,2}[:=→>|])?[ )\](\[:=→>|,~…?–—-]{0,8}(?:\.{2,6} ?)?"
    r"(?:(?:바로|아마도?|역시|물론|당연히|결국|분명히?|제 생각에는?|probably|likely|most likely|clearly|definitely|label|choice|번호|보기)[ :=]{1,3})?[(\[ ]{0,2}",
    re.IGNORECASE,
)
_GLUE_LINES = re.compile(
    r"(?P<as>(?: ?(?:다음|아래)와 같(?:습니다|다)| ?as follows)?)[ :.|)\]=-]{0,6}\n{1,4}[ •(\[>-]{0,4}"
)
_LINE_START = re.compile(r"(?:^|\n)[^\n가-힣A-Za-z0-9]*(?:\d[.)] ?)?[^\n가-힣A-Za-z0-9]*\Z")
_LIKENED = re.compile(r"(?:와|과|이?랑|하고|처럼)\s")
_LEADS_UP = re.compile(r"(?:와|과|이?랑|하고|처럼|의|을|를|이|가)\s")
_STOP = re.compile(r"[\n!?]|\.(?=\s|$)")


def _marked_claims(reading: Reading) -> Iterator[Claim]:
    """What stands after a marker (`정답은 …`); nothing where the marker itself follows the option it speaks of."""
    for mark in _MARK.finditer(reading.masked):
        if _belongs_back(reading, mark):
            continue
        rank = 3 if mark["final"] else 2
        if choices := _after_mark(reading, mark):
            yield Claim(mark.start(), rank, choices)


def _belongs_back(reading: Reading, mark: re.Match[str]) -> bool:
    """`B가 정답`, `B (정답)`: a marker without particle or colon right after an option says that of the option."""
    at = bisect.bisect_left(reading.starts, mark.start()) - 1
    if at < 0 or mark["says"] or re.match(r"[\s)\]]*[:=]", reading.text[mark.end() : mark.end() + 4]):
        return False
    return bool(
        re.fullmatch(
            r"(?:\s?[이가]\s| ?[(\[|→=>:-]+ ?| )(?:바로 )?", reading.text[reading.groups[at].end : mark.start()]
        )
    )


def _after_mark(reading: Reading, mark: re.Match[str]) -> frozenset[int] | None:
    at = bisect.bisect_left(reading.starts, mark.end())
    group = reading.groups[at] if at < len(reading.groups) else None
    direct = group is not None and group.start - mark.end() < 40 and _is_glued(reading, mark, group.start)
    if group and direct and _usable(reading.text, group):
        colon = not mark["says"]
        if (
            group.commas
            and len(group.units) > 1
            and _TOPIC.match(reading.text, group.end)
            and (colon or group.verdict != "no")
        ):
            return group.units[0]
        if group.verdict not in ("no", "doubt"):
            later = _farther(reading, group.end) if _goes_on(reading.text, group) else None
            return later or group.choices
        return _farther(reading, group.end)
    glue = _GLUE.match(reading.text, mark.end())
    far = (mark["says"] and mark["says"] != "을") or mark["picks"] or (glue and glue["colon"])
    return _farther(reading, mark.end()) if far else None


def _goes_on(text: str, group: Group) -> bool:
    """`정답은 A와 B 중 B`, `정답은 부추와 비슷한 상추`: what stands first only leads up to the answer."""
    leads = _AMONG if group.verdict else _LEADS_UP if group.kinds[-1] == "T" else _LIKENED
    return bool(_AMONG.match(text, group.end) or leads.match(text, group.end))


def _is_glued(reading: Reading, mark: re.Match[str], start: int) -> bool:
    """Only punctuation lies between marker and option; a line break too when the marker heads its line."""
    gap = reading.text[mark.end() : start]
    if _GLUE.fullmatch(gap):
        return True
    over = _GLUE_LINES.fullmatch(gap)
    if re.fullmatch(r"\. ?[(\[]?", gap) and mark.start() == 0:
        return True
    heads = _LINE_START.search(reading.text[max(0, mark.start() - 12) : mark.start()])
    return bool(over and (over["as"] or ":" in gap or heads))


def _usable(text: str, group: Group) -> bool:
    """A bare Hangul label after a marker must end there: `정답은 다` counts, `정답은 다 맞는다` does not."""
    if group.kinds != "L" or group.weak != 1 or text[group.end - 1] not in _HANGUL_LABELS:
        return True
    return bool(_CLOSED.match(text, group.end) or _HANGUL_ATTACHED.match(text, group.end))


def _farther(reading: Reading, start: int) -> frozenset[int] | None:
    """The last option that the rest of the sentence says outright: `정답은 A가 아니라 B입니다`."""
    stop = _sentence_end(reading, start)
    first, last = bisect.bisect_left(reading.starts, start), bisect.bisect_left(reading.starts, stop)
    for group in reversed(reading.groups[first:last][-40:]):
        if group.verdict in ("said", "answer", "yes") or (not group.verdict and _ends(reading.text, group, stop)):
            return group.choices
    return None


def _sentence_end(reading: Reading, start: int) -> int:
    """Where the sentence ends, at most 300 characters on; the full stop of `B.` ends nothing."""
    for stop in _STOP.finditer(reading.text, start, start + 300):
        at = bisect.bisect_left(reading.starts, stop.start()) - 1
        if at < 0 or reading.groups[at].end != stop.start() or not reading.text[stop.end() : stop.end() + 2].strip():
            return stop.start()
    return min(len(reading.text), start + 300)


def _ends(text: str, group: Group, stop: int) -> bool:
    return group.weak < 2 and not text[group.end : stop].strip(' )]."')


def _judged_claims(reading: Reading) -> Iterator[Claim]:
    """Options that are affirmed where they stand: `B가 정답입니다`, `다시 보니 B가 맞습니다`, `저는 B라고 봅니다`."""
    for group in reading.groups:
        before = reading.text[max(0, group.start - 28) : group.start]
        ends = not group.verdict and _ends(reading.text, group, _sentence_end(reading, group.end))
        if group.verdict in ("answer", "yes", "said") or ends:
            if group.verdict == "answer" or _CORRECTED_BEFORE.search(before):
                yield Claim(group.start, 2, group.choices)
            elif _is_statement(group, before, ends):
                yield Claim(group.start, 1, group.choices)


def _is_statement(group: Group, before: str, ends: bool) -> bool:
    """A firm label that is affirmed or said; an option's text only when affirmed; a bare one after `따라서`."""
    if ends:
        return group.weak < 2 and bool(_SO_BEFORE.search(before))
    if group.gloss and group.verdict == "said":
        return False
    if "L" not in group.kinds:
        return group.verdict == "yes" or (len(group.units) == 1 and bool(_SO_BEFORE.search(before)))
    return group.weak == 0


# --- rules: the first that has something to say decides ------------------------------------------------

_LEAD = re.compile(
    r"[\W_]*(?:(?:음|네|넵|예|어|글쎄요?|흠|그냥|저는|제 생각에는|제 생각엔|아마도?|ok|sure|well|maybe|probably|그거는?|그건|(?:i think |id say )?(?:the|its|it is)|i think|id say)[\s,.…]+)?[\W_]*",
    re.IGNORECASE,
)
_REST = re.compile(r"\W{0,40}[ㅋㅎㅠㅜㅡ^~\W]{0,20}")
_OPEN_ENDING = re.compile(r"(?!이나|이상|이하|이내)[이인일여라같][가-힣]{0,5}(?![가-힣])")
_SAID_OF = re.compile(r"\s?(?:[이가] )?(?:맞(?:습니다|아요|다|네요|수다|지예|데이|당께|지라|심더|아유)|같[가-힣]{1,4})")
_REFUSAL = re.compile(
    r"(?:(?:답변|대답|응답|판단|선택|특정|확인|확정|도움|도와|제공|알려|고르|고를|풀|설명|언급|답하|답을|답|구별|구분|결정|추론|파악|식별|정답을)[가-힣]{0,4}(?: ?[가-힣]{1,4}){0,3}? ?"
    r"(?:어렵|힘들|불가|곤란|수가? 없|못하|못 하|못합|드리지 못|않겠|삼가|제한|거부|거절)(?!지만|으나|는데|더라도)"
    r"|(?:볼|들을|열|접근할|인식할|읽을|재생할) 수가? 없(?:습|어|네|다|음|으)|알 ?수가? 없(?:습니|어|네|다|음|구)(?!지만)|알기 어렵(?!지만|으나)"
    r"|(?<![가-힣])(?:잘 )?(?:모르겠|모르것|모르겄|모릅니|모르쿠|몰르쿠|몰르것|모른다(?![가-힣])|모름|몰라(?:요|유|예|여)?(?![가-힣]))(?!지만|으나|는데)(?![가-힣]{1,2}지만)"
    r"|(?:정답|답|맞는 (?:것|보기)|옳은 (?:것|보기)|적절한 (?:것|보기|답)|해당 ?사?항?|보기|선택지)(?:이|가|은|는|도)?"
    r"(?: (?:보기에|여기에?|이 ?중에는?|중에는?|전혀|따로|아예|아무것도))? ?[:=]? ?없(?:음|습니|어|다|네|는 것 같|어라)"
    r"|죄송|유감스럽게도|sorry|(?:cant|cannot|can not|unable to|wont|not able to|could not|couldnt)\b.{0,40}?(?:help|assist|answer|provide|determine"
    r"|comply|fulfill|view|see|hear|identify|choose|respond|say|know|discuss|select|pick)|(?:dont|do not) (?:really )?know|not sure|refuse to|answer is not (?:listed|given|among|here|provided)"
    r"|none of (?:the|these)|no (?:correct |right |valid )?(?:answer|option)|(?:must|have to) decline|(?:insufficient|not enough) (?:information|context)"
    r"|정보가 (?:부족|충분하지)|as an ai\b)",
    re.IGNORECASE,
)

Found = frozenset[int] | Literal["refuse"] | None
"""What a rule found: the options named (one is an answer, more are `multi`), a refusal, or nothing to say."""


def _only(reading: Reading, start: int, end: int) -> Group | None:
    """The group that is all of a line or of the answer, but for interjections, endings and emoji."""
    at = bisect.bisect_left(reading.starts, start)
    if at == len(reading.groups) or not _LEAD.fullmatch(reading.text, start, (group := reading.groups[at]).start):
        return None
    text, rest = reading.text, group.end
    ending = _ENDING.match(text, rest) or _SAID_OF.match(text, rest)
    if not ending and text[rest - 1] == "번":
        ending = _OPEN_ENDING.match(text, rest)
    rest = ending.end() if ending else rest
    if group.weak > 1 or group.gloss or group.verdict in ("no", "doubt") or group.end > end:
        return None
    among = _AMONG.match(text, rest)
    hedged = among and len(group.units) > 1 and (at + 1 == len(reading.groups) or reading.starts[at + 1] >= end)
    return group if hedged or _REST.fullmatch(text, rest, end) else None


def _bare(reading: Reading) -> Found:
    """The whole answer is an option: `B`, `2번이라예`, `② 상추`, `A 또는 B`."""
    group = _only(reading, 0, len(reading.text))
    return group.choices if group else None


def _claimed(rank: int) -> Callable[[Reading], Found]:
    def last(reading: Reading) -> Found:
        return next((claim.choices for claim in reversed(reading.claims) if claim.rank == rank), None)

    return last


def _last_line(reading: Reading) -> Found:
    """The last line or sentence is an option and nothing else; not where several lines are (a list)."""
    if not reading.lines or not (group := _only(reading, *reading.lines[-1])):
        return None
    first = _only(reading, *reading.lines[0])
    return group.choices | first.choices if first else group.choices


def _first_line(reading: Reading) -> Found:
    """The answer opens with an option: alone on its line, or `B. 상추 - 이유…`; not where a list goes on below."""
    if not reading.groups or not _LEAD.fullmatch(reading.text, 0, (group := reading.groups[0]).start):
        return None
    alone = reading.lines and _only(reading, *reading.lines[0])
    if (not alone and not _opens(reading.text, group)) or group.verdict in ("no", "doubt"):
        return None
    heads = [other for other in reading.groups[1:] if "L" in other.kinds and _heads_line(reading.text, other.start)]
    listed = [other for other in reading.groups[1:2] if _TRIVIAL.fullmatch(reading.text, group.end, other.start)]
    beside = reading.groups[1:] if _is_topic(reading.text, group) else []
    if any(other.choices != group.choices and other.verdict != "no" for other in [*heads, *listed, *beside]):
        return None
    plain = next((claim.choices for claim in reversed(reading.claims) if claim.rank == 1), group.choices)
    named = frozenset[int]().union(
        *(other.choices for other in reading.groups[1:] if other.kinds == "T" and other.verdict != "no")
    )
    apart = named if group.kinds == "L" and not alone and len(named) == 1 else frozenset[int]()
    return group.choices | (plain if alone else frozenset()) | apart


def _opens(text: str, group: Group) -> bool:
    """A firm label with punctuation after it, or a label with its own text, may open an explanation."""
    if len(group.units) > 1:
        return False
    whole = text.rstrip()[-1:] in tuple(".!다요)")
    if group.kinds != "L":
        return "L" in group.kinds and not group.gloss and (whole or not _is_particle(text, group))
    after = text[group.end : group.end + 2].strip()[:1]
    return group.weak == 0 and (after in tuple(",;-–—(\n") or (after in (".", ":") and whole))


def _is_particle(text: str, group: Group) -> bool:
    return bool(_TOPIC.match(text, group.end))


def _is_topic(text: str, group: Group) -> bool:
    """`A. 부추는 …` goes on to speak of that option; broken off there, it chose nothing yet."""
    return bool(_ABOUT.match(text, group.end))


def _named_texts(reading: Reading) -> list[Group]:
    """Options named by their own text, neither denied nor doubted, nor the gloss of a label (`A는 상추를…`)."""
    found = [group for group in reading.groups if "T" in group.kinds and group.verdict not in ("no", "doubt")]
    return [group for group in found if not _is_gloss(reading, group)]


def _is_gloss(reading: Reading, group: Group) -> bool:
    """An option's text in a sentence that speaks of a label just before (`A는 …, 부추를 뜻한다`) explains that label."""
    line = reading.text.rfind("\n", 0, group.start) + 1
    at = bisect.bisect_left(reading.starts, max(line, group.start - 60))
    here = bisect.bisect_left(reading.starts, group.start)
    labels = [other for other in reading.groups[at:here] if not other.weak and (other.gloss or "T" not in other.kinds)]
    listed = "L" in group.kinds and not group.verdict and _is_topic(reading.text, group)
    return group.gloss or listed or bool(labels and not labels[-1].verdict)


def _option_text(reading: Reading) -> Found:
    """Exactly one option is named by its own text, un-denied; not where the sentence only refuses to speak of it."""
    groups = _named_texts(reading)
    named = frozenset[int]().union(*(group.choices for group in groups))
    if len(named) != 1:
        return None
    said = any(group.verdict or _ends(reading.text, group, _sentence_end(reading, group.end)) for group in groups)
    return named if said or not _REFUSAL.search(reading.masked) else None


_INFLECTION = re.compile(r"(?:음|다|습니다|어요?|네요?|음입니다|음이다)$")
_NO_PARTICLE = re.compile(r"[이가은는도](?=없|있|아니)")


def _stem(key: str) -> str:
    """`정답이없습니다`, `정답없음`: the same predicate in another form; empty for what does not end as one."""
    stem, cut = _INFLECTION.subn("", _NO_PARTICLE.sub("", key))
    return stem if cut and len(stem) > 2 else ""


def _inflected(reading: Reading) -> Found:
    """The whole answer is one option's predicate in another form: `알 수 없습니다` for the option `알 수 없음`."""
    stem = _stem(_key(reading.text.strip()))
    same = [number for number, option in enumerate(reading.options, 1) if stem and _stem(_key(option)) == stem]
    return frozenset(same) or None


def _refusal(reading: Reading) -> Found:
    """The answer says that it will not or cannot answer, outside any option's own text."""
    return "refuse" if _REFUSAL.search(reading.masked) else None


def _several(reading: Reading) -> Found:
    """Two options or more are named side by side or by their texts, but not the whole list."""
    sizes = range(2, max(3, reading.count))
    joined = [group for group in reading.groups if len(group.choices) in sizes and not group.gloss]
    hedged = [group for group in joined if group.verdict not in ("no", "doubt")]
    named = frozenset[int]().union(*(group.choices for group in hedged or _named_texts(reading)))
    return named if len(named) > 1 and (hedged or len(named) < reading.count) else None


RULES: tuple[tuple[str, Callable[[Reading], Found]], ...] = (
    ("bare-label", _bare),  # the whole answer is a label (with its text, an ending)
    ("final-marker", _claimed(3)),  # 최종 정답: B
    ("marker", _claimed(2)),  # 정답은 B, B가 정답입니다, 다시 보니 B가 맞습니다, 고르자면 B
    ("last-line", _last_line),  # …라는 뜻이다.\nB
    ("first-line", _first_line),  # B. 상추 - 이유: …
    ("statement", _claimed(1)),  # 저는 B라고 생각합니다
    ("option-text", _option_text),  # 상추를 뜻하는 말입니다
    ("option-form", _inflected),  # 정답이 없습니다, where `정답 없음` is an option
    ("refusal", _refusal),  # 답변하기 어렵습니다
    ("several", _several),  # A 또는 B, 부추이거나 상추
)


def _fast(answer: str, options: Sequence[str]) -> Extraction | None:
    """The commonest answers by one anchored pattern, only where no option's text could be part of such an answer."""
    match = _FAST.fullmatch(answer) if len(answer) < 32 else _fast_last_line(answer)
    if not match or not all(map(_FAST_OPTION.search, options)) or any(map(_CONJOINING.search, options)):
        return None
    label = match["label"]
    number = int(label) if label.isdecimal() else ord(label) - ord("A") + 1
    if number > len(options):
        return None
    rule = "final-marker" if match["final"] else "marker" if match["marker"] else "bare-label"
    return Extraction("ok", number, rule)


def _fast_last_line(answer: str) -> re.Match[str] | None:
    """A last line `정답: B` after a text without markup and without a word that could overrule it."""
    if len(answer) > _HEAD or _OVERRULES.search(answer):
        return None
    return _FAST_LAST.search(answer)


_FAST = re.compile(
    r"(?:(?P<final>최종 )?(?P<marker>정답|답)(?: ?: ?|은 | ))?\(?(?P<label>[A-J]|10|[1-9])(?:\)|번)?(?:입니다)?\.?\n?"
)
_FAST_LAST = re.compile(r"\n\*{0,2}(?P<final>)(?P<marker>정답): ?\*{0,2}(?P<label>[A-J])\*{0,2}\.?\n?\Z")
_OVERRULES = re.compile(r"[<>\[\]{}|\\◁▷~]|최종|결론|final|\A\s*정답: ?[A-J]\.?\Z", re.IGNORECASE)
_FAST_OPTION = re.compile(r"[가-힣](?<![최종정답은번입니다])|[K-Zk-z]")
_CONJOINING = re.compile(r"[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")


def _settled(found: frozenset[int] | Literal["refuse"], rule: str) -> Extraction:
    if found == "refuse":
        return Extraction("refuse", None, rule)
    return Extraction("ok", min(found), rule) if len(found) == 1 else Extraction("multi", None, rule)


def _decide(reading: Reading) -> Extraction:
    for name, rule in RULES:
        if found := rule(reading):
            return _settled(found, name)
    return Extraction("none", None, "")


def extract_choice(answer: str, options: Sequence[str]) -> Extraction:
    """Which of the 2 to 10 options (as shown, first is 1) a free-text answer chooses; never a guess, never an error."""
    return _fast(answer, options) or _decide(read(answer, options))
