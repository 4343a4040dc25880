"""How long a server asks us to wait, in each of the forms in use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 600.0
"""Seconds. A longer delay is not waited for: the endpoint is stopped, and the run can be resumed later."""

_GO_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def server_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds named by `retry-after-ms` or `Retry-After` (seconds, or an HTTP date against the server's own
    `Date`); None where nothing usable is said. RFC 9110 10.2.3."""
    said = {name.lower(): value.strip() for name, value in headers.items()}
    ms = _number(said.get("retry-after-ms", ""))
    if ms is not None:
        return ms / 1000
    seconds = _number(said.get("retry-after", ""))
    return seconds if seconds is not None else _until(_date(said.get("retry-after", "")), _date(said.get("date", "")))


def reset_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limit that was hit is filled again, as rate-limit headers say it: the latest reset among the
    limits of which nothing remains; where none says what remains, the latest of all. None where nothing usable is said.

    A hint for a 429 that names no delay, never an order to wait. In use are `x-ratelimit-reset-tokens: 6m0s` (OpenAI),
    `anthropic-ratelimit-tokens-reset: 2026-11-22T03:00:00Z`, and `X-RateLimit-Reset` in Unix seconds or milliseconds
    (OpenRouter); a value such as -1 or 0 (Azure) is none."""
    said = {name.lower(): value.strip() for name, value in headers.items()}
    now = _date(said.get("date", ""))
    waits: dict[bool, list[float]] = {True: [], False: []}
    for name, value in said.items():
        wait = _reset(value, now) if "ratelimit" in name and "reset" in name else None
        remaining = _number(said.get(name.replace("reset", "remaining"), ""))
        if wait is not None and not remaining:
            waits[remaining == 0].append(wait)
    return max(waits[True] or waits[False], default=None)


def _reset(text: str, now: datetime | None) -> float | None:
    """Seconds of one reset: a Go duration, an RFC 3339 date, Unix seconds or milliseconds, or plain seconds."""
    number = _number(text)
    if number is None:
        return duration(text) or _until(_rfc3339(text), now)
    if number >= 1e9:
        return _until(_unix(number), now)
    return number or None


def duration(text: str) -> float | None:
    """Seconds of a Go or protobuf duration: `12ms`, `1.5s`, `6m0s`, `36600s`; None for anything else."""
    match = _GO_DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds, ms = (float(g or 0) for g in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + ms / 1000
    return total if math.isfinite(total) else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(then: datetime | None, now: datetime | None) -> float | None:
    """Seconds from the server's own time (ours where it says none) to a date that lies ahead."""
    wait = (then - (now or datetime.now(UTC))).total_seconds() if then else 0.0
    return wait if wait > 0 else None


def _rfc3339(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _unix(number: float) -> datetime | None:
    """Unix milliseconds where seconds would lie thousands of years ahead."""
    try:
        return datetime.fromtimestamp(number / 1000 if number >= 1e11 else number, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    # "-0000" is UTC without a claim about the place, and comes without a time zone
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
