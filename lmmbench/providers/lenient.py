"""Reading a vendor's JSON without believing it: a value of another shape is absent, never a crash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_INT64 = 2**63


def text(value: Any) -> str | None:
    """A string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def count(value: Any) -> int | None:
    """A number of tokens from 0 to 2**63 - 1, else None. Servers write 5 as 5, 5.0 or "5" as well."""
    if type(value) is int:  # nearly always; a bool is of another type
        return value if 0 <= value < _INT64 else None
    digits = isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal()
    if digits or (isinstance(value, float) and value.is_integer()):
        return count(int(value))
    return None


def amount(value: Any) -> float | None:
    """A number that is 0 or more, else None; infinite ones and bools are none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < math.inf else None


def together(total: int | None, *more: int | None) -> int | None:
    """A count with what was counted beside it; None where the count itself was not said, or no count results."""
    return None if total is None else count(total + sum(n or 0 for n in more))


def code(value: Any) -> str:
    """A status code as text, whether it came as "20000", 20000 or 20000.0; "" for none."""
    number = count(value)
    return value if isinstance(value, str) else "" if number is None else str(number)


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON array, else none."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def request_id(headers: Mapping[str, str], body_id: Any) -> str | None:
    """The id under which the vendor keeps an exchange, which is what its support asks for: a header's (OpenAI and
    others, Anthropic, CLOVA), else the one in the body."""
    names = ("x-request-id", "request-id", "x-ncp-clovastudio-request-id")
    return next((found for name in names if (found := headers.get(name))), None) or text(body_id)
