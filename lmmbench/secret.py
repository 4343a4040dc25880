"""Keys: one type for all of them, which shows itself nowhere, and the way in which a key is taken out of bytes.

A reply loses its key before anything is read of it (net/keys.py). And whatever is written down or printed loses every
key that this process has ever held, by its value: the journal, files, tables, standard output and error (`clean`,
`redacted`), so that a provider of somebody else's, an exception or a mistake of ours cannot let one out.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import NoReturn

SHORTEST = 8
"""Characters. Every vendor's keys are longer; a shorter one is a local server's placeholder (`EMPTY`), and a word like
any other."""
_LIVE: dict[str, None] = {}
"""The keys that this process has held."""


class Secret:
    """A key. Printing, formatting and logging show `[key]`, pickling is refused; `reveal` is for whoever sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= SHORTEST:
            _LIVE[value] = None

    def reveal(self) -> str:
        return self._value

    def hide(self, body: bytes) -> bytes:
        """The body with this key, in every form in which it may stand there, replaced."""
        return hide(self._value, body)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "[key]"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never stored")


def clean(data: bytes) -> bytes:
    """The bytes without any key that this process has held."""
    for key in _LIVE:
        data = hide(key, data)
    return data


def redacted(text: str) -> str:
    """The text without any key that this process has held."""
    return clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") if _LIVE else text


def holds_key(data: bytes) -> bool:
    """Whether a key that this process has held stands in the bytes."""
    return clean(data) != data


def hide(key: str, body: bytes) -> bytes:
    """The body with the key, in every form in which it may stand there, replaced."""
    # looking for a few bytes that every form has takes a tenth of looking for the forms
    if len(key) < SHORTEST or _plain(key) not in body:
        return body
    return written(key).sub(b"[key]", body)


@cache
def _plain(key: str) -> bytes:
    """The longest part of a key that is written in one way only: letters and digits."""
    return max("".join(c if c.isalnum() else " " for c in key).split(" "), key=len).encode()


@cache
def written(key: str) -> re.Pattern[bytes]:
    """A key as it stands, and as JSON (also within JSON), URLs and HTML write it: `/` may be `\\/`, `=` may be `\\u003d`."""

    def character(c: str) -> str:
        code, entity = f"{ord(c):02x}", html.escape(c)
        forms = [rf"\\+u00(?i:{code})", f"%(?:25)*(?i:{code})", f"&#{ord(c)};", rf"\\*{re.escape(c)}"]
        forms = [entity, *forms] if entity != c else forms
        return c if c.isalnum() else f"(?:{'|'.join(forms)})"

    return re.compile("".join(map(character, key)).encode())
