"""A run from its options to its published folder: choose, plan, ask, publish."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lmmbench import alarms, config, money, packs, plan, retired, runner, shards
from lmmbench.doors import nearest
from lmmbench.faults import UsageError
from lmmbench.files import make_folder, remove_synced, write_atomically
from lmmbench.journal import Writer
from lmmbench.net.hosts import is_loopback
from lmmbench.net.limits import Gate
from lmmbench.net.pace import START
from lmmbench.places import Places
from lmmbench.plan import Plan, PlannedModel, PlannedPack
from lmmbench.types import SCORED, Endpoint, Model

if TYPE_CHECKING:
    from rich.console import Console

    from lmmbench.analysis.matrix import Cell
    from lmmbench.providers import Provider
    from lmmbench.results import Index, Live

BYTES_PER_ASK = 6_000
"""Journal and parquet of one ask, generously (a reasoning text of 1,000 tokens)."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of `lmmbench run` that shape the plan; the rest shape how it is carried out."""

    tasks: str
    models: str | None = None
    limit: int | None = None
    repeats: int = 1
    seed: int = 0
    option_order: str = "shuffled"
    min_attestation: str | None = None
    stream: bool = False


class Ahead(Protocol):
    """Who publishes a run while it is asked (publisher.Publisher)."""

    def begin(self) -> None:
        """The first answer is there."""
        ...

    def over(self) -> None:
        """Nothing more will be written."""
        ...


@dataclass(frozen=True, slots=True)
class Execution:
    """How a plan is carried out: nothing here changes what is asked."""

    concurrency: int | None = None
    deadline_s: float | None = None
    min_coverage: float = 0.98
    max_cost: float | None = None
    allow_unknown_cost: bool = False
    dry_run: bool = False
    backoff_s: float = 0.5
    ci: bool = False
    shard: shards.Shard | None = None
    stopped: Callable[[], bool] | None = None
    """Asked once a second, in a thread: whether somebody elsewhere wants the run to stop."""


# --- choosing ----------------------------------------------------------------------------------------


def wanted_models(named: str | None, cfg: config.Config) -> list[str]:
    """The ids of `--models`, or of every configured model. Raises UsageError for a name that is none."""
    if named is None:
        return list(cfg.models)
    wanted = list(dict.fromkeys(m.strip() for m in named.split(",") if m.strip()))
    if not wanted:
        raise UsageError("--models names no model; see: lmmbench list models")
    for name in wanted:
        if name not in cfg.models:
            if old := retired.became(name, today()):
                raise UsageError(f"no model is called {name!r}; {old}")
            raise UsageError(f"no model is called {name!r}{nearest(name, cfg.models)}; see: lmmbench list models")
    return wanted


def choose_models(
    named: str | None, cfg: config.Config, *, keys: bool = True
) -> tuple[dict[str, PlannedModel], dict[str, str]]:
    """The models that are planned, and those that are skipped with the reason. A model that was named and cannot be
    asked raises UsageError: exit code 2 for a missing key, 4 for a local port that refuses. A dry run (`keys` false)
    plans named models without their keys."""
    chosen: dict[str, PlannedModel] = {}
    skipped: dict[str, str] = {}
    for name in wanted_models(named, cfg):
        model = cfg.models[name]
        endpoint = cfg.endpoints[model.endpoint]
        try:
            reason, code = why_not(model, endpoint) if keys or named is None else (_gone(model, endpoint), 2)
        except UsageError as e:
            raise cannot_be_asked(name, model, str(e), e.exit_code) from None
        if reason and named is not None:
            raise cannot_be_asked(name, model, reason, code)
        if reason:
            skipped[name] = reason
        else:
            url = config.base_url(model.endpoint, endpoint)
            asked_at = replace(endpoint, base_url=url, base_url_env="")
            chosen[name] = PlannedModel(model, asked_at, config.other_prices(model, cfg))
    return chosen, skipped


def meant(named: str | None, cfg: config.Config) -> dict[str, Model]:
    """The models that a run is about, known without connecting to anyone: those named, else those that lack no key."""
    models = {name: cfg.models[name] for name in wanted_models(named, cfg)}
    return {n: m for n, m in models.items() if named or not config.missing(m.endpoint, cfg.endpoints[m.endpoint])}


def cannot_be_asked(name: str, model: Model, why: str, exit_code: int = 2) -> UsageError:
    """Which model, at which endpoint, why not and what to do."""
    return UsageError(f"the model {name!r} at endpoint {model.endpoint!r} cannot be asked: {why}", exit_code=exit_code)


def check_sealed(models: dict[str, PlannedModel], chosen: list[packs.Pack]) -> None:
    """Raises UsageError where a sealed part of a pack would go to those who train on what they are sent."""
    sealed = [pack.id for pack in chosen if pack.card.sealed_from]
    for name, planned in models.items():
        if sealed and planned.endpoint.trains_on_inputs and not planned.endpoint.allow_sealed:
            raise UsageError(
                f"the endpoint {planned.model.endpoint!r} of {name} trains on what it is sent (trains_on_inputs), and {', '.join(sealed)} "
                "is sealed; leave one of them out with --models or --tasks, or set allow_sealed: true at the endpoint"
            )


def choose_among(named: str | None, old: Plan) -> dict[str, PlannedModel]:
    """The models of an earlier run, or those of them that are named. Raises UsageError for a name that it lacks."""
    wanted = [m.strip() for m in named.split(",") if m.strip()] if named is not None else list(old.models)
    for name in wanted:
        if name not in old.models:
            raise UsageError(
                f"the run {old.run_id!r} asked no {name!r}{nearest(name, old.models)}; it has {', '.join(old.models)}"
            )
    return {name: old.models[name] for name in wanted}


def why_not(model: Model, endpoint: Endpoint) -> tuple[str, int]:
    """Why a model cannot be asked from here, with the exit code if it was named; ("", 0) when it can."""
    if reason := _gone(model, endpoint) or config.missing(model.endpoint, endpoint):
        return reason, 2
    from lmmbench.net.http import Sender
    from lmmbench.providers import make

    try:
        make(model, model.endpoint, endpoint, Sender())
    except UsageError as e:
        return str(e), 2
    if config.is_remote(endpoint) and not endpoint.key_env and not _listens(config.base_url(model.endpoint, endpoint)):
        return f"nothing listens at {config.base_url(model.endpoint, endpoint)}; start the server", 4
    return "", 0


def today() -> date:
    return datetime.now(UTC).date()


def _gone(model: Model, endpoint: Endpoint) -> str:
    """Why the vendor has this model no more, "" when it has."""
    return retired.gone(model.name, config.base_url(model.endpoint, endpoint), model.retires_on, today())


def warnings(run_plan: Plan) -> list[str]:
    """What a person should know before a run, and may well have meant: models that go soon."""
    out = []
    for model_id, planned in run_plan.models.items():
        model, url = planned.model, planned.endpoint.base_url
        text = retired.soon(model.name, url, model.retires_on, today()) or retired.gone(
            model.name, url, model.retires_on, today()
        )
        out += [f"{model_id}: {text}"] if text else []
    return out


def _listens(url: str) -> bool:
    """Whether a keyless local port takes a connection. Nothing is sent. Other hosts are taken at their word."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not is_loopback(host):
        return True
    try:
        socket.create_connection((host, parts.port or (443 if parts.scheme == "https" else 80)), timeout=2).close()
    except OSError:
        return False
    return True


def choose_items(pack: packs.Pack, options: RunOptions) -> PlannedPack:
    """The items of a pack that are asked. Raises UsageError when none is left."""
    from lmmbench.validators import ATTESTATIONS

    active = [i for i in pack.items.heads() if i.status == "active"]
    if options.min_attestation:
        allowed = ATTESTATIONS[: ATTESTATIONS.index(options.min_attestation) + 1]
        active = [i for i in active if i.attestation in allowed]
    items = packs.sample(active, options.limit)
    if not items:
        raise UsageError(f"no item of the pack {pack.id!r} is left to ask; loosen --min-attestation or --limit")
    return PlannedPack(pack.card, pack.sha, tuple(i.id for i in items))


def make_plan(options: RunOptions, run_id: str, models: dict[str, PlannedModel], chosen: list[packs.Pack]) -> Plan:
    if not models:
        raise UsageError("no model can be asked from here; set a key, or name one: --models smollm2-135m", exit_code=4)
    planned = {p.id: choose_items(p, options) for p in chosen}
    given = {
        "tasks": options.tasks, "models": options.models, "limit": options.limit, "repeats": options.repeats,
        "seed": options.seed, "option_order": options.option_order, "min_attestation": options.min_attestation,
        "stream": options.stream,
    }  # fmt: skip
    given |= {f"pack:{p.id}": os.path.relpath(p.folder) if _same_drive(p.folder) else str(p.folder) for p in chosen}
    return plan.make(
        run_id, models, planned, repeats=options.repeats, seed=options.seed, option_order=options.option_order,
        stream=options.stream, options=given,
    )  # fmt: skip


def _same_drive(folder: Path) -> bool:
    return folder.resolve().drive == Path.cwd().drive


# --- before anything is spent ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run can take at most: every answer at its cap, no retries."""

    asks: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unknown: tuple[str, ...]
    shares: dict[str, float]
    disk_bytes: int
    seconds: float


ANSWER_S = 10.0
"""Seconds that an answer is taken to need where time is estimated; said wherever the estimate is shown."""


def _seconds(run_plan: Plan) -> float:
    """Time of the slowest endpoint: its asks over its concurrency, or its requests a minute if that is slower."""
    asks: Counter[str] = Counter()
    for planned in run_plan.models.values():
        asks[planned.model.endpoint] += run_plan.asks if planned.endpoint.api != "baseline" else 0
    endpoints = {p.model.endpoint: p.endpoint for p in run_plan.models.values()}
    return max(
        (max(n * ANSWER_S / endpoints[e].concurrency, 60 * n / (endpoints[e].rpm or 10**9)) for e, n in asks.items()),
        default=0.0,
    )


def estimate(run_plan: Plan, chosen: list[packs.Pack]) -> Estimate:
    """Counts and the worst case in tokens, dollars and bytes. `unknown` names keyed models without a price."""
    tokens_in = tokens_out = 0
    shares: dict[str, float] = {}
    unknown = []
    keyed = _keyed(run_plan)
    sizes = Counter((x.prompt, x.answer) for x in _sizes(run_plan, chosen)) if keyed else {}
    for model_id, planned in keyed.items():
        shares[model_id] = 0.0
        for (prompt, answer), items in sizes.items():
            times, out = items * run_plan.repeats, planned.model.most_output(answer)
            tokens_in, tokens_out = tokens_in + times * prompt, tokens_out + times * out
            cost = money.worst(prompt, out, planned.model.price)
            shares[model_id] += times * (cost or 0.0)
            if cost is None and model_id not in unknown:
                unknown.append(model_id)
    asks = run_plan.asks * len(run_plan.models)
    return Estimate(
        asks,
        tokens_in,
        tokens_out,
        sum(shares.values()),
        tuple(unknown),
        shares,
        asks * BYTES_PER_ASK,
        _seconds(run_plan),
    )


def _keyed(run_plan: Plan) -> dict[str, PlannedModel]:
    """The models that may cost something. A server of one's own that is given a price is counted by it, as the cap will."""
    return {m: p for m, p in run_plan.models.items() if config.may_cost(p.endpoint) or p.model.price.input is not None}


@dataclass(frozen=True, slots=True)
class Size:
    """An item as it is paid for: tokens of its prompt, and the most that its answer may have."""

    pack: str
    item: str
    prompt: int
    answer: int


def _sizes(run_plan: Plan, chosen: list[packs.Pack]) -> Iterator[Size]:
    """Each planned item, read and rendered once."""
    for pack in chosen:
        for item in pack.items.of(run_plan.packs[pack.id].items):
            request = packs.request(pack, item, 0, seed=0, shuffled=False)
            yield Size(pack.id, item.id, money.input_tokens(request), request.max_output_tokens)


def estimate_text(e: Estimate) -> str:
    parts = [f"${e.cost_usd:.4g}"] if len(e.unknown) < len(e.shares) or not e.shares else []
    parts += [f"the unknown cost of {', '.join(e.unknown)}"] if e.unknown else []
    cost = f"at most {' and '.join(parts)}"
    tokens = (
        f", {e.input_tokens:,} tokens in and {e.output_tokens:,} out at most to keyed endpoints"
        if e.input_tokens
        else ""
    )
    return f"{e.asks:,} asks{tokens}; {cost}; up to {e.disk_bytes / 1e6:.1f} MB of disk; about {e.seconds / 60:.0f} min if an answer takes {ANSWER_S:.0f} s"


def check_money(e: Estimate, cap: float, allow_unknown: bool) -> None:
    if e.unknown and not allow_unknown:
        raise UsageError(
            f"the price of {', '.join(e.unknown)} is not known, so the cap of ${cap:.2f} cannot be kept; "
            "add the price to providers.yaml, leave the model out with --models, or accept it with --allow-unknown-cost"
        )
    if e.cost_usd > cap:
        most = ", ".join(f"{m} ${usd:.4g}" for m, usd in sorted(e.shares.items(), key=lambda x: -x[1])[:3])
        raise UsageError(
            f"the run may cost ${e.cost_usd:.4g}, more than the cap of ${cap:.4g} (most of it: {most}); nothing was sent; "
            "lower --limit, choose fewer --models, or raise --max-cost"
        )


def cap_of(run_plan: Plan, chosen: list[packs.Pack], cap: float, shard: shards.Shard) -> float:
    """A shard's part of the run's dollars: as much of the cap as its asks have of the worst case. The parts add up to
    the cap, and no shard is short of what it may need while another has too much."""
    whole = mine = 0.0
    keyed = _keyed(run_plan)
    for x in _sizes(run_plan, chosen) if keyed else ():
        for model_id, planned in keyed.items():
            cost = money.worst(x.prompt, planned.model.most_output(x.answer), planned.model.price) or 0.0
            keys = ((model_id, x.pack, x.item, trial) for trial in range(run_plan.repeats))
            whole += cost * run_plan.repeats
            mine += cost * sum(map(shard.holds, keys))
    return cap * mine / whole if whole else cap


def endpoint_of(planned: PlannedModel, how: Execution) -> Endpoint:
    """The endpoint as this run, or this shard of it, may use it. What runs inside the machine is shared with nobody.
    Raises UsageError when there is too little to share."""
    endpoint = planned.endpoint
    if how.concurrency:
        endpoint = replace(endpoint, concurrency=how.concurrency)
    if how.shard and config.is_remote(endpoint):
        return shards.share(planned.model.endpoint, endpoint, how.shard)
    return endpoint


def check_shares(run_plan: Plan, how: Execution) -> None:
    """Raises UsageError when the limits are too small to be shared by the run's shards."""
    for shard in shards.all_of(run_plan.shards)[:1]:
        for planned in run_plan.models.values():
            endpoint_of(planned, replace(how, shard=shard))


def prepare_folder(folder: Path, need: int, *, new: bool) -> None:
    """Make the run's folder. Raises UsageError: 2 when it cannot be written or another run took the name meanwhile, 4
    when the disk is too small; nothing is left behind then."""
    parent = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(parent).free
    if free < need:
        raise UsageError(
            f"the disk of {folder.parent} has {free / 1e6:.0f} MB free, the run may need {need / 1e6:.0f} MB; "
            "free some, or name another with --results",
            exit_code=4,
        )
    try:
        make_folder(folder, new=new)
        make_folder(folder / "journal")
        probe = folder / f".write-test-{secrets.token_hex(4)}"  # another shard may try at the same time
        write_atomically(probe, b"x")
        remove_synced(probe)
    except FileExistsError:
        raise UsageError(f"the run {folder.name!r} exists; to finish it, use --resume {folder.name}") from None
    except OSError as e:
        if new and not (folder / "plan.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"the results folder {folder.parent} cannot be written ({e.strerror}); name another with --results",
            exit_code=4 if e.errno == errno.ENOSPC else 2,
        ) from None


# --- how much at once --------------------------------------------------------------------------------


def gates_of(run_plan: Plan, how: Execution) -> dict[str, Gate]:
    """The gate of each endpoint of a plan. Endpoints of one account share one, with the lowest of their limits."""
    accounts: dict[tuple[object, ...], dict[str, Endpoint]] = {}
    for planned in run_plan.models.values():
        name, endpoint = planned.model.endpoint, endpoint_of(planned, how)
        accounts.setdefault(_account(name, endpoint), {})[name] = endpoint
    return {name: gate for same in accounts.values() for gate in [_gate(same, how)] for name in same}


def _account(name: str, endpoint: Endpoint) -> tuple[object, ...]:
    """What a vendor limits together: a host and a key. What has no key is one's own, and each endpoint stands alone."""
    key = config.key(name, endpoint)
    return (urlsplit(config.base_url(name, endpoint)).netloc, key.reveal()) if key else (name,)


PAUSE = 10
"""First backoffs that the breaker's first pause lasts: 5 s."""


def _gate(same: dict[str, Endpoint], how: Execution) -> Gate:
    first, *_ = endpoints = list(same.values())
    ceiling = min(e.concurrency for e in endpoints)
    return Gate(
        replace(
            first, concurrency=ceiling, rpm=_lowest(e.rpm for e in endpoints), tpm=_lowest(e.tpm for e in endpoints)
        ),
        tuple(same),
        # one's own server has no limit to be found: its row says what it takes
        start=START if config.may_cost(first) and not how.concurrency else ceiling,
        fixed=how.concurrency is not None,
        pause_s=PAUSE * how.backoff_s,
    )


def _lowest(limits: Iterable[int | None]) -> int | None:
    return min((n for n in limits if n is not None), default=None)


# --- asking ------------------------------------------------------------------------------------------


def execute(
    folder: Path, run_plan: Plan, chosen: list[packs.Pack], how: Execution, console: Console,
    ahead: Ahead | None = None,
) -> tuple[str, int, Index | None]:  # fmt: skip
    """Ask what is not answered yet. Returns (stop reason, signal number or 0, the journal's index). The journal holds
    every outcome. `ahead`: told when answers come and when they are over, where another process publishes them: then no
    index is kept here, and None returned in its place."""
    from lmmbench import results

    path = folder / "journal" / f"{how.shard.writer if how.shard else shards.MAIN}.jsonl"
    writer = Writer(path, None if ahead else lambda offset, record: results.note(found, run_plan, path, offset, record))
    try:
        found = results.index(folder, run_plan, how.shard.writer if how.shard else "*")
        _collect_less()
        ended = asyncio.run(_execute(folder, writer, run_plan, chosen, how, found, console, ahead))
        return *ended, None if ahead else found
    finally:
        writer.release()  # this process may live on: a Dask worker does


def _collect_less() -> None:
    """Thousands of live tasks, records and rows are no garbage: the collector need not look at them again and again."""
    if threading.current_thread() is threading.main_thread():  # else the process is somebody else's
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)


async def _execute(
    folder: Path, writer: Writer, run_plan: Plan, chosen: list[packs.Pack], how: Execution, found: Index,
    console: Console, ahead: Ahead | None,
) -> tuple[str, int]:  # fmt: skip
    from lmmbench.net.http import Sender
    from lmmbench.progress import watch
    from lmmbench.providers import make

    gates = gates_of(run_plan, how)
    lanes = []
    async with Sender() as sender:
        for model_id, planned in run_plan.models.items():
            provider: Provider = make(planned.model, planned.model.endpoint, planned.endpoint, sender)
            todo = runner.pending(
                chosen, {p: x.items for p, x in run_plan.packs.items()}, model_id, found.answered,
                repeats=run_plan.repeats, seed=run_plan.seed, shuffled=run_plan.option_order == "shuffled",
                stream=run_plan.stream, shard=how.shard,
            )  # fmt: skip
            lanes.append(
                runner.Lane(
                    model_id,
                    planned.model,
                    provider,
                    gates[planned.model.endpoint],
                    todo,
                    sum(map(how.shard.holds, run_plan.keys(model_id))) if how.shard else run_plan.asks,
                    answered_before=found.answers_of(model_id),
                    said={what: Counter(models.get(model_id)) for what, models in found.said.items()},
                    cut=len(found.cut.get(model_id, ())),
                    others=planned.others,
                )
            )
        asking = runner.Runner(
            writer,
            lanes,
            budget=runner.Budget(how.max_cost, found.spent_usd),
            deadline_s=how.deadline_s,
            backoff_s=how.backoff_s,
        )
        caught = _on_signals(asking)
        watcher = asyncio.create_task(watch(lanes, console, live=console.is_terminal and not how.ci))
        beside = [watcher]
        if how.stopped:
            beside.append(asyncio.create_task(_stop_from_elsewhere(how.stopped, asking)))
        # a shard publishes nothing
        prepare_now = ahead.begin if ahead else partial(asyncio.to_thread, prepare, folder, run_plan, chosen)
        preparing = [] if how.shard else [asyncio.create_task(_once_answered(asking, prepare_now))]
        try:
            await asking.run()
        finally:
            for task in beside:
                task.cancel()
            asking.answered.set()
            await asyncio.gather(*beside, *preparing, return_exceptions=True)
            await writer.close()
        if ahead:
            ahead.over()
    return asking.stop_reason, caught[0] if caught else 0


async def _once_answered(asking: runner.Runner, prepare: Callable[[], Awaitable[None] | None]) -> None:
    """Prepare once the first answer is there: before, it would only hold up the first asks."""
    await asking.answered.wait()
    if waiting := prepare():
        await waiting


def prepare(folder: Path, run_plan: Plan, chosen: list[packs.Pack]) -> None:
    """What publishing needs and no answer decides, done while answers are awaited. Where it fails, publishing does it
    again and says why."""
    import numpy.ma  # numpy's own quantiles import it, and the bootstrap numpy.random
    import numpy.random  # noqa: F401

    from lmmbench import results, scorers
    from lmmbench.analysis import matrix

    for pack in chosen:
        for spec in (pack.card.scorer, *pack.card.scorers.values()):
            scorers.scorer(spec.name)
    matrix.schema()  # imports what reads and writes parquet
    if not (folder / "items.parquet").is_file():
        results.publish_items(folder, run_plan, chosen)


async def _stop_from_elsewhere(stopped: Callable[[], bool], asking: runner.Runner) -> None:
    try:
        while not await asyncio.to_thread(stopped):  # noqa: ASYNC110 (who is asked is not of this loop)
            await asyncio.sleep(1)
        asking.stop("interrupted")
    except Exception as e:  # else nobody could stop it any more
        asking.fail(e)


def _on_signals(asking: runner.Runner) -> list[int]:
    """Ctrl-C, SIGTERM and a closed terminal stop the run in good order. Returns the list that signals are noted in."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # signals are the business of whose process it is
        return caught
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        caught.append(number)
        asking.stop("interrupted")

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, stop, int(number))
        except NotImplementedError:  # Windows: handlers run in the main thread, outside the loop
            signal.signal(number, lambda n, _frame: loop.call_soon_threadsafe(stop, n))
    return caught


# --- publishing --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """A published run: its cells, the counts by status of each model, the manifest, and what to know of who answered."""

    cells: list[Cell]
    counts: dict[str, Counter[str]]
    manifest: dict[str, Any]
    warnings: tuple[str, ...] = ()


def publish(
    folder: Path,
    run_plan: Plan,
    chosen: list[packs.Pack] | None,
    tasks: packs.Folders | None,
    found: Index | None = None,
    live: Live | None = None,
) -> Published:
    """Grade the journal and write items, models, matrix and manifest. Asks nothing; the same journal gives the same
    files. `found`: the journal's index, from whoever has just written it; `live`: from whoever follows it."""
    from lmmbench import results
    from lmmbench.analysis import matrix, rows

    # what cannot be read changes nothing
    found = live.index if live else found or results.index(folder, run_plan)
    _collect_less()
    sha = git_sha()
    if not (folder / "items.parquet").is_file():
        results.publish_items(folder, run_plan, chosen or results.planned_packs(run_plan, tasks))
    questions = rows.questions(folder) if live else None  # while answers are awaited
    counts, scored = results.publish_models(folder, run_plan, results.Asked(folder, run_plan), found, live)
    found.forget()
    cells = matrix.publish(folder, questions)
    simulated = any(m.startswith("sim-") for m in run_plan.models)
    manifest = results.publish_manifest(folder, run_plan, found, counts, scored, simulated, sha)
    served = found.said["served_model"]
    remote = {m: p for m, p in run_plan.models.items() if config.is_remote(p.endpoint)}
    warnings = [
        note for m, p in remote.items() for note in alarms.notes(m, p.model.name, served.get(m, Counter()), p.others)
    ]
    return Published(cells, counts, manifest, (*warnings, *results.warnings(manifest)))


def git_sha() -> str:
    """The commit of lmmbench itself, "" where it does not run from a checkout of its own."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def exit_code(published: Published, caught: int, stop_reason: str, min_coverage: float) -> int:
    """The run's exit code, from what is on the disk."""
    covered = [m["coverage"] for m in published.manifest["models"].values()]
    return _exit_code(covered, caught, stop_reason, min_coverage)


def _exit_code(covered: list[float | None], caught: int, stop_reason: str, min_coverage: float) -> int:
    if caught:
        return 128 + caught
    if not any(covered) or stop_reason == "disk":
        return 4
    return 3 if any(c is not None and c < min_coverage for c in covered) else 0


# --- shards ------------------------------------------------------------------------------------------


def shard_counts(found: Index, run_plan: Plan, shard: shards.Shard) -> dict[str, Counter[str]]:
    """The shard's asks of each model by status, from its journal's index."""
    return {
        model_id: Counter(
            status
            for key, status in zip(run_plan.keys(model_id), found.statuses(model_id), strict=True)
            if shard.holds(key)
        )
        for model_id in run_plan.models
    }


def counts_text(counts: dict[str, Counter[str]]) -> str:
    """`sim-a: error 1 · ok 12; sim-b: ok 13`."""
    return "; ".join(
        f"{m}: {' · '.join(f'{s} {n}' for s, n in sorted(c.items())) or 'no asks'}" for m, c in counts.items()
    )


def shard_exit_code(counts: Iterable[Counter[str]], caught: int, stop_reason: str, min_coverage: float) -> int:
    """As of a run, of what it holds; a shard that holds nothing is done."""
    from lmmbench import results

    able = [c for c in counts if set(c) - {"unsupported"}]
    covered = [results.coverage(c, sum(c[status] for status in SCORED)) for c in able]
    return _exit_code(covered or [1.0], caught, stop_reason, min_coverage)


def left(folder: Path, run_plan: Plan, found: Index) -> list[str]:
    """One sentence for each shard that has not answered all it holds; nothing for a run that is whole."""
    open_asks = Counter(
        shards.number_of(key, run_plan.shards)
        for model_id in run_plan.models
        for key in run_plan.keys(model_id)
        if not found.answered(key)
    )
    return [
        f"shard {shard} {_how_ended(found.ends.get(shard.writer))}: {open_asks[shard.number]} asks without an answer"
        for shard in shards.all_of(run_plan.shards)
        if open_asks[shard.number]
    ]


def _how_ended(end: dict[str, Any] | None) -> str:
    if end is None:
        return "has not begun"
    return f"ended ({end['reason'] or 'all asked'})" if end else "was cut off"


def places_of(tasks: Sequence[str], providers: str | None, results: str | None) -> Places:
    from lmmbench import places

    return Places(places.tasks_dirs(tasks), places.providers_file(providers), places.results_dir(results))
