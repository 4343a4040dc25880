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
    ms = _number(headers.get("retry-after-ms", ""))
    if ms is not None:
        return ms / 1000
    said = headers.get("Retry-After", "").strip()
    seconds = _number(said)
    return seconds if seconds is not None else _until(said, headers.get("Date", ""))


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


def _until(date: str, now: str) -> float | None:
    then = _date(date)
    if then is None:
        return None
    start = _date(now) or datetime.now(then.tzinfo)
    wait = (then - start).total_seconds()
    return wait if wait > 0 else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    # "-0000" is UTC without a claim about the place, and comes without a time zone
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
