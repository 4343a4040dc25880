"""CLOVA Studio's own dialect, v3: `POST {base_url}/v3/chat-completions/{name}` (api.ncloud-docs.com, 2026-09).

The compatible endpoint speaks `openai-chat`; this one is for what that leaves out, such as HCX-007's thinking text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lmmbench.faults import Fault
from lmmbench.providers.finish import ended, whole
from lmmbench.providers.http_faults import http_fault, reply_object
from lmmbench.providers.lenient import code, count, mapping, objects, request_id, text
from lmmbench.providers.parameters import parameters
from lmmbench.types import Call, Model, Reply, Request, Usage

SUCCESS = "20000"
"""`status.code` of an answer, as text or as a number; the HTTP status alone says nothing."""


def auth(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def encode(request: Request, model: Model) -> Call:
    """The request body; its keys are camelCase, and one cap only (`maxTokens`, or `maxCompletionTokens` for models that
    think) may be in it. Seed 0 means a random one there, so seeds count from 1."""
    params, dropped = parameters(replace(request, seed=request.seed + 1), model)
    messages: list[dict[str, Any]] = [{"role": "user", "content": _content(request)}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    body = json.dumps({"messages": messages, **params}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Call(f"/v3/chat-completions/{model.name}", headers, body, params, dropped)


def _content(request: Request) -> str | list[dict[str, Any]]:
    """A text, or parts with the images first, as in the vendor's example. The field that is documented as Base64 takes a
    whole data URI: bare Base64 is refused (others measured it on 2026-07-30 and 2026-08-14)."""
    if not request.media:
        return request.user
    uris = [f"data:{m.mime};base64,{base64.b64encode(m.data).decode()}" for m in request.media]
    images = [{"type": "image_url", "dataUri": {"data": uri}} for uri in uris]
    return [*images, {"type": "text", "text": request.user}]


def decode(status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply:
    """The normalised reply. Raises Fault for a status code in the body that is no success, whatever HTTP says. The body
    names no model, so none is recorded as served."""
    data = reply_object(status, headers, body, model.capabilities.faults)
    if code(mapping(data.get("status")).get("code")) != SUCCESS:
        raise http_fault(status, headers, body, model.capabilities.faults)
    result = mapping(data.get("result"))
    message = result.get("message")
    if not isinstance(message, dict):
        raise Fault("invalid", "the reply has no message", maybe_billed=True)
    finish_raw = text(result.get("finishReason")) or ""
    finish = ended(finish_raw)
    return Reply(
        text=whole(_content_text(message.get("content")), finish, finish_raw, "the reply has no content"),
        finish=finish,
        finish_raw=finish_raw,
        reasoning=text(message.get("thinkingContent")),
        usage=_usage(mapping(result.get("usage"))),
        request_id=request_id(headers, result.get("requestId")),
    )


def _content_text(content: Any) -> str | None:
    """A message's text: a string (also an empty one), or a list of parts of which only text counts."""
    if isinstance(content, list):
        texts = [p["text"] for p in objects(content) if isinstance(p.get("text"), str)]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _usage(usage: dict[str, Any]) -> Usage:
    """Counts of the body; completion tokens include the thinking."""
    thinking = count(mapping(usage.get("completionTokensDetails")).get("thinkingTokens"))
    return Usage(count(usage.get("promptTokens")), None, count(usage.get("completionTokens")), thinking)
