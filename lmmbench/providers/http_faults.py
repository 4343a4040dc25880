"""Reading a refusal of service: the body is believed first, the status second. Shared by all HTTP dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lmmbench.canon import read_json
from lmmbench.faults import FAULTS, Fault
from lmmbench.net.delay import LONGEST, duration, reset_delay, server_delay
from lmmbench.providers.lenient import code as code_of
from lmmbench.providers.lenient import mapping, objects

# Each pattern is tried on the error's own words (code, type, status, …), then on its message.
BODY_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("quota", r"insufficient_quota|credit_balance_exhausted|spend_limit|usage_limit_exceeded|billing|arrearage"),
        ("quota", r"insufficient balance|payment required|spend limit|API usage limits"),
        ("rate", r"rate_limit|slow_down|RESOURCE_EXHAUSTED|too many requests|throttling"),
        ("overload", r"overloaded|UNAVAILABLE"),
        ("policy", r"content_filter|content_policy|data_?inspection_?failed|moderation"),
        (
            "too_large",
            r"context_length|context length|exceed_context_size|exceeds the available context|maximum context|request_too_large|too many tokens|prompt is too long|only one image",
        ),
        (
            "auth",
            r"invalid_api_key|API_KEY_INVALID|UNAUTHENTICATED|PERMISSION_DENIED|api key not valid|incorrect api key",
        ),
        # a picture that is over a limit, of a type that is not taken, or that cannot be read: no other question's fault
        (
            "too_large",
            r"image_too_large|image_parse_error|invalid_image_format|(?:invalid|unsupported) image\b|image (?:size )?exceeds|image dimensions exceed|process (?:input )?image|image is not valid|too many images",
        ),
        ("config", r"model_not_found|unknown_model|\bNOT_FOUND\b|model .{0,80}(?:not found|does not exist|retired)"),
    )
)

CLOVA_CODES: dict[str, str] = {
    "40003": "too_large",  # context length, or images, over the limit
    "40005": "policy",  # "Unavailable output"
    "40006": "policy",
    "40060": "too_large",  # the image's format, file size, dimensions or ratio
    "40061": "too_large",
    "40062": "too_large",
    "40063": "too_large",
    "40080": "config",  # no such model
    "40082": "config",  # the model was retired
    "40380": "quota",  # all tokens of the key are used up
    "64400": "too_large",
    "64429": "rate",
}
"""CLOVA Studio's codes that say more than their first three digits, which are the HTTP status. Naver's compatible
endpoint sends them in OpenAI's dialect, so all dialects know them (api.ncloud-docs.com, troubleshooting, 2026-09)."""

# Said anywhere in the body of a 429, it means that waiting does not help today: Google's daily QuotaFailure and `limit:
# 0`, OpenRouter's free models, the spend limits of OpenAI and Anthropic (whose `type` says rate_limit_error all the same).
_NO_WAITING = re.compile(
    r"\blimit: 0\b|PerDay|per-day|_tier_daily|_spend_limit_|credit_balance_exhausted|API usage limits", re.IGNORECASE
)

NONE: Mapping[str, str] = {}


def parse_json(body: bytes) -> Any:
    """The body as JSON. Raises Fault(invalid): bad UTF-8, HTML, a cut body, trailing text, absurd nesting."""
    try:
        return read_json(body)
    except (ValueError, RecursionError):
        start = _start(body)
        what = "a web page" if start.startswith("<") else "no valid JSON"
        raise Fault("invalid", f"the reply is {what}: {start[:60]!r}", maybe_billed=True) from None


def _start(body: bytes) -> str:
    return body[:2000].decode("utf-8", "replace").lstrip("\ufeff").lstrip()[:80]


def reply_object(status: int, headers: Mapping[str, str], body: bytes, own: Mapping[str, str] = NONE) -> dict[str, Any]:
    """The JSON object of a reply that may hold an answer. Raises Fault for every other reply: another status, a web page,
    no JSON, no object, an error inside a 200."""
    if status != 200:
        raise http_fault(status, headers, body, own)
    try:
        data = parse_json(body)
    except Fault:
        if not (start := _start(body)).startswith("<"):
            raise
        raise Fault("page", f"answers with a web page, not JSON: {start[:60]!r}", maybe_billed=True) from None
    if not isinstance(data, dict) or data.get("error"):
        raise http_fault(status, headers, body, own)
    return data


def http_fault(status: int, headers: Mapping[str, str], body: bytes, own: Mapping[str, str] = NONE) -> Fault:
    """The fault that a non-success reply means, with the delay that the server asks for. `own`: texts that mean another
    kind in this vendor's errors than elsewhere (`faults` of a family's capabilities)."""
    error = _error_object(body)
    message = str(error.get("message", "")) or body[:200].decode("utf-8", "replace")
    meant = _status_meant(status, error)
    words = " ".join(_words(error))
    named = _by_own(own, f"{words} {message}") or _by_body(error, words, message, meant)
    kind = named or _by_status(meant)
    headers = {**headers, **_forwarded_headers(error)}
    delay = _delay(error, headers)
    if delay is None and meant == 429:
        delay = reset_delay(headers)
    if meant == 402 and delay is not None:  # OpenRouter: money is held by asks in flight, and comes back
        kind = "rate"
    if kind == "rate" and not named and delay is None and _lower(headers).get("x-should-retry") == "false":
        kind = "quota"  # the server knows, and nothing else in the reply says more
    told = " ".join(message.split())
    said = f"HTTP {status}" if meant == status else f"HTTP {status} with {meant} inside"
    if FAULTS[kind].attempts != 1 and delay is not None and delay > LONGEST:
        return Fault("quota", f"{said}: try again in {delay:.0f} s: {told[:200]}", retry_after=delay)
    billed = (status == 200 and kind in ("invalid", "overload", "policy")) or meant in _GAVE_UP
    return Fault(kind, f"{said}: {told[:300]}", retry_after=delay, maybe_billed=billed)


_GAVE_UP = (504, 524)
"""A gateway that did not wait for the vendor, who may have worked on."""


def _error_object(body: bytes) -> dict[str, Any]:
    """The error part of a body, in the shapes {"error": {…}}, {"error": "…"}, {"status": {…}}, [{…}] and flat; {} for
    others."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return {}
    error = data.get("error") or (data["status"] if isinstance(data.get("status"), dict) else data)
    return error if isinstance(error, dict) else {"message": str(error)}


def _status_meant(status: int, error: dict[str, Any]) -> int:
    """The HTTP status; inside a 200 the one that the error's code is (OpenRouter: 429) or begins with (CLOVA: 42901)."""
    code = code_of(error.get("code"))
    inside = int(code[:3]) if len(code) in (3, 5) and code.isascii() and code.isdecimal() else 0
    return inside if status == 200 and 400 <= inside < 600 else status


def _words(error: dict[str, Any]) -> Iterator[str]:
    """The error's own words: OpenAI's code and type, Google's status and reason, Anthropic's details.error_code,
    OpenRouter's metadata.error_type and metadata.limit_source."""
    inner = (mapping(error.get("details")), *objects(error.get("details")), mapping(error.get("metadata")))
    names = ("code", "type", "status", "reason", "error_code", "error_type", "limit_source")
    yield from (str(part[name]) for part in (error, *inner) for name in names if part.get(name) is not None)


def _by_own(own: Mapping[str, str], said: str) -> str | None:
    return next((kind for text, kind in own.items() if text.lower() in said.lower()), None)


def _by_body(error: dict[str, Any], words: str, message: str, status: int) -> str | None:
    """The kind that the error's own words name; else what its message says, where the status leaves that open: a 5xx
    that mentions moderation or billing is a server that is down, no verdict on the question or the account."""
    if (code := code_of(error.get("code"))) in CLOVA_CODES:
        return CLOVA_CODES[code]
    if status == 429 and _NO_WAITING.search(f"{words} {message} {json.dumps(error.get('details'))}"):
        return "quota"
    for kind, pattern in BODY_RULES:
        if pattern.search(words) and not (status >= 500 and kind in ("policy", "quota", "auth", "config")):
            return kind
    for kind, pattern in BODY_RULES:
        if _believed(kind, status) and pattern.search(message):
            return kind
    return None


def _believed(kind: str, status: int) -> bool:
    """Whether a message under this status may be read as a fault of this kind."""
    if status >= 500:
        return False
    if status == 429:
        return kind == "quota"
    # a key that may not send pictures at all is no fault of one picture
    return kind != "too_large" or status not in (401, 403)


_STATUS = {
    400: "request", 401: "auth", 402: "quota", 403: "auth", 404: "config", 405: "config", 408: "overload",
    409: "overload", 413: "too_large", 422: "request", 425: "overload", 429: "rate",
    511: "page",  # RFC 6585, section 6: log in to the network first
}  # fmt: skip


def _by_status(status: int) -> str:
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return "overload"
    if 300 <= status < 400:
        return "config"
    return "request" if 400 <= status < 500 else "invalid"


def _delay(error: dict[str, Any], headers: Mapping[str, str]) -> float | None:
    """google.rpc.RetryInfo in an error's details, else what the headers order, in seconds."""
    for detail in objects(error.get("details")):
        if "retryDelay" in detail and (seconds := duration(str(detail["retryDelay"]))) is not None:
            return seconds
    return server_delay(headers)


def _forwarded_headers(error: dict[str, Any]) -> dict[str, str]:
    """Headers of the host behind a gateway, which OpenRouter puts into the body."""
    forwarded = mapping(mapping(error.get("metadata")).get("headers"))
    return {name: str(value) for name, value in forwarded.items()}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value.strip().lower() for name, value in headers.items()}
