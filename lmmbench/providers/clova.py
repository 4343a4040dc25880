"""CLOVA Studio's own dialect, v3: `POST {base_url}/v3/chat-completions/{name}` (api.ncloud-docs.com, 2026-09).

The compatible endpoint speaks `openai-chat`; this one is for what that leaves out, such as HCX-007's thinking text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmmbench.faults import Fault
from lmmbench.providers.finish import ended
from lmmbench.providers.http_faults import http_fault, reply_object
from lmmbench.providers.lenient import code, count, mapping, objects, request_id, text
from lmmbench.types import Model, Reply, Usage

SUCCESS = "20000"
"""`status.code` of an answer, as text or as a number; the HTTP status alone says nothing."""


def auth(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def decode(status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply:
    """The normalised reply. Raises Fault for a status code in the body that is no success, whatever HTTP says. The body
    names no model, so none is recorded as served."""
    data = reply_object(status, headers, body)
    if code(mapping(data.get("status")).get("code")) != SUCCESS:
        raise http_fault(status, headers, body)
    result = mapping(data.get("result"))
    message = result.get("message")
    if not isinstance(message, dict):
        raise Fault("invalid", "the reply has no message", maybe_billed=True)
    finish_raw = text(result.get("finishReason")) or ""
    finish = ended(finish_raw)
    content = _content(message.get("content"))
    if content is None and finish == "stop":
        raise Fault("invalid", "the reply has no content", maybe_billed=True)
    return Reply(
        text=content or "",
        finish=finish,
        finish_raw=finish_raw,
        reasoning=text(message.get("thinkingContent")),
        usage=_usage(mapping(result.get("usage"))),
        request_id=request_id(headers, result.get("requestId")),
    )


def _content(content: Any) -> str | None:
    """A message's text: a string (also an empty one), or a list of parts of which only text counts."""
    if isinstance(content, list):
        texts = [p["text"] for p in objects(content) if isinstance(p.get("text"), str)]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _usage(usage: dict[str, Any]) -> Usage:
    """Counts of the body; completion tokens include the thinking."""
    thinking = count(mapping(usage.get("completionTokensDetails")).get("thinkingTokens"))
    return Usage(count(usage.get("promptTokens")), None, count(usage.get("completionTokens")), thinking)
