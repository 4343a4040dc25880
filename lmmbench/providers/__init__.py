"""Providers: whoever can be asked. A vendor that differs only in data is a row of providers.yaml; another dialect
is a file here with `encode`, `decode` and `auth`, named in DIALECTS.

Others add theirs without a fork, through the entry point group `lmmbench.providers` (name = the `api`, value = a
function with the signature of `make`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from itertools import pairwise
from typing import Protocol
from urllib.parse import quote, urljoin, urlsplit

from lmmbench import config
from lmmbench import media as media_files
from lmmbench.canon import sha256
from lmmbench.faults import Fault, UsageError
from lmmbench.net.http import PATH_SAFE, Sender
from lmmbench.net.http1 import Response, Watch
from lmmbench.net.keys import without_key
from lmmbench.net.sse import Event
from lmmbench.providers import anthropic, baseline, clova, gemini, openai_chat
from lmmbench.providers.streams import STREAMS, Form, Heard
from lmmbench.secret import Secret
from lmmbench.types import Call, Endpoint, Media, MediaLimits, Model, Reply, Request


class Provider(Protocol):
    """One model that can be asked."""

    def unsupported(self, request: Request) -> str:
        """Why this model cannot take this question, "" when it can. Asks nothing."""
        ...

    async def ask(self, request: Request) -> Reply:
        """Ask once. Raises Fault; never retries."""
        ...

    async def close(self) -> None:
        """Give back what was opened."""
        ...


class Dialect(Protocol):
    """A vendor's wire format as pure functions; a module with these names is one."""

    def encode(self, request: Request, model: Model) -> Call: ...

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply: ...

    def auth(self, key: str) -> dict[str, str]: ...


DIALECTS: dict[str, Dialect] = {
    "openai-chat": openai_chat,
    "gemini": gemini,
    "clova": clova,
    "anthropic": anthropic,
}


class Carrier(Protocol):
    """What takes a request to a server and brings the reply as it is: our own Sender, or a vendor's client."""

    async def send(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, watch: Watch | None = None
    ) -> Response: ...


def redirect_text(endpoint: str, url: str, location: str) -> str:
    """One sentence on a redirect of `url`, which is never followed: a key would travel to wherever a server points."""
    return (
        f"the endpoint {endpoint!r} redirects to {_place(url, location)}, which is never followed; "
        "correct its base_url in providers.yaml"
    )


def _place(url: str, location: str) -> str:
    """Scheme, host, port and path that a Location names. Without user, query and fragment: they may hold a key."""
    try:
        parts = urlsplit(urljoin(url, location))
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        host = ""
    if not location or not host:
        return "no readable place"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{quote(parts.path, safe=PATH_SAFE)}"[:LONGEST_PLACE]


LONGEST_PLACE = 200
"""Characters of a redirect's place that are shown."""


def _call(request: Request, model: Model, dialect: Dialect, form: Form | None) -> Call:
    call = dialect.encode(request, model)
    return form.call(call, model) if form else call


def _sha(url: str, call: Call) -> str:
    """The request_sha of a call: of where it goes and what it says, and not of the key."""
    return sha256((url + call.path).encode() + b"\n" + call.body)


def request_sha(request: Request, model: Model, endpoint: Endpoint) -> str:
    """The request_sha that an ask would have. Sends nothing and needs no key. "" where a provider does not say before
    it asks."""
    if endpoint.api == "embedded":
        from lmmbench.providers import embedded

        return embedded.request_sha(request, model)
    if endpoint.api not in DIALECTS:
        return ""
    form = STREAMS[endpoint.api] if request.stream else None
    return _sha(config.base_url(model.endpoint, endpoint), _call(request, model, DIALECTS[endpoint.api], form))


_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?", re.IGNORECASE)
_CALLS = ("chat", "completions", "messages", "responses", "embeddings", "models")
"""Last segments of addresses that are calls, not what stands before them."""


def address_doubt(api: str, path: str) -> str:
    """What is doubtful about the path of a base_url, as the beginning of a question that ends in `the base_url?`; "" for
    one that may well be right. Some vendors want a version at its end, some do not, so only a 404 makes it a doubt."""
    parts = [part for part in path.split("/") if part]
    last = parts[-1] if parts else ""
    if twice := next((a for a, b in pairwise(parts) if a == b), ""):
        return f"does /{twice} stand twice in"
    if "//" in path.rstrip("/"):
        return "is there a slash too many in"
    if last in _CALLS:
        return f"is /{last} too much at the end of"
    if api == "openai-chat":
        return "" if any(map(_VERSION.fullmatch, parts)) else "is /v1 missing at the end of"
    if _VERSION.fullmatch(last):
        return f"is /{last} too much (the api {api} adds its own) at the end of"
    return "does /openai (which is for the api openai-chat) belong at the end of" if last == "openai" else ""


class HttpProvider:
    """A model behind HTTP: encode, send, decode."""

    def __init__(
        self, model: Model, endpoint: Endpoint, dialect: Dialect, sender: Carrier, url: str, key: Secret
    ) -> None:
        self._model = model
        self._endpoint = endpoint
        self._dialect = dialect
        self._sender = sender
        self._url = url
        self._key = key
        self._headers = {**endpoint.headers, **(dialect.auth(key.reveal()) if key else {})}

    def unsupported(self, request: Request) -> str:
        return lacks_input(self._model, request)

    async def ask(self, request: Request) -> Reply:
        form = STREAMS[self._endpoint.api] if request.stream else None
        call = _call(request, self._model, self._dialect, form)
        sha = _sha(self._url, call)
        try:
            reply = await (self._streamed(call, form) if form else self._plain(call))
        except Fault as fault:
            fault.request_sha = sha
            raise
        reply.sent, reply.dropped, reply.request_sha = call.sent, call.dropped, sha
        return reply

    async def _plain(self, call: Call) -> Reply:
        started = time.perf_counter()
        response = await self._send(call)
        reply = self._decode(response)
        reply.latency_s = response.at - started
        return reply

    async def _streamed(self, call: Call, form: Form) -> Reply:
        """Times count from sending, connecting included. A server that does not stream is read as it answers, without
        a `ttft_s`."""
        heard = Heard()
        broken: Fault | None = None
        headers: Mapping[str, str] = {}
        try:
            response = await self._send(call, heard)
        except Fault as fault:
            if not heard.events:
                raise
            broken = fault
        else:
            headers = response.headers
            if not heard.events:  # an error, or a server that does not stream
                reply = self._decode(response)
                reply.latency_s = response.at - heard.started
                return reply
        return self._told(form, heard, headers, broken)

    def _told(self, form: Form, heard: Heard, headers: Mapping[str, str], broken: Fault | None) -> Reply:
        """The reply that a stream's events tell. What broke the connection is the fault, unless the answer was whole
        before."""
        events = [Event(self._key.hide(event.data.encode()).decode(), event.name) for event in heard.events]
        try:
            folded = form.fold(events)
        except Fault as fault:
            raise broken or fault from None
        try:
            reply = self._decode(Response(200, headers, folded.body))
        except Fault as fault:
            # more came than the one event that says what is wrong: the vendor worked
            fault.maybe_billed = fault.maybe_billed or len(events) > 1
            raise
        return heard.date(reply, folded.first)

    async def _send(self, call: Call, watch: Watch | None = None) -> Response:
        # a compressed stream comes in lumps, and its first token late
        uncompressed = {"Accept-Encoding": "identity"} if watch else {}
        headers = {**uncompressed, **call.headers, **self._headers}
        response = await self._sender.send(self._url + call.path, headers, call.body, self._endpoint.timeout_s, watch)
        if 300 <= response.status < 400:
            location = without_key(self._key, response).headers.get("Location", "")
            raise Fault("config", redirect_text(self._model.endpoint, self._url + call.path, location))
        return response

    def _decode(self, response: Response) -> Reply:
        response = without_key(self._key, response)
        try:
            return self._dialect.decode(response.status, response.headers, response.body, self._model)
        except Fault as fault:
            fault.message += self._hint(response.status, fault.message)
            raise

    def _hint(self, status: int, message: str) -> str:
        """What to try when nothing was found at the address. A reply that speaks of the model has found it; one that
        quotes the path may only seem to."""
        words = " ".join(word for word in message.split() if "/" not in word)
        if status not in (404, 405) or re.search(r"\bmodels?\b", words, re.IGNORECASE):
            return ""
        doubt = address_doubt(self._endpoint.api, urlsplit(self._url).path)
        return f"; {doubt} the base_url of {self._model.endpoint!r}?" if doubt else ""

    async def close(self) -> None:
        """The session is the sender's."""


class SdkProvider(HttpProvider):
    """The same, carried by the vendor's own client, which is this provider's alone."""

    def __init__(self, model: Model, endpoint: Endpoint, dialect: Dialect, url: str, key: Secret) -> None:
        from lmmbench.providers.sdk import SdkSender

        self._sdk = SdkSender(endpoint.api, url, key)
        super().__init__(model, endpoint, dialect, self._sdk, url, key)

    async def close(self) -> None:
        await self._sdk.close()


def lacks_input(model: Model, request: Request) -> str:
    """Why a question's media cannot be taken by this model, "" when they can: their kind, or its known limits."""
    lack = _lack(model, request)
    return f"the model at endpoint {model.endpoint!r} {lack}" if lack else ""


def _lack(model: Model, request: Request) -> str:
    kinds = [media.mime.split("/")[0] for media in request.media]
    for media, kind in zip(request.media, kinds, strict=True):
        if kind not in model.inputs:
            return f"takes no {kind}"
        limits = model.capabilities.limits.get(kind, MediaLimits())
        if over := _over(limits, media, kind):
            return over
        if limits.per_request is not None and kinds.count(kind) > limits.per_request:
            return f"takes {limits.per_request} of {kind} in a request, this question has {kinds.count(kind)}"
    return ""


def _over(limits: MediaLimits, media: Media, kind: str) -> str:
    """Which limit one file is over, "" where none is known that it is."""
    if limits.types is not None and media.mime not in limits.types:
        return f"takes no {media.mime}, only {', '.join(limits.types)}"
    if limits.max_bytes is not None and len(media.data) > limits.max_bytes:
        return f"takes {limits.max_bytes} bytes of {kind} at most, this file has {len(media.data)}"
    size = media_files.size(media.data, media.mime) if limits.max_ratio is not None else None
    if size and limits.max_ratio is not None and max(size) > limits.max_ratio * min(size):
        longest = f"1:{limits.max_ratio:g} to {limits.max_ratio:g}:1"
        return f"takes {kind}s with sides from {longest}, this file has {size[0]} x {size[1]} pixels"
    return ""


def unsupported(request: Request, model: Model, endpoint: Endpoint) -> str:
    """What the model's provider says of a question that it cannot take, "" when it can. Needs no key."""
    return baseline.Baseline(model).unsupported(request) if endpoint.api == "baseline" else lacks_input(model, request)


def make(model: Model, endpoint_id: str, endpoint: Endpoint, sender: Sender) -> Provider:
    """The provider of a configured model. Raises UsageError when a model file is missing or a key is malformed."""
    if endpoint.api in DIALECTS:
        url, key = config.base_url(endpoint_id, endpoint), config.key(endpoint_id, endpoint)
        dialect = DIALECTS[endpoint.api]
        if endpoint.transport == "sdk":
            return _sdk_provider(model, endpoint_id, endpoint, dialect, url, key)
        return HttpProvider(model, endpoint, dialect, sender, url, key)
    if endpoint.api == "baseline":
        return baseline.Baseline(model)
    if endpoint.api == "embedded":
        from lmmbench.providers import embedded

        return embedded.Embedded(model)
    for entry in entry_points(group=config.ENTRY_POINTS, name=endpoint.api):
        provider: Provider = entry.load()(model, endpoint_id, endpoint, sender)
        return provider
    raise UsageError(f"no provider speaks the api {endpoint.api!r}")


def _sdk_provider(
    model: Model, endpoint_id: str, endpoint: Endpoint, dialect: Dialect, url: str, key: Secret
) -> SdkProvider:
    try:
        return SdkProvider(model, endpoint, dialect, url, key)
    except ModuleNotFoundError as e:
        raise UsageError(
            f"endpoint {endpoint_id!r} has transport: sdk, and the vendor's client is not installed ({e}); "
            f"run: {config.INSTALL_SDK}"
        ) from None
