"""Gemini's own dialect: `POST {base_url}/v1beta/models/{name}:generateContent` (ai.google.dev/gemini-api/docs)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lmmbench.faults import Fault
from lmmbench.providers.finish import ended, whole
from lmmbench.providers.http_faults import reply_object
from lmmbench.providers.lenient import count, mapping, objects, request_id, text
from lmmbench.providers.parameters import parameters
from lmmbench.types import Call, Finish, Model, Reply, Request, Usage

_MIME = {"audio/mpeg": "audio/mp3"}
"""Its own names of media types, where they differ (ai.google.dev/gemini-api/docs/audio)."""
_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
SAFETY = [{"category": f"HARM_CATEGORY_{harm}", "threshold": "BLOCK_NONE"} for harm in _HARMS]
"""Sent with every request, so that every item is judged by the model and not by a default filter."""


def auth(key: str) -> dict[str, str]:
    return {"x-goog-api-key": key}


def encode(request: Request, model: Model) -> Call:
    """The request body; parameters go into generationConfig, those that the model does not obey are reported."""
    params, dropped = parameters(request, model)
    inline = [{"mimeType": _MIME.get(m.mime, m.mime), "data": base64.b64encode(m.data).decode()} for m in request.media]
    parts: list[dict[str, Any]] = [{"text": request.user}, *({"inlineData": data} for data in inline)]
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": params,
        "safetySettings": SAFETY,
    }
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": request.system}]}
    path = f"/v1beta/models/{model.name}:generateContent"
    return Call(
        path, {"Content-Type": "application/json"}, json.dumps(body, ensure_ascii=False).encode(), params, dropped
    )


def decode(status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply:
    """The normalised reply. A blocked prompt (no candidates, `promptFeedback`) and a blocked answer are refusals."""
    data = reply_object(status, headers, body, model.capabilities.faults)
    blocked = text(mapping(data.get("promptFeedback")).get("blockReason"))
    candidates = objects(data.get("candidates"))
    if blocked and not candidates:
        return _reply(headers, data, "", None, "refusal", blocked)
    if not candidates:
        raise Fault("invalid", "the reply has no candidates", maybe_billed=True)
    finish_raw = text(candidates[0].get("finishReason")) or ""
    finish = ended(finish_raw)
    parts = objects(mapping(candidates[0].get("content")).get("parts"))
    texts = [text(p["text"]) or "" for p in parts if "text" in p and not p.get("thought")]
    lacking = f"the reply has no text (finishReason {finish_raw or 'missing'})"
    said = whole("".join(texts) if texts else None, finish, finish_raw, lacking)
    thoughts = "".join(text(p.get("text")) or "" for p in parts if p.get("thought"))
    return _reply(headers, data, said, thoughts or None, finish, finish_raw)


def _reply(
    headers: Mapping[str, str], data: dict[str, Any], said: str, reasoning: str | None, finish: Finish, finish_raw: str
) -> Reply:
    usage = mapping(data.get("usageMetadata"))
    return Reply(
        text=said,
        finish=finish,
        finish_raw=finish_raw,
        reasoning=reasoning,
        usage=_usage(usage),
        served_model=text(data.get("modelVersion")),
        request_id=request_id(headers, data.get("responseId")),
        service_tier=text(usage.get("serviceTier")),
    )


def _usage(usage: dict[str, Any]) -> Usage:
    """Gemini counts thoughts outside the candidates' tokens; here they are inside `output`, as for every vendor."""
    answer, thoughts = count(usage.get("candidatesTokenCount")), count(usage.get("thoughtsTokenCount"))
    output = None if answer is None and thoughts is None else count((answer or 0) + (thoughts or 0))
    return Usage(count(usage.get("promptTokenCount")), count(usage.get("cachedContentTokenCount")), output, thoughts)
