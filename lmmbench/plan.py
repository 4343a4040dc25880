"""plan.json: the recipe of a run, written once, before anything is asked. The asks and their hashes follow from it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from lmmbench import __version__, packs
from lmmbench.canon import canonical, sha256
from lmmbench.doors import decode
from lmmbench.faults import UsageError
from lmmbench.files import create_atomically, write_atomically
from lmmbench.types import _STRICT, AskKey, Endpoint, Model, Price

PLAN_SCHEMA = 2
"""1 had no capabilities: what its models were sent cannot be told from it by today's rules."""


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model as resolved from providers.yaml, with its endpoint. Its base_url is the one that is asked, also on resume,
    whatever the environment says by then; no key is ever here. `others`: prices of the other names at its endpoint, for
    answers that one of them gave; plans from before there was such a key have none."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    model: Model
    endpoint: Endpoint
    others: dict[str, Price] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """A pack's card, its hash and the ids of the items that are asked, in the pack's order."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    card: packs.Card
    sha: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what is asked, and no more is in `plan_sha`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    run_id: str
    created_at: str
    harness_version: str
    models: dict[str, PlannedModel]
    packs: dict[str, PlannedPack]
    repeats: int = 1
    seed: int = 0
    option_order: str = "shuffled"
    stream: bool = False
    plan_sha: str = ""
    schema: int = PLAN_SCHEMA
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def asks(self) -> int:
        """Planned asks of one model."""
        return self.repeats * sum(len(p.items) for p in self.packs.values())

    @property
    def shards(self) -> int:
        """How many shards the run is split into, 0 for none. It is an option: how a plan is carried out changes nothing
        of what is asked."""
        return int(self.options.get("shards", 0))

    def keys(self, model_id: str) -> Iterator[AskKey]:
        """Every planned ask of a model, in the order of its rows."""
        for pack_id, pack in self.packs.items():
            for item_id in pack.items:
                for trial in range(self.repeats):
                    yield model_id, pack_id, item_id, trial


def plan_sha(plan: Plan) -> str:
    """Covers all but the run's id and date, how it is carried out, what it was allowed, and what others would have cost."""
    data = _data(plan)
    for key in ("run_id", "created_at", "plan_sha", "options"):
        del data[key]
    for planned in data["models"].values():
        del planned["others"], planned["endpoint"]["trains_on_inputs"], planned["endpoint"]["allow_sealed"]
    return sha256(canonical(data))


def new_run_id(now: datetime | None = None) -> str:
    """UTC time and six random characters: distinct, and sorted by age."""
    return f"{(now or datetime.now(UTC)).strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(3)}"


def make(
    run_id: str,
    models: dict[str, PlannedModel],
    chosen: dict[str, PlannedPack],
    *,
    repeats: int,
    seed: int,
    option_order: str,
    options: dict[str, Any],
    stream: bool = False,
) -> Plan:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    plan = Plan(run_id, created, __version__, models, chosen, repeats, seed, option_order, stream, options=options)
    return replace(plan, plan_sha=plan_sha(plan))


def save(plan: Plan, folder: Path) -> None:
    write_atomically(folder / "plan.json", _text(plan))


def _text(plan: Plan) -> bytes:
    return json.dumps(_data(plan), ensure_ascii=False, indent=1).encode() + b"\n"


def _data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON's types. asdict would copy the name of each item by itself."""
    packs = {name: asdict(replace(pack, items=())) | {"items": pack.items} for name, pack in plan.packs.items()}
    return asdict(replace(plan, packs={})) | {"packs": packs}


def join(plan: Plan, folder: Path) -> Plan:
    """Write a shard's plan if it is the first, else return the one that is there. Raises UsageError where that one asks
    otherwise."""
    try:
        create_atomically(folder / "plan.json", _text(plan))
    except FileExistsError:
        there = load(folder)
        if found := list(differences(there, plan)):
            raise UsageError(
                f"the run {folder.name!r} was planned otherwise: {'; '.join(found)}; start every shard with the same options "
                "on the same version, or choose another --run-id"
            ) from None
        return there
    return plan


_SETTLED = ("shards", "max_cost_usd", "allow_unknown_cost", "replay_of")
"""Options that all shards of a run must agree on beside what is asked."""


def differences(there: Plan, here: Plan) -> Iterator[str]:
    """What a run's plan and another one do not have in common, one phrase each; nothing where both ask the same."""
    for name in ("harness_version", "repeats", "seed", "option_order", "stream"):
        if getattr(there, name) != getattr(here, name):
            yield f"{name} {getattr(there, name)}, here {getattr(here, name)}"
    for name in _SETTLED:
        if there.options.get(name) != here.options.get(name):
            yield f"{name} {there.options.get(name)}, here {here.options.get(name)}"
    for what in ("models", "packs"):
        a, b = getattr(there, what), getattr(here, what)
        if list(a) != list(b):
            yield f"{what} {', '.join(a)}, here {', '.join(b)}"
        yield from (f"the {what[:-1]} {name} is not the same here" for name in a if name in b and a[name] != b[name])


def load(folder: Path) -> Plan:
    """Raises UsageError when the folder is no run, or one that this version cannot read."""
    path = folder / "plan.json"
    if not path.is_file():
        raise UsageError(f"{folder} is not a run: it has no plan.json; see: lmmbench list runs")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is damaged; restore it from a copy") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} is damaged; restore it from a copy")
    if data.get("schema") != PLAN_SCHEMA:
        raise UsageError(
            f"{path} has schema {data.get('schema')} (lmmbench {data.get('harness_version')}) and this version reads schema "
            f"{PLAN_SCHEMA}; use the version that wrote it, or start a new run"
        )
    return decode(Plan, data, path)
