"""The one place that sends. One pooled session for all endpoints; no redirects, no cookies, no hidden retries."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import IO
from urllib.parse import urlsplit

import aiohttp

from lmmbench.faults import Fault
from lmmbench.net.hosts import is_loopback

MAX_BODY = 8 * 1024 * 1024
"""Decoded bytes of one reply; more is no answer (and may be a decompression bomb)."""
MAX_STREAM = 8 * MAX_BODY
"""The same of one stream, where each token comes in a frame of some 300 bytes."""
LINGER_S = 1.0
"""How long the end of a body is waited for once the answer in it is whole: the connection can then be used again."""

Watch = Callable[[bytes], bool]
"""Sees each piece of a body as it arrives, and says whether the answer is whole with it."""


@dataclass(slots=True)
class Response:
    """What came back: status, headers (case-insensitive names) and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """A pooled HTTP client. Use as an async context manager.

    Honours proxies (HTTPS_PROXY, NO_PROXY, …) and the system's certificates. `send` raises `Fault` of kind
    network, timeout, unreachable, config or invalid, and returns every HTTP status as it is.
    """

    def __init__(self, connect_timeout_s: float = 20.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # limits are the gates' work: the pool must never queue behind their back
                connector=aiohttp.TCPConnector(limit=0, ssl=_system_certificates(), ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s),
                skip_auto_headers=("User-Agent",),
                headers={"User-Agent": "lmmbench"},
            )
        return self._session

    async def send(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, watch: Watch | None = None
    ) -> Response:
        """POST `body`; the whole exchange takes at most `deadline_s` seconds, however many bytes drip in meanwhile.
        With `watch` a 200 is a stream: it is shown each piece of it, also of one that ends in a Fault."""
        with _as_faults(deadline_s):
            async with (
                asyncio.timeout(deadline_s),
                self._open().post(url, data=body, headers=headers, proxy=_proxy(url), allow_redirects=False) as reply,
            ):
                return Response(reply.status, reply.headers, await _read(reply, watch if reply.status == 200 else None))

    async def get(self, url: str, out: IO[bytes], deadline_s: float, most: int) -> int:
        """GET a public file into `out`, at most `most` bytes; redirects are followed, to https or this machine only. Returns the
        status; nothing is written unless it is 200."""
        with _as_faults(deadline_s):
            async with asyncio.timeout(deadline_s), self._open().get(url, proxy=_proxy(url)) as reply:
                if reply.url.scheme != "https" and not is_loopback(reply.url.host or ""):
                    raise Fault("config", "it was redirected to an address that is not https")
                size = 0
                while reply.status == 200 and (chunk := await reply.content.readany()):
                    size += len(chunk)
                    if size > most:
                        reply.close()
                        raise Fault("invalid", f"it is larger than {most} bytes")
                    out.write(chunk)
                return reply.status


@contextlib.contextmanager
def _as_faults(deadline_s: float) -> Iterator[None]:
    """What goes wrong on the way, as a `Fault`."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as e:  # is a TimeoutError as well, and nothing was sent yet
        raise Fault("unreachable", f"cannot connect: {e}") from None
    except TimeoutError:
        raise Fault("timeout", f"no whole reply within {deadline_s:g} s", maybe_billed=True) from None
    except aiohttp.ClientConnectorCertificateError as e:
        raise Fault("config", f"the certificate of {e.host} is not trusted on this machine") from None
    except aiohttp.ClientConnectorSSLError as e:
        raise Fault("config", f"no TLS connection with {e.host}: {e.os_error}") from None
    except aiohttp.ClientHttpProxyError as e:  # its text would hold the proxy's own user and password
        kind = "config" if e.status in (401, 403, 407) else "unreachable"
        raise Fault(kind, f"the proxy does not connect to the host (HTTP {e.status}); check HTTPS_PROXY") from None
    except aiohttp.ClientConnectorError as e:
        raise Fault("unreachable", f"cannot connect: {e.__class__.__name__}: {_reason(e)}") from None
    except (aiohttp.InvalidURL, ValueError):
        raise Fault("config", "the endpoint's base_url is not a URL") from None
    except (aiohttp.ClientError, ConnectionError, OSError) as e:
        raise Fault("network", f"{e.__class__.__name__}: {e}", maybe_billed=True) from None


@cache
def _proxy(url: str) -> str | None:
    """The proxy that the environment (or the system) names for this URL, looked up once; none for this machine's own
    servers. aiohttp's `trust_env` asks in two threads for every request, and reads ~/.netrc: a password there breaks
    a request that carries a key."""
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _reason(error: Exception) -> str:
    os_error = getattr(error, "os_error", None)
    return str(getattr(os_error, "strerror", None) or os_error or error)


async def _read(reply: aiohttp.ClientResponse, watch: Watch | None) -> bytes:
    chunks: list[bytes] = []
    size, most = 0, MAX_STREAM if watch else MAX_BODY
    while chunk := await reply.content.readany():
        size += len(chunk)
        if size > most:
            reply.close()
            raise Fault("invalid", f"the reply is larger than {most} bytes", maybe_billed=True)
        chunks.append(chunk)
        if watch and watch(chunk):
            await _end(reply)
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _end(reply: aiohttp.ClientResponse) -> None:
    """Read what follows a whole answer, which is nothing but the end of the body. Whatever goes wrong with it, the
    answer stands."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(LINGER_S):
            while await reply.content.readany():
                pass


def _system_certificates() -> ssl.SSLContext:
    """The operating system's trust store, so that company proxies with their own certificates work."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
