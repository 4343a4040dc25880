"""A run whose answers are those of another run: for new scorers, or new packs that ask the same. Nothing is asked, no key
is needed, no socket is opened.

An answer is known again by its request_sha, which covers the address, the model and every byte that was sent. What was
never sent anywhere (a baseline's answer) has none, and is known by its model and prompt_sha.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lmmbench import journal, packs, providers, results
from lmmbench.faults import UsageError
from lmmbench.journal import Record, Writer
from lmmbench.plan import Plan, PlannedModel
from lmmbench.runner import key_of, now, pending, prompt_sha, unsupported_record
from lmmbench.shards import MAIN, Shard
from lmmbench.types import AskKey, Request

Known = tuple[str, int]
"""(by what a request is known again, trial): trials of an item may send the very same."""
Held = dict[Known, dict[AskKey, tuple[Path, int]]]
"""Where the old run's answers stand. Items that send the same have an answer each."""
GROUP = 1000
"""Records that are written at once."""


def held(folder: Path, old: Plan) -> Held:
    """The answers of a run: those by which its rows are decided, refusals among them."""
    found: Held = {}
    for key, place in _places(results.index(folder, old), old):
        record = _read(*place)
        sha = record.get("request_sha") or f"{key[0]} {record.get('prompt_sha')}"
        found.setdefault((sha, key[3]), {})[key] = place
    return found


def _places(known: results.Index, old: Plan) -> Iterator[tuple[AskKey, tuple[Path, int]]]:
    """Every ask that some model answered, with where its record stands."""
    journals = list(known.journals)
    for model_id, told in known.outcomes.items():
        for at, (key, status) in enumerate(zip(old.keys(model_id), known.statuses(model_id), strict=True)):
            if known.answered(key) and status != "unsupported":
                yield key, (journals[told.journal[at]], told.offset[at])


def _read(path: Path, offset: int) -> Record:
    with path.open("rb") as f:
        f.seek(offset)
        record = journal.parse(f.readline())
    if record is None:
        raise UsageError(f"{path} has changed while it was read; try again when nobody writes there", exit_code=5)
    return record


def lookup(answers: Held, request: Request, model_id: str, planned: PlannedModel) -> tuple[Path, int] | None:
    """Where the answer to a request stands; that of the same ask, where several asks sent the same."""
    sha = providers.request_sha(request, planned.model, planned.endpoint) or f"{model_id} {prompt_sha(request)}"
    places = answers.get((sha, request.trial), {})
    return places.get((model_id, request.pack, request.item.id, request.trial)) or next(iter(places.values()), None)


def replay(folder: Path, run_plan: Plan, chosen: list[packs.Pack], answers: Held, shard: Shard | None) -> Counter[str]:
    """Write the journal of a run, or of a shard of it, from these answers. Returns, for each model, how many of its
    requests they lack: those are `skipped`."""
    writer_id = shard.writer if shard else MAIN
    writer = Writer(folder / "journal" / f"{writer_id}.jsonl")
    answered = results.index(folder, run_plan, writer_id).answered
    lacking: Counter[str] = Counter()
    asyncio.run(_write(writer, _records(run_plan, chosen, answers, answered, shard, lacking), run_plan, lacking))
    return lacking


def _records(
    run_plan: Plan, chosen: list[packs.Pack], answers: Held, answered: Callable[[AskKey], bool], shard: Shard | None, lacking: Counter[str],
) -> Iterator[Record]:  # fmt: skip
    asked = {pack_id: pack.items for pack_id, pack in run_plan.packs.items()}
    for model_id, planned in run_plan.models.items():
        for request in pending(
            chosen, asked, model_id, answered, repeats=run_plan.repeats, seed=run_plan.seed,
            shuffled=run_plan.option_order == "shuffled", stream=run_plan.stream, shard=shard,
        ):  # fmt: skip
            key = key_of(model_id, request)
            if reason := providers.unsupported(request, planned.model, planned.endpoint):
                yield unsupported_record(key, reason)
            elif place := lookup(answers, request, model_id, planned):
                yield _again(_read(*place), key)
            else:
                lacking[model_id] += 1


def _again(record: Record, key: Record) -> Record:
    """An answer's record as that of this ask. Nobody was billed for a refusal that is read again."""
    return record | key | ({"billed": False} if record["t"] == "fail" else {})


async def _write(writer: Writer, records: Iterable[Record], run_plan: Plan, lacking: Counter[str]) -> None:
    try:
        await writer.append({"t": "mark", "what": "start", "schema": journal.SCHEMA, "at": now()})
        group: list[Record] = []
        for record in records:
            group.append(record)
            if len(group) == GROUP:
                await asyncio.gather(*map(writer.append, group))
                group = []
        await asyncio.gather(*map(writer.append, group))
        source = run_plan.options.get("replay_of")
        stopped = dict.fromkeys(lacking, f"replay: not in {source}")
        await writer.append({"t": "mark", "what": "end", "reason": "", "stopped": stopped, "at": now()})
    finally:
        await writer.close()


def count(run_plan: Plan, chosen: list[packs.Pack], answers: Held) -> tuple[int, int]:
    """(asks that the answers hold, asks that they lack). Writes nothing."""
    lacking: Counter[str] = Counter()
    there = sum(1 for _ in _records(run_plan, chosen, answers, lambda key: False, None, lacking))
    return there, lacking.total()
