"""One connection that speaks HTTP/1.1: a request goes out whole, a reply comes in whole or as a Fault.

llhttp (Node's parser, through httptools) reads the bytes; this file holds what a reply of a language model needs
beside it: limits, decompression, where a reply ends (RFC 9112, section 6.3), and one wake-up an exchange: the task that asked
sleeps until its reply is whole. What that saves is in docs/performance.md.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lmmbench.faults import Fault

MAX_HEAD = 64 * 1024
"""Bytes before a reply's body; more is not HTTP in good faith."""
LINGER_S = 1.0
"""How long the end of a body is waited for once the answer in it is whole: the connection can then be used again."""
RAW = ("utf-8", "surrogateescape")
"""How the bytes of headers are read: whatever they are, they can be written again."""

Watch = Callable[[bytes], bool]
"""Sees each piece of a body as it arrives, and says whether the answer is whole with it."""


class Headers(Mapping[str, str]):
    """Headers by their names in any case; of a name that came twice, the first."""

    __slots__ = ("_held",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._held: dict[str, str] = {}
        for name, value in pairs:
            self._held.setdefault(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return self._held[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:  # the inherited one raises and catches a KeyError
        return self._held.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


@dataclass(slots=True)
class Response:
    """What came back: status, headers, the decoded body, and when that was (time.perf_counter)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.perf_counter)


def broken(text: str) -> Fault:
    """The exchange went wrong after the request was sent: nobody knows what the vendor did."""
    return Fault("network", text, maybe_billed=True)


class Connection(asyncio.Protocol):
    """One exchange at a time. `closed` says that there will be no other; `idle_since` is the loop's time of the last."""

    def __init__(self) -> None:
        self.closed = True
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)  # begins anew after each whole reply
        self._whole: asyncio.Future[None] | None = None
        self._until_closed = self._answered = False
        self._ends = math.inf
        self._alarm: asyncio.TimerHandle | None = None

    async def exchange(
        self, request: bytes, most: int, watch: Watch | None = None, *, ends: float = math.inf,
        head_only: bool = False,
    ) -> Response:  # fmt: skip
        """Send the request and wait for the reply, of at most `most` decoded bytes, until `ends` (loop time). `watch` sees
        a 200 as it comes. With `head_only` nothing after the headers is part of the reply (CONNECT). Raises Fault and
        TimeoutError; whatever ends it before the reply is whole, a cancellation too, closes the connection."""
        self._headers: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []
        self._status = self._fed = self._head = self._size = 0
        self._most, self._watch, self._head_only = most, watch, head_only
        self._inflate: _Inflate | None = None
        self._until_closed = self._answered = False
        self._whole = self._loop.create_future()
        try:
            if self.closed:
                raise broken("the server closed the connection")
            self._wait_until(ends)
            self._transport.write(request)
            await self._whole
        except BaseException:
            self.close()
            raise
        finally:
            self._whole = None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        return Response(self._status, self._told, body)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Everything from here on is encrypted, to `host`. Raises ssl.SSLError and OSError."""
        transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise ConnectionError("the connection ended in the TLS handshake")
        self._transport = transport
        self._parser = HttpResponseParser(self)  # the proxy's reply had no end

    def close(self) -> None:
        """At once, whatever is still on its way."""
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def _wait_until(self, ends: float) -> None:
        """One alarm serves many exchanges: it looks at the clock when it rings."""
        self._ends = ends
        if self._alarm and self._alarm.when() > ends:
            self._alarm.cancel()
            self._alarm = None
        if not self._alarm and ends < math.inf:
            self._alarm = self._loop.call_at(ends, self._ring)

    # --- what the event loop calls

    def _ring(self) -> None:
        self._alarm = None
        if self._whole is None or self._whole.done():
            return
        if self._loop.time() < self._ends:
            self._alarm = self._loop.call_at(self._ends, self._ring)
        else:
            self._fail(TimeoutError())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.closed = False

    def data_received(self, data: bytes) -> None:
        if self._whole is None or self._whole.done():
            self.close()  # nobody asked
            return
        try:
            if not self._status:
                self._fed += len(data)
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            if not self._head_only:
                self._fail(broken("the server switched to another protocol"))
        except HttpParserError as e:
            self._fail(broken(f"what came is not HTTP: {e}"))
        if not self._status and self._fed > MAX_HEAD:
            self._fail(broken(f"the reply's headers are larger than {MAX_HEAD} bytes"))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._alarm:
            self._alarm.cancel()
        if self._answered or (self._until_closed and error is None):
            self._finish()
        else:
            self._fail(broken(f"the connection ended before the reply was whole{f' ({error})' if error else ''}"))

    # --- what the parser calls

    def on_message_begin(self) -> None:
        if self._whole is None or self._whole.done():
            self.close()  # a second reply to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        if self._head > MAX_HEAD:
            self._fail(broken(f"the reply's headers are larger than {MAX_HEAD} bytes"))
        else:
            self._headers.append((name.decode(*RAW), value.decode(*RAW)))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue, 103 Early Hints: the reply is still to come
            self._headers.clear()
            return
        self._status = status
        told = self._told = Headers(self._headers)
        if self._head_only:
            self._finish()
            return
        if coding := told.get("content-encoding", "").strip().lower().replace("identity", ""):
            if coding not in _Inflate.CODINGS:
                self._fail(broken(f"the reply is compressed with {coding!r}, which was not asked for"))
                return
            self._inflate = _Inflate(coding)
        self._until_closed = "content-length" not in told and "transfer-encoding" not in told
        if status != 200:
            self._watch = None

    def on_body(self, data: bytes) -> None:
        if self._inflate is None:
            self._take(data)
            return
        try:
            for piece in self._inflate.pieces(data, lambda: self._most - self._size + 1):
                self._take(piece)
        except zlib.error as e:
            self._fail(broken(f"broken compression: {e}"))

    def on_message_complete(self) -> None:
        if not self._status:
            return
        if self._inflate and not self._inflate.whole and not self._answered:
            self._fail(broken("the reply's compressed body is cut"))
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._finish()

    # --- how an exchange ends

    def _take(self, data: bytes) -> None:
        if self._whole is None or self._whole.done() or self._answered:
            return
        self._size += len(data)
        if self._size > self._most:
            self._fail(Fault("invalid", f"the reply is larger than {self._most} bytes", maybe_billed=True))
            return
        self._pieces.append(data)
        if self._watch and self._watch(data):
            # what follows is nothing but the end of the body; whatever goes wrong with it, the answer stands
            self._answered = True
            self._loop.call_later(LINGER_S, self._give_up_the_end, self._whole)

    def _give_up_the_end(self, whole: asyncio.Future[None]) -> None:
        if self._whole is whole and not whole.done():
            self.close()
            self._finish()

    def _finish(self) -> None:
        if self._whole is not None and not self._whole.done():
            self.idle_since = self._loop.time()
            self._whole.set_result(None)

    def _fail(self, error: Fault | TimeoutError) -> None:
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(error)
        self.close()


class _Inflate:
    """A compressed body, piece by piece (RFC 9110, section 8.4.1). Never gives more at once than there is room for."""

    CODINGS = ("gzip", "x-gzip", "deflate")

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._reader: zlib._Decompress | None = None

    @property
    def whole(self) -> bool:
        return self._reader is None or self._reader.eof

    def pieces(self, data: bytes, room: Callable[[], int]) -> Iterator[bytes]:
        """What the data holds. Raises zlib.error. Ends early, with data left, when there is no room."""
        while data and room() > 0:
            if self._reader is None or (self._reader.eof and self._gzip):  # gzip: a further member
                self._reader = zlib.decompressobj(self._window(data))
            yield self._reader.decompress(data, room())
            if self._reader.eof and not self._gzip:
                return
            data = self._reader.unused_data if self._reader.eof else self._reader.unconsumed_tail

    def _window(self, data: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        zlib_header = data[0] & 0x0F == zlib.DEFLATED  # some servers send the bare stream, against the standard
        return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS
