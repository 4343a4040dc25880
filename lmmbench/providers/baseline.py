"""Reference models without a model: the floor that a real one must beat.

`chance` chooses uniformly among the options of a closed question; `copy` echoes the source of an open one, or the end of
a document, as many characters as its `limit` allows. The other kind is unsupported.
"""

from __future__ import annotations

import hashlib

from lmmbench.faults import UsageError
from lmmbench.prompts import LETTERS
from lmmbench.types import Model, Reply, Request


class Baseline:
    """Answers at once, from the question alone; never sees the gold."""

    def __init__(self, model: Model) -> None:
        if model.name not in ("chance", "copy"):
            raise UsageError(f"a baseline's name is chance or copy, not {model.name!r}")
        self._name = model.name

    def unsupported(self, request: Request) -> str:
        if self._name == "chance":
            return "" if request.item.options else "chance answers closed questions only"
        return "" if _source(request) else "copy answers open questions with a source or a document only"

    async def ask(self, request: Request) -> Reply:
        text = _guess(request) if self._name == "chance" else _source(request)
        return Reply(text=text, finish="stop", served_model=f"baseline-{self._name}", latency_s=0.0)

    async def close(self) -> None:
        """Nothing is open."""


def _guess(request: Request) -> str:
    """One of the options, each with the same probability, by SHA-256 of (seed + trial, pack, item)."""
    digest = hashlib.sha256(f"chance\x1f{request.seed}\x1f{request.pack}\x1f{request.item.id}".encode()).digest()
    return f"정답: {LETTERS[int.from_bytes(digest[:8], 'big') % len(request.order)]}"


def _source(request: Request) -> str:
    if request.item.options:
        return ""
    fields = request.item.fields
    if "document" in fields:
        # of all that can be copied blindly the end earns most: decisions stand last
        limit = fields.get("limit", "")
        return fields["document"][-int(limit) :] if limit.isdecimal() else fields["document"]
    return fields.get("source", "")
