"""The one place that sends. One pool of connections for all endpoints; no redirects, no cookies, no hidden retries."""

from __future__ import annotations

import asyncio
import base64
import ssl
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from lmmbench.faults import Fault
from lmmbench.net.hosts import is_address, is_loopback
from lmmbench.net.http1 import Connection, Response, Watch
from lmmbench.net.limits import Turns

MAX_BODY = 8 * 1024 * 1024
"""Decoded bytes of one reply; more is no answer (and may be a decompression bomb)."""
MAX_STREAM = 8 * MAX_BODY
"""The same of one stream, where each token comes in a frame of some 300 bytes."""
IDLE_S = 15.0
"""How long an unused connection is kept: servers close theirs after a while, and an ask must not meet that moment."""

PATH_SAFE = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is (RFC 3986, 3.3), escapes that are there already among it."""
_PORTS = {"http": 80, "https": 443}
_DEFAULTS = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "lmmbench"}


class Place(NamedTuple):
    """Where a URL leads: whom to connect to, and what to ask for there."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str


class Sender:
    """A pooled HTTP/1.1 client. Use as an async context manager.

    Honours proxies (HTTPS_PROXY, NO_PROXY, …) and the system's certificates. `send` raises `Fault` of kind
    network, timeout, unreachable, config or invalid, and returns every HTTP status as it is.
    """

    def __init__(self, connect_timeout_s: float = 20.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._turns = Turns()
        self._idle: dict[tuple[str, str, int, str], list[Connection]] = defaultdict(list)

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        await asyncio.sleep(0)  # lets the loop take leave of them

    async def send(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, watch: Watch | None = None,
        method: str = "POST",
    ) -> Response:  # fmt: skip
        """POST `body` (or GET, without one); the whole exchange takes at most `deadline_s` seconds, however many bytes drip in meanwhile.
        With `watch` a 200 is a stream: it is shown each piece of it, also of one that ends in a Fault."""
        try:
            place, proxy = _place(url), proxy_of(url)
            request = b"%b%d\r\n\r\n%b" % (_head(method, place, proxy, tuple(headers.items())), len(body), body)
        except ValueError:
            raise Fault("config", "the endpoint's base_url or a header cannot be sent") from None
        sent = False
        idle = self._idle[place.scheme, place.host, place.port, proxy or ""]
        connection, ends = self._used(idle), asyncio.get_running_loop().time() + deadline_s
        try:
            if connection is None:
                async with asyncio.timeout_at(ends):
                    connection = await self._connect(place, proxy)
            sent = True
            reply = await connection.exchange(request, MAX_STREAM if watch else MAX_BODY, watch, ends=ends)
        except TimeoutError:
            raise Fault("timeout", f"no whole reply within {deadline_s:g} s", maybe_billed=sent) from None
        if not connection.closed:
            idle.append(connection)
        await self._turns.take()
        return reply

    def _used(self, idle: list[Connection]) -> Connection | None:
        """The connection that was used last, if it can be used again."""
        oldest = asyncio.get_running_loop().time() - IDLE_S
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _connect(self, place: Place, proxy: str | None) -> Connection:
        """Raises Fault; nothing of the ask was sent, so nothing was billed."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await (_through(proxy, place) if proxy else _direct(place))
        except TimeoutError:
            raise Fault("unreachable", f"cannot connect: no answer in {self._connect_timeout_s:g} s") from None
        except ssl.SSLCertVerificationError:
            raise Fault("config", f"the certificate of {place.host} is not trusted on this machine") from None
        except ssl.SSLError as e:
            raise Fault("config", f"no TLS connection with {place.host}: {e.reason or e}") from None
        except (OSError, UnicodeError) as e:  # UnicodeError: a host name that is none
            reason = getattr(e, "strerror", None) or e
            raise Fault("unreachable", f"cannot connect: {e.__class__.__name__}: {reason}") from None


@cache
def _place(url: str) -> Place:
    """Raises ValueError for a text that is no URL of a server."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(url)
    port = parts.port or _PORTS[parts.scheme]
    target = quote(parts.path or "/", safe=PATH_SAFE) + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port, _authority(parts), target)


def _authority(parts: SplitResult) -> str:
    """Host and port as the Host header names them, without a user and password."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return host if parts.port in (None, _PORTS[parts.scheme]) else f"{host}:{parts.port}"


@lru_cache(maxsize=256)
def _head(method: str, place: Place, proxy: str | None, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A request up to the length of its body, which is all that differs between those of an endpoint. Raises ValueError
    if a header would be more than one line."""
    given = {name.lower() for name, _ in headers}
    rest = {name: value for name, value in _DEFAULTS.items() if name not in given}
    target = place.target
    if proxy and place.scheme == "http":  # RFC 9112, section 3.2.2: a proxy is told the whole URL
        target = f"http://{place.authority}{target}"
        rest |= _proxy_authorization(urlsplit(proxy))
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {place.authority}",
        *(f"{name}: {value}" for name, value in (*headers, *rest.items())),
        "Content-Length: ",
    ]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a line break in a header")
    return text.encode()


async def _direct(place: Place) -> Connection:
    context = system_certificates() if place.scheme == "https" else None
    return await _open(place.host, place.port, context)


async def _open(host: str, port: int, context: ssl.SSLContext | None) -> Connection:
    loop = asyncio.get_running_loop()
    # RFC 8305: where the first address of a name is silent, the next is tried beside it
    delay = None if is_address(host) else 0.25
    _, connection = await loop.create_connection(Connection, host, port, ssl=context, happy_eyeballs_delay=delay)
    return connection


async def _through(proxy: str, place: Place) -> Connection:
    """A connection to the proxy, and for https a tunnel through it that the proxy cannot read (RFC 9110, section 9.3.6)."""
    parts = urlsplit(proxy)
    context = system_certificates() if parts.scheme == "https" else None
    connection = await _open(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80), context)
    if place.scheme == "http":
        return connection
    authority = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in _proxy_authorization(parts).items()]
    try:
        reply = await connection.exchange("\r\n".join([*lines, "", ""]).encode(), MAX_BODY, head_only=True)
    except Fault as fault:
        raise Fault("unreachable", f"the proxy does not connect to the host: {fault.message}") from None
    if reply.status != 200:
        connection.close()
        kind = "config" if reply.status in (401, 403, 407) else "unreachable"
        raise Fault(kind, f"the proxy does not connect to the host (HTTP {reply.status}); check HTTPS_PROXY")
    await connection.start_tls(system_certificates(), place.host)
    return connection


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    word = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(word.encode()).decode()}"}


@cache
def proxy_of(url: str) -> str | None:
    """The proxy that the environment (or the system) names for this URL, looked up once; none for this machine's own
    servers."""
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def system_certificates() -> ssl.SSLContext:
    """The operating system's trust store, so that company proxies with their own certificates work."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
