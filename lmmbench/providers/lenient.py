"""Reading a vendor's JSON without believing it: a value of another shape is absent, never a crash."""

from __future__ import annotations

from typing import Any

_INT64 = 2**63


def text(value: Any) -> str | None:
    """A string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def count(value: Any) -> int | None:
    """A number of tokens: an integer from 0 to 2**63 - 1, else None."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64
    return value if good else None


def together(total: int | None, *more: int | None) -> int | None:
    """A count with what was counted beside it; None where the count itself was not said, or no count results."""
    return None if total is None else count(total + sum(n or 0 for n in more))


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON array, else none."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
