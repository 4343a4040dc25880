"""providers.yaml: endpoints and models as data. Keys come from the environment only, and are never stored."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lmmbench.doors import Lines, decode, nearest, read_yaml
from lmmbench.faults import FAULTS, UsageError
from lmmbench.net.hosts import is_loopback
from lmmbench.secret import Secret
from lmmbench.types import _STRICT, STOPS, Capabilities, Endpoint, Model, Price

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
ENTRY_POINTS = "lmmbench.providers"
"""Where installed packages name the apis that they add."""
REMOTE_APIS = ("openai-chat", "gemini", "clova", "anthropic")
"""Dialects that are spoken over HTTP."""
APIS = (*REMOTE_APIS, "embedded", "baseline")
SDK_APIS = ("openai-chat", "gemini")
"""Where `transport: sdk` has a vendor's client to use."""
INSTALL_SDK = 'pip install "lmmbench[sdk]"'


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a run unless an option says otherwise."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    max_cost_usd: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole providers.yaml; each model carries the capabilities that its row names."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    version: int
    endpoints: dict[str, Endpoint]
    capabilities: dict[str, Capabilities] = field(default_factory=dict)
    models: dict[str, Model]
    defaults: Defaults = field(default_factory=Defaults)


PLAIN: dict[str, Capabilities] = {
    "gemini": Capabilities(cap_field="maxOutputTokens"),
    "clova": Capabilities(cap_field="maxTokens"),
    "anthropic": Capabilities(seed="refused", cached_tokens="outside"),
}
"""What a row without `capabilities` has, by its endpoint's api; for every other api the plain OpenAI shape."""
CAP_FIELDS = {
    "gemini": ("maxOutputTokens",),
    "clova": ("maxTokens", "maxCompletionTokens"),
    "anthropic": ("max_tokens",),
}
"""Names of the output cap, by api: without the right one an answer ends at the vendor's own (CLOVA's is 100 tokens)."""


def check_id(name: str, what: str, where: str = "") -> str:
    """Ids are file names on every system. Returns the id; raises UsageError."""
    if not ID.fullmatch(name) or name.split(".")[0].lower() in _RESERVED or name.endswith("."):
        raise UsageError(
            f"{where}{what} id {name!r} is not usable as a file name; use letters, digits, '.', '_' and '-' (at most 64)"
        )
    return name


def load(path: Path) -> Config:
    """Read and check providers.yaml. Raises UsageError with file, line and the nearest name."""
    data, lines = read_yaml(path)
    config = decode(Config, _resolved(data, path, lines), path, lines)
    if config.version != 1:
        raise UsageError(f"{path}: version {config.version} is not known to this lmmbench; it reads version 1")
    if not 0 <= config.defaults.max_cost_usd < float("inf"):
        line = lines.get(("defaults", "max_cost_usd"), 0)
        raise UsageError(f"{path}:{line}: defaults.max_cost_usd must be a number of dollars, 0 or more")
    for name, endpoint in config.endpoints.items():
        where = f"{path}:{lines.get(('endpoints', name), 0)}: "
        check_id(name, "endpoint", where)
        try:
            _check_endpoint(name, endpoint, where)
        except UsageError as e:
            asked = ", ".join(m for m, model in config.models.items() if model.endpoint == name)
            raise UsageError(f"{e} (the endpoint of {asked})" if asked else str(e)) from None
    for name, can in config.capabilities.items():
        _check_capabilities(name, can, f"{path}:{lines.get(('capabilities', name), 0)}: capabilities {name!r}: ")
    seen: dict[str, str] = {}
    for name in config.models:
        where = f"{path}:{lines.get(('models', name), 0)}: "
        check_id(name, "model", where)
        if seen.setdefault(name.lower(), name) != name:
            raise UsageError(f"{where}models {seen[name.lower()]!r} and {name!r} differ only in case; rename one")
        named = "capabilities" in data["models"][name]
        config.models[name] = _checked_model(name, config, where, named=named)
    return config


def other_prices(model: Model, config: Config) -> dict[str, Price]:
    """The prices of the other names at a model's endpoint. A name whose rows have several has none here: which of them
    an answer came by, its name does not say."""
    found: dict[str, list[Price]] = {}
    for row in config.models.values():
        known = row.price.input is not None and row.price.output is not None
        if known and row.endpoint == model.endpoint and row.name != model.name:
            found.setdefault(row.name, []).append(row.price)
    return {name: prices[0] for name, prices in found.items() if all(p == prices[0] for p in prices)}


MOVED = ("cap_field", "drops", "reasons", "reasoning_tokens")
"""Keys that stood on a model's row once."""


def _resolved(data: Any, path: Path, lines: Lines) -> Any:
    """The file's data with each row's `capabilities: NAME` replaced by the entry of that name."""
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict):
        return data
    families = data.get("capabilities") or {}
    return data | {"models": {name: _resolved_row(name, row, families, path, lines) for name, row in models.items()}}


def _resolved_row(name: str, row: Any, families: Any, path: Path, lines: Lines) -> Any:
    if not isinstance(row, dict) or not isinstance(families, dict):
        return row
    if moved := next((key for key in MOVED if key in row), ""):
        line = lines.get(("models", name, moved), 0)
        raise UsageError(
            f"{path}:{line}: {moved!r} stands in an entry of capabilities: now, which the row names with "
            "capabilities: NAME; see docs/providers.md"
        )
    if "capabilities" not in row:
        return row
    family = row["capabilities"]
    if not isinstance(family, str) or family not in families:
        line = lines.get(("models", name, "capabilities"), 0)
        raise UsageError(
            f"{path}:{line}: model {name!r} names the capabilities {family!r}, which are not defined"
            f"{nearest(str(family), families)}; add them under capabilities:"
        )
    return {**row, "capabilities": families[family]}


_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


def _checked_model(name: str, config: Config, where: str, *, named: bool) -> Model:
    """The model with its capabilities. Raises UsageError for what its family, its price or its endpoint rules out."""
    model = config.models[name]
    if model.endpoint not in config.endpoints:
        known = nearest(model.endpoint, config.endpoints)
        raise UsageError(f"{where}model {name!r} names the endpoint {model.endpoint!r}, which is not defined{known}")
    api = config.endpoints[model.endpoint].api
    if "audio" in model.inputs and api in NO_AUDIO:
        raise UsageError(f"{where}model {name!r}: lmmbench sends no audio in the dialect {api}; remove it from inputs")
    if not named:
        model = replace(model, capabilities=PLAIN.get(api, Capabilities()))
    caps = CAP_FIELDS.get(api, ())
    if caps and model.capabilities.cap_field not in caps:
        raise UsageError(
            f"{where}model {name!r}: its family's cap_field is {model.capabilities.cap_field}, "
            f"the api {api} has {' or '.join(caps)}; correct it in the entry of capabilities"
        )
    _check_price(model.price, f"{where}model {name!r}: price.")
    if model.reasoning_allowance < 0:
        raise UsageError(f"{where}model {name!r}: reasoning_allowance must be 0 or more")
    try:
        _ = model.retires_on and date.fromisoformat(model.retires_on)
    except ValueError:
        raise UsageError(f"{where}model {name!r}: retires_on must be a date such as 2027-01-14") from None
    if model.image_detail and api != "openai-chat":
        raise UsageError(
            f"{where}model {name!r}: image_detail is a word of the api openai-chat; remove it (gemini: options.mediaResolution)"
        )
    _check_options(model, f"{where}model {name!r}: ")
    return model


def _check_price(price: Price, where: str) -> None:
    for part in ("input", "cached_input", "cache_write", "output"):
        value = getattr(price, part)
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{where}{part} must be a number, 0 or more, or null where not known")
    if price.currency != "USD" and price.usd_rate is None:
        raise UsageError(f"{where}currency {price.currency} needs usd_rate: {{rate, as_of, source}} beside it")
    if price.usd_rate and not 0 < price.usd_rate.rate < math.inf:
        raise UsageError(f"{where}usd_rate.rate is how much of {price.currency} a US dollar buys: a number above 0")
    _check_inferred(price, where)
    for part, times in _tiers(price).items():
        if not 1 <= times < math.inf:
            raise UsageError(f"{where}{part} is how many times dearer it is: a number, 1 or more")
    for span in price.peak.utc if price.peak else ():
        if not _SPAN.fullmatch(span) or span[:5] >= span[6:]:
            raise UsageError(f"{where}peak.utc: {span!r} is no span of a day; write for example 01:00-04:00")


def _tiers(price: Price) -> dict[str, float]:
    """Every factor of a price, by its place in the row."""
    long, peak = price.long_prompt, price.peak
    factors = {"long_prompt.input": long.input, "long_prompt.output": long.output} if long else {}
    return factors | ({"peak.times": peak.times} if peak else {})


_SPAN = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)")
OWN = ("model", "models", "messages", "system", "contents", "systemInstruction", "n", "candidateCount")
"""Parts of a request that no option may take the place of: another question, or more answers than were reserved."""
INPUTS = ("text", "image", "audio")
NO_AUDIO = ("clova", "anthropic")
"""Apis whose dialect here sends no audio."""


def _check_options(model: Model, where: str) -> None:
    """Options that cannot be meant: those that the family refuses, and those that lmmbench sets itself."""
    can, options = model.capabilities, model.options
    # a second cap beside the first is refused by the vendor (CLOVA), or wins unseen
    caps = {can.cap_field, "max_completion_tokens", *(name for names in CAP_FIELDS.values() for name in names)}
    if cap := next((name for name in options if name in caps), ""):
        raise UsageError(f"{where}options.{cap} is set by the pack's card, as {can.cap_field}; remove it")
    if own := next((name for name in OWN if name in options), ""):
        raise UsageError(f"{where}options.{own} is what lmmbench itself says of the question; remove it")
    if "stream" in options:
        raise UsageError(f"{where}options.stream is set by lmmbench run --stream; remove it")
    for stop in STOPS:
        if stop in options and can.stop == "refused":
            raise UsageError(f"{where}its family refuses {stop!r}; remove it from the options")
    if "temperature" in options:
        _check_temperature(can, options["temperature"], where)
    if can.efforts and model.effort not in can.efforts:
        known = ", ".join(map(str, can.efforts))
        near = nearest(str(model.effort), map(str, can.efforts))
        raise UsageError(f"{where}{can.effort} {model.effort!r} is none of {known}{near}")
    if unknown := next((kind for kind in model.inputs if kind not in INPUTS), ""):
        raise UsageError(f"{where}input {unknown!r} is none of {', '.join(INPUTS)}{nearest(unknown, INPUTS)}")


def _check_temperature(can: Capabilities, value: Any, where: str) -> None:
    if can.temperature == "refused":
        raise UsageError(f"{where}its family refuses a temperature; remove it from the options")
    if isinstance(value, bool) or not isinstance(value, int | float) or not can.in_range(value):
        low, high = can.temperature_range or (0, 2)
        raise UsageError(f"{where}options.temperature {value!r} must be a number from {low:g} to {high:g}")


def _check_capabilities(name: str, can: Capabilities, where: str) -> None:
    check_id(name, "capabilities", where)
    if not can.source or not can.as_of:
        raise UsageError(f"{where}source and as_of (a date) say where this was read and when; add them")
    if can.effort and can.default_effort is None:
        raise UsageError(f"{where}default_effort is sent where a row names none; add it")
    if can.efforts and can.default_effort not in can.efforts:
        raise UsageError(f"{where}default_effort {can.default_effort!r} is none of its efforts; correct it")
    if not 0 < can.cost_units < math.inf:
        raise UsageError(
            f"{where}cost_units is how many units of {can.cost_field or 'cost_field'} are a US dollar: above 0"
        )
    for kind, limits in can.limits.items():
        if limits.max_ratio is not None and not 1 <= limits.max_ratio < math.inf:
            raise UsageError(f"{where}limits.{kind}.max_ratio is the longer side over the shorter: a number, 1 or more")
    _check_inferred(can, where)
    for text, kind in can.faults.items():
        if not text:
            raise UsageError(f"{where}faults: '' is no text of an error; remove it")
        if kind not in FAULTS:
            raise UsageError(f"{where}faults: {text!r}: {kind!r} is no kind of fault{nearest(kind, FAULTS)}")


def _check_inferred(entry: Capabilities | Price, where: str) -> None:
    """What is said to be in no source is a key of the entry."""
    known = [f.name for f in fields(entry)]
    if wrong := next((name for name in entry.inferred if name not in known), ""):
        raise UsageError(f"{where}inferred: {wrong!r} is no key of it{nearest(wrong, known)}")


def _check_endpoint(name: str, endpoint: Endpoint, where: str) -> None:
    if endpoint.api not in APIS and not entry_points(group=ENTRY_POINTS, name=endpoint.api):
        raise UsageError(
            f"{where}endpoint {name!r}: api {endpoint.api!r} is none of {', '.join(APIS)}{nearest(endpoint.api, APIS)}"
        )
    if endpoint.transport == "sdk" and endpoint.api not in SDK_APIS:
        raise UsageError(
            f"{where}endpoint {name!r}: transport: sdk is there for {' and '.join(SDK_APIS)}; "
            f"leave it out for api {endpoint.api}"
        )
    for key_name in ("concurrency", "timeout_s", "rpm", "tpm"):
        value = getattr(endpoint, key_name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{where}endpoint {name!r}: {key_name} must be a number greater than 0")
    for header in endpoint.headers:
        if _SECRET_HEADER.search(header):
            raise UsageError(
                f"{where}endpoint {name!r}: the header {header!r} carries a key; name its variable in key_env"
            )
    if is_remote(endpoint) and not (endpoint.base_url or endpoint.base_url_env):
        raise UsageError(f"{where}endpoint {name!r} needs base_url or base_url_env")
    if endpoint.base_url:
        check_url(name, endpoint, endpoint.base_url, where)


def is_remote(endpoint: Endpoint) -> bool:
    """Whether asks of this endpoint go over HTTP."""
    return endpoint.api in REMOTE_APIS


ADDED = {
    "openai-chat": ("/chat/completions",),
    "gemini": ("/v1beta", "/v1beta/models"),
    "clova": ("/v3", "/v3/chat-completions"),
    "anthropic": ("/v1", "/v1/messages"),
}
"""Ends of a path that a dialect puts there itself, by api."""


def may_cost(endpoint: Endpoint) -> bool:
    """Whether an ask may cost money: it takes a key, or the vendor's client brings credentials of its own."""
    return bool(endpoint.key_env) or (endpoint.api == "gemini" and endpoint.transport == "sdk")


def check_url(name: str, endpoint: Endpoint, url: str, where: str = "") -> None:
    """An http(s) URL without credentials and without the dialect's own path; a key is never sent over plain http to
    another machine. Raises UsageError, which never shows the URL: it may hold a password."""
    what = f"{where}endpoint {name!r}: {endpoint.base_url_env or 'base_url'}"
    if any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError(f"{what} holds a space or a line break; write it without")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as e:
        raise UsageError(f"{what} is no URL ({e}); correct the base_url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{what} must be http(s)://host[/path]; write the base_url with https:// in front")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"{what} must be http(s)://host[/path], without user, query or fragment; a key goes in key_env"
        )
    for added in ADDED.get(endpoint.api, ()):
        if parts.path.rstrip("/").endswith(added):
            raise UsageError(f"{what} ends in {added}, which lmmbench adds itself; remove it there")
    if parts.scheme == "http" and may_cost(endpoint) and not endpoint.allow_http and not is_loopback(parts.hostname):
        raise UsageError(
            f"{where}endpoint {name!r} would send its key over plain http to {parts.hostname}; "
            "use https, or set allow_http: true if you accept that"
        )


def base_url(name: str, endpoint: Endpoint, env: Mapping[str, str] = os.environ) -> str:
    """The endpoint's URL without a trailing slash, "" when its variable is not set."""
    url = (env.get(endpoint.base_url_env, "") if endpoint.base_url_env else "") or endpoint.base_url
    if url:
        check_url(name, endpoint, url)
    return url.rstrip("/")


def key(name: str, endpoint: Endpoint, env: Mapping[str, str] = os.environ) -> Secret:
    """The endpoint's key, an empty one when it needs none or its variable is not set. Raises UsageError, never with the
    value, for one that is none and for another vendor's. Whoever sends takes the key from here."""
    value = env.get(endpoint.key_env, "") if endpoint.key_env else ""
    if any(not 33 <= ord(c) <= 126 for c in value):
        raise UsageError(
            f"{endpoint.key_env} (endpoint {name!r}) holds a line break, a space or a character that no key has; "
            f"set it again without it, for example: export {endpoint.key_env}=\"$(tr -d '[:space:]' < keyfile)\""
        )
    if not endpoint.allow_foreign_key:
        _check_owner(name, endpoint, value, urlsplit(base_url(name, endpoint, env)).hostname or "")
    return Secret(value)


KEY_PREFIXES = {
    "sk-ant-": ("Anthropic", ("anthropic.com",)),
    "sk-or-": ("OpenRouter", ("openrouter.ai",)),
    "sk-proj-": ("OpenAI", ("openai.com",)),
    "AIza": ("Google", ("googleapis.com",)),
    "gsk_": ("Groq", ("groq.com",)),
    "xai-": ("xAI", ("x.ai",)),
    "up_": ("Upstage", ("upstage.ai",)),
    "nv-": ("CLOVA Studio", ("ntruss.com", "gov-ntruss.com")),
    "KC_IS_": ("Kakao", ("kakaocloud.com",)),
}
"""How some vendors' keys begin: (vendor, its domains)."""


def _check_owner(name: str, endpoint: Endpoint, value: str, host: str) -> None:
    """Raises UsageError for a key that begins as another vendor's do: that host would learn a key that costs money. No
    part of the key is in the text. A server on this machine may be a gateway of one's own."""
    if not host or is_loopback(host):
        return
    for prefix, (vendor, domains) in KEY_PREFIXES.items():
        if value.startswith(prefix) and not any(f".{host}".endswith(f".{domain}") for domain in domains):
            raise UsageError(
                f"the key in {endpoint.key_env} begins as those of {vendor} do, and endpoint {name!r} would send it to {host}; "
                f"set the right key, or allow_foreign_key: true at the endpoint if {host} takes such keys"
            )


def missing(name: str, endpoint: Endpoint, env: Mapping[str, str] = os.environ) -> str:
    """Why the endpoint cannot be asked from this environment, "" when it can."""
    if endpoint.key_env and not key(name, endpoint, env):
        return f"{endpoint.key_env} is not set; export it with your key"
    if is_remote(endpoint) and not base_url(name, endpoint, env):
        return f"{endpoint.base_url_env} is not set; export it with the address that came with your key"
    return ""
