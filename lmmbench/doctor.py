"""`lmmbench doctor`: one tiny request to each model that can be asked from here, the way a run sends it (encode, send,
decode; no retries), all at once. What came of each, and for a failure the next thing to do."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from lmmbench import bench, config, money, places, retired
from lmmbench.alarms import is_alias
from lmmbench.canon import read_json, sha256
from lmmbench.faults import Fault, UsageError
from lmmbench.files import write_atomically
from lmmbench.net.hosts import is_loopback
from lmmbench.terminal import visible
from lmmbench.types import Endpoint, Item, Model, Provenance, Reply, Request

if TYPE_CHECKING:
    from rich.table import Table

    from lmmbench.net.http import Sender

CAP = 16
"""Output tokens of the tiny answer; a model that reasons gets its allowance beside them, as in a run."""
LONGEST_S = 120.0
"""Seconds that one model is waited for, where its endpoint allows more."""
PROPS_S = 5.0
"""Seconds that a server of one's own is waited for to say how it lays a question out."""

NO_SYSTEM = "its chat template has no system role: the server puts the system text before the question"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one model. `text` says what happened and what to do next, `warnings` what else to know."""

    model: str
    endpoint: str
    name: str
    state: Literal["answered", "failed", "skipped"]
    verified: str
    served_model: str | None = None
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    dropped: dict[str, Any] = field(default_factory=dict)
    retires_on: str | None = None
    kind: str | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()
    chat_template_sha: str | None = None


# --- choosing ----------------------------------------------------------------------------------------


def choose(named: str | None, cfg: config.Config) -> tuple[list[str], list[Finding]]:
    """(ids to ask, what is known without asking): skipped with the reason; failed where a key or an address cannot be
    right, or a named model's port is closed. Raises UsageError for a name that is not configured or cannot be asked, and
    when nothing is left to say."""
    chosen: list[str] = []
    known: list[Finding] = []
    for name in bench.wanted_models(named, cfg):
        model = cfg.models[name]
        where = f"{name} at endpoint {model.endpoint!r}"
        try:
            reason, code = bench.why_not(model, cfg.endpoints[model.endpoint])
        except UsageError as e:  # it stops its own models and no others
            if named is not None:
                raise bench.cannot_be_asked(name, model, str(e), e.exit_code) from None
            known.append(_finding(name, model, "failed", kind="config", text=f"{where}: {e}"))
            continue
        if not reason:
            chosen.append(name)
        elif named is None:
            known.append(_finding(name, model, "skipped", text=reason))
        elif code == 4:
            known.append(_finding(name, model, "failed", kind="unreachable", text=f"{where}: {reason}"))
        else:
            raise bench.cannot_be_asked(name, model, reason, code)
    if not chosen and named is None and not any(f.state == "failed" for f in known):
        raise UsageError("no model can be asked from here; set a key, or name one: --models smollm2-135m", exit_code=4)
    return chosen, known


def _finding(name: str, model: Model, state: Literal["answered", "failed", "skipped"], **more: Any) -> Finding:
    return Finding(name, model.endpoint, model.name, state, model.verified, **more)


def price_text(names: list[str], cfg: config.Config) -> str:
    """What asking these can cost at most."""
    asking = f"asking {', '.join(names)}" if names else "asking nobody"
    models = [cfg.models[n] for n in names if config.may_cost(cfg.endpoints[cfg.models[n].endpoint])]
    if not models:
        return asking
    costs = [money.worst_cost(QUESTIONS[0], m) for m in models]
    known = sum(c for c in costs if c is not None)
    unknown = f" and the unknown cost of {costs.count(None)}" if None in costs else ""
    return f"{asking}: at most ${known:.4f}{unknown}"


# --- asking ------------------------------------------------------------------------------------------


def _question(**kind: Any) -> Request:
    item = Item("tiny", "doctor", "tiny", "doctor", provenance=Provenance("", "", "", (), "arithmetic"), **kind)
    order = tuple(range(1, len(item.options) + 1))
    return Request("doctor", item, 0, "", "2 + 3 = ?", order, max_output_tokens=CAP, seed=0)


QUESTIONS = (
    _question(fields={"source": "2 + 3"}, targets=("5",)),
    _question(fields={}, targets=("1",), options=("5", "6")),
)
"""The same question, open and closed: each model is asked the first that it can take."""


def examine(names: list[str], cfg: config.Config, done: Callable[[Finding], None]) -> list[Finding]:
    """One request to each model, all at once; `done` hears of each as it comes."""
    return asyncio.run(_examine_all(names, cfg, done))


async def _examine_all(names: list[str], cfg: config.Config, done: Callable[[Finding], None]) -> list[Finding]:
    from lmmbench.net.http import Sender

    async def one(name: str, sender: Sender) -> Finding:
        finding = await _examine(name, cfg, sender)
        done(finding)
        return finding

    async with Sender() as sender:
        return list(await asyncio.gather(*(one(name, sender) for name in names)))


async def _examine(name: str, cfg: config.Config, sender: Sender) -> Finding:
    from lmmbench.providers import make

    model = cfg.models[name]
    endpoint = cfg.endpoints[model.endpoint]
    url = config.base_url(model.endpoint, endpoint)
    provider = make(model, model.endpoint, replace(endpoint, timeout_s=min(endpoint.timeout_s, LONGEST_S)), sender)
    started = time.perf_counter()
    fault: Fault | None = None
    reply: Reply | None = None
    try:
        reply = await provider.ask(next(q for q in QUESTIONS if not provider.unsupported(q)))
    except Fault as e:
        fault = e
    except Exception as e:
        fault = Fault("adapter", f"{e.__class__.__name__}: {e}")
    finally:
        await provider.close()
    template_sha, no_system = await _chat_template(endpoint, url, sender) if reply else (None, "")
    told = {
        "retires_on": retired.end(model.name, url, model.retires_on)[0] or None,
        "warnings": tuple(filter(None, (*_warnings(model, endpoint, url, reply), no_system))),
        "chat_template_sha": template_sha,
    }
    if fault is not None and fault.kind != "policy":
        text = advice(fault, name, model, endpoint, url)
        return _finding(name, model, "failed", kind=fault.kind, text=text, **told)
    if reply is None:
        return _finding(name, model, "answered", kind="policy", **told)
    return _finding(
        name, model, "answered", served_model=reply.served_model, dropped=reply.dropped,
        latency_s=time.perf_counter() - started if reply.latency_s is None else reply.latency_s,
        input_tokens=reply.usage.input, output_tokens=reply.usage.output, **told,
    )  # fmt: skip


def _warnings(model: Model, endpoint: Endpoint, url: str, reply: Reply | None) -> tuple[str, ...]:
    served = reply.served_model if reply and config.is_remote(endpoint) else None
    found = (
        f"served by {served!r}, asked for {model.name!r}" if served and served != model.name else "",
        retired.soon(model.name, url, model.retires_on, bench.today()),
    )
    return tuple(text for text in found if text)


async def _chat_template(endpoint: Endpoint, url: str, sender: Sender) -> tuple[str | None, str]:
    """(SHA-256 of the template by which a server on this machine lays a question out, what to know of it), where it says
    so, as llama.cpp's does: `chat_template` and `chat_template_caps` of /props. A system text that the template has no
    place for goes before the question there (llama.cpp common/chat.cpp and common/jinja/caps.cpp, read 2026-11-22)."""
    if endpoint.api != "openai-chat" or endpoint.key_env or not is_loopback(urlsplit(url).hostname or ""):
        return None, ""
    try:
        reply = await sender.send(f"{url.removesuffix('/v1')}/props", {}, b"", PROPS_S, method="GET")
        told = read_json(reply.body) if reply.status == 200 else None
    except (Fault, ValueError, RecursionError):  # most servers have no such page
        told = None
    props = told if isinstance(told, dict) else {}
    template, can = props.get("chat_template"), props.get("chat_template_caps")
    if not isinstance(template, str):
        return None, ""
    merged = isinstance(can, dict) and can.get("supports_system_role") is False
    return sha256(template), NO_SYSTEM if merged else ""


# --- what to do next ---------------------------------------------------------------------------------

ADVICE: tuple[tuple[str, str, str], ...] = (
    ("auth|request", r"expired", "the key in {key_env} has expired; make a new one on the vendor's page and set it"),
    ("auth", r"google|credential", "Google Cloud's credentials do not work; run: gcloud auth application-default login"),
    ("auth", r"", "the key in {key_env} is refused; check that it is this vendor's, whole, and may use this model"),
    ("config", r"^HTTP 3\d\d|redirects to", "if that is meant, put there what it leads to, without the end that lmmbench adds; if it is where a network wants a login, log in there with a browser first"),
    ("config", r"base_url of .*\?$", "nothing is at this address; correct it in providers.yaml"),
    ("config", r"requested URL|page not found|<html|<!doctype", "nothing is at this address; check base_url"),
    ("config", r"\bmodels?\b", "the vendor has no model {name!r} (any more), or not for this key; choose another name from the vendor's list"),
    ("config", r"^HTTP 40[45]", "nothing is at this address, or the vendor has no model {name!r}; check base_url, then the name"),
    ("config", r"certificate", "add the certificate of your company or server to the system's store, or correct base_url"),
    ("config", r"TLS", "check that base_url should begin with https:// and that its port is right"),
    ("config", r"", "correct the row of the model or of its endpoint"),
    ("unreachable", r"", "start the server, or correct base_url; behind a proxy, set HTTPS_PROXY"),
    ("timeout", r"", "the server is slow or stuck; look at its state, or raise timeout_s of the endpoint"),
    ("quota", r"", "the account has no money or quota left; add some on the vendor's page, or wait for the next day"),
    ("rate", r"", "the key works, and its rate is used up; wait a minute, and lower rpm or concurrency of the endpoint"),
    ("overload|network", r"", "the vendor or the way to it has trouble; try again in some minutes"),
    ("too_large|request", r"\b(?:images?|pictures?|pixels|audio|media(?! type))\b", "look at the question's file with lmmbench show; make it smaller or of a type that the model takes, or correct inputs of the row and limits of its family"),
    ("too_large", r"", "the question or its file is more than the model takes; choose another model, or make the file smaller"),
    ("request", r"", "the request is refused; correct options and capabilities of the row"),
    ("page", r"", "a proxy or a captive portal stands between here and the endpoint, or base_url leads to a site and not to its API: log in with a browser, set HTTPS_PROXY, or correct base_url"),
    ("invalid", r"", "something answers, but not in the dialect {api}; check api and base_url of the endpoint"),
    ("adapter", r"", "this is a fault of lmmbench or of a package that it uses; please report it"),
)  # fmt: skip
"""(kinds, pattern in the fault's message, what to do); the first that fits counts."""


def advice(fault: Fault, name: str, model: Model, endpoint: Endpoint, url: str) -> str:
    """One sentence: which model at which endpoint, what happened, what to do next."""
    do = next(
        text for kinds, pattern, text in ADVICE
        if fault.kind in kinds.split("|") and re.search(pattern, fault.message, re.IGNORECASE)
    )  # fmt: skip
    where = f"{name} at endpoint {model.endpoint!r}" + (f" ({url})" if url else "")
    told = {"key_env": endpoint.key_env or "the environment", "name": model.name, "api": endpoint.api}
    return f"{where}: {fault.message.rstrip('.')}; {do.format(**told)}"


# --- showing -----------------------------------------------------------------------------------------


def exit_code(findings: list[Finding]) -> int:
    """0 when every model that was asked answered, else 4."""
    return 4 if any(f.state == "failed" for f in findings) else 0


def table(findings: list[Finding]) -> Table:
    """The models that were asked, one a row."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table("model", "answered", "served", "seconds", "tokens in, out", "dropped", "retires", "verified")
    for f in findings:
        if f.state != "skipped":
            shown.add_row(*(escape(visible(cell)) for cell in _cells(f)))
    return shown


def _cells(f: Finding) -> tuple[str, ...]:
    tokens = ", ".join("-" if n is None else str(n) for n in (f.input_tokens, f.output_tokens))
    return (
        f.model,
        "yes" if f.state == "answered" else f"no: {f.kind}",
        f.served_model or "-",
        "-" if f.latency_s is None else f"{f.latency_s:.2f}",
        tokens,
        ", ".join(f.dropped) or "-",
        f.retires_on or "-",
        f.verified,
    )


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    return [asdict(f) for f in findings]


# --- writing the date --------------------------------------------------------------------------------


def to_verify(findings: list[Finding], cfg: config.Config) -> list[str]:
    """Models whose real endpoint answered, under the name that was asked for where it names one."""
    return [
        f.model for f in findings
        if f.state == "answered" and config.is_remote(cfg.endpoints[f.endpoint])
        and (not f.served_model or is_alias(f.name, f.served_model))
    ]  # fmt: skip


def check_own(providers: Path) -> None:
    """Raises UsageError where the file belongs to the installed package: an update would undo what is written."""
    if places.is_packaged(providers):
        raise UsageError(
            f"{providers} belongs to the installed package; make your own with: lmmbench init, then: lmmbench doctor --write"
        )


def write_verified(providers: Path, models: list[str], day: date) -> None:
    """Set `verified` of these models in the file and touch no other character of it. Raises UsageError."""
    text = providers.read_bytes().decode("utf-8")
    write_atomically(providers, verified(text, models, day).encode("utf-8"))


def verified(text: str, models: list[str], day: date) -> str:
    """providers.yaml with `verified: day` on the rows of these models; comments, order and line ends stay. Raises
    UsageError where it cannot be done without changing more."""
    import yaml

    wanted = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (makes texts, lists and mappings, and nothing else)
    rows = dict(_children(dict(_children(yaml.compose(text, Loader=yaml.SafeLoader)))["models"]))
    edits = []
    for name in models:
        wanted["models"][name]["verified"] = day.isoformat()
        edits.append(_edit(rows[name], day, "\r\n" if "\r\n" in text else "\n"))
    changed = text
    for start, end, put in sorted(edits, reverse=True):
        changed = changed[:start] + put + changed[end:]
    if yaml.load(changed, Loader=yaml.BaseLoader) != wanted:  # noqa: S506
        raise UsageError(f"this providers.yaml cannot be edited safely; write verified: {day} on the rows by hand")
    return changed


def _children(mapping: Any) -> Iterator[tuple[str, Any]]:
    """(key, node) of a YAML mapping."""
    return ((key.value, value) for key, value in mapping.value)


def _edit(row: Any, day: date, line_end: str) -> tuple[int, int, str]:
    """(from, to, text): the value in its place, or a new first key."""
    for key, value in row.value:
        if key.value == "verified":
            return value.start_mark.index, value.end_mark.index, day.isoformat()
    first = row.value[0][0].start_mark
    after = ", " if row.flow_style else line_end + " " * first.column
    return first.index, first.index, f"verified: {day}{after}"
