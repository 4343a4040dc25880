"""A server on 127.0.0.1 that speaks OpenAI chat, Gemini, CLOVA Studio's native v3 and Anthropic's Messages, plain and as
streams, misbehaves as told, and remembers everything.

    with FakeServer(script=lambda x: Answer(status=500) if x.nth == 1 else None) as server:
        …  # point a base_url at server.url + "/sim/v1", ask, then look at server.history

Plain asyncio on a real socket, so that resets, cut bodies and silence are the real thing. `script` decides each
request: a callable of the `Exchange`, or a list used up in order; None is a normal answer. What stands in the path
before `/v1` names an endpoint, so that one server can be many: `/a/v1/chat/completions`, `/b/v1beta/models/…`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

RIGHT = "정답: A"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with one request.

    `text` is the model's answer in the dialect that was spoken; `body` (bytes, text or JSON data) goes out instead as
    it stands. A request that asks for a stream gets `text` as events; `pieces` go out instead as they stand, each as a
    chunk of its own, and a number among them is a pause in seconds. `usage` is (prompt, completion) tokens. `held`: wait for `FakeServer.let_go`, after `delay_s`.
    `end`: `whole`, or `reset` before a byte is sent, or the body is cut in half: `cut` with its Content-Length,
    `cut-chunked`, `cut-close` with no length at all; or `never` an answer.
    """

    text: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    pieces: Sequence[bytes | float] = ()
    usage: tuple[int, int] = (10, 5)
    delay_s: float = 0.0
    held: bool = False
    end: Literal["whole", "reset", "cut", "cut-chunked", "cut-close", "never"] = "whole"


@dataclass(slots=True)
class Exchange:
    """One request as it was received, and whether its answer was sent whole."""

    number: int
    at: float
    endpoint: str
    path: str
    headers: dict[str, str]
    body: Any
    model: str
    question: str
    nth: int
    """The how-manieth request for this (model, question, seed), from 1."""
    raw: bytes = b""
    """The body as it came."""
    answer: Answer = Answer()
    whole: bool = False

    @property
    def streams(self) -> bool:
        """Whether a stream was asked for: by the path (Gemini), a header (CLOVA) or a parameter."""
        by_header = "v3/chat-completions" in self.path and self.headers.get("accept") == "text/event-stream"
        asked = isinstance(self.body, dict) and bool(self.body.get("stream"))
        return "streamGenerateContent" in self.path or by_header or asked

    @property
    def key(self) -> tuple[str, str]:
        """(model, question)."""
        return self.model, self.question


Script = Callable[[Exchange], "Answer | None"]
_PATH = re.compile(
    r"/?(?P<endpoint>.*?)/?(?:v1beta/models/(?P<gemini>[^:]+):(?:generateContent|streamGenerateContent\?alt=sse)"
    r"|v3/chat-completions/(?P<clova>[^/]+)|v1/messages|(?:v1/)?chat/completions)"
)


class FakeServer:
    """A context manager; the server runs in a thread of its own.

    `history` holds every `Exchange` in the order received, `peak` the most requests that an endpoint had unanswered
    at one time, `in_flight` has now, `connections` is how many were opened. `text` is the normal answer, or makes it from the exchange.
    """

    def __init__(
        self, script: Script | Iterable[Answer | None] = (), text: str | Callable[[Exchange], str] = RIGHT
    ) -> None:
        self.history: list[Exchange] = []
        self.peak: Counter[str] = Counter()
        self.connections = 0
        self.url = ""
        self.script = script
        self._text = text
        self.in_flight: Counter[str] = Counter()
        self._times: Counter[tuple[str, str, str]] = Counter()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._go = asyncio.Event()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-server", daemon=True)

    # --- from the test's thread ---

    def __enter__(self) -> FakeServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def script(self) -> Script:
        return self._script

    @script.setter
    def script(self, script: Script | Iterable[Answer | None]) -> None:
        if callable(script):
            self._script = script
        else:
            rest = iter(script)
            self._script = lambda _: next(rest, None)

    @property
    def sent(self) -> list[Exchange]:
        """Exchanges whose answer (of any status) was sent whole."""
        return [x for x in self.history if x.whole]

    def asked(self, model: str = "") -> Counter[tuple[str, str]]:
        """How often each (model, question) was received."""
        return Counter(x.key for x in self.history if model in ("", x.model))

    def let_go(self) -> None:
        """Send every answer that is `held`, and hold none from now on."""
        self._loop.call_soon_threadsafe(self._go.set)

    def wait_until(self, true: Callable[[], bool], timeout: float = 30) -> None:
        """Wait until `true()` holds; it is looked at whenever something is received or sent."""
        with self._changed:
            assert self._changed.wait_for(true, timeout), f"waited {timeout} s; received {len(self.history)} requests"

    # --- in the server's thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024, limit=2**24)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False when the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        x = self._received(head[0].split(" ")[1], headers, raw)
        try:
            x.answer = answer = self._script(x) or Answer()
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            if answer.held:
                await self._go.wait()
            if answer.end == "never":
                await reader.read()  # until the client goes
        finally:
            self.in_flight[x.endpoint] -= 1
        if answer.end == "reset":
            reset(writer)
        if answer.end in ("reset", "never"):
            return False
        if answer.pieces:
            await self._write_pieces(writer, answer)
        else:
            self._write(writer, x, answer)
        await writer.drain()
        if answer.end != "whole":
            return False
        with self._changed:
            x.whole = True
            self._changed.notify_all()
        return True

    def _received(self, target: str, headers: dict[str, str], raw: bytes) -> Exchange:
        path = re.sub(r"^https?://[^/]+", "", target)  # a proxy is given whole URLs
        match = _PATH.fullmatch(path)
        endpoint, model = (match["endpoint"], match["gemini"] or match["clova"] or "") if match else ("", "")
        body: Any = None
        with contextlib.suppress(ValueError):
            body = json.loads(raw)
        if isinstance(body, dict):
            model = model or str(body.get("model", ""))
        question, seed = _question(body)
        with self._changed:
            self._times[model, question, seed] += 1
            nth = self._times[model, question, seed]
            x = Exchange(
                len(self.history), time.monotonic(), endpoint, path, headers, body, model, question, nth, raw
            )  # fmt: skip
            self.history.append(x)
            self.in_flight[endpoint] += 1
            self.peak[endpoint] = max(self.peak[endpoint], self.in_flight[endpoint])
            self._changed.notify_all()
        return x

    async def _write_pieces(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        """The pieces, each in a chunk; `end` cut-chunked leaves out the end of the body, cut-close the chunks."""
        chunked = answer.end != "cut-close"
        headers = {"Content-Type": "text/event-stream", **answer.headers}
        headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Connection": "close"}
        writer.write(_head(answer.status, headers))
        for piece in answer.pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await writer.drain()
        if answer.end == "whole":
            writer.write(b"0\r\n\r\n")

    def _write(self, writer: asyncio.StreamWriter, x: Exchange, answer: Answer) -> None:
        body = _bytes(self._normal(x, answer) if answer.body is None else answer.body)
        streamed = body.startswith((b"data:", b"event:", b"id:", b":"))
        headers = {"Content-Type": "text/event-stream" if streamed else "application/json"}
        half = body[: len(body) // 2]
        if answer.end == "cut-chunked":
            headers["Transfer-Encoding"] = "chunked"
            body = b"%x\r\n%b" % (len(body), half)
        elif answer.end == "cut-close":
            headers["Connection"] = "close"
            body = half
        else:
            headers["Content-Length"] = str(len(body))
            body = half if answer.end == "cut" else body
        headers |= answer.headers  # last: a server may lie about its body
        writer.write(_head(answer.status, headers) + body)

    def _normal(self, x: Exchange, answer: Answer) -> Any:
        text = answer.text
        if text is None:
            text = self._text(x) if callable(self._text) else self._text
        plain, chunks = next((spoken for part, spoken in _SPOKEN.items() if part in x.path), (openai, openai_chunks))
        if x.streams:
            return sse(chunks(text, model=x.model, usage=answer.usage))
        return plain(text, model=x.model, usage=answer.usage)


def openai(
    text: str, *, model: str = "sim-a", usage: tuple[int, int] = (10, 5), finish: str = "stop"
) -> dict[str, Any]:
    """A whole chat completion."""
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }  # fmt: skip


def gemini(
    text: str, *, model: str = "sim-g", usage: tuple[int, int] = (10, 5), finish: str = "STOP"
) -> dict[str, Any]:
    """A whole generateContent reply."""
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1], "totalTokenCount": sum(usage)},
        "modelVersion": model, "responseId": "r-1",
    }  # fmt: skip


def clova(text: str, *, model: str = "sim-c", usage: tuple[int, int] = (10, 5), finish: str = "stop") -> dict[str, Any]:
    """A whole reply of CLOVA Studio's native v3, which names no model."""
    counts = {"promptTokens": usage[0], "completionTokens": usage[1], "totalTokens": sum(usage)}
    result = {"message": {"role": "assistant", "content": text}, "finishReason": finish, "created": 1, "seed": 1}
    return {"status": {"code": "20000", "message": "OK"}, "result": {**result, "usage": counts}}


def anthropic(
    text: str, *, model: str = "sim-h", usage: tuple[int, int] = (10, 5), finish: str = "end_turn"
) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [{"type": "text", "text": text}],
        "stop_reason": finish, "stop_sequence": None, "usage": {"input_tokens": usage[0], "output_tokens": usage[1]},
    }  # fmt: skip


def sse(chunks: Iterable[Any]) -> bytes:
    """Events with JSON data; a text stands as it is (`[DONE]`), a pair is an event's name and its data."""
    return b"".join(_event(*chunk) if isinstance(chunk, tuple) else _event("", chunk) for chunk in chunks)


def _event(name: str, data: Any) -> bytes:
    return (b"event: %b\n" % name.encode() if name else b"") + b"data: %b\n\n" % _bytes(data)


def openai_chunks(
    text: str, *, model: str = "sim-a", usage: tuple[int, int] = (10, 5), finish: str = "stop"
) -> Iterator[Any]:
    """The stream of `openai(…)`: a role, the text two characters at a time, the finish reason, the usage, the end."""
    head = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "system_fingerprint": "fp_1",
    }  # fmt: skip
    deltas = [{"role": "assistant", "content": ""}, *({"content": text[n : n + 2]} for n in range(0, len(text), 2)), {}]
    for n, delta in enumerate(deltas, 1):
        reason = finish if n == len(deltas) else None
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None}
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    yield {**head, "choices": [], "usage": counts}
    yield "[DONE]"


def gemini_chunks(
    text: str, *, model: str = "sim-g", usage: tuple[int, int] = (10, 5), finish: str = "STOP"
) -> Iterator[Any]:
    """The stream of `gemini(…)`: the text four characters at a time, the counts growing, the reason at the end."""
    pieces = [text[n : n + 4] for n in range(0, len(text), 4)] or [""]
    for n, piece in enumerate(pieces, 1):
        whole = gemini(piece, model=model, usage=(usage[0], usage[1] * n // len(pieces)), finish=finish)
        if n < len(pieces):
            del whole["candidates"][0]["finishReason"]
        yield whole


def anthropic_chunks(
    text: str, *, model: str = "sim-h", usage: tuple[int, int] = (10, 5), finish: str = "end_turn"
) -> Iterator[Any]:
    """The stream of `anthropic(…)`: named events, the text three characters at a time in one block, a ping among them."""
    message = anthropic("", model=model, usage=(usage[0], 1), finish=finish) | {"content": [], "stop_reason": None}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text[n : n + 3]}}
            for n in range(0, len(text), 3)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": None},
            "usage": {"output_tokens": usage[1]},
        },
        {"type": "message_stop"},
    ]  # fmt: skip
    yield from ((str(data["type"]), data) for data in told)


def clova_chunks(
    text: str, *, model: str = "sim-c", usage: tuple[int, int] = (10, 5), finish: str = "stop"
) -> Iterator[Any]:
    """The stream of `clova(…)`: tokens of two characters, the result with the whole text again, the end."""
    result = clova(text, usage=usage, finish=finish)["result"]
    for n in range(0, len(text), 2):
        yield (
            "token",
            {
                **result,
                "message": {"role": "assistant", "content": text[n : n + 2]},
                "finishReason": None,
                "usage": None,
            },
        )
    yield "result", result
    yield "signal", {"data": "[DONE]"}


_SPOKEN: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., Iterator[Any]]]] = {
    "models/": (gemini, gemini_chunks),
    "chat-completions": (clova, clova_chunks),
    "/messages": (anthropic, anthropic_chunks),
}
"""How each dialect but OpenAI's answers, plain and streamed, by a part of its path."""


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset instead of an orderly close."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _question(body: Any) -> tuple[str, str]:
    """(the user's text, the seed) of a request in any dialect; ("", "") of anything else."""
    try:
        turn = (body.get("messages") or body["contents"])[-1]
        parts = turn.get("content", turn.get("parts"))
        text = parts if isinstance(parts, str) else next(p["text"] for p in parts if "text" in p)
        return text, str(body.get("seed", body.get("generationConfig", {}).get("seed", "")))
    except (AttributeError, TypeError, KeyError, IndexError, StopIteration):
        return "", ""


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
