"""The nouns of lmmbench. This module imports nothing of ours; everything else may import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}
"""pydantic's configuration where these classes stand at a door (YAML, items.jsonl): unknown keys are refused."""


# --- packs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A file of a pack: its path inside the pack's folder, its media type and the SHA-256 of its bytes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    path: str
    mime: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a claim is believed. `quote` is what was read at `ref` on `read_on` (an ISO date)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    kind: str
    ref: str
    quote: str = ""
    read_on: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an item was made and checked, truthfully; `attestation` is the best kind of its evidence."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    made_on: str
    made_by: str
    claim: str
    evidence: tuple[Evidence, ...]
    attestation: str
    checks: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `targets`: best first; for a closed item the right option's number as written ("1" = first)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    stratum: str
    type: str
    cluster_id: str
    fields: dict[str, str]
    targets: tuple[str, ...]
    provenance: Provenance
    options: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    media: tuple[MediaRef, ...] = ()
    tags: tuple[str, ...] = ()
    status: Literal["active", "disputed", "retired"] = "active"


# --- configuration -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars (or `currency`) per million tokens; a part that is not known is null, and so is its cost."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    input: float | None = None
    cached_input: float | None = None
    output: float | None = None
    currency: Literal["USD"] = "USD"
    as_of: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with one account: what is limited together. `base_url_env` names the variable that holds the URL."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    api: str
    base_url: str = ""
    base_url_env: str = ""
    key_env: str = ""
    transport: Literal["http"] = "http"
    concurrency: int = 4
    rpm: int | None = None
    tpm: int | None = None
    timeout_s: float = 120.0
    allow_http: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """One row of providers.yaml. `options` are sent as they stand, `drops` are left out and recorded."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    endpoint: str
    name: str
    vendor: str
    family: str
    region: Literal["overseas", "domestic", "reference"]
    inputs: tuple[str, ...] = ("text",)
    options: dict[str, Any] = field(default_factory=dict)
    drops: tuple[str, ...] = ()
    cap_field: str = "max_tokens"
    reasons: bool = False
    reasoning_allowance: int = 4096
    reasoning_tokens: Literal["inside", "outside"] = "inside"
    verified: str = "never"
    retires_on: str = ""
    price: Price = field(default_factory=Price)
    note: str = ""

    def output_cap(self, card_cap: int) -> int:
        """Output tokens that one answer may take: the card's cap, and the reasoning allowance where it reasons."""
        return card_cap + (self.reasoning_allowance if self.reasons else 0)


# --- one ask -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Media:
    """A media file's bytes, sent inline."""

    mime: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question as it is put to a model.

    `order[p]` is the original number (1-based) of the option shown at position p; `max_output_tokens` is the
    card's cap, before a reasoning allowance; `seed` is sent where the vendor takes one.
    """

    pack: str
    item: Item
    trial: int
    system: str
    user: str
    order: tuple[int, ...]
    max_output_tokens: int
    seed: int
    media: tuple[Media, ...] = ()
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request in a vendor's dialect: what goes over the wire, and what was sent or had to be dropped."""

    path: str
    headers: dict[str, str]
    body: bytes
    sent: dict[str, Any]
    dropped: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor counts them; `output` includes `reasoning` for every vendor; null where not said."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None


Finish = Literal["stop", "length", "refusal", "unknown"]


@dataclass(slots=True)
class Reply:
    """One normalised answer; a dialect fills in what the body says, the sender what it knows. `finish_raw` keeps the vendor's own word; `text` never holds the reasoning."""

    text: str
    finish: Finish
    finish_raw: str = ""
    reasoning: str | None = None
    usage: Usage = Usage()
    served_model: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    sent: dict[str, Any] = field(default_factory=dict)
    dropped: dict[str, Any] = field(default_factory=dict)
    request_sha: str = ""
    latency_s: float | None = None
    ttft_s: float | None = None


Status = Literal["ok", "truncated", "refused", "invalid", "error", "unsupported", "skipped"]
SCORED: frozenset[str] = frozenset({"ok", "truncated", "refused"})
"""Statuses that carry a score; every other status leaves it null."""

AskKey = tuple[str, str, str, int]
"""(model, pack, item, trial): what is asked once and answered once within a run."""
