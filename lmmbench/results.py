"""A run's folder: what is published from the plan, the items and the journal, and how it is read back.

Publishing is a pure function of plan.json, the items and the journal, so that the same journal gives the same bytes.
Files appear whole (temporary file, fsync, rename) and run.json, the commit mark, comes last.
"""

from __future__ import annotations

import json
import statistics
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from lmmbench import __version__, alarms, money, packs, policy, shards
from lmmbench import journal as journals
from lmmbench.canon import file_sha256, read_json
from lmmbench.faults import FAULTS, UsageError
from lmmbench.files import (
    make_folder,
    read_batches,
    remove_synced,
    replacing,
    without_surrogates,
    write_atomically,
    write_columns,
)
from lmmbench.journal import Record
from lmmbench.net.pace import GROWN
from lmmbench.plan import Plan, PlannedPack
from lmmbench.scorers import Grade, scorer
from lmmbench.types import AskKey, Item, Provenance, Usage

SCHEMA_VERSION = 1
BATCH = 1024
"""Items, records and rows that are in memory at once while a file is written."""

_TEXT = [
    "run_id",
    "model",
    "vendor",
    "family",
    "region",
    "endpoint",
    "served_model",
    "system_fingerprint",
    "pack",
    "pack_version",
    "pack_sha",
    "stratum",
    "type",
    "item_id",
    "cluster_id",
    "trial",
    "request_sha",
    "prompt_sha",
    "order_json",
    "status",
    "error_kind",
    "error",
    "attempts",
    "maybe_billed",
    "finish",
    "answer",
    "reasoning",
    "parsed",
    "parse_status",
    "parse_rule",
    "score",
    "metric_id",
    "aux_json",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "latency_s",
    "ttft_s",
    "queue_s",
    "sent_json",
    "dropped_json",
    "media_json",
    "started_at",
    "harness_version",
]
UNTIMED_TIERS = ("batch", "flex")
"""Service tiers that are cheap because they may be slow (OpenAI and Gemini: flex; Anthropic: batch): their answers are
scored and priced, and have no latency."""
_INT = {"trial", "attempts", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"}
_FLOAT = {"score", "cost_usd", "latency_s", "ttft_s", "queue_s"}


@cache
def row_schema() -> Any:
    """The explicit schema of models/*.parquet (pyarrow.Schema); every column is always written."""
    import pyarrow as pa

    def kind(name: str) -> Any:
        if name in _INT:
            return pa.int64()
        if name in _FLOAT:
            return pa.float64()
        special = {"maybe_billed": pa.bool_(), "started_at": pa.timestamp("us", tz="UTC")}
        return special.get(name, pa.string())

    return pa.schema([pa.field("schema_version", pa.int16()), *(pa.field(n, kind(n)) for n in _TEXT)])


@cache
def item_schema() -> Any:
    """The explicit schema of items.parquet: one row per (pack, item)."""
    import pyarrow as pa

    text = pa.string()
    texts = pa.list_(text)
    names: dict[str, Any] = dict.fromkeys(("pack", "pack_version", "item_id", "stratum", "type", "cluster_id"), text)
    names |= {"system": text, "question": text, "fields_json": text, "options": texts, "targets": texts}
    names |= {"params_json": text, "media_json": text, "tags": texts, "attestation": text, "claim": text}
    names |= {"chance": pa.float64()}
    return pa.schema([pa.field("schema_version", pa.int16()), *(pa.field(n, t) for n, t in names.items())])


# --- the items ---------------------------------------------------------------------------------------


Row = TypeVar("Row")
Columns = dict[str, list[Any]]
Ask = tuple[PlannedPack, Item, int]
"""(pack, item, trial)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The run's items in the plan's order, each with its pack, read whenever they are gone through: from items.parquet,
    by which all answers are graded, or from the packs that it is made of."""

    folder: Path
    plan: Plan
    chosen: Sequence[packs.Pack] | None = None

    def __iter__(self) -> Iterator[tuple[PlannedPack, Item]]:
        planned = ((pack, item_id) for pack in self.plan.packs.values() for item_id in pack.items)
        for (pack, item_id), item in zip(planned, self._items(), strict=True):
            if item.id != item_id:
                raise UsageError(
                    f"{self.folder / 'items.parquet'} is not of this plan: it has {item.id!r} where {item_id!r} is planned; "
                    "restore the run's folder from a copy"
                )
            yield pack, item

    def _items(self) -> Iterator[Item]:
        if self.chosen is None:
            return _read_items(self.folder / "items.parquet")
        by_id = {pack.id: pack for pack in self.chosen}
        return chain.from_iterable(by_id[name].items.of(pack.items) for name, pack in self.plan.packs.items())


def planned_packs(plan: Plan, tasks: packs.Folders | None) -> list[packs.Pack]:
    """The packs that the plan names, from the tasks folders. Raises UsageError when one has changed since."""
    if tasks is None:
        raise UsageError(f"the run {plan.run_id} has no items.parquet; name the folder of its packs with --tasks-dir")
    folders = packs.find(tasks)
    chosen = []
    for pack_id, planned in plan.packs.items():
        folder = (
            folders.get(pack_id)
            or folders.get(f"public/{pack_id}")
            or Path(str(plan.options.get(f"pack:{pack_id}", "")))
        )
        pack = packs.load(folder) if (folder / "card.yaml").is_file() else None
        if pack is None:
            raise UsageError(
                f"the pack {pack_id!r} of this run is not in {packs.listed(tasks)}; name its folder with --tasks-dir"
            )
        if pack.sha != planned.sha:
            raise UsageError(
                f"the pack {pack_id!r} has changed since the run began; restore version {planned.card.version}, "
                "or start a new run"
            )
        chosen.append(pack)
    return chosen


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


_SCORED_BY = (
    "item_id", "stratum", "type", "cluster_id", "fields_json", "options", "targets", "params_json", "tags", "attestation",
    "claim",
)  # fmt: skip


def _read_items(path: Path) -> Iterator[Item]:
    provenance = Provenance("", "", "", (), "")
    for columns in read_batches(path, _SCORED_BY, BATCH):
        for item_id, stratum, kind, cluster, fields, options, targets, params, tags, attestation, claim in zip(
            *(columns[name] for name in _SCORED_BY), strict=True
        ):
            if (provenance.claim, provenance.attestation) != (claim, attestation):
                provenance = Provenance("", "", claim or "", (), attestation)
            parameters = {} if params == "{}" else read_json(params)
            yield Item(
                item_id, stratum, kind, cluster, read_json(fields), targets, provenance, options, parameters, (), tags
            )


def publish_items(folder: Path, plan: Plan, chosen: Sequence[packs.Pack]) -> None:
    """Write items.parquet: each question as rendered with its options as written, and all that scoring needs."""
    columns = map(_item_columns, _batches(Asked(folder, plan, chosen), BATCH))
    remove_synced(folder / "run.json")  # it never vouches for files of another publishing
    with replacing(folder / "items.parquet") as f:
        write_columns(f, item_schema(), columns, {"schema_version": SCHEMA_VERSION})


def _item_columns(asked: Sequence[tuple[PlannedPack, Item]]) -> Columns:
    items, cards = [item for _, item in asked], [pack.card for pack, _ in asked]
    shown = [packs.texts(pack.card, item, range(1, len(item.options) + 1)) for pack, item in asked]
    return {
        "pack": [card.id for card in cards], "pack_version": [card.version for card in cards],
        "item_id": [i.id for i in items], "stratum": [i.stratum for i in items], "type": [i.type for i in items],
        "cluster_id": [i.cluster_id for i in items], "system": [system for system, _ in shown],
        "question": [user for _, user in shown], "fields_json": [_json(i.fields) for i in items],
        "options": [i.options for i in items], "targets": [i.targets for i in items],
        "params_json": [_json(i.params) for i in items],
        "media_json": [_json([{"path": m.path, "mime": m.mime, "sha256": m.sha256} for m in i.media]) for i in items],
        "tags": [i.tags for i in items], "attestation": [i.provenance.attestation for i in items],
        "claim": [i.provenance.claim for i in items], "chance": list(map(packs.chance, cards, items)),
    }  # fmt: skip


# --- the journal, indexed ----------------------------------------------------------------------------


STATUSES = ("skipped", "error", "invalid", "ok", "truncated", "refused", "unsupported")
"""As they stand in the index: nothing decides an ask, a failure does, an answer does."""
FAILED, ANSWERED = 1, 3
"""From where in STATUSES a failure decides, and from where an answer, which is never asked for again."""


_RANKS = [(status >= FAILED) + (status >= ANSWERED) for status in range(len(STATUSES))]


@dataclass(slots=True)
class Outcomes:
    """What the journals say of one model's asks: an entry of 36 bytes for each planned ask, in the plan's order.

    `status`: a place in STATUSES. The deciding record was written at `at`, in seconds since 1970, and stands at `offset`
    of the journal that `Index.journals` numbers so. `open_intents`: sends of which nothing is known; below zero while the
    journal that they stand in is still to be read.
    """

    status: array[int]
    at: array[float]
    journal: array[int]
    offset: array[int]
    attempts: array[int]
    open_intents: array[int]
    maybe_billed: array[int]
    worst_usd: array[float]


def _no_outcomes(asks: int) -> Outcomes:
    def zeros(code: str) -> array[Any]:
        return array(code, bytes(asks * array(code).itemsize))

    return Outcomes(*map(zeros, "bdHqIibd"))


@dataclass(slots=True)
class EndpointLog:
    """What the journal says of how one endpoint was asked, all sessions of the run together."""

    opening: Record = field(default_factory=dict)
    """Of the newest session: ids of the endpoints that share the limit, start, ceiling, fixed."""
    highest: int = 0
    last: int = 0
    grown: int = 0
    changes: list[Record] = field(default_factory=list)
    """All but growth."""
    begun: int = 0
    ended: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    """Of the sessions that came to their end."""


SUMMED = ("waited_s", "retries", "not_retried")


@dataclass(slots=True)
class Index:
    """All journals of a run, read once. `places`: of each pack's items, where its first trial stands among a model's
    planned asks."""

    places: dict[str, dict[str, int]]
    repeats: int
    outcomes: dict[str, Outcomes]
    journals: dict[Path, int] = field(default_factory=dict)
    ends: dict[str, Record] = field(default_factory=dict)
    """For each writer that has begun, its last end mark; empty after a crash."""
    damaged: list[str] = field(default_factory=list)
    spent_usd: float = 0.0
    cost_pico: int | None = 0
    """What all answers cost, in millionths of a millionth of a dollar: whole numbers add up to the same in any order."""
    tokens: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    service_tiers: dict[str, Counter[str]] = field(default_factory=dict)
    unknown_finish: dict[str, Counter[str]] = field(default_factory=dict)
    cost_sources: dict[str, Counter[str]] = field(default_factory=dict)
    """For each model, how many answers cost what the vendor said (`reported`), and how many by the price (`table`)."""
    unsupported: dict[str, str] = field(default_factory=dict)
    """For each model, why it cannot take a question: of several reasons the first by alphabet, whatever came first."""
    said: dict[str, dict[str, Counter[str]]] = field(default_factory=lambda: {what: {} for what in alarms.WATCHED})
    """For each of alarms.WATCHED, how many answers of each model carried each word."""
    cut: dict[str, list[str]] = field(default_factory=dict)
    ttft: dict[str, array[float]] = field(default_factory=dict)
    untimed: Counter[str] = field(default_factory=Counter)
    """For each model, its answers of UNTIMED_TIERS."""
    endpoints: dict[str, EndpointLog] = field(default_factory=dict)

    def place(self, pack: str, item: str, trial: int) -> int | None:
        """Where this ask stands among a model's; None for one that is not planned."""
        first = self.places.get(pack, {}).get(item)
        return None if first is None or not 0 <= trial < self.repeats else first + trial

    def answered(self, key: AskKey) -> bool:
        """Whether this ask is never sent again: ok, truncated, refused or unsupported."""
        model, pack, item, trial = key
        place = self.place(pack, item, trial)
        return place is not None and self.outcomes[model].status[place] >= ANSWERED

    def answers_of(self, model: str) -> int:
        """How many of a model's asks are never sent again."""
        return sum(map(self.outcomes[model].status.count, range(ANSWERED, len(STATUSES))))

    def statuses(self, model: str) -> Iterator[str]:
        """The status of each of a model's asks, in the plan's order."""
        return map(STATUSES.__getitem__, self.outcomes[model].status)

    def has_asks(self) -> bool:
        """Whether a record of any ask was read."""
        return any(any(told.attempts) or any(told.status) for told in self.outcomes.values())

    def forget(self) -> None:
        """Let go of the single asks, once their rows are written: the matrix needs the memory. The counts stay."""
        self.places.clear()
        self.outcomes.clear()

    @property
    def cost_usd(self) -> float | None:
        """What all answers cost; None where that of one is not known."""
        return None if self.cost_pico is None else self.cost_pico / 10**12


def no_records(plan: Plan) -> Index:
    """The index of journals that are still to be read."""
    places: dict[str, dict[str, int]] = {}
    start = 0
    for pack_id, pack in plan.packs.items():
        stop = start + plan.repeats * len(pack.items)
        places[pack_id] = dict(zip(pack.items, range(start, stop, plan.repeats), strict=True))
        start = stop
    return Index(places, plan.repeats, {model_id: _no_outcomes(plan.asks) for model_id in plan.models})


def index(folder: Path, plan: Plan, writer: str = "*") -> Index:
    """Read every journal, or one writer's. The first whole answer of an ask decides; else its last failure does."""
    return union(plan, sorted((folder / "journal").glob(f"{writer}.jsonl")))


def union(plan: Plan, paths: Sequence[Path]) -> Index:
    """What these journals say together: a record of an ask that stands in several counts once, and what is published
    does not depend on the journals' order. A mark speaks of its own journal."""
    found = no_records(plan)
    seen: set[int] = set()
    for path in paths:
        found.journals[path] = len(found.journals)
        for offset, line in journals.lines(path):
            record = journals.parse(line, texts=False)
            if len(paths) == 1 or not record or record["t"] == "mark" or _is_new(line, seen):
                note(found, plan, path, offset, record)
    return found


def _is_new(line: bytes, seen: set[int]) -> bool:
    """Whether a line was not seen before; hashes of 64 bits stand for lines."""
    before = len(seen)
    seen.add(hash(line))
    return len(seen) > before


def note(found: Index, plan: Plan, path: Path, offset: int, record: Record | None) -> None:
    """Take one record, which stands at `offset` of a journal, into the index; None for a damaged line. Raises
    UsageError for a journal that a later version wrote."""
    if record is None:
        found.damaged.append(f"{path.name} at byte {offset}")
    elif record["t"] == "mark":
        _note_mark(found, path, record)
    elif record["t"] not in journals.RECORDS:
        raise _written_later(path, f"records of a kind {record['t']!r}")
    elif record["model"] in plan.models:
        _note_ask(found, plan, path, offset, record)


def _note_mark(found: Index, path: Path, record: Record) -> None:
    if (schema := record.get("schema", journals.SCHEMA)) > journals.SCHEMA:
        raise _written_later(path, f"schema {schema}")
    if record["what"] == "limit":
        _note_endpoints(found, [record], _note_limit)
        return
    # a start without an end is a crash: what an earlier session ended with says nothing of it
    found.ends[path.stem] = record if record["what"] == "end" else {}
    # journals from before limits adapted have no endpoints in their marks
    _note_endpoints(found, record.get("endpoints", ()), _note_end if record["what"] == "end" else _note_start)


def _note_endpoints(found: Index, told: Iterable[Record], note_one: Callable[[EndpointLog, Record], None]) -> None:
    for record in told:
        for endpoint in record["ids"]:
            note_one(found.endpoints.get(endpoint) or found.endpoints.setdefault(endpoint, EndpointLog()), record)


def _note_start(log: EndpointLog, record: Record) -> None:
    log.opening = record
    log.begun += 1
    log.last = record["start"]
    log.highest = max(log.highest, log.last)


def _note_limit(log: EndpointLog, record: Record) -> None:
    log.last = record["to"]
    log.highest = max(log.highest, log.last)
    log.grown += record["why"] == GROWN
    if record["why"] != GROWN:
        log.changes.append({name: record[name] for name in ("at", "from", "to", "why")})


def _note_end(log: EndpointLog, record: Record) -> None:
    log.ended += 1
    log.sums.update({name: record[name] for name in SUMMED})


def _written_later(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path} has {what}, and this version ({__version__}) reads journals of schema {journals.SCHEMA}; use the version "
        "that wrote it"
    )


def _note_ask(found: Index, plan: Plan, path: Path, offset: int, record: Record) -> None:
    told, at = found.outcomes[record["model"]], found.place(record["pack"], record["item"], record["trial"])
    if at is None:
        return
    if record["t"] == "intent":
        told.attempts[at] += 1
        told.open_intents[at] += 1
        # for the cap, an ask is taken at its worst until its outcome says otherwise
        told.worst_usd[at] = record.get("worst", 0.0)
        found.spent_usd += told.worst_usd[at]
        return
    told.open_intents[at] -= record.get("status") != "unsupported"  # of that there was no intent
    told.maybe_billed[at] |= bool(record.get("billed"))
    if record["t"] == "fail" and not record.get("billed"):
        found.spent_usd -= told.worst_usd[at]
    _tally(found.unknown_finish, record, "unknown_finish")
    if record.get("status") == "unsupported":
        reason = record["error"]
        found.unsupported[record["model"]] = min(reason, found.unsupported.get(record["model"], reason))
    elif record["t"] == "done":
        usage = _usage(record)
        _count_cost(found, told.worst_usd[at], record, _cost(plan, record, usage))
        _count_tokens(found, usage)
    if record["t"] == "done":
        _note_answer(found, record)
    status, when = _status(path, record), _seconds(record)
    more = _RANKS[status] - _RANKS[told.status[at]]
    if more > 0 or (more == 0 and _takes_over(status, when, told.at[at])):
        told.status[at], told.at[at], told.journal[at], told.offset[at] = status, when, found.journals[path], offset


def _status(path: Path, record: Record) -> int:
    """A refusal by policy comes as a fault, and is an answer all the same."""
    if record["t"] == "fail":
        return STATUSES.index(FAULTS[record["kind"]].status if record["kind"] in FAULTS else "error")
    if record["status"] not in STATUSES:
        raise _written_later(path, f"answers of a status {record['status']!r}")
    return STATUSES.index(record["status"])


def _seconds(record: Record) -> float:
    """When a record was written, in seconds since 1970, exact to the microsecond; 0 where it does not say."""
    at = record.get("started_at") or record.get("at")
    return datetime.fromisoformat(at).timestamp() if at else 0.0


def _takes_over(status: int, when: float, known: float) -> bool:
    """Whether a record decides instead of an equal one that was read before: of answers the first, of failures the last,
    by the clock, since they may stand in different journals."""
    return when < known if status >= ANSWERED else when >= known


def _note_answer(found: Index, record: Record) -> None:
    """What an answer says of who gave it, and how."""
    _tally(found.service_tiers, record, "service_tier")
    if dropped := record.get("dropped"):
        found.dropped.setdefault(record["model"], Counter()).update(dropped.keys())
    for what, models in found.said.items():
        _tally(models, record, what)
    if is_untimed(record):
        found.untimed[record["model"]] += 1
    elif record.get("ttft_s") is not None:
        found.ttft.setdefault(record["model"], array("d")).append(record["ttft_s"])
    if record.get("cut"):
        found.cut.setdefault(record["model"], []).append(f"{record['pack']}/{record['item']}")


def is_untimed(record: Record) -> bool:
    """Whether an answer came by one of UNTIMED_TIERS: as the vendor says, else as it was asked to."""
    sent = record.get("sent") or {}
    tier = record.get("service_tier") or sent.get("service_tier") or sent.get("serviceTier")
    return str(tier).lower() in UNTIMED_TIERS


def _tally(tallies: dict[str, Counter[str]], record: Record, name: str) -> None:
    """Count a record's word for its model, where it has one."""
    if word := record.get(name):
        (tallies.get(record["model"]) or tallies.setdefault(record["model"], Counter()))[word] += 1


def _count_cost(found: Index, worst: float, record: Record, cost: float | None) -> None:
    """An unknown cost makes the run's cost unknown; for the cap it stays at its worst."""
    if cost is None:
        found.cost_pico = None
        return
    found.spent_usd += cost - worst
    found.cost_pico = None if found.cost_pico is None else found.cost_pico + round(cost * 10**12)
    source = "table" if record.get("cost_usd") is None else "reported"
    _tally(found.cost_sources, {"model": record["model"], "source": source}, "source")


def _count_tokens(found: Index, usage: Usage) -> None:
    if usage.input is not None:
        found.tokens["input"] += usage.input
    if usage.output is not None:
        found.tokens["output"] += usage.output


def _usage(record: Record) -> Usage:
    return Usage(*record.get("tokens", ()))


def _cost(plan: Plan, record: Record, usage: Usage) -> float | None:
    """As billed where the vendor said so, else at the price of who served it, by the hour at which it was asked: some
    prices follow the clock."""
    at, planned = datetime.fromisoformat(record["started_at"]), plan.models[record["model"]]
    price = money.price_of(planned.model, planned.others, record.get("served_model"))
    return money.cost(usage, price, at, record.get("cost_usd"))


# --- rows --------------------------------------------------------------------------------------------


class Live(Protocol):
    """A journal that is still written, and an index that follows it."""

    index: Index

    def choose(self, models: Sequence[str]) -> str:
        """The model whose rows are written next."""
        ...

    def settle(self, model_id: str, stop: int) -> None:
        """Returns when the index has the answers to so many asks of a model, from its first on, or all that will come."""
        ...

    def end(self) -> None:
        """Returns when nothing more will come and files may take their places."""
        ...


def publish_models(
    folder: Path, plan: Plan, asked: Asked, found: Index, live: Live | None = None
) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Write models/<model>.parquet: one row for every planned (item, trial), answered or not. Returns, for each model,
    the counts by status and the number of scored rows. The files take their places when all are written, and the commit
    mark of an earlier publishing goes before that. With `live` rows are written as they are decided."""
    make_folder(folder / "models")
    counts: dict[str, Counter[str]] = {model_id: Counter() for model_id in plan.models}
    scored: Counter[str] = Counter()
    left = list(plan.models)
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in found.journals]
        # a stack ends backwards, and the files take their places in the plan's order
        rows = {m: stack.enter_context(replacing(folder / "models" / f"{m}.parquet")) for m in reversed(left)}
        while left:
            model_id = live.choose(left) if live else left[0]
            left.remove(model_id)
            writing = _columns_of(plan, asked, found, model_id, files, counts[model_id], scored, live)
            write_columns(rows[model_id], row_schema(), writing, _constant(plan, model_id))
        if live:
            live.end()
        remove_synced(folder / "run.json")
    return counts, scored


def _constant(plan: Plan, model_id: str) -> Record:
    """What is the same in every row of a model."""
    model = plan.models[model_id].model
    return {
        "schema_version": SCHEMA_VERSION, "run_id": plan.run_id, "model": model_id, "vendor": model.vendor,
        "family": model.family, "region": model.region, "endpoint": model.endpoint,
        "harness_version": plan.harness_version,
    }  # fmt: skip


def _columns_of(
    plan: Plan,
    asked: Asked,
    found: Index,
    model_id: str,
    files: Sequence[IO[bytes]],
    counts: Counter[str],
    scored: Counter[str],
    live: Live | None,
) -> Iterator[Columns]:
    """A model's rows in batches of columns; counts them by status, and those that are scored."""
    first = 0
    size = max(1, BATCH // 2) if live else BATCH  # what is left to grade when the last answer comes
    for batch in _batches(((pack, item, trial) for pack, item in asked for trial in range(plan.repeats)), size):
        if live:
            live.settle(model_id, first + len(batch))
        columns = _columns(plan, batch, found, model_id, first, files)
        counts.update(columns["status"])
        scored[model_id] += sum(score is not None for score in columns["score"])
        first += len(batch)
        yield columns


def _columns(
    plan: Plan, asks: Sequence[Ask], found: Index, model_id: str, first: int, files: Sequence[IO[bytes]]
) -> Columns:
    """The rows of these asks, the first of which stands at `first` among the model's, as columns."""
    told, here = found.outcomes[model_id], slice(first, first + len(asks))
    said = (
        _outcome_columns(
            plan,
            pack.card,
            item,
            _record(told, at, files) or _skipped(plan, found, (model_id, pack.card.id, item.id, trial)),
        )
        for at, (pack, item, trial) in enumerate(asks, first)
    )
    planned: Columns = {
        "pack": [p.card.id for p, _, _ in asks], "pack_version": [p.card.version for p, _, _ in asks],
        "pack_sha": [p.sha for p, _, _ in asks], "stratum": [i.stratum for _, i, _ in asks],
        "type": [i.type for _, i, _ in asks], "item_id": [i.id for _, i, _ in asks],
        "cluster_id": [i.cluster_id for _, i, _ in asks], "trial": [trial for _, _, trial in asks],
        "attempts": told.attempts[here].tolist(),
        "maybe_billed": [
            billed == 1 or opened > 0 for billed, opened in zip(told.maybe_billed[here], told.open_intents[here], strict=True)
        ],
    }  # fmt: skip
    blank: Record = dict.fromkeys(name for name in _TEXT if name not in planned)
    rows = [(blank | row).values() for row in said]
    columns = dict(zip(blank, map(list, zip(*rows, strict=True)), strict=True)) | planned
    return columns | {name: _json_texts(values) for name, values in columns.items() if name.endswith("_json")}


def _record(told: Outcomes, at: int, files: Sequence[IO[bytes]]) -> Record | None:
    """The record that decides an ask; None where there is none."""
    if not told.status[at]:
        return None
    journal = files[told.journal[at]]
    journal.seek(told.offset[at])
    record: Record = read_json(journal.readline())
    return record


def _skipped(plan: Plan, found: Index, key: AskKey) -> Record:
    """In place of a record of an ask that has none: why nobody asked, in the words of the writer who would have."""
    writer = shards.writer_of(key, plan.shards)
    end = found.ends.get(writer, {})
    stopped = end.get("stopped", {}).get(key[0])
    reason = stopped.split(":")[0] if stopped else end.get("reason") or "interrupted"
    absent = f"{writer} has not begun" if plan.shards and writer not in found.ends else None
    return {"t": "skipped", "kind": reason, "error": stopped or absent}


def _outcome_columns(plan: Plan, card: packs.Card, item: Item, record: Record) -> Record:
    """What the deciding record says."""
    if record["t"] == "skipped":
        return {"status": "skipped", "error_kind": record["kind"], "error": record["error"]}
    if record["t"] == "fail":
        rule = FAULTS.get(record["kind"])
        columns = {
            "status": rule.status if rule else "error",
            "error_kind": record["kind"],
            "error": record["error"],
            "finish": record.get("unknown_finish"),
        }
        if columns["status"] == "refused":
            columns |= {"score": 0.0, "parse_status": "refuse", "metric_id": _metric_id(card.scorer_of(item.type))}
        return columns
    if record["status"] == "unsupported":
        return {"status": "unsupported", "error": record["error"]}
    return _answer_columns(plan, card, item, record)


def _answer_columns(plan: Plan, card: packs.Card, item: Item, record: Record) -> Record:
    usage, answer = _usage(record), record["answer"]
    spec = card.scorer_of(item.type)
    grade, metric_id, failure = _grade(spec, answer, item, record)
    untimed = is_untimed(record)
    return {
        "status": record["status"], "answer": answer, "reasoning": record["reasoning"], "finish": record["finish"],
        "served_model": record["served_model"], "system_fingerprint": record["system_fingerprint"],
        "request_sha": record["request_sha"], "prompt_sha": record["prompt_sha"], "order_json": record["order"],
        "error_kind": "scorer" if failure else None, "error": failure,
        "score": grade.score if grade else None, "parsed": grade.parsed if grade else None,
        "parse_status": grade.parse_status if grade else None, "parse_rule": grade.parse_rule if grade else None,
        "metric_id": metric_id, "aux_json": grade.aux or None if grade else None,
        "input_tokens": usage.input, "cached_tokens": usage.cached, "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning, "cost_usd": _cost(plan, record, usage),
        "latency_s": None if untimed else record["latency_s"], "ttft_s": None if untimed else record["ttft_s"],
        "queue_s": record["queue_s"], "sent_json": record["sent"],
        "dropped_json": record["dropped"], "media_json": [{"mime": mime, "sha256": sha, "bytes": size} for mime, sha, size in record["media"]],
        "started_at": datetime.fromisoformat(record["started_at"]),
    }  # fmt: skip


def _grade(spec: packs.ScorerSpec, answer: str, item: Item, record: Record) -> tuple[Grade | None, str, str | None]:
    """The grade, the metric's id, and the scorer's own failure if it had one: then the answer is kept and the score
    is null, for a later `lmmbench score`."""
    metric = scorer(spec.name)
    if record["status"] == "refused":
        return Grade(0.0, None, "refuse"), _metric_id(spec), None
    try:
        grade = metric.grade(answer, item, record["order"], spec.params)
    except Exception as e:
        return None, _metric_id(spec), f"{e.__class__.__name__}: {e}"
    if record["status"] == "truncated" and grade.parse_status == "none":
        grade = Grade(grade.score, grade.parsed, "truncated", grade.parse_rule, grade.aux)
    return grade, _metric_id(spec), None


def _metric_id(spec: packs.ScorerSpec) -> str:
    return scorer(spec.name).metric_id(spec.params)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _json(value: Any) -> str:
    return _ENCODER.encode(value) if value else "[]" if isinstance(value, list) else "{}"


def _json_texts(values: Iterable[Any]) -> list[str | None]:
    """The JSON of each value, null of None. Few are new: one that was there is known by its repr, where 0 is not 0.0."""
    texts: dict[str, str | None] = {"None": None}
    return [
        texts[shown] if (shown := repr(value)) in texts else texts.setdefault(shown, _json(value)) for value in values
    ]


# --- the manifest ------------------------------------------------------------------------------------


def publish_manifest(
    folder: Path,
    plan: Plan,
    found: Index,
    counts: Mapping[str, Counter[str]],
    scored: Mapping[str, int],
    simulated: bool,
    git_sha: str,
) -> dict[str, Any]:
    """Write run.json, the commit mark, last. Returns it."""
    total: Counter[str] = sum(counts.values(), Counter())
    files = sorted([*folder.glob("*.parquet"), *folder.glob("models/*.parquet")])
    ends = [found.ends.get(writer, {}) for writer in shards.writers(plan.shards)]
    manifest = {
        "schema": 1, "run_id": plan.run_id, "plan_sha": plan.plan_sha, "created_at": plan.created_at,
        "published_by": __version__, "git_sha": git_sha, "simulated": simulated, "replay_of": plan.options.get("replay_of"), "sampling_policy": policy.SAMPLING["en"],
        "planned": sum(total.values()), "by_status": dict(sorted(total.items())),
        "stop_reason": ", ".join(sorted({end.get("reason", "interrupted") for end in ends} - {""})),
        "damaged_records": found.damaged,
        "models": {
            m: {
                "planned": sum(c.values()), "by_status": dict(sorted(c.items())), "coverage": coverage(c, scored.get(m, 0)),
                "stopped": next((end["stopped"][m] for end in ends if m in end.get("stopped", {})), None),
                "served_models": dict(sorted(found.said["served_model"].get(m, {}).items())), "ttft_s": _median(found.ttft.get(m, [])),
                "dropped": dict(sorted(found.dropped.get(m, {}).items())),
                "service_tiers": sorted(found.service_tiers.get(m, {})), "untimed": found.untimed[m],
                "cost_source": dict(sorted(found.cost_sources.get(m, {}).items())), "unsupported": found.unsupported.get(m),
            }
            for m, c in counts.items()
        },
        "unknown_finish": {m: dict(sorted(words.items())) for m, words in sorted(found.unknown_finish.items())},
        "alarms": alarms.alarms(found.said, found.cut),
        "endpoints": {endpoint: _told(endpoint, log) for endpoint, log in sorted(found.endpoints.items())},
        "cost_usd": found.cost_usd, "tokens": {k: found.tokens.get(k) for k in ("input", "output")}, "ended_at": max(end["at"] for end in ends) if all(ends) else None,
        "files": {str(p.relative_to(folder).as_posix()): file_sha256(p) for p in files},
    }  # fmt: skip
    text = without_surrogates(json.dumps(manifest, ensure_ascii=False, indent=1))
    write_atomically(folder / "run.json", text.encode() + b"\n")
    return manifest


def _told(endpoint: str, log: EndpointLog) -> Record:
    """How an endpoint was asked: the limits of asks at once, every change but growth with its reason, seconds held. What a
    crashed session waited and sent again is not known, nor then the sum; a damaged start says nothing of how it began."""
    opening, whole = log.opening, log.begun == log.ended > 0
    return {
        "shared_with": [i for i in opening.get("ids", ()) if i != endpoint], "fixed": opening.get("fixed"),
        "start": opening.get("start"), "ceiling": opening.get("ceiling"), "highest": log.highest, "last": log.last,
        "grown": log.grown, "changes": sorted(log.changes, key=lambda c: c["at"]),
        **{name: round(log.sums[name], 3) if whole else None for name in SUMMED},
    }  # fmt: skip


def warnings(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What a reader of a run's numbers must know of how its answers ended, one sentence for each model."""
    for model, words in manifest["unknown_finish"].items():
        shown = ", ".join(f"{word!r} {n} times" for word, n in words.items())
        yield (
            f"{model}: replies ended with words that no table has ({shown}); those with a text are scored as answers, those "
            "without are none: look at them with lmmbench show, and report the word"
        )
    for model, told in manifest["models"].items():
        if n := told["untimed"]:
            yield (
                f"{model}: {n} answers came by a service tier that may be slow ({' or '.join(UNTIMED_TIERS)}): they are scored, "
                "and have no latency; the journal has it"
            )
    for endpoint, told in manifest["endpoints"].items():
        same = [endpoint, *told["shared_with"]]
        if told["not_retried"] and endpoint == min(same):
            yield (
                f"{', '.join(same)}: too much failed to be sent again: {told['not_retried']} failures were recorded when "
                f"{told['retries']} retries had used up its budget"
            )


def commonest_fault(folder: Path, model: str) -> str:
    """`kind: text` of the fault that most of a published model's unanswered asks ended in, "" where there is none; of its
    texts, and of kinds as common, the first by alphabet."""
    names = ("status", "error_kind", "error")
    texts: dict[str, list[str]] = {}
    for batch in read_batches(folder / "models" / f"{model}.parquet", names, BATCH):
        for status, kind, text in zip(*(batch[name] for name in names), strict=True):
            if status in ("error", "invalid") and kind:
                texts.setdefault(kind, []).append(text or "")
    kind = max(sorted(texts), key=lambda k: len(texts[k]), default="")
    return f"{kind}: {min(texts[kind])}" if kind else ""


def _median(seconds: Sequence[float]) -> dict[str, float] | None:
    """The median time to the first token and of how many answers it is; None where nothing was streamed."""
    return {"p50": statistics.median(seconds), "n": len(seconds)} if seconds else None


def coverage(counts: Mapping[str, int], scored: int) -> float | None:
    """scored / (planned - unsupported); None when everything is unsupported."""
    able = sum(counts.values()) - counts.get("unsupported", 0)
    return scored / able if able else None
