"""How long a server asks us to wait, read from each of the forms in use."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmmbench.net.delay import duration, reset_delay, server_delay
from lmmbench.net.http1 import Headers

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"
SOON = "Wed, 21 Oct 2026 07:28:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"Retry-After": "1e11"}, 1e11),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "2026-10-21T07:28:30Z"}, None),
        ({"Retry-After": SOON, "Date": NOW}, 30.0),
        ({"Retry-After": NOW, "Date": NOW}, None),
        ({"Retry-After": NOW, "Date": SOON}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 16:28:30 +0900", "Date": NOW}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000", "Date": NOW}, 30.0),
        ({"Retry-After": SOON, "Date": "Wed, 21 Oct 2026 07:28:00 -0000"}, 30.0),
        ({"Retry-After": "Wed, 99 Oct 2026 07:28:30 GMT", "Date": NOW}, None),
        ({"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:30 GMT", "Date": NOW}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"retry-after-ms": "-1", "Retry-After": "2"}, 2.0),
        ({"retry-after-ms": "x", "Retry-After": SOON, "Date": NOW}, 30.0),
    ],
)
def test_the_delay_that_headers_name(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds first, then seconds, then a date against the server's own clock; garbage is no delay."""
    assert server_delay(Headers(headers.items())) == seconds


def test_a_date_without_the_servers_clock_is_read_against_ours() -> None:
    """Without a Date header a date far ahead is a delay, and one long past is none."""
    assert (server_delay({"Retry-After": "Wed, 01 Jan 2098 00:00:00 GMT"}) or 0) > 1e6
    assert server_delay({"Retry-After": "Wed, 01 Jan 1998 00:00:00 GMT"}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012), ("1s", 1.0), ("1.5s", 1.5), ("6m0s", 360.0), ("36600s", 36600.0), ("2h", 7200.0), ("90s", 90.0),
        ("1h30m", 5400.0), ("1h2m3s4ms", 3723.004), (" 30m ", 1800.0), ("0s", 0.0), ("0.000000001s", 1e-9),
        ("", None), ("s", None), ("5", None), ("-1s", None), ("1s1h", None), ("1 s", None), ("1d", None), ("soon", None),
        ("nans", None), ("9" * 5000 + "s", None),
    ],
)  # fmt: skip
def test_go_and_protobuf_durations(text: str, seconds: float | None) -> None:
    """`12ms`, `1.5s`, `6m0s`, `36600s`; anything else is none, and an infinite one is anything else."""
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


RESETS: dict[str, tuple[dict[str, str], float | None]] = {
    "none": ({}, None),
    "a Go duration": ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
    "the latest": ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "12ms"}, 1.0),
    "the one that is exhausted": (
        {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2s"},
        2.0,
    ),
    "none that is exhausted": ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"}, None),
    "one that is exhausted, one that says nothing": (
        {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2s"}, 2.0
    ),
    "RFC 3339": ({"anthropic-ratelimit-tokens-reset": "2026-10-21T07:28:30Z", "Date": NOW}, 30.0),
    "RFC 3339 with an offset": ({"anthropic-ratelimit-tokens-reset": "2026-10-21T16:28:30+09:00", "Date": NOW}, 30.0),
    "RFC 3339 past": ({"anthropic-ratelimit-tokens-reset": "2026-10-21T07:27:30Z", "Date": NOW}, None),
    "RFC 3339 without a zone": ({"anthropic-ratelimit-tokens-reset": "2026-10-21T07:28:30", "Date": NOW}, None),
    "Unix seconds": ({"X-RateLimit-Reset": "1792567710", "Date": NOW}, 30.0),
    "Unix milliseconds": ({"X-RateLimit-Reset": "1792567710500", "Date": NOW}, 30.5),
    "plain seconds": ({"RateLimit-Reset": "30"}, 30.0),
    "garbage": ({"x-ratelimit-reset-requests": "-1", "x-ratelimit-reset-tokens": "0", "x-ratelimit-reset": "soon"}, None),
    "garbage that remains": ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "3s"}, 3.0),
    "beyond any calendar": ({"X-RateLimit-Reset": "9" * 40, "Date": NOW}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", RESETS)
def test_the_reset_that_headers_name(name: str) -> None:
    """The latest reset among the limits of which nothing remains, in any of the forms; garbage is none."""
    headers, seconds = RESETS[name]
    assert reset_delay(Headers(headers.items())) == (None if seconds is None else pytest.approx(seconds))


# --- laws --------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
@settings(deadline=None)
def test_a_duration_round_trips(hours: int, minutes: int, seconds: int, ms: int) -> None:
    """What is written as a Go duration is read as the same number of seconds."""
    text = "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s"), (ms, "ms")) if n) or "0s"
    assert duration(text) == pytest.approx(hours * 3600 + minutes * 60 + seconds + ms / 1000)


@given(st.floats(0, 1e12))
@settings(deadline=None)
def test_seconds_and_milliseconds_round_trip(seconds: float) -> None:
    """A number in either header is read as it was written."""
    assert server_delay({"Retry-After": repr(seconds)}) == seconds
    assert server_delay({"retry-after-ms": repr(seconds)}) == seconds / 1000


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001
    st.integers(1, 10**7),
)
@settings(deadline=None)
def test_a_date_round_trips(start: datetime, wait: int) -> None:
    """A date that lies `wait` seconds after the server's own Date means `wait` seconds, whatever our clock says."""
    now = start.replace(tzinfo=UTC, microsecond=0)
    then = now + timedelta(seconds=wait)
    assert server_delay({"Retry-After": format_datetime(then, True), "Date": format_datetime(now, True)}) == wait


INSTANTS = st.datetimes(datetime(2001, 9, 10), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
FORMS: dict[str, Callable[[datetime], str]] = {
    "RFC 3339": lambda at: at.isoformat(),
    "Z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "Unix seconds": lambda at: str(int(at.timestamp())),
    "Unix milliseconds": lambda at: str(int(at.timestamp()) * 1000),
}


@given(INSTANTS, st.integers(1, 10**7), st.sampled_from(sorted(FORMS)))
def test_a_reset_round_trips(start: datetime, wait: int, form: str) -> None:
    """A moment that lies `wait` seconds after the server's own Date means `wait` seconds, in whichever form it is said."""
    now = start.replace(microsecond=0)
    said = FORMS[form](now + timedelta(seconds=wait))
    assert reset_delay({"x-ratelimit-reset": said, "date": format_datetime(now, True)}) == wait


DATE_LIKE = st.from_regex(r"\A(Wed, )?\d{1,3} (Oct|Feb) \d{2,24} \d{1,3}:\d{2}(:\d{2})? ?(GMT|-0000|[+-]\d{4,12}|)\Z")


@given(st.text() | DATE_LIKE | st.just(SOON), st.text() | DATE_LIKE | st.just(NOW))
@example("1_000", NOW)
@settings(deadline=None)
def test_any_text_is_a_finite_delay_or_none(said: str, date: str) -> None:
    """No header breaks the reading: it is a finite number of seconds that is not negative, or none."""
    for headers in ({"Retry-After": said, "Date": date}, {"retry-after-ms": said}, {"Retry-After": said}):
        found = server_delay(headers)
        assert found is None or (math.isfinite(found) and found >= 0)
    for found in (duration(said), reset_delay({"X-RateLimit-Reset": said, "Date": date})):
        assert found is None or (math.isfinite(found) and found >= 0)
