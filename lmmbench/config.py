"""providers.yaml: endpoints and models as data. Keys come from the environment only, and are never stored."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lmmbench.doors import decode, nearest, read_yaml
from lmmbench.faults import UsageError
from lmmbench.net.hosts import is_loopback
from lmmbench.types import _STRICT, Endpoint, Model

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
ENTRY_POINTS = "lmmbench.providers"
"""Where installed packages name the apis that they add."""
APIS = ("openai-chat", "gemini", "embedded", "baseline")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a run unless an option says otherwise."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    max_cost_usd: float = 5.0


@dataclass(frozen=True, slots=True)
class Config:
    """A whole providers.yaml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    version: int
    endpoints: dict[str, Endpoint]
    models: dict[str, Model]
    defaults: Defaults = field(default_factory=Defaults)


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
    config = decode(Config, data, path, lines)
    if config.version != 1:
        raise UsageError(f"{path}: version {config.version} is not known to this lmmbench; it reads version 1")
    if not 0 <= config.defaults.max_cost_usd < float("inf"):
        line = lines.get(("defaults", "max_cost_usd"), 0)
        raise UsageError(f"{path}:{line}: defaults.max_cost_usd must be a number of dollars, 0 or more")
    seen: dict[str, str] = {}
    for name, endpoint in config.endpoints.items():
        where = f"{path}:{lines.get(('endpoints', name), 0)}: "
        check_id(name, "endpoint", where)
        _check_endpoint(name, endpoint, where)
    for name, model in config.models.items():
        where = f"{path}:{lines.get(('models', name), 0)}: "
        check_id(name, "model", where)
        _check_model(name, model, where)
        if seen.setdefault(name.lower(), name) != name:
            raise UsageError(f"{where}models {seen[name.lower()]!r} and {name!r} differ only in case; rename one")
        if model.endpoint not in config.endpoints:
            known = nearest(model.endpoint, config.endpoints)
            raise UsageError(
                f"{where}model {name!r} names the endpoint {model.endpoint!r}, which is not defined{known}"
            )
    return config


_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


def _check_model(name: str, model: Model, where: str) -> None:
    for part in ("input", "cached_input", "output"):
        value = getattr(model.price, part)
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(
                f"{where}model {name!r}: price.{part} must be a number, 0 or more, or null where not known"
            )
    if model.reasoning_allowance < 0:
        raise UsageError(f"{where}model {name!r}: reasoning_allowance must be 0 or more")


def _check_endpoint(name: str, endpoint: Endpoint, where: str) -> None:
    if endpoint.api not in APIS and not entry_points(group=ENTRY_POINTS, name=endpoint.api):
        raise UsageError(
            f"{where}endpoint {name!r}: api {endpoint.api!r} is none of {', '.join(APIS)}{nearest(endpoint.api, APIS)}"
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
    return endpoint.api in ("openai-chat", "gemini")


def check_url(name: str, endpoint: Endpoint, url: str, where: str = "") -> None:
    """An http(s) URL without credentials; a key is never sent over plain http to another machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as e:
        raise UsageError(f"{where}endpoint {name!r}: base_url is no URL ({e}); correct it") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise UsageError(f"{where}endpoint {name!r}: base_url must be http(s)://host[/path], without user or query")
    if parts.scheme == "http" and endpoint.key_env and not endpoint.allow_http and not is_loopback(parts.hostname):
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


def key(name: str, endpoint: Endpoint, env: Mapping[str, str] = os.environ) -> str:
    """The endpoint's key, "" when it needs none or its variable is not set. Raises UsageError, never with the value."""
    value = env.get(endpoint.key_env, "") if endpoint.key_env else ""
    if any(not 33 <= ord(c) <= 126 for c in value):
        raise UsageError(
            f"{endpoint.key_env} (endpoint {name!r}) holds a line break, a space or a character that no key has; "
            f"set it again without it, for example: export {endpoint.key_env}=\"$(tr -d '[:space:]' < keyfile)\""
        )
    return value


def missing(name: str, endpoint: Endpoint, env: Mapping[str, str] = os.environ) -> str:
    """Why the endpoint cannot be asked from this environment, "" when it can."""
    if endpoint.key_env and not key(name, endpoint, env):
        return f"{endpoint.key_env} is not set; export it with your key"
    if is_remote(endpoint) and not base_url(name, endpoint, env):
        return f"{endpoint.base_url_env} is not set; export it with the address that came with your key"
    return ""
