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
class LongPrompt:
    """A dearer tier: above so many input tokens, the input's prices are multiplied by `input`, the output's by `output`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    above: int
    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Peak:
    """Dearer hours: all prices are multiplied by `times` within these spans of UTC ("01:00-04:00") on these days."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    times: float
    utc: tuple[str, ...]
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of a currency one US dollar was worth on a day."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    rate: float
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Price:
    """Amounts of `currency` per million tokens, with date and source; a part that is not known is null, and so is the
    cost of an answer that used it. Other currencies than USD come with a dated rate. `inferred` names the parts that the
    source does not say."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    input: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    output: float | None = None
    long_prompt: LongPrompt | None = None
    peak: Peak | None = None
    currency: str = "USD"
    usd_rate: Rate | None = None
    as_of: str = ""
    source: str = ""
    inferred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with one account: what is limited together. `base_url_env` names the variable that holds the URL.
    Where it trains on what it is sent, no sealed part of a pack is asked there unless `allow_sealed` says so."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    api: str
    base_url: str = ""
    base_url_env: str = ""
    key_env: str = ""
    transport: Literal["http", "sdk"] = "http"
    concurrency: int = 4
    rpm: int | None = None
    tpm: int | None = None
    timeout_s: float = 120.0
    allow_http: bool = False
    allow_foreign_key: bool = False
    trains_on_inputs: bool = field(default=False, compare=False)
    allow_sealed: bool = field(default=False, compare=False)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a vendor takes of one kind of input (image, audio): media types, bytes of one file, files a request, and how
    many times longer than the other a side of an image may be; null where that is not known."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    types: tuple[str, ...] | None = None
    max_bytes: int | None = None
    per_request: int | None = None
    max_ratio: float | None = None


Taken = Literal["accepted", "ignored", "refused"]
"""What a vendor does with a parameter: obeys it, answers as if it were not there, or answers with an error."""
Effort = str | int | bool
"""How much a model is told to think: a vendor's word, a budget of tokens, or a switch."""
NO_EFFORT: tuple[Effort, ...] = ("none", "disabled", False, 0)
"""Efforts at which a model that can think does not."""
STOPS = ("stop", "stopSequences", "stop_sequences", "stopBefore")
"""What stop sequences are called. lmmbench sends none of its own; a row's options may."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a family of models takes and how it counts: an entry of `capabilities:` in providers.yaml, with the date and
    source of what it says. Without one, a row has the plain shape of its dialect.

    `cap_field` carries the output cap. `effort` is the dotted path of the parameter that sets the effort, `efforts` its
    values (empty = any), `default_effort` the one that is sent when a row names none. `stream_options` is how a stream is
    asked for its usage. Tokens counted `outside` are not in the vendor's own totals: reasoning in the output, cached
    ones in the input. `cost_field` is where its usage says what an answer was billed, `cost_units` how many of those are
    a US dollar. `faults` are texts in this vendor's errors that mean another kind of fault than they do elsewhere.
    `inferred` names the keys of the entry that no source says.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    source: str = ""
    as_of: str = ""
    cap_field: str = "max_tokens"
    cap_counts_reasoning: bool = True
    temperature: Taken = "accepted"
    temperature_range: tuple[float, float] | None = None
    seed: Taken = "accepted"
    seed_field: str = "seed"
    stop: Taken = "accepted"
    effort: str = ""
    efforts: tuple[Effort, ...] = ()
    default_effort: Effort | None = None
    reasons: Literal["never", "on_request", "by_default", "always"] = "never"
    reasoning_tokens: Literal["inside", "outside"] = "inside"
    cached_tokens: Literal["inside", "outside"] = "inside"
    stream_options: Taken = "accepted"
    cost_field: str = ""
    cost_units: float = 1.0
    limits: dict[str, MediaLimits] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    inferred: tuple[str, ...] = ()

    def in_range(self, temperature: float) -> bool:
        """Whether a temperature is one that the family knows, where it takes any."""
        low, high = self.temperature_range or (float("-inf"), float("inf"))
        return low <= temperature <= high


@dataclass(frozen=True, slots=True)
class Model:
    """One row of providers.yaml, with its capabilities resolved. `options` are sent as they stand. `image_detail` pins
    how finely an openai-chat vendor looks at an image (Gemini's word for it is an option, mediaResolution)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    endpoint: str
    name: str
    vendor: str
    family: str
    region: Literal["overseas", "domestic", "reference"]
    inputs: tuple[str, ...] = ("text",)
    options: dict[str, Any] = field(default_factory=dict)
    image_detail: Literal["", "auto", "low", "high", "original"] = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    reasoning_allowance: int = 4096
    verified: str = "never"
    retires_on: str = ""
    price: Price = field(default_factory=Price)
    note: str = ""

    @property
    def effort(self) -> Effort | None:
        """The effort that is sent: the row's own, else the family's default; None where the family has none."""
        if not self.capabilities.effort:
            return self.capabilities.default_effort
        at: Any = self.options
        for part in self.capabilities.effort.split("."):
            at = at.get(part) if isinstance(at, dict) else None
        return self.capabilities.default_effort if at is None else at

    @property
    def reasons(self) -> bool:
        """Whether it thinks before it answers, with the effort that is sent."""
        reasons = self.capabilities.reasons
        if self.effort is None or reasons in ("never", "always"):
            return reasons in ("by_default", "always")
        return self.effort not in NO_EFFORT

    def output_cap(self, card_cap: int) -> int:
        """The cap that is sent, in tokens: the card's, and the reasoning allowance where reasoning counts towards it."""
        return self.most_output(card_cap) if self.capabilities.cap_counts_reasoning else card_cap

    def most_output(self, card_cap: int) -> int:
        """Output tokens that one answer may take: the card's cap, and the reasoning allowance where it reasons."""
        return card_cap + (self.reasoning_allowance if self.reasons else 0)


# --- one ask -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Media:
    """A media file's bytes, sent inline."""

    mime: str
    data: bytes
    sha256: str


@dataclass(slots=True)
class Request:
    """One question as it is put to a model.

    `order[p]` is the original number (1-based) of the option shown at position p; `max_output_tokens` is the
    card's cap, before a reasoning allowance; `seed` is sent where the vendor takes one; `stream` asks for the answer
    as it is made, so that the first token's time is known.
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
    stream: bool = False


@dataclass(slots=True)
class Call:
    """A request in a vendor's dialect: what goes over the wire, and what was sent or had to be dropped."""

    path: str
    headers: dict[str, str]
    body: bytes
    sent: dict[str, Any]
    dropped: dict[str, Any]


@dataclass(slots=True)
class Usage:
    """Tokens as the vendor counts them, null where not said. For every vendor `input` includes what was read from its
    cache (`cached`) and written to it (`cache_write`), and `output` includes `reasoning`."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None


Finish = Literal["stop", "length", "refusal", "unknown"]
"""How an answer ended: whole, cut by a cap, withheld by policy, or with a word that no table has."""


@dataclass(slots=True)
class Reply:
    """One normalised answer; a dialect fills in what the body says, the sender what it knows. `finish_raw` keeps the
    vendor's own word; `text` never holds the reasoning; `cost_usd` is what the vendor says that it billed."""

    text: str
    finish: Finish
    finish_raw: str = ""
    reasoning: str | None = None
    usage: Usage = field(default_factory=Usage)
    served_model: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    service_tier: str | None = None
    cost_usd: float | None = None
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
