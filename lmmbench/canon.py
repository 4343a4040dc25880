"""Canonical JSON, quick reading of it, and hashes: the same content gives the same bytes and the same SHA-256 on every
machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, ASCII only (so that lone surrogates survive)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def read_json(data: bytes | str) -> Any:
    """What json.loads gives, in half of its time: pydantic's reader, and json's own for what only that one takes (a lone
    surrogate, deep nesting, UTF-16). Raises ValueError, RecursionError."""
    try:
        return _quick_reader()(data)
    except ValueError:
        return json.loads(data)


@cache
def _quick_reader() -> Callable[[bytes | str], Any]:
    from pydantic_core import from_json

    return partial(from_json, cache_strings="keys")


def sha256(data: bytes | str) -> str:
    """SHA-256 as 64 hexadecimal digits; text is hashed as UTF-8."""
    return hashlib.sha256(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, which may be larger than memory."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
