"""Reasoning that a server left inside the answer's text."""

from __future__ import annotations

import re

# <think> (DeepSeek R1, Qwen, Kanana), <thought> (EXAONE Deep)
_TAG = "(?:think|thinking|thought)"
_CLOSED = re.compile(rf"^\s*(?:<{_TAG}>)?(.*?)</{_TAG}>\s*", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(rf"^\s*<{_TAG}>(.*)$", re.DOTALL | re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str | None]:
    """(answer, reasoning) of a text that may begin with a block like `<think>…</think>`. A missing opening tag is
    understood; with a missing closing tag everything is reasoning and the answer is empty."""
    if "<" not in text:
        return text, None
    closed = _CLOSED.match(text)
    if closed:
        return text[closed.end() :], closed[1].strip()
    unclosed = _OPEN.match(text)
    return ("", unclosed[1].strip()) if unclosed else (text, None)
