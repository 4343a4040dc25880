"""Normal forms of Korean text. Every scorer says which one it compares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from lmmbench.doors import nearest
from lmmbench.faults import UsageError

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_QUOTES = re.compile("[\"'“”‘’「」『』《》〈〉`*]")
_DASH = re.compile("^[-−‐‑–—―~～〜]+(?=[가-힣ㄱ-ㅎᄀ-ᇿ])")
_FINAL = re.compile("[.!?,;:…。！？~^\u2600-\u27bf\U0001f300-\U0001faff]+$")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_GLOSS = re.compile(r"(?<=[가-힣])\s*\((?:[A-Za-z][A-Za-z .'-]*|[\u4e00-\u9fff\s]+)\)")
_PUNCTUATION = re.compile(r"[^\w]|_")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_HANGUL = re.compile(r"[가-힣ㄱ-ㆎᄀ-ᇿ]+")
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {0xFFE6: "₩"}


def narrow(text: str) -> str:
    """Full-width forms as plain ones, as Japanese and Chinese write them: `２８％` is `28%`."""
    return text.translate(_WIDE)


STEPS: dict[str, Callable[[str], str]] = {
    "nfc": lambda text: unicodedata.normalize("NFC", text),
    "width": narrow,
    "invisible": lambda text: _INVISIBLE.sub("", text),
    "case": lambda text: text.lower(),
    "gloss": lambda text: _GLOSS.sub("", text),
    "quotes": lambda text: _QUOTES.sub("", text),
    "dash": lambda text: _DASH.sub("", text),
    "thousands": lambda text: _THOUSANDS.sub("", text),
    "space": lambda text: "".join(text.split()),
    "final": lambda text: _FINAL.sub("", text),
}
"""What may be done to both sides before an exact comparison, by name, in order: NFC; full-width forms to plain ones;
zero-width characters out; Latin in lower case; a gloss in Latin or Hanja out (`서울(Seoul)`); quotes and Markdown
stars out; the dash that marks an ending (`-당께`) out; commas between thousands out; white space out; final punctuation out. Never NFKC: it would turn ㅋㅋ into
other characters."""
DEFAULT_STEPS = tuple(STEPS)


@lru_cache(maxsize=8192)
def bare(text: str, steps: Sequence[str] = DEFAULT_STEPS) -> str:
    """The form that exact comparison compares: all `steps`, until nothing changes, so that it is idempotent.

    Raises UsageError for a step that is not one of STEPS.
    """
    for step in steps:
        if step not in STEPS:
            raise UsageError(
                f"no normalisation is called {step!r}{nearest(step, STEPS)}; there are: {', '.join(STEPS)}"
            )
    while True:
        before = text
        for name, change in STEPS.items():
            text = change(text) if name in steps else text
        if text == before:
            return text


def clean(text: str) -> str:
    """NFC, without zero-width characters, white space as single spaces, ends trimmed."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def letters(text: str) -> str:
    """For character overlap: NFC letters and digits only, Latin in lower case."""
    return _PUNCTUATION.sub("", unicodedata.normalize("NFC", text)).lower()


def spaceless(text: str) -> str:
    """For key facts: NFC without white space, full-width forms plain, commas in numbers gone, Latin in lower case."""
    return _THOUSANDS.sub("", "".join(narrow(clean(text)).split())).lower()


def hangul_share(text: str) -> float | None:
    """Share of Hangul among the letters outside code, 0…1: whether an answer is in Korean. None without letters."""
    said = _CODE.sub("", unicodedata.normalize("NFC", text))
    rest = _HANGUL.sub("", said)
    letters = len(said) - len(rest) + sum(map(str.isalpha, rest))
    return (len(said) - len(rest)) / letters if letters else None
