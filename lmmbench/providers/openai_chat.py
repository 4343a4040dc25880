"""OpenAI's Chat Completions dialect: `POST {base_url}/chat/completions`, and everyone who speaks it (DeepSeek, Grok,
HyperCLOVA X, Kanana, Solar, Ollama, vLLM, llama.cpp, LM Studio, …). What differs between them is data of the row."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lmmbench.faults import Fault
from lmmbench.providers.finish import ended, whole
from lmmbench.providers.http_faults import http_fault, reply_object
from lmmbench.providers.lenient import amount, count, mapping, objects, request_id, together
from lmmbench.providers.lenient import text as text_of
from lmmbench.providers.parameters import parameters
from lmmbench.providers.thinking import split_thinking
from lmmbench.types import Call, Media, Model, Reply, Request, Usage

_JSON = json.JSONEncoder(ensure_ascii=False)


def auth(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def encode(request: Request, model: Model) -> Call:
    """The request body; parameters that the model does not obey are left out and reported."""
    params, dropped = parameters(request, model)
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    messages.append({"role": "user", "content": _content(request, model)})
    body = _JSON.encode({"model": model.name, "messages": messages, **params}).encode()
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
    data = reply_object(status, headers, body, model.capabilities.faults)
    choice = _first_choice(data)
    if choice.get("error"):
        raise _broken_off(headers, choice["error"], model)
    message = choice["message"]
    finish_raw = text_of(choice.get("finish_reason")) or ""
    refusal = _refusal(message)
    finish = "refusal" if refusal else ended(finish_raw)
    content = refusal or _content_text(message.get("content"))
    answer, inline = split_thinking(content or "")
    usage = mapping(data.get("usage"))
    return Reply(
        text=whole(None if content is None else answer, finish, finish_raw, "the reply has no content"),
        finish=finish,
        finish_raw=finish_raw,
        reasoning=_reasoning(message) or inline,
        usage=_usage(usage, model),
        served_model=text_of(data.get("model")),
        system_fingerprint=text_of(data.get("system_fingerprint")),
        request_id=request_id(headers, data.get("id")),
        service_tier=text_of(data.get("service_tier")),
        cost_usd=_billed(usage, model),
    )


def _broken_off(headers: Mapping[str, str], error: Any, model: Model) -> Fault:
    """A gateway's host failed on the way (OpenRouter): what came before it may be billed."""
    fault = http_fault(200, headers, json.dumps({"error": error}).encode(), model.capabilities.faults)
    fault.maybe_billed = True
    return fault


def _refusal(message: dict[str, Any]) -> str | None:
    """OpenAI's own field, or parts of type `refusal`."""
    parts = [text_of(p.get("refusal")) for p in objects(message.get("content")) if p.get("type") == "refusal"]
    return text_of(message.get("refusal")) or "".join(p or "" for p in parts) or None


def _reasoning(message: dict[str, Any]) -> str | None:
    """Reasoning under any of its names: DeepSeek, CLOVA and llama.cpp, vLLM and Upstage; Mistral's content list."""
    thinking = [p for p in objects(message.get("content")) if p.get("type") == "thinking"]
    inside = "".join(_content_text(p.get("thinking")) or "" for p in thinking)
    return text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")) or inside or None


def _first_choice(data: dict[str, Any]) -> dict[str, Any]:
    """The first choice; a message of its own, or an error, stands in it."""
    choices = objects(data.get("choices"))
    if not choices:
        raise Fault("invalid", "the reply has no choices", maybe_billed=True)
    if not isinstance(choices[0].get("message"), dict) and not choices[0].get("error"):
        raise Fault("invalid", "the reply's choice has no message", maybe_billed=True)
    return choices[0]


def _content_text(content: Any) -> str | None:
    """Text of a message's content: a string (also an empty one), or a list of parts of which only text counts."""
    if isinstance(content, list):
        texts = [text_of(p.get("text")) for p in objects(content) if p.get("type", "text") == "text"]
        return "".join(t or "" for t in texts) if texts else None
    return content if isinstance(content, str) else None


def _usage(usage: dict[str, Any], model: Model) -> Usage:
    """Counts with reasoning inside `output` and cached tokens inside `input`, whichever way the vendor counts; null
    where not said."""
    given, reasoning = count(usage.get("prompt_tokens")), count(_details(usage, "completion").get("reasoning_tokens"))
    out = _output(usage, given, reasoning, model)
    prompt = _details(usage, "prompt")
    cached, written = count(prompt.get("cached_tokens")), count(prompt.get("cache_write_tokens"))
    if cached is None:
        cached = count(usage.get("prompt_cache_hit_tokens"))
    if model.capabilities.cached_tokens == "outside":
        given = together(given, cached, written)
    return Usage(given, cached, out, reasoning, written)


def _billed(usage: dict[str, Any], model: Model) -> float | None:
    """US dollars that the vendor says it billed. Null where its usage says nothing, and with a key of one's own for the
    host behind a gateway: OpenRouter's `cost` is its fee then, and the host bills the rest."""
    told = amount(usage.get(model.capabilities.cost_field)) if not usage.get("is_byok") else None
    return None if told is None else told / model.capabilities.cost_units


def _details(usage: dict[str, Any], of: str) -> dict[str, Any]:
    return mapping(usage.get(f"{of}_tokens_details"))


def _output(usage: dict[str, Any], given: int | None, reasoning: int | None, model: Model) -> int | None:
    """Output tokens, reasoning among them. The vendor's own total shows whether it counts reasoning beside them; where
    no total does, the family's row says so."""
    out, total = count(usage.get("completion_tokens")), count(usage.get("total_tokens"))
    if not reasoning:
        return out
    whole = together(out, reasoning)
    adds_up = {together(given, whole): whole, together(given, out): out}
    if total is not None and total in adds_up:
        return adds_up[total]
    return whole if model.capabilities.reasoning_tokens == "outside" else out
