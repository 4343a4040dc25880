"""Text that is safe to print."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Text that cannot act on a terminal: control, format and bidi characters become escapes."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}" for c in text
    )
