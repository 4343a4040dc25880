"""`transport: sdk`: the same request, carried by the vendor's own client (`openai`, `google-genai`; extra `sdk`).

For gateways and accounts that want that client: its settings (`OPENAI_ORG_ID`, `OPENAI_CUSTOM_HEADERS`, …) hold, and a
Gemini endpoint without key_env uses Google Cloud's own credentials. The client only carries. Our dialect writes the
body, whose very bytes are put back below the client, and reads the reply's bytes, which are taken there, so that its
view of them (an exception, a web page as a text, null choices) changes nothing. It retries nothing, follows no
redirect, continues no answer and sends no description of this machine. Imported only where an endpoint says
`transport: sdk`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx2

from lmmbench.canon import canonical, read_json
from lmmbench.faults import Fault, UsageError
from lmmbench.net.http import MAX_BODY, MAX_STREAM, proxy_of, system_certificates
from lmmbench.net.http1 import Headers, Response, Watch
from lmmbench.net.keys import without_key
from lmmbench.secret import Secret

if TYPE_CHECKING:
    from google.genai import Client
    from openai import AsyncOpenAI

CONNECT_S = 20.0
_GEMINI_URL = re.compile(r"/(?P<version>v\w+)/models/(?P<model>.+):(?P<how>generateContent|streamGenerateContent)")
_TELEMETRY = ("x-stainless-", "x-goog-api-client")
"""Headers that describe this machine and nothing of the question: operating system, processor, Python."""
_CREDENTIALS = ("authorization", "x-goog-api-key", "api-key")

_replies: ContextVar[list[Response]] = ContextVar("replies")
"""What came back for the ask of this task; the last one counts (a client may fetch a token first)."""
_body: ContextVar[bytes] = ContextVar("body")
"""What our dialect wrote for the ask of this task."""
_agent: ContextVar[str] = ContextVar("agent", default="lmmbench")
"""The endpoint's own User-Agent, else ours."""
_watching: ContextVar[Watch | None] = ContextVar("watching", default=None)


class SdkSender:
    """Sends as `net.http.Sender` does, with the same faults, through the client of one api at one address.

    Raises ModuleNotFoundError where the client is not installed, UsageError where it has no account.
    """

    def __init__(self, api: str, base_url: str, key: Secret) -> None:
        self._key = key
        self._http = httpx2.AsyncClient(transport=_Tap(base_url), trust_env=False, follow_redirects=False)
        self._carrier = (_OpenAI if api == "openai-chat" else _Gemini)(base_url, key.reveal(), self._http)

    async def send(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, watch: Watch | None = None
    ) -> Response:
        """POST `body`; the whole exchange takes at most `deadline_s` seconds. Every HTTP status is returned."""
        replies: list[Response] = []
        _replies.set(replies)
        _body.set(body)
        _watching.set(watch)
        _agent.set(next((value for name, value in headers.items() if name.lower() == "user-agent"), "lmmbench"))
        try:
            async with asyncio.timeout(deadline_s):
                await self._carrier.post(url, dict(headers), body)
        except Exception as e:
            if not replies:  # else it is the client's view of a reply that our dialect reads itself
                raise self._fault(e, deadline_s) from None
        return replies[-1]

    async def close(self) -> None:
        await self._http.aclose()

    def _fault(self, error: Exception, deadline_s: float) -> Fault:
        """What happened on the wire, under all that the client wrapped around it; no text of it holds the key."""
        found = list(_chain(error))
        for kinds, kind, text in _MEANINGS:
            if cause := next((e for e in found if isinstance(e, kinds)), None):
                message = text.format(said=self._said(cause), deadline=deadline_s)
                return Fault(kind, message, maybe_billed=kind in ("timeout", "network"))
        if fault := next((e for e in found if isinstance(e, Fault)), None):
            return fault
        credentials = any(type(e).__module__.startswith("google.auth") for e in found)
        return Fault("auth" if credentials else "adapter", self._said(error))

    def _said(self, error: BaseException) -> str:
        return self._key.hide(f"{error.__class__.__name__}: {error}".encode()).decode()


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((ssl.SSLCertVerificationError,), "config", "the endpoint's certificate is not trusted on this machine"),
    ((ssl.SSLError,), "config", "no TLS connection with the endpoint: {said}"),
    ((httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError), "unreachable", "cannot connect: {said}"),
    ((httpx2.InvalidURL, httpx2.UnsupportedProtocol), "config", "the endpoint's base_url is not a URL"),
    ((httpx2.RequestError,), "network", "{said}"),
    ((TimeoutError,), "timeout", "no whole reply within {deadline:g} s"),
)
"""Exceptions and the fault that each means; the first that is found anywhere in the chain counts."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What an exception came from, the innermost first, and itself."""
    inner = error.__cause__ or error.__context__
    if inner is not None:
        yield from _chain(inner)
    if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):  # a handshake that goes on is none
        yield error


class _Tap(httpx2.AsyncBaseTransport):
    """The wire below a client: sends our dialect's bytes, keeps each reply whole, hides the credentials that a server
    echoes."""

    def __init__(self, base_url: str) -> None:
        self._wire = httpx2.AsyncHTTPTransport(
            verify=system_certificates(),
            proxy=proxy_of(base_url),
            # limits are the gates' work: the pool must never queue behind their back
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await _put_back(request, _body.get())
        for name in [n for n in request.headers if n.startswith(_TELEMETRY)]:
            del request.headers[name]
        # the clients name the Python and themselves in it
        request.headers["user-agent"] = _agent.get()
        request.extensions["timeout"] = {"connect": CONNECT_S, "read": None, "write": None, "pool": None}
        raw = await self._wire.handle_async_request(request)
        reply = httpx2.Response(raw.status_code, headers=raw.headers, stream=raw.stream, request=request)
        try:
            whole = Response(reply.status_code, Headers(reply.headers.multi_items()), await _read(reply))
        finally:
            await raw.aclose()
        for key in _keys(request):
            whole = without_key(Secret(key), whole)
        _replies.get().append(whole)
        headers = [(k, v) for k, v in whole.headers.items() if k not in ("content-encoding", "content-length")]
        return httpx2.Response(whole.status, headers=headers, content=whole.body)

    async def aclose(self) -> None:
        await self._wire.aclose()


async def _put_back(request: httpx2.Request, ours: bytes) -> None:
    """The bytes of our dialect in place of the client's, which may write the same JSON in another way. Raises
    Fault(adapter) where it says anything else: what is recorded as sent must be what was sent."""
    theirs = await request.aread()
    if theirs == ours:
        return
    if _values(theirs) != _values(ours):
        raise Fault("adapter", "the vendor's client changed the request, so it was not sent; leave out transport: sdk")
    request.stream = httpx2.ByteStream(ours)
    request.headers["content-length"] = str(len(ours))


def _values(body: bytes) -> str | None:
    """What a body says, whatever order and escapes it is written in; null where it is no JSON."""
    try:
        return canonical(read_json(body))
    except (ValueError, RecursionError):
        return None


async def _read(reply: httpx2.Response) -> bytes:
    watch = _watching.get() if reply.status_code == 200 else None
    chunks: list[bytes] = []
    size, most = 0, MAX_STREAM if watch else MAX_BODY
    async for chunk in reply.aiter_bytes():
        size += len(chunk)
        if size > most:
            raise Fault("invalid", f"the reply is larger than {most} bytes", maybe_billed=True)
        chunks.append(chunk)
        if watch and watch(chunk):
            break
    return b"".join(chunks)


def _keys(request: httpx2.Request) -> list[str]:
    """What this request proved itself with: only here are the tokens known that a client found by itself."""
    return [request.headers[name].rpartition(" ")[2] for name in _CREDENTIALS if name in request.headers]


class _OpenAI:
    """OpenAI's client. Its `post` is documented for requests of one's own making, and takes bytes as they are."""

    def __init__(self, base_url: str, key: str, http: httpx2.AsyncClient) -> None:
        import openai

        # where no key is needed, the one in OPENAI_API_KEY is none of this server's business
        self._auth = {} if key else {"Authorization": openai.Omit()}
        self._client: AsyncOpenAI = openai.AsyncOpenAI(
            api_key=key or "none", base_url=base_url, max_retries=0, http_client=http
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> None:
        await self._client.post(
            url, cast_to=httpx2.Response, content=body, options={"headers": {**self._auth, **headers}}
        )


class _Gemini:
    """Google's client. Its own raw request is private; `generate_content` with the body as `extra_body` is public. It
    writes the JSON anew, with Hangul escaped: `_put_back` undoes that."""

    def __init__(self, base_url: str, key: str, http: httpx2.AsyncClient) -> None:
        from google import genai
        from google.genai import types

        self._cloud = not key
        project, location = _google_cloud() if self._cloud else (None, None)
        self._client: Client = genai.Client(
            vertexai=self._cloud,
            api_key=key or None,
            project=project,
            location=location,
            http_options=types.HttpOptions(
                base_url=base_url,
                httpx_async_client=http,
                # without options of its own it tries once more after a broken connection
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> None:
        from google.genai import types

        match = _GEMINI_URL.search(url)
        if match is None:
            raise Fault("config", f"the path of {url} is none of generateContent")
        config = types.GenerateContentConfig(
            http_options=types.HttpOptions(
                extra_body=json.loads(body),
                headers=headers,
                api_version=None if self._cloud else match["version"],
            ),
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            should_return_http_response=match["how"] == "generateContent",
        )
        # the contents are those of the body; the client only asks that there be some
        asked: dict[str, Any] = {"model": match["model"], "contents": "-", "config": config}
        if match["how"] == "generateContent":
            await self._client.aio.models.generate_content(**asked)
        else:
            async for _ in await self._client.aio.models.generate_content_stream(**asked):
                pass


def _google_cloud() -> tuple[str, str]:
    """The project and place that are billed. Without a project the client would ask without any credentials."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    if not project:
        raise UsageError(
            "a gemini endpoint with transport: sdk and no key_env asks as a project of Google Cloud: "
            "set GOOGLE_CLOUD_PROJECT, or name the key's variable in key_env"
        )
    return project, os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
