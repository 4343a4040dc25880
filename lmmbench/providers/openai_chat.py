"""OpenAI's Chat Completions dialect: `POST {base_url}/chat/completions`, and everyone who speaks it (DeepSeek, Grok,
HyperCLOVA X, Kanana, Solar, Ollama, vLLM, llama.cpp, LM Studio, …). What differs between them is data of the row."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lmmbench.faults import Fault
from lmmbench.providers.http_faults import reply_object
from lmmbench.providers.lenient import count, mapping, objects, together
from lmmbench.providers.lenient import text as text_of
from lmmbench.providers.parameters import parameters
from lmmbench.providers.thinking import split_thinking
from lmmbench.types import Call, Finish, Media, Model, Reply, Request, Usage

_FINISH: dict[str, Finish] = {
    "": "stop", "stop": "stop", "end_turn": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop",
    "completed": "stop", "length": "length", "max_tokens": "length", "model_length": "length",
    "content_filter": "refusal", "refusal": "refusal",
}  # fmt: skip
"""Any other word (`insufficient_system_resource`, `error`, `tool_calls`) says that this is no whole answer."""


def auth(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def encode(request: Request, model: Model) -> Call:
    """The request body; parameters that the model does not obey are left out and reported."""
    params, dropped = parameters(request, model)
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    messages.append({"role": "user", "content": _content(request, model)})
    body = json.dumps({"model": model.name, "messages": messages, **params}, ensure_ascii=False).encode()
    pinned = {"image_detail": model.image_detail} if model.image_detail and request.media else {}
    return Call("/chat/completions", {"Content-Type": "application/json"}, body, params | pinned, dropped)


def _content(request: Request, model: Model) -> str | list[dict[str, Any]]:
    if not request.media:
        return request.user
    parts: list[dict[str, Any]] = [{"type": "text", "text": request.user}]
    return [*parts, *(_part(media, model) for media in request.media)]


_AUDIO = {"audio/wav": "wav", "audio/mpeg": "mp3"}


def _part(media: Media, model: Model) -> dict[str, Any]:
    """A file's bytes, inline: nobody fetches a URL."""
    data = base64.b64encode(media.data).decode()
    if media.mime in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[media.mime]}}
    detail = {"detail": model.image_detail} if model.image_detail else {}
    return {"type": "image_url", "image_url": {"url": f"data:{media.mime};base64,{data}", **detail}}


def decode(status: int, headers: Mapping[str, str], body: bytes, model: Model) -> Reply:
    """The normalised reply. Raises Fault when the body holds no answer, whatever the status says."""
    data = reply_object(status, headers, body)
    message, finish_raw = _first_choice(data)
    finish = _FINISH.get(finish_raw.lower(), "unknown")
    refusal = text_of(message.get("refusal"))
    content = refusal or _content_text(message.get("content"))
    text, inline = split_thinking(content or "")
    if refusal:
        finish = "refusal"
    elif finish == "unknown":
        raise Fault(
            "invalid", f"the reply ended with {finish_raw[:40]!r}, which is no end of an answer", maybe_billed=True
        )
    elif content is None and finish == "stop":
        raise Fault("invalid", "the reply has no content", maybe_billed=True)
    return Reply(
        text=text,
        finish=finish,
        finish_raw=finish_raw,
        reasoning=_reasoning(message) or inline,
        usage=_usage(mapping(data.get("usage")), model),
        served_model=text_of(data.get("model")),
        system_fingerprint=text_of(data.get("system_fingerprint")),
        request_id=text_of(data.get("id")),
    )


def _reasoning(message: dict[str, Any]) -> str | None:
    """Reasoning under any of its names: DeepSeek, CLOVA and llama.cpp, vLLM and Upstage; Mistral's content list."""
    thinking = [p for p in objects(message.get("content")) if p.get("type") == "thinking"]
    inside = "".join(_content_text(p.get("thinking")) or "" for p in thinking)
    return text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")) or inside or None


def _first_choice(data: dict[str, Any]) -> tuple[dict[str, Any], str]:
    choices = objects(data.get("choices"))
    if not choices:
        raise Fault("invalid", "the reply has no choices", maybe_billed=True)
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise Fault("invalid", "the reply's choice has no message", maybe_billed=True)
    return message, text_of(choices[0].get("finish_reason")) or ""


def _content_text(content: Any) -> str | None:
    """Text of a message's content: a string (also an empty one), or a list of parts of which only text counts."""
    if isinstance(content, list):
        texts = [text_of(p.get("text")) for p in objects(content) if p.get("type", "text") == "text"]
        return "".join(t or "" for t in texts) if texts else None
    return content if isinstance(content, str) else None


def _usage(usage: dict[str, Any], model: Model) -> Usage:
    """Counts with reasoning inside `output` and cached tokens inside `input`, whichever way the vendor counts; null
    where not said."""
    can = model.capabilities
    out = count(usage.get("completion_tokens"))
    reasoning = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if can.reasoning_tokens == "outside":
        out = together(out, reasoning)
    prompt = mapping(usage.get("prompt_tokens_details"))
    cached, written = count(prompt.get("cached_tokens")), count(prompt.get("cache_write_tokens"))
    if cached is None:
        cached = count(usage.get("prompt_cache_hit_tokens"))
    given = count(usage.get("prompt_tokens"))
    if can.cached_tokens == "outside":
        given = together(given, cached, written)
    return Usage(given, cached, out, reasoning, written)
