"""Normal forms of Korean text. Every scorer says which one it compares."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_QUOTES = re.compile("[\"'“”‘’「」『』《》〈〉`*]")
_FINAL = re.compile(r"[.!?,;:…。！？~]+$")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PUNCTUATION = re.compile(r"[^\w]|_")


def clean(text: str) -> str:
    """NFC, without zero-width characters, white space as single spaces, ends trimmed."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def bare(text: str) -> str:
    """For exact comparison: `clean`, then without quotes, spaces, final punctuation, commas in numbers; Latin in
    lower case. Never NFKC: it would turn ㅋㅋ into other characters."""
    out = _THOUSANDS.sub("", _QUOTES.sub("", clean(text)))
    return _FINAL.sub("", out.replace(" ", "")).lower()


def letters(text: str) -> str:
    """For character ROUGE: NFC letters and digits only, Latin in lower case."""
    return _PUNCTUATION.sub("", unicodedata.normalize("NFC", text)).lower()


def holds(shown: str, wanted: str) -> bool:
    """Whether `wanted` stands in a `spaceless` text, and not as the end of a longer number."""
    found = spaceless(wanted)
    return re.search((r"(?<!\d)(?<!\d\.)" if found[:1].isdigit() else "") + re.escape(found), shown) is not None


def spaceless(text: str) -> str:
    """For key facts: NFC without white space, commas in numbers gone, Latin in lower case."""
    return _THOUSANDS.sub("", "".join(clean(text).split())).lower()
