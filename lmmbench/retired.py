"""Names that vendors switched off, or have said they will: asked for by an old name, one sentence says what became of
it. A row's own `retires_on` comes first; these are for rows and questions that do not know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

NOTICE = timedelta(days=30)
"""How long before a model goes a run says so."""


@dataclass(frozen=True, slots=True)
class Retired:
    """What became of names at a vendor's host: the date of the end (ISO, "" where none is known) and what comes next."""

    host: str
    on: str
    then: str


def _openai(on: str) -> Retired:
    return Retired("api.openai.com", on, "its successors are the gpt-6 rows")


# openai-python 3.54.0 types/shared/chat_model.py; DeepSeek: LiteLLM 1.109.1; docs.x.ai migration/may-15-retirement,
# each read on 2026-11-22
_GROK = Retired("api.x.ai", "2026-05-15", "its successor is grok-4.3, which has been seen to answer under the old name")
RETIRED: dict[str, Retired] = {
    **dict.fromkeys(("gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4o-2024-05-13", "gpt-4.1-nano"), _openai("2026-10-23")),
    **dict.fromkeys(("o1", "o3-mini", "o4-mini"), _openai("2026-10-23")),
    **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano", "o3"), _openai("2026-12-11")),
    **dict.fromkeys(("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini"), _openai("2027-01-14")),
    "gpt-audio-mini": _openai("2027-01-20"),
    **dict.fromkeys(("gpt-5.1", "gpt-5.4-nano"), _openai("2027-04-01")),
    "deepseek-chat": Retired("api.deepseek.com", "2026-07-24", "its successor is deepseek-flash"),
    "deepseek-reasoner": Retired("api.deepseek.com", "2026-07-24", "its successor is deepseek-flash-thinking"),
    **dict.fromkeys(("grok-3", "grok-4-0709", "grok-4-fast-*", "grok-4-1-fast-*", "grok-code-fast-1"), _GROK),
    "*kogpt*": Retired("kakaobrain.com", "", "no public API of KoGPT is known to be alive since 2024; Kakao's row is kanana-o"),
}  # fmt: skip
"""Patterns of names, in small letters."""


_DATED = re.compile(r"-\d{4}(-\d{2}-\d{2})?$")
"""A snapshot's date, with its year or (OpenAI's older ones) without."""


def _entry(name: str) -> Retired | None:
    """By the name as it is, else without its date: a snapshot goes with its model."""
    for known in (name.lower(), _DATED.sub("", name.lower())):
        for pattern, found in RETIRED.items():
            if fnmatchcase(known, pattern):
                return found
    return None


def became(name: str, today: date) -> str:
    """What became of a name that no row has; "" where nothing is known."""
    found = _entry(name)
    if found is None or not found.on:
        return found.then if found else ""
    verb = "was switched off" if date.fromisoformat(found.on) <= today else "is to be switched off"
    return f"{name} {verb} at {found.host} on {found.on}; {found.then}"


def end(name: str, url: str, retires_on: str) -> tuple[str, str]:
    """(date, what comes next) of a row's model: as the row says, else as its vendor's host is known to; ("", "") where
    no date is known. A server of one's own may call its models as it likes."""
    found = _entry(name)
    theirs = found is not None and (urlsplit(url).hostname or "").endswith(found.host)
    if found is None or not theirs:
        return retires_on, ""
    return retires_on or found.on, found.then


def gone(name: str, url: str, retires_on: str, today: date) -> str:
    """Why a row's model is not there any more, "" when it is."""
    on, then = end(name, url, retires_on)
    if not on or date.fromisoformat(on) > today:
        return ""
    return f"{name} was switched off by its vendor on {on}; {then or 'choose another with: lmmbench list models'}"


def soon(name: str, url: str, retires_on: str, today: date) -> str:
    """A warning when a row's model goes within the notice, else ""."""
    on, then = end(name, url, retires_on)
    if not on or not today < date.fromisoformat(on) <= today + NOTICE:
        return ""
    days = (date.fromisoformat(on) - today).days
    return f"{name} is to be switched off by its vendor on {on}, in {days} days" + (f"; {then}" if then else "")
