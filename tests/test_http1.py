"""One HTTP/1.1 connection, byte by byte: where a reply ends, and what is no reply. The server is a script of bytes."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench.faults import Fault
from lmmbench.net import http1
from lmmbench.net.http import Sender
from lmmbench.net.http1 import Headers, Response

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"answer": 1}'
WHOLE = OK + b"Content-Length: 13\r\n\r\n" + BODY
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(server: Server, times: int = 1, **options: Any) -> tuple[list[Response | Fault], int]:
    """Ask a server so often, one after the other. Returns what came, and how many connections were opened."""
    opened = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await server(reader, writer)

    async def main() -> list[Response | Fault]:
        found: list[Response | Fault] = []
        async with await asyncio.start_server(count, "127.0.0.1", 0) as listening, Sender() as sender:
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
            for _ in range(times):
                try:
                    found.append(await sender.send(url, {"A": "b"}, b"{}", 10, **options))
                except Fault as fault:
                    found.append(fault)
            return found

    return asyncio.run(main()), opened


def says(*pieces: bytes, close: bool = False) -> Server:
    """A server that answers each request with the pieces, each on the wire before the next is written."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return server


def one(server: Server, **options: Any) -> Response | Fault:
    return asked(server, **options)[0][0]


def body(server: Server) -> bytes:
    found = one(server)
    assert isinstance(found, Response), found
    return found.body


def network(server: Server) -> str:
    """The text of the fault, which is of the network and may have been billed."""
    found = one(server)
    assert isinstance(found, Fault), found
    assert (found.kind, found.maybe_billed) == ("network", True)
    return found.message


@given(
    cuts=st.lists(st.integers(0, 200), max_size=6), form=st.sampled_from(["length", "chunked", "gzip", "gzip-chunked"])
)
def test_a_reply_is_the_same_however_its_bytes_come(cuts: list[int], form: str) -> None:
    """The network may cut a reply anywhere: in the status, in a header, in a chunk's size, in a compressed body."""
    data = gzip.compress(BODY) if "gzip" in form else BODY
    head = OK + (b"Content-Encoding: gzip\r\n" if "gzip" in form else b"")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(data[n : n + 5]), data[n : n + 5]) for n in range(0, len(data), 5))
    whole = {True: head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"}.get(
        "chunked" in form, head + b"Content-Length: %d\r\n\r\n" % len(data) + data
    )
    places = [0, *sorted(min(c, len(whole)) for c in cuts), len(whole)]
    assert body(says(*(whole[a:b] for a, b in pairwise(places)))) == BODY


def test_a_reply_after_a_promise_is_the_reply() -> None:
    """100 Continue and 103 Early Hints come before the reply; their headers are not its."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nRetry-After: 9\r\n\r\n"
    found = one(says(early + WHOLE))
    assert isinstance(found, Response)
    assert (found.status, found.body, "retry-after" in found.headers) == (200, BODY, False)


def test_a_reply_without_a_body_is_whole() -> None:
    """204 has none, whatever its headers leave out."""
    found = one(says(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert isinstance(found, Response)
    assert (found.status, found.body) == (204, b"")


def test_a_reply_to_the_end_of_the_connection_is_whole() -> None:
    """No length and no chunks: the end of the connection ends it (RFC 9112, 6.3)."""
    assert body(says(OK + b"\r\n" + BODY, close=True)) == BODY


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", b"SSH-2.0-x\r\n\r\n",
     OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     OK + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OK + b"X" * 70_000, b""],
)  # fmt: skip
def test_what_is_no_reply_is_a_network_fault(reply: bytes) -> None:
    """Another protocol, lengths that disagree (a smuggled reply begins so), headers without an end, silence."""
    network(says(reply, close=True))


def test_a_compressed_body_that_is_cut_is_no_answer() -> None:
    """HTTP saw all bytes; gzip did not see its end."""
    data = gzip.compress(BODY)[:-4]
    assert "cut" in network(says(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data) + data))


def test_a_coding_that_was_not_asked_for_is_named() -> None:
    """What cannot be read is no answer."""
    assert "'br'" in network(says(OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"))


def test_deflate_is_read_with_and_without_its_header() -> None:
    """RFC 9110, 8.4.1.2: some servers send the bare stream."""
    bare = zlib.compressobj(wbits=-15)
    for data in (zlib.compress(BODY), bare.compress(BODY) + bare.flush()):
        assert body(says(OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(data) + data)) == BODY


def test_a_connection_that_said_too_much_is_not_used_again() -> None:
    """Bytes that nobody asked for would be read as the next question's reply."""
    found, opened = asked(says(WHOLE + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"), times=3)
    assert [r.body for r in found if isinstance(r, Response)] == [BODY] * 3
    assert opened == 3


@pytest.mark.parametrize("close", [b"Connection: close\r\n", b""])
def test_a_server_that_closes_is_asked_on_a_new_connection(close: bytes) -> None:
    """With or without a word."""
    reply = OK + close + b"Content-Length: 13\r\n\r\n" + BODY

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(reply)
        writer.close()

    found, opened = asked(server, times=2)
    assert isinstance(found[0], Response)
    assert opened == 2 or isinstance(found[1], Fault)  # its end may not have been seen yet


def test_a_connection_that_was_idle_too_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers close theirs after a while, and an ask that meets that moment may be billed for nothing."""
    monkeypatch.setattr("lmmbench.net.http.IDLE_S", -1.0)
    found, opened = asked(says(WHOLE), times=3)
    assert all(isinstance(r, Response) for r in found)
    assert opened == 3


def test_a_cancelled_ask_leaves_no_connection_behind() -> None:
    """Its reply would be read as that of the next question."""

    async def main() -> tuple[bytes, int]:
        heard = 0

        async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal heard
            heard += 1
            first = heard == 1
            await reader.readuntil(b"\r\n\r\n{}")
            came.set()
            if not first:
                writer.write(WHOLE)
            await reader.read()
            writer.close()

        came = asyncio.Event()
        async with await asyncio.start_server(server, "127.0.0.1", 0) as listening, Sender() as sender:
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
            ask = asyncio.create_task(sender.send(url, {}, b"{}", 10))
            await came.wait()
            ask.cancel()
            await asyncio.wait([ask])
            return (await sender.send(url, {}, b"{}", 10)).body, heard

    assert asyncio.run(main()) == (BODY, 2)


def test_a_connection_that_ends_before_it_was_used_ends_quietly() -> None:
    """A run may be stopped between connecting and sending."""
    wrong: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: wrong.append(told))
        async with await asyncio.start_server(says(), "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            transport, connection = await loop.create_connection(http1.Connection, "127.0.0.1", port)
            connection.close()
            for _ in range(5):
                await asyncio.sleep(0)
            assert transport.get_extra_info("socket").fileno() < 0

    asyncio.run(main())
    assert wrong == []


def test_a_stream_that_told_its_answer_is_whole_though_it_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher knows when the answer is whole; a server that keeps the connection open adds a moment, no fault."""
    monkeypatch.setattr(http1, "LINGER_S", 0.01)
    found, opened = asked(
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n"), times=2, watch=lambda b: b == b"done"
    )
    assert [r.body for r in found if isinstance(r, Response)] == [b"done", b"done"]
    assert opened == 2


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b", "a\rb"])
def test_a_header_is_one_line(value: str) -> None:
    """A key with a line break in it would begin another header; nothing is sent."""

    async def main() -> None:
        async with Sender() as sender:
            with pytest.raises(Fault) as raised:
                await sender.send("http://127.0.0.1:9/v1", {"Authorization": value}, b"{}", 1)
        assert (raised.value.kind, raised.value.maybe_billed) == ("config", False)

    asyncio.run(main())


def test_a_url_becomes_a_target_and_a_host() -> None:
    """Path and query as they are, other characters in percents; no user, no fragment; the port where it is not the usual."""
    heads: list[bytes] = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n{}"))
        writer.write(WHOLE)
        writer.close()

    async def main() -> int:
        async with await asyncio.start_server(server, "127.0.0.1", 0) as listening, Sender() as sender:
            port = int(listening.sockets[0].getsockname()[1])
            await sender.send(f"http://u:p@127.0.0.1:{port}/v1/모델 a%2Fb?alt=sse#x", {"User-Agent": "me"}, b"{}", 10)
            return port

    port = asyncio.run(main())
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "POST /v1/%EB%AA%A8%EB%8D%B8%20a%2Fb?alt=sse HTTP/1.1"
    assert lines[1:4] == [f"Host: 127.0.0.1:{port}", "User-Agent: me", "accept: */*"]
    assert "Content-Length: 2" in lines


def test_of_a_header_that_came_twice_the_first_counts() -> None:
    """And its name in any case."""
    headers = Headers([("Retry-After", "1"), ("retry-after", "2"), ("A", "b")])
    assert (headers["RETRY-AFTER"], dict(headers), len(headers)) == ("1", {"retry-after": "1", "a": "b"}, 2)
