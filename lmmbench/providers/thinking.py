"""Reasoning that a server left inside the answer's text."""

from __future__ import annotations

import re

_CLOSED = re.compile(r"^\s*(?:<(think|thinking)>)?(.*?)</(?:think|thinking)>\s*", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r"^\s*<(?:think|thinking)>(.*)$", re.DOTALL | re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str | None]:
    """(answer, reasoning) of a text that may begin with a `<think>` block. A missing opening tag is understood;
    with a missing closing tag everything is reasoning and the answer is empty."""
    if "think" not in text.lower():
        return text, None
    closed = _CLOSED.match(text)
    if closed:
        return text[closed.end() :], closed[2].strip()
    unclosed = _OPEN.match(text)
    return ("", unclosed[1].strip()) if unclosed else (text, None)
