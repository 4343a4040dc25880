"""Numbers as Korean writes them, in digits: 스물세 마리, 이십삼 마리 and 23마리 are one; 3만 5천 원 is 35000원.

A number is only read where it can be nothing else: as the whole of an answer (`value`), or before a unit (`with_digits`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

Pairs = tuple[tuple[str, str], ...]
"""Numbers with their units, (digits, unit), in the order in which they are written."""

_ONES = {"하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "서": 3, "넷": 4, "네": 4, "넉": 4, "너": 4}
_ONES |= {"다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9}
_TENS = {
    "열": 10,
    "스물": 20,
    "스무": 20,
    "서른": 30,
    "마흔": 40,
    "쉰": 50,
    "예순": 60,
    "일흔": 70,
    "여든": 80,
    "아흔": 90,
}
_SINO = {char: n for n, char in enumerate("영일이삼사오육칠팔구")} | {"공": 0, "륙": 6}
_SMALL = {"십": 10, "백": 100, "천": 1000}
_LARGE = {"만": 10**4, "억": 10**8, "조": 10**12}

COUNTERS = [
    "개",
    "명",
    "마리",
    "권",
    "대",
    "장",
    "병",
    "잔",
    "그루",
    "송이",
    "살",
    "세",
    "번",
    "회",
    "가지",
    "채",
    "벌",
    "켤레",
    "자루",
    "척",
    "통",
    "곡",
    "편",
    "군데",
    "곳",
    "사람",
    "분",
    "자",
    "줄",
    "쪽",
    "층",
    "위",
    "등",
    "호",
    "점",
    "쌍",
    "단",
    "모",
    "알",
    "건",
    "종",
    "종류",
]
"""Count nouns: the question implies them, so that `23` answers `23마리`."""
_UNITS = {
    "퍼센트": "%", "프로": "%", "%": "%", "킬로미터": "km", "센티미터": "cm", "밀리미터": "mm", "미터": "m", "킬로그램": "kg", "그램": "g",
    "밀리리터": "ml", "리터": "l", "평방미터": "㎡", "제곱미터": "㎡", "달러": "달러", "불": "달러", "유로": "유로", "엔": "엔", "도": "도", "배": "배",
    "개월": "개월", "달": "개월", "주일": "주", "주": "주", "년": "년", "월": "월", "일": "일", "시간": "시간", "시": "시", "분": "분", "초": "초",
    "원": "원", "인분": "인분", "명": "명", "인": "명", "번째": "번째",
} | dict.fromkeys(["km", "cm", "mm", "m", "kg", "g", "mg", "ml", "l"])  # fmt: skip
_UNITS |= {unit: unit for unit in (*COUNTERS, *_UNITS) if not _UNITS.get(unit)}

_NATIVE_RE = rf"(?:(?:{'|'.join(_TENS)})(?:{'|'.join(_ONES)})?|{'|'.join(sorted(_ONES, key=len, reverse=True))})"
_SINO_RE = r"(?=[\d일이삼사오육륙칠팔구영공십백천만억조])(?:\d+(?:\.\d+)?|[일이삼사오육륙칠팔구영공])?(?:\s?[십백천만억조](?:\s?(?:\d+|[일이삼사오육륙칠팔구]))?)*"
_UNIT_RE = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_PART = re.compile(rf"(?P<number>{_NATIVE_RE}|{_SINO_RE})\s?(?P<unit>{_UNIT_RE})?\s?", re.IGNORECASE)
_BEFORE_UNIT = re.compile(
    rf"(?<![가-힣\d.])(?P<number>{_NATIVE_RE}|{_SINO_RE})\s?(?P<unit>{_UNIT_RE})(?![A-Za-z])", re.IGNORECASE
)
_SIGN = re.compile(r"(?:₩|￦|\\)\s?([\d.,]+(?:\s?[만억조천])*)")
_HALF = re.compile(r"(?:(?<=시)|(?<=시간))\s?반")
_COLON = re.compile(r"(?P<part>(?:오전|아침|새벽|오후|저녁|밤)?)\s?(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)")
_SIZES: dict[str, dict[str, Fraction]] = {
    "length": {"km": Fraction(1000), "m": Fraction(1), "cm": Fraction(1, 100), "mm": Fraction(1, 1000)},
    "mass": {"kg": Fraction(1000), "g": Fraction(1), "mg": Fraction(1, 1000)},
    "volume": {"l": Fraction(1), "ml": Fraction(1, 1000)},
    "duration": {"시간": Fraction(3600), "분": Fraction(60), "초": Fraction(1)},
    "clock": {"시": Fraction(3600), "분": Fraction(60), "초": Fraction(1)},
}
"""Units that are whole multiples of one another, largest first, by what they measure."""
_CLOCK = re.compile(r"(?P<early>오전|아침|새벽)?(?P<late>오후|저녁|밤)?\s?(?P<hour>\d{1,2})시")


def number(text: str) -> str | None:
    """The number that a text writes, in digits and without trailing zeros after the point; None if it is none."""
    text = text.replace(",", "").replace(" ", "")
    if re.fullmatch(_NATIVE_RE, text):
        tens = next((word for word in _TENS if text.startswith(word)), "")
        return str(_TENS.get(tens, 0) + _ONES.get(text.removeprefix(tens), 0))
    if not text or not re.fullmatch(_SINO_RE, text):
        return None
    if re.fullmatch(r"\d+\.\d+", text):
        return text.rstrip("0").rstrip(".")
    return _sino(text)


def _sino(text: str) -> str | None:
    """Positional reading: 3만 5천 = (3)·10⁴ + (5·10³); a scale without a digit before it stands for one of it."""
    total, section, digit = 0.0, 0.0, None
    for token in re.findall(r"\d+(?:\.\d+)?|.", text):
        if token in _LARGE:
            total += (section + (digit or 0) or 1) * _LARGE[token]
            section, digit = 0.0, None
        elif token in _SMALL:
            section += (1 if digit is None else digit) * _SMALL[token]
            digit = None
        elif digit is not None:
            return None
        else:
            digit = float(token) if token[0].isdigit() else _SINO[token]
    whole = total + section + (digit or 0)
    return str(int(whole)) if whole == int(whole) else repr(whole)


def value(text: str) -> Pairs | None:
    """A text that is nothing but numbers with units, as pairs (digits, unit): `오후 세 시 반` and `15:30` are ((15, 시),
    (30, 분)).

    None for any other text. 제3 keeps its 제 as the unit.
    """
    text = _clock(_SIGN.sub(r"\1원", _without_colon(text.strip())))
    ordinal = text.startswith("제") and len(text) > 1
    text, at = text[1:] if ordinal else text, 0
    found: list[tuple[str, str]] = []
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    while at < len(text):
        part = _PART.match(text, at)
        digits = number(part["number"]) if part and part.end() > at else None
        if part is None or digits is None or (found and not found[-1][1]):
            return None
        found.append((digits, _UNITS.get((part["unit"] or "").lower()) or ""))
        at = part.end()
    if ordinal and found:
        found[0] = (found[0][0], "제" + found[0][1])
    return tuple(found) or None


def same(a: str, b: str) -> bool:
    """Both are the same number of the same thing: a count noun may be left out, as the question implies it, and a unit may
    be another of its kind (1 km is 1,000 m, 90분 is 1시간 30분), none of which may be left out."""
    left, right = value(a), value(b)
    if not left or not right:
        return False
    return _alike(left, right) or (_size(left) is not None and _size(left) == _size(right))


def _alike(left: Pairs, right: Pairs) -> bool:
    if len(left) != len(right):
        return False
    for (x, unit), (y, other) in zip(left, right, strict=True):
        if x != y or (unit != other and not ({unit, other} - {""} <= set(COUNTERS) and "" in (unit, other))):
            return False
    return True


def _size(pairs: Pairs) -> tuple[str, Fraction] | None:
    """What numbers with units measure, and how much of it in the smallest steps of `_SIZES`: ((1, km), (500, m)) is
    (length, 1500). None where a unit has no other of its kind, or the units do not get smaller from one to the next."""
    units = [unit for _, unit in pairs]
    for kind, sizes in _SIZES.items():
        known = [sizes[unit] for unit in units if unit in sizes]
        falling = all(a > b for a, b in pairwise(known))
        # a time of day names its hour: 30분 alone is how long
        if len(known) == len(units) and falling and (kind != "clock" or units[0] == "시"):
            return kind, sum((Fraction(n) * size for (n, _), size in zip(pairs, known, strict=True)), Fraction(0))
    return None


def _without_colon(text: str) -> str:
    """`14:30` and `오후 2:30` as hours and minutes; a ratio or a score such as 3:2 stays as it is."""
    found = _COLON.fullmatch(text)
    return f"{found['part']} {int(found['hour'])}시 {int(found['minute'])}분".strip() if found else text


def _clock(text: str) -> str:
    """Hours of the day from 0 to 23: 오후 세 시 is 15시, 세 시 반 is 3시 30분."""
    if not text.startswith(("오전", "아침", "새벽", "오후", "저녁", "밤")):
        return _HALF.sub(" 30분", text)
    named = re.sub(r"^(오전|아침|새벽|오후|저녁|밤)(?=\S)", r"\1 ", _HALF.sub(" 30분", text))
    return _CLOCK.sub(lambda m: f"{int(m['hour']) % 12 + (12 if m['late'] else 0)}시", _BEFORE_UNIT.sub(_digits, named))


def _digits(match: re.Match[str]) -> str:
    digits = number(match["number"])
    if match["number"] in _SINO and match[0][1:2].isspace():  # 이 사람, 일 년: more often a word
        digits = None
    return match[0] if digits is None else f"{digits}{_UNITS[match['unit'].lower()]}"


def with_digits(text: str) -> str:
    """Running text with the numbers before a unit in digits, and the unit in its short form: `세 명` becomes `3명`."""
    return _BEFORE_UNIT.sub(_digits, re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", _SIGN.sub(r"\1원", text)))
