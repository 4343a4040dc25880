"""An answer as plain text: no thinking, no markup, one way to write each character; JSON, tags, tables as markers."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

HEAD, _TAIL = 4_000, 12_000
"""How much of a very long answer is read: its beginning and its end, where answers stand."""

HANGUL_LABELS = "가나다라마바사아자차"
JAMO_LABELS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊ"


def _enclosed() -> Iterator[tuple[int, str]]:
    """①, ⑴, ❶, Ⓐ, ㉠, ㉮ and their kin become (1), (A), (ㄱ), (가); NFKC would lose that they were labels."""
    latin, lower, digits = "ABCDEFGHIJ", "abcdefghij", [str(n) for n in range(1, 11)]
    runs: tuple[tuple[int, Sequence[str]], ...] = (
        (0x2460, digits), (0x2474, digits), (0x2488, digits), (0x24F5, digits), (0x2776, digits), (0x2780, digits),
        (0x278A, digits), (0x249C, lower), (0x24D0, lower), (0x24B6, latin), (0x1F110, latin), (0x1F130, latin),
        (0x1F150, latin), (0x1F170, latin), (0x3260, JAMO_LABELS), (0x3200, JAMO_LABELS),
        (0x326E, HANGUL_LABELS), (0x320E, HANGUL_LABELS),
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
    table |= dict.fromkeys(map(ord, "✅✔✓☑⭕◯🟢"), "(정답)") | dict.fromkeys(map(ord, "❌✖✗✘❎⛔🚫"), "(오답)")
    table |= (
        dict.fromkeys(map(ord, "▶▷►☞👉⇒➡➔"), "→")
        | dict.fromkeys(map(ord, "○◎"), "O")
        | dict.fromkeys(map(ord, "✕"), "X")
    )
    return table


_CHARS = _chars()
_ODD = re.compile(r"[^가-힣a-zA-Z0-9 \n.,:;()!?%/|#<>+=~-]+")
"""Whatever is not ordinary in a Korean answer: a look in the table for these only, which is three times as fast."""
_THINK = re.compile(
    r"<(?P<xml>/?)\s?(?:think|thinking|thought|reasoning|reflection|analysis|생각|사고|추론)\s?>|\[(?P<square>/?)THINK\]"
    r"|◁(?P<kimi>/?)think▷|<\|(?:begin|(?P<end>end))_of_thought\|>|(?P<channel><\|channel\|>final<\|message\|>)",
    re.IGNORECASE,
)
_TAGGED = re.compile(r"[<[◁]")
_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{")
_LATEX = re.compile(r"\\(?:text(?:bf|rm|it|sf)?|math(?:bf|rm|it|sf)|mbox|bm|left|right|quad|displaystyle)(?![a-z])")
_FENCE = re.compile(r"```[a-zA-Z]*")
_STRIKE = re.compile(r"~~[^~\n]{1,200}~~")
_QUOTED = re.compile(r"[‘“'\"「『]([가나다라마바사아자차ㄱ-ㅊA-J1-9])[’”'\"」』](?!\s?:)")
_ASKED = re.compile(r"(?ms)\A(\W*Q\d{0,2}\s?[.:].{0,400}?\n\W*)A\d{0,2}\s?[.:]")
_LINE_HEAD = re.compile(r"(?m)^ *[#>]+ *")
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_OBJECT = re.compile(r"\{[^{}]{2,2000}\}")
_TAG = re.compile(r"<(/?)([^<>\n]{1,40})>")
_FORMAT_TAG = re.compile(r"(?:b|strong|em|i|u|p|div|span|code|mark|center|font|h\d)(?: .*)?")
_LABEL_TAG = re.compile(r"(?:[A-J]|10|[1-9]|[가나다라마바사아자차ㄱ-ㅊ])번?")
_ANSWER_NAME = re.compile(
    r"(?P<final>최종|final)?(?:정답|답|답안|답변|해답|선택|correct(?:answer|option)|selected(?:answer|option)?|answer|ans"
    r"|choice|label|option|prediction|response|output|(?<=최종)|(?<=final))(?:번호|보기|선택지)?",
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
    if not _TAGGED.search(text):
        return text
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
    if len(text) <= HEAD + _TAIL:
        return text
    return f"{text[:HEAD]}힣\n힣{text[-_TAIL:]}"


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


def plain(text: str) -> str:
    """What is done alike to answers and options: characters to their plain form, thousands commas out."""
    plainer = _ODD.sub(lambda match: match[0].translate(_CHARS), text)
    return _THOUSANDS.sub("", unicodedata.normalize("NFC", plainer))


def clean(answer: str) -> str:
    """The answer as plain text: no thinking, no markup, JSON and tags turned into markers."""
    text = _capped(_without_thinking(unicodedata.normalize("NFC", answer)))
    text = _OBJECT.sub(_object_answer, text) if "{" in text and "\\" not in text else text
    text = _LATEX.sub("", _BOX.sub(" 정답: {", text)) if "\\" in text else text
    text = _ASKED.sub(r"\1정답:", _QUOTED.sub(r"(\1)", text))
    text = plain(_STRIKE.sub("", _FENCE.sub("\n", text)))
    text = _TAG.sub(_tag_text, text) if "<" in text else text
    return _LINE_HEAD.sub("", _without_tables(text))
