"""Reading a refusal of service: the body is believed first, the status second. Shared by all HTTP dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lmmbench.faults import FAULTS, Fault
from lmmbench.net.delay import LONGEST, duration, server_delay

# Each pattern is tried on the error's own code, type and status words, then on its message.
BODY_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("quota", r"insufficient_quota|credit_balance_exhausted|spend_limit|usage_limit_exceeded|billing|arrearage"),
        ("quota", r"insufficient balance|payment required"),
        ("rate", r"rate_limit|slow_down|RESOURCE_EXHAUSTED|too many requests|\b42901\b"),
        ("overload", r"overloaded|UNAVAILABLE"),
        ("policy", r"content_filter|content_policy|data_inspection_failed|\b4000[56]\b|moderation"),
        (
            "too_large",
            r"context_length|context length|exceed_context_size|exceeds the available context|maximum context|request_too_large|too many tokens|\b40003\b",
        ),
        ("auth", r"invalid_api_key|UNAUTHENTICATED|PERMISSION_DENIED|api key not valid|incorrect api key"),
        ("config", r"model_not_found|unknown_model|\bNOT_FOUND\b|model .{0,80}(?:not found|does not exist|retired)"),
    )
)


# Said anywhere in a rate limit's body, it means that waiting does not help today (Google's QuotaFailure).
_NO_QUOTA = re.compile(r"\blimit: 0\b|PerDay")


def parse_json(body: bytes) -> Any:
    """The body as JSON. Raises Fault(invalid): bad UTF-8, HTML, a cut body, trailing text, absurd nesting."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        start = body[:80].decode("utf-8", "replace").strip()
        what = "a web page" if start.startswith("<") else "no valid JSON"
        raise Fault("invalid", f"the reply is {what}: {start[:60]!r}", maybe_billed=True) from None


def reply_object(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The JSON object of a reply that may hold an answer. Raises Fault for every other reply: another status, no JSON,
    no object, an error inside a 200."""
    if status != 200:
        raise http_fault(status, headers, body)
    data = parse_json(body)
    if not isinstance(data, dict) or data.get("error"):
        raise http_fault(status, headers, body)
    return data


def http_fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault that a non-success reply means, with the delay that the server asks for."""
    error = _error_object(body)
    words = " ".join(str(error.get(k, "")) for k in ("code", "type", "status", "reason"))
    message = str(error.get("message", "")) or body[:200].decode("utf-8", "replace")
    details = json.dumps(error.get("details", ""), ensure_ascii=False) if error.get("details") else ""
    kind = "quota" if _NO_QUOTA.search(message + details) else _by_body(words, message, status) or _by_status(status)
    delay = _retry_info(error)
    if delay is None:
        delay = server_delay(headers)
    if FAULTS[kind].attempts != 1 and delay is not None and delay > LONGEST:
        return Fault("quota", f"HTTP {status}: try again in {delay:.0f} s: {message[:200]}", retry_after=delay)
    return Fault(kind, f"HTTP {status}: {' '.join(message.split())[:300]}", retry_after=delay)


def _error_object(body: bytes) -> dict[str, Any]:
    """The error part of a body, in the shapes {"error": {…}}, {"error": "…"}, [{…}] and flat; {} for others."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return {}
    error = data.get("error", data)
    return error if isinstance(error, dict) else {"message": str(error)}


def _by_body(words: str, message: str, status: int) -> str | None:
    """The kind that the error's own words name; else what its message says, where the status leaves that open: a 5xx
    that mentions moderation or billing is a server that is down, no verdict on the question or the account."""
    for kind, pattern in BODY_RULES:
        if pattern.search(words) and not (status >= 500 and kind in ("policy", "quota", "auth", "config")):
            return kind
    believed = () if status >= 500 else ("quota",) if status == 429 else None
    for kind, pattern in BODY_RULES:
        if (believed is None or kind in believed) and pattern.search(message):
            return kind
    return None


_STATUS = {
    400: "request", 401: "auth", 402: "quota", 403: "auth", 404: "config", 405: "config", 408: "overload",
    409: "overload", 413: "too_large", 422: "request", 425: "overload", 429: "rate",
}  # fmt: skip


def _by_status(status: int) -> str:
    if status >= 500:
        return "overload"
    if 300 <= status < 400:
        return "config"
    return _STATUS.get(status, "request" if 400 <= status < 500 else "invalid")


def _retry_info(error: dict[str, Any]) -> float | None:
    """google.rpc.RetryInfo in an error's details, as seconds."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and "retryDelay" in detail:
            return duration(str(detail["retryDelay"]))
    return None
