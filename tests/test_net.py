"""The one place that sends, over real sockets: whatever happens on the wire is a reply as it is, or a Fault in time."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tracemalloc
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from lmmbench.faults import Fault
from lmmbench.net import http
from lmmbench.net.http import MAX_BODY, Sender
from lmmbench.net.http1 import Response
from lmmbench.providers import redirect_text
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


needs_openssl = pytest.mark.skipif(
    sys.platform != "linux" or (not shutil.which("openssl") and os.environ.get("CI") != "true"),
    reason="the system's certificates are a file on Linux only; there the program openssl makes one",
)
SECURE = "https://vendor.invalid/v1/chat/completions"


class Tunnel:
    """A proxy that answers CONNECT with `status`, and with 200 leads to a TLS server that says `secure`. `heard` holds
    the heads of what the proxy itself could read."""

    def __init__(self, certificate: Path | None = None, status: int = 200) -> None:
        self.heard: list[str] = []
        self._certificate = certificate
        self._status = status

    async def ask(self, monkeypatch: pytest.MonkeyPatch, userinfo: str = "") -> Response | Fault:
        """POST through it to a host that has no address of its own."""
        http.proxy_of.cache_clear()
        secure = await asyncio.start_server(self._secure, "127.0.0.1", 0, ssl=self._context())
        proxy = await asyncio.start_server(lambda r, w: self._connect(r, w, secure), "127.0.0.1", 0)
        async with secure, proxy, Sender() as sender:
            monkeypatch.setenv("https_proxy", f"http://{userinfo}127.0.0.1:{_port(proxy)}")
            try:
                return await sender.send(SECURE, AUTH, BODY, 10)
            except Fault as fault:
                return fault

    def _context(self) -> ssl.SSLContext | None:
        if self._certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        return context

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secure: asyncio.Server
    ) -> None:
        self.heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 %d Told\r\n\r\n" % self._status)
        if self._status == 200:
            there, back = await asyncio.open_connection("127.0.0.1", _port(secure))
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        writer.close()

    async def _secure(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecure")
        writer.close()


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of its own for vendor.invalid, in one file."""
    path = tmp_path / "own.pem"
    names = ["-subj", "/CN=vendor.invalid", "-addext", "subjectAltName=DNS:vendor.invalid"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return path


@needs_openssl
def test_https_goes_through_a_proxy_that_cannot_read_it(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY with its own user is honoured, and a certificate that the system trusts is trusted: that of a company,
    say. The proxy hears the host's name, never the key."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    tunnel = Tunnel(certificate)
    reply = asyncio.run(tunnel.ask(monkeypatch, "user:word@"))
    assert isinstance(reply, Response), reply
    assert reply.body == b"secure"
    assert tunnel.heard[0].startswith("CONNECT vendor.invalid:443 ")
    assert "Proxy-Authorization: Basic dXNlcjp3b3Jk" in tunnel.heard[0]
    assert AUTH["Authorization"] not in "".join(tunnel.heard)


@needs_openssl
def test_a_certificate_that_the_system_does_not_trust_stops_the_model(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is not sent to whoever says to be the vendor; the sentence names the host."""
    found = asyncio.run(Tunnel(certificate).ask(monkeypatch))
    assert isinstance(found, Fault)
    assert (found.kind, found.maybe_billed) == ("config", False)
    assert found.message == "the certificate of vendor.invalid is not trusted on this machine"


@pytest.mark.parametrize(("status", "kind"), [(407, "config"), (403, "config"), (502, "unreachable")])
def test_a_proxy_that_does_not_connect_is_told(status: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so nothing was billed; the proxy's own password stands in no message."""
    found = asyncio.run(Tunnel(status=status).ask(monkeypatch, "user:word@"))
    assert isinstance(found, Fault)
    assert (found.kind, found.maybe_billed) == (kind, False)
    assert f"HTTP {status}" in found.message and "check HTTPS_PROXY" in found.message and "word" not in found.message


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that NO_PROXY names is asked directly, though a proxy is named."""
    with FakeServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "inside.invalid")
        assert fault("http://inside.invalid/v1").kind == "unreachable"
        assert proxy.history == []


def test_closing_waits_for_nothing_and_may_come_before_the_first_ask() -> None:
    """A sender that was never used opens nothing and closes."""

    async def main() -> None:
        async with Sender():
            pass

    work: Coroutine[Any, Any, None] = main()
    asyncio.run(work)


# --- what a redirect says ----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_a_redirect_stops_its_model_with_a_sentence(stream: list[str], tmp_path: Path) -> None:
    """It names the endpoint, where it was sent to (without a query, which may hold a key) and what to correct; the key goes
    nowhere else, and one request tells."""
    kit.write_pack(tmp_path / "tasks/p", 5)
    with FakeServer() as elsewhere:
        place = elsewhere.url.replace("127.0.0.1", "localhost")
        with FakeServer(lambda _: Answer(status=307, headers={"Location": f"{place}/v1?key=secret"})) as server:
            kit.providers_yaml(tmp_path / "providers.yaml", server.url, key_env="SIM_API_KEY", concurrency=1)
            done = kit.lmmbench(
                "run", "--tasks", "p", "--allow-unknown-cost", *stream, cwd=tmp_path, env={"SIM_API_KEY": "sk-never-elsewhere"}
            )  # fmt: skip
            assert len(server.history) == 1
        assert elsewhere.history == []
    assert done.returncode == 4
    sentence = (
        f"the endpoint 'sim' redirects to {place}/v1, which is never followed; correct its base_url in providers.yaml"
    )
    assert f"stopped: config: {sentence}" in done.stderr
    assert "secret" not in done.stderr


REDIRECTS = {
    "https://h.example/v1/chat/completions": "https://h.example/v1/chat/completions",
    "https://h.example:8443/v1": "https://h.example:8443/v1",
    "http://h.example": "http://h.example",
    "/v2/chat": "http://sim.example:8000/v2/chat",
    "?key=hunter2": "http://sim.example:8000/v1/chat/completions",
    "//other.example/x": "http://other.example/x",
    "https://u:hunter2@h.example/v1?key=hunter2#hunter2": "https://h.example/v1",
    "https://[::1]:9/x": "https://[::1]:9/x",
    "https://h.example/a b\x1b[31m": "https://h.example/a%20b%1B%5B31m",
    "https://h.example/" + "a" * 999: "https://h.example/" + "a" * 182,
    "": "no readable place",
    "http://[::1": "no readable place",
    "http://h.example:port/": "no readable place",
    "mailto:x@h.example": "no readable place",
}  # fmt: skip


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_says_where_to_and_nothing_that_may_be_a_key(location: str) -> None:
    """Scheme, host, port and path of whatever stands in Location; never a user, a query or a fragment."""
    said = redirect_text("sim", "http://sim.example:8000/v1/chat/completions", location)
    place = said.removeprefix("the endpoint 'sim' redirects to ").partition(", which is never followed; correct its")[0]
    assert place == REDIRECTS[location]
    assert "hunter2" not in said


def test_a_key_in_a_redirects_path_is_hidden() -> None:
    """A server may put what it was sent wherever it likes."""
    key = "sk-never-shown-0123"
    with (
        FakeServer(lambda _: Answer(status=302, headers={"Location": f"/login/{key}"})) as server,
        pytest.MonkeyPatch.context() as env,
    ):
        env.setenv("SIM_API_KEY", key)
        (found,) = kit.ask("openai-chat", "http", server.url)
    assert isinstance(found, Fault) and "/login/%5Bkey%5D" in found.message and key not in found.message
