"""`transport: sdk`: the vendor's own client carries the same request, and nothing that it thinks of the reply counts."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lmmbench import cli, config
from lmmbench.faults import Fault, UsageError
from lmmbench.net.http import MAX_BODY
from lmmbench.secret import Secret
from lmmbench.types import Media, Reply
from tests import kit
from tests.fake_server import RIGHT, Answer, FakeServer, gemini, sse

needs_sdk = kit.needs("openai", "google.genai", install=config.INSTALL_SDK)
KEY = "sk-sim-0123456789abcdef"
APIS = pytest.mark.parametrize("api", config.SDK_APIS)


def told(outcome: Reply | Fault) -> Any:
    """What of an outcome is the same whoever carried it."""
    if isinstance(outcome, Fault):
        words = outcome.message if outcome.message.startswith(("HTTP", "the reply", "no whole")) else ""
        return outcome.kind, outcome.retry_after, outcome.maybe_billed, words
    return {name: getattr(outcome, name) for name in Reply.__slots__ if name not in ("latency_s", "ttft_s")}


@pytest.fixture(autouse=True)
def sim_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_API_KEY", KEY)


def answers() -> list[Answer]:
    """All that a server may do, each of which both transports must read alike."""
    error = {"error": {"message": f"no: {KEY}", "code": "slow_down", "status": "RESOURCE_EXHAUSTED"}}
    return [
        Answer(),
        *(Answer(status=status, body=error) for status in (400, 401, 402, 403, 404, 409, 413, 422, 500, 503, 529)),
        Answer(status=429, body=error, headers={"Retry-After": "7"}),
        Answer(status=429, body=error, headers={"retry-after-ms": "1500", "x-should-retry": "true"}),
        Answer(status=500, body=f"<html>{KEY}"),
        Answer(status=204, body=""),
        Answer(status=307, headers={"Location": f"http://127.0.0.1:9/{KEY}"}),
        Answer(body=f"<html>{KEY}"), Answer(body=""), Answer(body=b"\xff\xfe"), Answer(body='{"choices": ['),
        Answer(body="[]"), Answer(body={}), Answer(body=error), Answer(body={"choices": [], "candidates": []}),
        Answer(body=gzip.compress(b"[1]"), headers={"Content-Encoding": "gzip"}),
        Answer(body=b"not gzip", headers={"Content-Encoding": "gzip"}),
        Answer(body=b"x" * (MAX_BODY + 1)),
        Answer(end="reset"), Answer(end="cut"), Answer(end="cut-chunked"), Answer(end="cut-close"),
        Answer(text=f"제 열쇠는 {KEY}입니다"), Answer(text=""), Answer(headers={"Content-Type": "text/html; charset=euc-kr"}),
        Answer(),
    ]  # fmt: skip


@needs_sdk
@APIS
def test_whoever_carries_it_the_outcome_is_the_same(api: str) -> None:
    """Every reply and everything that goes wrong on the wire is one answer or one fault, by both transports alike, and
    each ask is one request: no retry, no redirect, no continuation behind the runner's back."""
    with FakeServer([*answers(), *answers()]) as server:
        outcomes = {t: [told(o) for o in kit.ask(api, t, server.url, len(answers()))] for t in ("http", "sdk")}
        assert len(server.history) == 2 * len(answers())
    for answer, http, sdk in zip(answers(), outcomes["http"], outcomes["sdk"], strict=True):
        assert sdk == http, answer
    assert KEY not in str(outcomes)


@needs_sdk
@APIS
def test_the_total_deadline_holds(api: str) -> None:
    """A server that says nothing is a timeout that may have been billed."""
    with FakeServer([Answer(end="never")]) as server:
        assert told(*kit.ask(api, "sdk", server.url, timeout_s=0.3)) == ("timeout", None, True, "no whole reply within 0.3 s")  # fmt: skip
        assert len(server.history) == 1


@needs_sdk
@APIS
def test_what_never_came_about_is_unreachable_or_misconfigured(api: str) -> None:
    """A closed port is unreachable, plain HTTP where TLS was meant is an entry that is wrong; neither was billed."""
    with FakeServer() as gone:
        closed = gone.url
    with kit.tcp_server() as port:
        plain = f"https://127.0.0.1:{port}"
        for url, kind in ((closed, "unreachable"), (plain, "config")):
            assert told(*kit.ask(api, "sdk", url))[:3] == told(*kit.ask(api, "http", url))[:3] == (kind, None, False)


@contextlib.contextmanager
def self_signed(folder: Path) -> Iterator[str]:
    """The address of a TLS server whose certificate nobody has vouched for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), *_DAYS)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem += made.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with kit.tcp_server(context) as port:
        yield f"https://localhost:{port}"


_DAYS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))


@needs_sdk
@APIS
def test_a_certificate_that_nobody_vouches_for(api: str, tmp_path: Path) -> None:
    """The entry or the machine's store is wrong: no retry helps, and the sentence says certificate."""
    with self_signed(tmp_path) as url:
        for transport in ("http", "sdk"):
            (fault,) = kit.ask(api, transport, url)
            assert isinstance(fault, Fault)
            assert (fault.kind, fault.maybe_billed) == ("config", False) and "certificate" in fault.message


@needs_sdk
def test_a_handshake_that_never_ends_is_a_timeout() -> None:
    """What a TLS library says while it waits is no verdict on the endpoint."""
    with FakeServer() as server:  # waits for the end of a request that TLS never writes
        url = server.url.replace("http:", "https:")
        assert told(*kit.ask("openai-chat", "sdk", url, timeout_s=0.5))[0] == "timeout"


@needs_sdk
@APIS
def test_the_request_is_ours_and_describes_no_machine(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, key and the endpoint's own headers are those of our transport; the client adds nothing about itself or this
    machine; a key that lies about in the environment goes nowhere."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "sk-of-someone-else")
    asked = kit.request("그림에 무엇이 있습니까?", kit.PIXEL)
    with FakeServer() as server:
        for transport in ("http", "sdk"):
            kit.ask(api, transport, server.url, asked=asked, headers={"X-Team": "bench"})
        ours, theirs = server.history
    for name in ("authorization", "x-goog-api-key", "content-type", "x-team"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    assert ours.path == theirs.path
    assert theirs.headers["user-agent"] == ours.headers["user-agent"] == "lmmbench", "the clients' own names the Python"
    own = set(theirs.headers) - set(ours.headers)
    assert own <= {"connection"}, own
    assert "sk-of-someone-else" not in str(theirs.headers)


JPEG = Media("image/jpeg", bytes(range(256)) * 40, "1" * 64)
QUESTIONS = {
    "text": kit.request("What is 2 + 3?"),
    "hangul": kit.request('‘훈민정음’을 어간다냐? 꿩 \\u000a </s> 😀 ㅋㅋ\n\t"네"'),
    "no system prompt": replace(kit.request("혼저 옵서예"), system=""),
    "one image": kit.request("그림에 무엇이 있습니까?", kit.PIXEL),
    "images": kit.request("무엇이 다릅니까?", kit.PIXEL, JPEG),
}
OPTIONS = {
    "exact": 0.1,
    "whole": 1.0,
    "large": 2**60,
    "small": 1e-7,
    "yes": True,
    "no": None,
    "한국어": ["가", {"snake_case": 1}],
}
"""Numbers and names that a client would change if it read and wrote them carelessly."""


@needs_sdk
@APIS
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_bytes_are_those_of_our_own_sender(api: str, stream: bool, question: str) -> None:
    """The same encoded body, to the byte, whoever carries it: no client sorts, escapes, trims or adds anything."""
    asked = replace(QUESTIONS[question], stream=stream)
    with FakeServer() as server:
        outcomes = [kit.ask(api, t, server.url, asked=asked, options=OPTIONS) for t in ("http", "sdk")]
        ours, theirs = server.history
    assert ours.raw == theirs.raw and ours.raw
    assert ours.headers["content-length"] == theirs.headers["content-length"] == str(len(ours.raw))
    assert "transfer-encoding" not in theirs.headers
    assert [o.text for (o,) in outcomes if isinstance(o, Reply)] == [RIGHT, RIGHT]
    assert outcomes[0][0].request_sha == outcomes[1][0].request_sha


@needs_sdk
@APIS
@pytest.mark.parametrize("changed", [b"[]", b"{", b"", b'{"model": "m", "seed": 1.0}'])
def test_a_client_that_says_anything_else_sends_nothing(
    api: str, changed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded as sent is what was sent: where a client's JSON has other values, or is none, the ask is a fault,
    and never a silent change."""
    import httpx2

    build = httpx2.AsyncClient.build_request

    def careless(self: httpx2.AsyncClient, *args: Any, **given: Any) -> httpx2.Request:
        return build(self, *args, **given | {"content": changed})

    monkeypatch.setattr(httpx2.AsyncClient, "build_request", careless)
    with FakeServer() as server:
        (fault,) = kit.ask(api, "sdk", server.url)
        assert server.history == []
    assert isinstance(fault, Fault) and (fault.kind, fault.maybe_billed) == ("adapter", False)
    assert "changed the request" in fault.message and "leave out transport: sdk" in fault.message


@needs_sdk
def test_a_part_that_only_the_client_has_is_a_change() -> None:
    """Google's client puts contents of its own where a body has none."""
    from lmmbench.providers.sdk import SdkSender

    async def main(url: str) -> None:
        sender = SdkSender("gemini", url, Secret(KEY))
        try:
            await sender.send(url + "/v1beta/models/m:generateContent", {}, b'{"safetySettings": []}', 10)
        finally:
            await sender.close()

    with FakeServer() as server, pytest.raises(Fault, match="changed the request"):
        asyncio.run(main(server.url))
    assert server.history == []


@needs_sdk
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_answer_that_could_be_continued_is_not(stream: bool) -> None:
    """One ask is one request: Google's client would go on by itself after CONTINUATION, with a token that it puts into
    a second request (which would not be our body either)."""
    whole = gemini("앞부분", finish="CONTINUATION")
    whole["candidates"][0]["continuationToken"] = "dG9rZW4="
    asked = replace(kit.request(), stream=stream)
    with FakeServer(lambda _: Answer(body=sse([whole]) if stream else whole)) as server:
        (http,), (sdk,) = (kit.ask("gemini", t, server.url, asked=asked) for t in ("http", "sdk"))
        assert len(server.history) == 2
    assert told(sdk) == told(http)
    assert isinstance(sdk, Reply) and (sdk.text, sdk.finish_raw) == ("앞부분", "CONTINUATION")


@needs_sdk
@pytest.mark.parametrize(
    ("api", "path"),
    [("openai-chat", "/chat/completions"), ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse")],
)
def test_a_body_is_seen_as_it_arrives(api: str, path: str) -> None:
    """Whoever measures a stream sees its bytes before the client does, and may say that this is all."""
    from lmmbench.providers.sdk import SdkSender

    seen: list[bytes] = []

    def see(piece: bytes) -> bool:
        seen.append(piece)
        return False

    async def main(url: str) -> bytes:
        sender = SdkSender(api, url, Secret(KEY))
        reply = await sender.send(url + path, {}, b'{"contents": [], "generationConfig": {}}', 10, see)
        await sender.close()
        return reply.body

    with FakeServer(
        [Answer(body='data: {"candidates": [\n\n', headers={"Content-Type": "text/event-stream"})]
    ) as server:
        assert asyncio.run(main(server.url)) == b"".join(seen) == b'data: {"candidates": [\n\n'
        assert [x.path for x in server.history] == [path]


@needs_sdk
def test_a_server_without_a_key_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's client would send OPENAI_API_KEY to whatever base_url it is given."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeServer() as server:
        kit.ask("openai-chat", "sdk", server.url, key_env="")
        assert "authorization" not in server.history[0].headers


@needs_sdk
def test_settings_of_the_client_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a company has set for OpenAI's client is what `transport: sdk` is for."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-sim")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway-Team: bench")
    with FakeServer() as server:
        kit.ask("openai-chat", "sdk", server.url)
        got = server.history[0].headers
    assert (got["openai-organization"], got["x-gateway-team"]) == ("org-sim", "bench")


@needs_sdk
def test_workload_identity_of_google_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without key_env Google's client finds its own credentials: the token is fetched once, the project is in the path,
    and a server that echoes the token does not get it into an answer."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    token = f"ya29.{KEY}"
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def script(x: Any) -> Answer:
        if x.path == "/token":
            return Answer(body={"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        return Answer(text=f"받은 것: {x.headers.get('authorization')}")

    with FakeServer(script) as server:
        account = {"type": "service_account", "client_email": "a@example.com", "token_uri": f"{server.url}/token"}
        account |= {"private_key": private.decode(), "private_key_id": "1", "project_id": "sim"}
        (tmp_path / "account.json").write_text(json.dumps(account), encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "sim")
        replies = kit.ask("gemini", "sdk", server.url, 2, key_env="")
        paths = [x.path for x in server.history]
        kit.ask("gemini", "http", server.url)
        assert len({x.raw for x in server.history[1:]}) == 1, "and the body is the same, to the byte"
    assert [r.text for r in replies if isinstance(r, Reply)] == ["받은 것: Bearer [key]"] * 2
    assert paths[0] == "/token" and len(paths) == 3
    assert paths[1].endswith("/projects/sim/locations/global/publishers/google/models/sim-a:generateContent")


@needs_sdk
def test_credentials_that_are_not_there_are_a_fault_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's client without a project is bad input; without credentials it stops the model; nothing was sent."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with FakeServer() as server:
        with pytest.raises(UsageError, match="set GOOGLE_CLOUD_PROJECT"):
            kit.ask("gemini", "sdk", server.url, key_env="")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "sim")
        (fault,) = kit.ask("gemini", "sdk", server.url, key_env="")
        assert isinstance(fault, Fault) and fault.kind == "auth" and "nothing.json" in fault.message
        assert server.history == []


@pytest.mark.parametrize(("api", "package"), [("openai-chat", "openai"), ("gemini", "google.genai")])
def test_a_missing_client_gives_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: str, package: str
) -> None:
    """Named in --models it is exit 2 with the command to run, before anything is sent."""
    kit.write_pack(tmp_path / "tasks/p", 1)
    kit.providers_yaml(tmp_path / "providers.yaml", "http://127.0.0.1:9", api=api, transport="sdk")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)  # to Python, a package that is not there
    assert cli.run_cli(["run", "--tasks", "p", "--models", "sim-a"]) == 2
    assert f"run: {config.INSTALL_SDK}" in capsys.readouterr().err.splitlines()[-1]


def test_an_api_without_a_client_refuses_the_transport(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`transport: sdk` where there is nothing to carry it is a wrong entry, named with its line."""
    path = kit.providers_yaml(tmp_path / "providers.yaml", "", api="embedded", transport="sdk")
    assert cli.run_cli(["list", "models", "--providers", str(path)]) == 2
    assert "endpoint 'sim': transport: sdk" in capsys.readouterr().err


@needs_sdk
def test_a_gemini_endpoint_with_credentials_of_its_own_counts_as_one_that_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key in the environment does not mean that it is free: the cap asks for a price."""
    kit.write_pack(tmp_path / "tasks/p", 1)
    kit.providers_yaml(tmp_path / "providers.yaml", "https://nowhere.invalid", api="gemini", transport="sdk")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "sim")
    assert cli.run_cli(["run", "--tasks", "p", "--models", "sim-a"]) == 2
    assert "--allow-unknown-cost" in capsys.readouterr().err
