"""Keys that servers throw back, in errors and elsewhere: taken out before anything is read, cut or kept."""

from __future__ import annotations

import html
import re
from functools import cache

from lmmbench.net.http1 import RAW, Headers, Response

SHORTEST = 8
"""Characters. Every vendor's keys are longer; a shorter one is a local server's placeholder (`EMPTY`), and a word like
any other."""


def without_key(key: str, reply: Response) -> Response:
    """The reply with the key taken out of its headers (a request id is kept) and its body."""
    if len(key) < SHORTEST:
        return reply
    headers = Headers((k, hide(key, v.encode(*RAW)).decode(*RAW)) for k, v in reply.headers.items())
    return Response(reply.status, headers, hide(key, reply.body))


def hide(key: str, body: bytes) -> bytes:
    """The body with the key, in every form in which it may stand there, replaced."""
    return written(key).sub(b"[key]", body) if len(key) >= SHORTEST else body


@cache
def written(key: str) -> re.Pattern[bytes]:
    """A key as it stands, and as JSON (also within JSON), URLs and HTML write it: `/` may be `\\/`, `=` may be `\\u003d`."""

    def character(c: str) -> str:
        code, entity = f"{ord(c):02x}", html.escape(c)
        forms = [rf"\\+u00(?i:{code})", f"%(?:25)*(?i:{code})", f"&#{ord(c)};", rf"\\*{re.escape(c)}"]
        forms = [entity, *forms] if entity != c else forms
        return c if c.isalnum() else f"(?:{'|'.join(forms)})"

    return re.compile("".join(map(character, key)).encode())
