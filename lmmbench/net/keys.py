"""Keys that servers throw back, in errors and elsewhere: taken out before anything is read, cut or kept."""

from __future__ import annotations

from lmmbench.net.http1 import RAW, Headers, Response
from lmmbench.secret import Secret


def without_key(key: Secret, reply: Response) -> Response:
    """The reply with the key taken out of its headers (a request id is kept) and its body."""
    if not key:
        return reply
    headers, told = reply.headers, "\n".join(reply.headers.values()).encode(*RAW)
    if key.hide(told) != told:
        headers = Headers((k, key.hide(v.encode(*RAW)).decode(*RAW)) for k, v in headers.items())
    return Response(reply.status, headers, key.hide(reply.body), reply.at)
