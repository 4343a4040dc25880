"""Text that is safe to print."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Text that cannot act on a terminal: control, format and bidi characters become escapes."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}" for c in text
    )


def shown_as(text: str, encoding: str) -> str:
    """Text as a terminal of this encoding shows it: escapes for what it cannot print. Whoever lays text out in columns
    must know this before, since an escape is three times as wide as the syllable it stands for."""
    return text.encode(encoding, "backslashreplace").decode(encoding)
