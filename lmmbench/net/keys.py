"""Keys that servers throw back, in errors and elsewhere: taken out before anything is read, cut or kept."""

from __future__ import annotations

import html
import re
from functools import cache

SHORTEST = 8
"""Characters. Every vendor's keys are longer; a shorter one is a local server's placeholder (`EMPTY`), and a word like
any other."""


def hide(key: str, body: bytes) -> bytes:
    """The body with the key, in every form in which it may stand there, replaced."""
    return written(key).sub(b"[key]", body) if len(key) >= SHORTEST else body


@cache
def written(key: str) -> re.Pattern[bytes]:
    """A key as it stands, and as JSON (also within JSON), URLs and HTML write it: `/` may be `\\/`, `=` may be `\\u003d`."""

    def character(c: str) -> str:
        code = f"{ord(c):02x}"
        forms = (
            rf"\\+u00(?i:{code})",
            f"%(?:25)*(?i:{code})",
            re.escape(html.escape(c)),
            f"&#{ord(c)};",
            rf"\\*{re.escape(c)}",
        )
        return c if c.isalnum() else f"(?:{'|'.join(forms)})"

    return re.compile("".join(map(character, key)).encode())
