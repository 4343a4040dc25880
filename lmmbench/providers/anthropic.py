"""Anthropic's Messages dialect: `POST {base_url}/v1/messages` (platform.claude.com/docs; the types of its SDK 2.12)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lmmbench.providers.finish import ended, whole
from lmmbench.providers.http_faults import reply_object
from lmmbench.providers.lenient import count, mapping, objects, request_id, text, together
from lmmbench.providers.parameters import parameters
from lmmbench.types import Call, Model, Reply, Request, Usage

VERSION = "2023-06-01"
"""Of the wire format, sent with every request."""


def auth(key: str) -> dict[str, str]:
    return {"x-api-key": key}


def encode(request: Request, model: Model) -> Call:
    """The request body: the system text stands at its top, images before the text, and `max_tokens` is never missing."""
    params, dropped = parameters(request, model)
    system = {"system": request.system} if request.system else {}
    messages = [{"role": "user", "content": _content(request)}]
    body = json.dumps({"model": model.name, **system, "messages": messages, **params}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "anthropic-version": VERSION}
    return Call("/v1/messages", headers, body, params, dropped)


def _content(request: Request) -> str | list[dict[str, Any]]:
    if not request.media:
        return request.user
    inline = [{"media_type": m.mime, "data": base64.b64encode(m.data).decode()} for m in request.media]
    images = [{"type": "image", "source": {"type": "base64", **source}} for source in inline]
    return [*images, {"type": "text", "text": request.user}]


def decode(status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply:
    """The normalised reply: text blocks are the answer, thinking blocks the reasoning; redacted thinking is unreadable
    and left out. A refusal's category stands behind its word in `finish_raw`: `refusal: cyber`."""
    data = reply_object(status, headers, body, model.capabilities.faults)
    blocks = objects(data.get("content"))
    stop_reason = text(data.get("stop_reason")) or ""
    finish = ended(stop_reason)
    texts = [b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)]
    said = whole("".join(texts) if texts else None, finish, stop_reason, "the reply has no text")
    thinking = "".join(text(b.get("thinking")) or "" for b in blocks if b.get("type") == "thinking")
    category = text(mapping(data.get("stop_details")).get("category"))
    usage = mapping(data.get("usage"))
    return Reply(
        text=said,
        finish=finish,
        finish_raw=f"{stop_reason}: {category}" if category else stop_reason,
        reasoning=thinking or None,
        usage=_usage(usage),
        served_model=text(data.get("model")),
        request_id=request_id(headers, data.get("id")),
        service_tier=text(usage.get("service_tier")),
    )


def _usage(usage: dict[str, Any]) -> Usage:
    """Anthropic counts what is read from and written to its cache outside `input_tokens`; here it is inside `input`, as
    for every vendor. Thinking is inside `output_tokens`."""
    asked, read = count(usage.get("input_tokens")), count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    thinking = count(mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(together(asked, read, written), read, count(usage.get("output_tokens")), thinking, written)
