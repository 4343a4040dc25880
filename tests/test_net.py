"""The one place that sends, over real sockets: whatever happens on the wire is a reply as it is, or a Fault in time."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import tracemalloc
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from lmmbench.faults import Fault
from lmmbench.net.http import MAX_BODY, Response, Sender
from tests import kit
from tests.fake_server import Answer, FakeServer

BODY = b'{"model": "sim-a", "messages": [{"role": "user", "content": "?"}]}'
AUTH = {"Authorization": "Bearer k", "Content-Type": "application/json"}


def send(
    url: str, *, times: int = 1, together: bool = False, deadline_s: float = 10.0, headers: Mapping[str, str] = AUTH
) -> list[Response | Fault]:
    """POST to `url` so many times from one session, one after the other or together; faults are returned."""

    async def one(sender: Sender) -> Response | Fault:
        try:
            return await sender.send(url, headers, BODY, deadline_s)
        except Fault as fault:
            return fault

    async def main() -> list[Response | Fault]:
        async with Sender() as sender:
            if together:
                return list(await asyncio.gather(*(one(sender) for _ in range(times))))
            return [await one(sender) for _ in range(times)]

    return asyncio.run(main())


def fault(url: str, **options: Any) -> Fault:
    """The one fault that sending brings."""
    (found,) = send(url, **options)
    assert isinstance(found, Fault)
    return found


def path(server: FakeServer) -> str:
    return server.url + "/sim/v1/chat/completions"


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The URL of a port where nothing listens: it is taken, and refuses."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_a_reply_comes_back_as_it_is() -> None:
    """Every HTTP status is returned, with its headers (any case of their names) and its body; what was sent is what
    was given."""
    told = [Answer(status=status, body=f"body {status}", headers={"Retry-After": "7"}) for status in (200, 418, 503)]
    with FakeServer(told) as server:
        replies = send(path(server), times=3)
        assert [(r.status, r.body) for r in replies if isinstance(r, Response)] == [
            (200, b"body 200"), (418, b"body 418"), (503, b"body 503"),
        ]  # fmt: skip
        assert isinstance(replies[0], Response)
        assert replies[0].headers["retry-after"] == "7"
        got = server.history[0]
        assert got.body == json.loads(BODY)
        assert (got.headers["authorization"], got.headers["user-agent"]) == ("Bearer k", "lmmbench")


def test_connections_are_used_again_and_limited_by_nobody() -> None:
    """One after the other share a connection; what the gates let through together waits for no pool."""
    with FakeServer() as server:
        send(path(server), times=10)
        assert server.connections == 1
    with FakeServer(lambda _: Answer(held=True)) as server:
        server.script = lambda x: server.let_go() if x.number == 149 else Answer(held=True)
        assert all(isinstance(r, Response) for r in send(path(server), times=150, together=True))
        assert server.peak["sim"] == 150


def test_cookies_are_not_kept() -> None:
    """No answer depends on an earlier one."""
    with FakeServer(lambda _: Answer(headers={"Set-Cookie": "a=b; Path=/"})) as server:
        send(path(server), times=2)
        assert "cookie" not in server.history[1].headers


# --- what goes wrong ---------------------------------------------------------------------------------


def test_a_server_that_never_answers_is_a_timeout() -> None:
    """The deadline covers the whole exchange; the vendor may have worked."""
    with FakeServer([Answer(end="never")]) as server:
        found = fault(path(server), deadline_s=0.2)
    assert (found.kind, found.maybe_billed) == ("timeout", True)
    assert "0.2 s" in found.message


def test_a_drip_of_bytes_does_not_put_off_the_deadline() -> None:
    """A server that keeps sending a little (blank lines, a slow body) meets the same total deadline."""

    async def main() -> Fault:
        async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"1\r\n\n\r\n")
                await asyncio.sleep(0.01)

        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with Sender() as sender:
            with pytest.raises(Fault) as raised:
                await sender.send(url, {}, BODY, 0.3)
        server.close()
        return raised.value

    assert asyncio.run(main()).kind == "timeout"


@pytest.mark.parametrize("end", ["reset", "cut", "cut-chunked"])
def test_a_broken_exchange_is_a_network_fault_and_is_sent_once(end: Any) -> None:
    """A reset or a cut body is seen, may have been billed, and is never sent again behind the runner's back, on a fresh
    connection or on one in use."""
    with FakeServer([Answer(end=end), None, Answer(end=end)]) as server:
        first, second, third = send(path(server), times=3)
        assert len(server.history) == 3
    assert isinstance(second, Response)
    for found in (first, third):
        assert isinstance(found, Fault)
        assert (found.kind, found.maybe_billed) == ("network", True)


def test_a_cut_that_http_cannot_see_gives_half_a_body() -> None:
    """Without a length and without chunks the end of the connection is the end of the body: the dialect must notice."""
    with FakeServer([Answer(end="cut-close")]) as server:
        (reply,) = send(path(server))
    assert isinstance(reply, Response)
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


@pytest.mark.parametrize("headers", [{"Content-Length": "x"}, {"X": "x" * 100_000}, {"": ""}])
def test_bytes_that_are_no_http_are_a_network_fault(headers: dict[str, str]) -> None:
    """A port that speaks something else, or without measure."""
    with FakeServer([Answer(headers=headers)]) as server:
        assert fault(path(server)).kind == "network"


def test_a_closed_port_is_unreachable_and_not_billed(closed_port: str) -> None:
    """Nobody worked, so nobody charged."""
    found = fault(closed_port)
    assert (found.kind, found.maybe_billed) == ("unreachable", False)
    assert found.message.startswith("cannot connect")


def test_a_host_without_an_address_is_unreachable() -> None:
    """A name that does not resolve (RFC 6761: .invalid never does)."""
    assert fault("http://nowhere.invalid/v1").kind == "unreachable"


def test_a_connection_that_does_not_come_about_is_unreachable() -> None:
    """A host that drops packets is unreachable and not billed; it is no answer that was too slow."""

    async def main(url: str) -> Fault:
        async with Sender(connect_timeout_s=0.2) as sender:
            with pytest.raises(Fault) as raised:
                await sender.send(url, {}, BODY, 10)
        return raised.value

    with closing(socket.socket()) as full:  # its queue is full: the kernel answers no further connection
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        found = asyncio.run(main(f"http://127.0.0.1:{full.getsockname()[1]}/v1"))
        for filler in fillers:
            filler.close()
    assert (found.kind, found.maybe_billed) == ("unreachable", False)


def test_plain_http_behind_an_https_url_is_a_config_fault() -> None:
    """TLS that fails will fail again: the entry is wrong."""

    async def main() -> Fault:
        async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server, Sender() as sender:
            with pytest.raises(Fault) as raised:
                await sender.send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", {}, BODY, 10)
        return raised.value

    assert asyncio.run(main()).kind == "config"


def test_a_text_that_is_no_url_is_a_config_fault() -> None:
    """A wrong base_url stops the model with a word, not the run with a traceback."""
    assert fault("http://[::1/v1").kind == "config"


# --- redirects, sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """A key never travels to where a server points."""
    with (
        FakeServer() as elsewhere,
        FakeServer([Answer(status=status, headers={"Location": path(elsewhere)})]) as server,
    ):
        (reply,) = send(path(server))
        assert isinstance(reply, Response)
        assert reply.status == status
        assert elsewhere.history == []
        assert len(server.history) == 1


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    """A reply that is larger than MAX_BODY is no answer."""
    with FakeServer([Answer(body=b"x" * MAX_BODY), Answer(body=b"x" * (MAX_BODY + 1))]) as server:
        whole, larger = send(path(server), times=2)
    assert isinstance(whole, Response)
    assert len(whole.body) == MAX_BODY
    assert isinstance(larger, Fault)
    assert (larger.kind, larger.maybe_billed) == ("invalid", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_reply_is_decoded(coding: str) -> None:
    """What servers compress is read."""
    import zlib

    body = gzip.compress(b"whole") if coding == "gzip" else zlib.compress(b"whole")
    with FakeServer([Answer(body=body, headers={"Content-Encoding": coding})]) as server:
        (reply,) = send(path(server))
    assert isinstance(reply, Response)
    assert reply.body == b"whole"


def test_bad_compression_is_a_network_fault() -> None:
    """A body that is not what its header says."""
    with FakeServer([Answer(body=b"not gzip", headers={"Content-Encoding": "gzip"})]) as server:
        assert fault(path(server)).kind == "network"


def test_a_decompression_bomb_is_bounded() -> None:
    """A megabyte that unpacks to a gigabyte is given up on the way, and never stands in memory."""
    zeros = gzip.compress(bytes(2**24), 9)
    bomb = zeros * 64  # members of one gzip stream: 1 GiB
    assert len(bomb) < 2**21
    with FakeServer([Answer(body=bomb, headers={"Content-Encoding": "gzip"})]) as server:
        tracemalloc.start()
        found = fault(path(server))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert found.kind == "invalid"
    assert peak < 8 * MAX_BODY


# --- proxies -----------------------------------------------------------------------------------------


def test_tests_know_no_proxy() -> None:
    """Neither these tests nor the commands that they start send anything through this machine's proxy."""
    proxies = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "x",
        "no_proxy": "y",
    }
    assert not [k for k in kit.clean_env() if k.upper().endswith("_PROXY")]
    assert not [k for k in os.environ if k.upper().endswith("_PROXY")]
    assert kit.clean_env(**proxies).items() >= proxies.items()


def test_a_proxy_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is honoured for other machines; a server on this one is asked directly."""
    with FakeServer() as proxy, FakeServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        (reply,) = send("http://nowhere.invalid/sim/v1/chat/completions")
        assert isinstance(reply, Response)
        assert [x.headers["host"] for x in proxy.history] == ["nowhere.invalid"]
        send(path(server))
        assert (len(proxy.history), len(server.history)) == (1, 1)


def test_closing_waits_for_nothing_and_may_come_before_the_first_ask() -> None:
    """A sender that was never used opens nothing and closes."""

    async def main() -> None:
        async with Sender():
            pass

    work: Coroutine[Any, Any, None] = main()
    asyncio.run(work)
