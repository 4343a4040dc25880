"""Arithmetic on Hangul: syllable blocks to their parts and back (The Unicode Standard 17.0, 3.12, U+AC00 arithmetic)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_TURNED_CONSONANTS = dict(zip("ㄱㄴㄹㅁㅇㅍ", "ㄴㄱㄹㅁㅇㅍ", strict=True))
_TURNED_VOWELS = dict(zip("ㅗㅜㅛㅠㅡ", "ㅜㅗㅠㅛㅡ", strict=True))


def squeeze(text: str) -> str:
    """NFC without white space: the form in which options and leaks are compared."""
    return "".join(unicodedata.normalize("NFC", text).split())


def is_syllable(c: str) -> bool:
    return "가" <= c <= "힣"


def parts(syllable: str) -> tuple[str, str, str]:
    """초성, 중성 and 종성 ("" for none) of a syllable, as compatibility jamo."""
    code = ord(syllable) - 0xAC00
    return INITIALS[code // 588], VOWELS[code % 588 // 28], FINALS[code % 28]


def initials(word: str) -> str:
    """초성 of each Hangul syllable; any other character stands for itself."""
    return "".join(parts(c)[0] if is_syllable(c) else c for c in squeeze(word))


def jamo(text: str) -> set[str]:
    """The kinds of jamo that a text is written with, places told apart; any other character stands for itself."""
    found: set[str] = set()
    for c in squeeze(text):
        found |= {f"{place}{part}" for place, part in enumerate(parts(c)) if part} if is_syllable(c) else {c}
    return found


def rotated(text: str) -> str | None:
    """The text on paper that is turned by 180 degrees, 눈물 for 롬곡; None where a turned block is no syllable."""
    turned = [_turned(c) for c in reversed(squeeze(text))]
    return None if None in turned else "".join(filter(None, turned))


def _turned(c: str) -> str | None:
    initial, vowel, final = parts(c) if is_syllable(c) else ("", "", "")
    below, above = _TURNED_CONSONANTS.get(initial), _TURNED_CONSONANTS.get(final)
    if not below or not above or vowel not in _TURNED_VOWELS:
        return None
    code = (INITIALS.index(above) * 21 + VOWELS.index(_TURNED_VOWELS[vowel])) * 28 + FINALS.index(below)
    return chr(0xAC00 + code)


def substituted(word: str, table: Iterable[Sequence[str]]) -> set[str]:
    """What becomes of a word by some choice of a table's (plain, played) pairs, each applied once or throughout."""
    forms = {squeeze(word)}
    for plain, played in table:
        forms |= {f.replace(plain, played) for f in forms} | {f.replace(plain, played, 1) for f in forms}
    return forms - {squeeze(word)}
