"""Streaming, dialect by dialect: how a call asks for a stream, and how the stream's events fold back into the JSON body
that the same reply has when it is not streamed. So `decode` stays the only reading of a reply.

A fold is pure. It raises Fault(invalid) for a stream that is no whole reply: an event that is no JSON, or an end
without the vendor's finish reason. With a finish reason the answer is whole, whatever became of the connection after
it: not every vendor sends `[DONE]`, and none sends text after its finish reason. An error event in mid-stream
becomes the body, so that it is classified like any other error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmmbench.faults import Fault
from lmmbench.net.sse import Event, Parser
from lmmbench.providers.http_faults import parse_json
from lmmbench.providers.lenient import mapping, objects, text
from lmmbench.providers.thinking import split_thinking
from lmmbench.types import Call, Model, Reply

DONE = "[DONE]"
Pieces = list[tuple[int, str]]
"""Texts of an answer with the number of the event that brought each."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A stream as one body, and the number of the event with the first content token: None where no content came."""

    body: bytes
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """How a dialect streams. `call` turns a plain call into a streaming one and records what it added."""

    call: Callable[[Call, Model], Call]
    fold: Callable[[Sequence[Event]], Folded]


class Heard:
    """A stream as it is heard: its events, and how many seconds after sending each came. Is called with the bytes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.times: list[float] = []
        self._parser = Parser()
        self.started = time.perf_counter()

    def __call__(self, chunk: bytes) -> bool:
        """Whether nothing of the reply can follow these bytes."""
        new = self._parser.feed(chunk)
        self.hear(new)
        return any(_is_last(event) for event in new)

    def hear(self, new: Sequence[Event]) -> None:
        self.events += new
        self.times += [self.seconds()] * len(new)

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def date(self, reply: Reply, first: int | None) -> Reply:
        """The reply with its times, both from sending: the first content token's and the last event's."""
        reply.latency_s = self.times[-1]
        reply.ttft_s = None if first is None else self.times[first]
        return reply


def _is_last(event: Event) -> bool:
    """OpenAI's end mark, Anthropic's, and CLOVA's, which is a `signal` with OpenAI's inside."""
    return event.data == DONE or event.name == "message_stop" or (event.name == "signal" and DONE in event.data)


def first_content(pieces: Pieces) -> int | None:
    """The event that brought the first character of the answer. What counts is the text that `decode` leaves: an empty
    delta, a role and reasoning (also inside `<think>`) are no content, a refusal is."""
    whole = _joined(pieces)
    answer, _ = split_thinking(whole)
    start, seen = len(whole) - len(answer), 0
    for number, piece in pieces:
        seen += len(piece)
        if seen > start:
            return number
    return None


def _joined(pieces: Pieces) -> str:
    return "".join(piece for _, piece in pieces)


def _chunks(events: Sequence[Event]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered JSON objects of a stream's events, up to its end mark."""
    for number, event in enumerate(events):
        if event.data == DONE:
            return
        data = parse_json(event.data.encode("utf-8", "surrogatepass")) if event.data.strip() else None
        chunk = data[0] if isinstance(data, list) and data else data
        if isinstance(chunk, dict):
            failed = event.name == "error" or chunk.get("object") == "error"
            yield number, {"error": chunk} if failed and not (chunk.get("error") or chunk.get("status")) else chunk


def _whole(body: dict[str, Any], finish: Any, first: int | None) -> Folded:
    if not finish:
        raise Fault("invalid", "the stream ended without a finish reason", maybe_billed=True)
    return Folded(_bytes(body), first)


def _bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _rest(into: dict[str, Any], chunk: dict[str, Any], *but: str) -> None:
    """Keep what a chunk says beside its content: the first value that is one."""
    for name, value in chunk.items():
        if name not in but and value:
            into.setdefault(name, value)


# --- openai-chat -------------------------------------------------------------------------------------


def _openai_call(call: Call, model: Model) -> Call:
    """`stream`, and `stream_options` for the usage, which else never comes; a model that refuses them drops them."""
    wanted: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    dropped = (
        {} if model.capabilities.stream_options == "accepted" else {"stream_options": wanted.pop("stream_options")}
    )
    return _appended(call, wanted, dropped)


def _appended(call: Call, wanted: dict[str, Any], dropped: dict[str, Any]) -> Call:
    """The same bytes with more keys at the end."""
    body = call.body[:-1] + b", " + json.dumps(wanted).encode()[1:]
    return replace(call, body=body, sent=call.sent | wanted, dropped=call.dropped | dropped)


def _openai(events: Sequence[Event]) -> Folded:
    top: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    parts: list[dict[str, Any]] = []
    said: Pieces = []
    refused: Pieces = []
    finish: str | None = None
    for number, chunk in _chunks(events):
        if chunk.get("error"):
            return Folded(_bytes(chunk))
        _rest(top, chunk, "choices", "usage")
        top["usage"] = mapping(chunk.get("usage")) or top.get("usage")
        for choice in objects(chunk.get("choices")):
            if choice.get("index"):
                continue
            if choice.get("error"):  # a gateway's host failed on the way (OpenRouter)
                return Folded(_bytes({"error": choice["error"]}))
            delta = mapping(choice.get("delta"))
            parts += _parts(delta.get("content"))
            said += [(number, text(p.get("text")) or "") for p in _parts(delta.get("content")) if p["type"] == "text"]
            refused += [(number, text(delta.get("refusal")) or "")]
            _join(message, delta)
            # an empty answer is a null in a stream (llama.cpp), and "" in a plain reply
            message["content"] = "" if "content" in delta else message["content"]
            finish = text(choice.get("finish_reason")) or finish
    if parts:
        plain = all(p["type"] == "text" for p in parts)
        message["content"] = _joined(said) if plain else parts
    body = {**top, "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return _whole(body, finish, first_content(refused if message.get("refusal") else said))


def _parts(content: Any) -> list[dict[str, Any]]:
    """A delta's content as parts: a text, or Mistral's list of texts and thinking."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [{"type": "text", **part} for part in objects(content)]


def _join(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Texts of a delta beside its content (`reasoning_content`, `reasoning`, `refusal`) go on where they stopped."""
    for name, value in delta.items():
        if name not in ("role", "content") and isinstance(value, str):
            message[name] = message.get(name, "") + value


# --- gemini ------------------------------------------------------------------------------------------


def _gemini_call(call: Call, model: Model) -> Call:
    path = call.path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    return replace(call, path=path, sent=call.sent | {"stream": True})


def _gemini(events: Sequence[Event]) -> Folded:
    top: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    candidate: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    said: Pieces = []
    for number, chunk in _chunks(events):
        if chunk.get("error"):
            return Folded(_bytes(chunk))
        _rest(top, chunk, "candidates", "usageMetadata")
        usage |= mapping(chunk.get("usageMetadata"))  # counts grow from chunk to chunk
        for found in objects(chunk.get("candidates"))[:1]:
            candidate |= {name: value for name, value in found.items() if name != "content" and value}
            new = objects(mapping(found.get("content")).get("parts"))
            parts += new
            said += [(number, text(p.get("text")) or "") for p in new if not p.get("thought")]
    body = {**top, "usageMetadata": usage}
    if candidate or parts:
        body["candidates"] = [{**candidate, "content": {"role": "model", "parts": parts}}]
    blocked = mapping(top.get("promptFeedback")).get("blockReason")
    # Gemini's thoughts are parts of their own: nothing inside a text is reasoning
    first = next((number for number, piece in said if piece), None)
    return _whole(body, candidate.get("finishReason") or blocked, first)


# --- anthropic ---------------------------------------------------------------------------------------


def _anthropic_call(call: Call, model: Model) -> Call:
    return _appended(call, {"stream": True}, {})


_ANTHROPIC_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def _anthropic(events: Sequence[Event]) -> Folded:
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    first: int | None = None
    for number, chunk in _chunks(events):
        kind, delta = chunk.get("type"), mapping(chunk.get("delta"))
        if chunk.get("error"):
            return Folded(_bytes(chunk))
        if kind == "message_start":
            message = mapping(chunk.get("message"))
            usage |= mapping(message.get("usage"))
        elif kind == "content_block_start":
            blocks[chunk.get("index")] = dict(mapping(chunk.get("content_block")))
        elif kind == "content_block_delta" and delta.get("type") in _ANTHROPIC_DELTAS:
            _join_block(blocks.setdefault(chunk.get("index"), {"type": "text"}), delta)
        elif kind == "message_delta":
            message |= {name: value for name, value in delta.items() if value is not None}
            usage |= {name: value for name, value in mapping(chunk.get("usage")).items() if value is not None}
        if first is None and any(b.get("type") == "text" and b.get("text") for b in blocks.values()):
            first = number
    body = {**message, "content": list(blocks.values()), "usage": usage}
    return _whole(body, message.get("stop_reason"), first)


def _join_block(block: dict[str, Any], delta: dict[str, Any]) -> None:
    name = _ANTHROPIC_DELTAS[str(delta["type"])]
    block[name] = (text(block.get(name)) or "") + (text(delta.get(name)) or "")


# --- clova -------------------------------------------------------------------------------------------


def _clova_call(call: Call, model: Model) -> Call:
    """CLOVA Studio's own api streams when the Accept header asks for it."""
    headers = call.headers | {"Accept": "text/event-stream"}
    return replace(call, headers=headers, sent=call.sent | {"stream": True})


def _clova(events: Sequence[Event]) -> Folded:
    """Events `token` (a piece of the message) and `result` (the message's end, its usage, in some versions its whole
    text again); an `error`, or any event with a status, is the body as it stands."""
    result: dict[str, Any] = {}
    said: Pieces = []
    thoughts: list[str] = []
    last: Pieces = []
    for number, chunk in _chunks(events):
        if chunk.get("error") or chunk.get("status"):
            return Folded(_bytes(chunk))
        message = mapping(chunk.get("message"))
        result |= {name: value for name, value in chunk.items() if name != "message" and value is not None}
        (last if events[number].name == "result" else said).append((number, text(message.get("content")) or ""))
        if events[number].name != "result":
            thoughts.append(text(message.get("thinkingContent")) or "")
    content = max(_joined(said), _joined(last), key=len)
    message = {"role": "assistant", "content": content} | (
        {"thinkingContent": "".join(thoughts)} if any(thoughts) else {}
    )
    body = {"status": {"code": "20000", "message": "OK"}, "result": {**result, "message": message}}
    first = next((number for number, piece in said + last if piece), None)
    return _whole(body, result.get("finishReason") or result.get("stopReason"), first)


STREAMS: dict[str, Form] = {
    "openai-chat": Form(_openai_call, _openai),
    "gemini": Form(_gemini_call, _gemini),
    "anthropic": Form(_anthropic_call, _anthropic),
    "clova": Form(_clova_call, _clova),
}
"""The streaming form of each api."""
