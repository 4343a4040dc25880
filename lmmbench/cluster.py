"""Shards on a Dask cluster, wherever it runs (a machine, Slurm, Kubernetes). Dask starts them, and nothing more.

No answer goes through it: each shard has its journal, in the run's folder on a file system that all workers share. So a
shard that is started again, by us or by a scheduler that lost its worker, goes on where its journal ends, and asks
nothing that was answered. Keys are those of the workers' own environment: none is sent.
"""

from __future__ import annotations

import contextlib
import io
import logging
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lmmbench import __version__, bench, config, plan, results, shards
from lmmbench.faults import UsageError
from lmmbench.plan import Plan

if TYPE_CHECKING:
    from distributed import Client, Event, Future

INSTALL = 'pip install "lmmbench[dask]"'
CONNECT_S = 10
PROGRESS_S = 10.0
LOOK_S = 1.0
ALONE_S = 300.0
"""How long a run waits for a cluster without any worker."""
ANSWER_S = 5.0
"""How long a scheduler may take to answer. One that is stopped or cut off keeps its connection open, and Dask waits."""
LEAVE_S = 20.0
"""How long a stopped run waits for its shards; those that no worker has begun never answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told of its shard: places and numbers. Paths are absolute; no key is here."""

    folder: str
    tasks: list[str]
    packs: dict[str, str]
    shard: str
    concurrency: int | None
    deadline_s: float | None
    min_coverage: float
    cap: float
    stop: str
    """The name of the Dask event that stops the run."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a shard ended on its worker: an exit code, and one line on it."""

    code: int
    text: str


# --- on a worker -------------------------------------------------------------------------------------


def work(told: dict[str, Any]) -> dict[str, Any]:
    """Carry out one shard on this machine; called on a worker. Returns the fields of `Ended`."""
    from lmmbench.journal import JournalError

    job = Job(**told)
    try:
        ended = _carry_out(job)
    except UsageError as e:
        ended = Ended(e.exit_code, str(e))
    except JournalError as e:
        ended = Ended(4, f"{e}; free some space, then start the shard again")
    return asdict(ended)


def _carry_out(job: Job) -> Ended:
    from distributed import Event
    from rich.console import Console

    folder, shard = Path(job.folder), shards.parse(job.shard)
    if not (folder / "plan.json").is_file():
        raise UsageError(
            f"this worker does not see {folder}: the run's folder must be on a file system that all workers share; name "
            "one with --results"
        )
    run_plan = plan.load(folder)
    _check_worker(run_plan)
    chosen = results.planned_packs(
        replace(run_plan, options=run_plan.options | {f"pack:{name}": at for name, at in job.packs.items()}),
        [Path(folder) for folder in job.tasks],
    )
    event = Event(job.stop)
    how = bench.Execution(
        concurrency=job.concurrency, deadline_s=job.deadline_s, shard=shard, stopped=lambda: _is_set(event),
        max_cost=bench.cap_of(run_plan, chosen, job.cap, shard),
    )  # fmt: skip
    reason, _, found = bench.execute(folder, run_plan, chosen, how, Console(file=io.StringIO()))
    counts = bench.shard_counts(found or results.index(folder, run_plan, shard.writer), run_plan, shard)
    return Ended(bench.shard_exit_code(counts.values(), 0, reason, job.min_coverage), bench.counts_text(counts))


def _check_worker(run_plan: Plan) -> None:
    """Raises UsageError where this machine would ask otherwise, or cannot ask."""
    if run_plan.harness_version != __version__:
        raise UsageError(
            f"the run was planned by lmmbench {run_plan.harness_version} and this worker has {__version__}; install the same"
        )
    for model_id, planned in run_plan.models.items():
        if reason := config.missing(planned.model.endpoint, planned.endpoint):
            raise UsageError(
                f"the model {model_id!r} cannot be asked from this worker: {reason} where the worker starts"
            )


def _is_set(event: Event) -> bool:
    """Whether the run was stopped; a worker that cannot reach its scheduler stops too, since nobody waits for it."""
    try:
        return bool(event.is_set())
    except (OSError, RuntimeError, TimeoutError):
        return True


# --- where the run was started -----------------------------------------------------------------------


def connect(address: str) -> Client:
    """Raises UsageError: 2 without dask, 4 when no scheduler answers there."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise UsageError(f"--dask needs dask, which is not installed; run: {INSTALL}") from None
    try:
        logging.getLogger("distributed.client").setLevel(
            logging.CRITICAL
        )  # what goes wrong is said by us, in one sentence
        return Client(address, timeout=CONNECT_S, name="lmmbench")
    except (OSError, ValueError, TypeError) as e:
        raise UsageError(
            f"no Dask scheduler answers at {address} ({e.__class__.__name__}); start one with: dask scheduler, or correct --dask",
            exit_code=4,
        ) from None


def workers(client: Client) -> list[str]:
    """Addresses of the workers. Raises UsageError when there is none."""
    found = sorted(client.scheduler_info(n_workers=-1)["workers"])
    if not found:
        raise UsageError("the Dask cluster has no worker yet; start some, or say with --shards how many parts to make")
    return found


def launch(
    client: Client, jobs: list[Job], say: Callable[[str], None], alone_s: float = ALONE_S
) -> tuple[dict[str, Ended], int]:
    """Carry out the shards on the cluster. Returns how each ended, and the signal that stopped the run, or 0. Shards that
    are not among them were not waited for: after a signal, or after `alone_s` seconds without any worker."""
    from distributed import Event

    stop = Event(jobs[0].stop, client=client)
    count = _answers(Path(jobs[0].folder))
    running = dict(_submitted(client, jobs))
    ended: dict[str, Ended] = {}
    alone = _Alone(client, say, alone_s)
    with _signals() as caught:
        shown, until = time.monotonic(), float("inf")
        while running and len(caught) < 2 and time.monotonic() < until and not alone.too_long():
            if caught and until == float("inf"):
                until = time.monotonic() + LEAVE_S
                _within(stop.set)
                say("stopping: asks on the wire may end; once more to leave at once")
            for name in _done(running):
                ended[name] = _result(running.pop(name))
                say(f"shard {name}: {ended[name].text}")
            if time.monotonic() - shown >= PROGRESS_S:
                shown = time.monotonic()
                say(f"{next(count):,} answers so far")
    if running:  # whoever comes too late would ask without anybody who waits for it
        _within(stop.set)
        _within(lambda: client.cancel(list(running.values())))
    else:
        _within(stop.clear)  # and the scheduler forgets it
    return ended, caught[0] if caught else 0


class _Alone:
    """Watches for a cluster that has lost all its workers: Dask itself waits for new ones for ever."""

    def __init__(self, client: Client, say: Callable[[str], None], most_s: float) -> None:
        self._client, self._say, self._most_s = client, say, most_s
        self._seen = self._looked = time.monotonic()

    def too_long(self) -> bool:
        """Whether there has been none for so long. Looked at once a second; the first time is said."""
        now = time.monotonic()
        if now - self._looked >= min(LOOK_S, self._most_s):
            self._looked, said = now, self._seen < self._looked
            if _any_worker(self._client):
                self._seen = now
            elif not said:
                self._say(f"the cluster has no worker; waiting {self._most_s:g} s for one")
        return now - self._seen >= self._most_s


def _any_worker(client: Client) -> bool:
    """A scheduler that does not answer has none for us."""
    return bool(_within(lambda: client.scheduler_info(n_workers=-1).get("workers")))


T = TypeVar("T")


def _within(call: Callable[[], T]) -> T | None:
    """What a call to the scheduler returns; None where it fails, or has not answered after ANSWER_S."""
    answer: list[T] = []

    def ask() -> None:
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            answer.append(call())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    return answer[0] if answer else None


def _done(running: dict[str, Future]) -> list[str]:
    """Who has ended within the next moment."""
    from distributed import CancelledError, wait

    with contextlib.suppress(TimeoutError, CancelledError):
        wait(list(running.values()), timeout=0.2, return_when="FIRST_COMPLETED")
    return [name for name, future in running.items() if future.done()]


def _submitted(client: Client, jobs: list[Job]) -> Iterator[tuple[str, Future]]:
    """Each shard as one task that the engine does not retry. On any worker: a task that prefers one is never run where
    that one and all others are away for a moment."""
    for job in jobs:
        name = f"lmmbench-{Path(job.folder).name}-{job.shard}-{secrets.token_hex(4)}"
        yield job.shard, client.submit(work, asdict(job), key=name, pure=False, retries=0)


def _result(future: Future) -> Ended:
    """A worker that died too often, or has no lmmbench, is an end too."""
    if future.cancelled():
        return Ended(70, "the scheduler dropped it, or is gone; look at the cluster, then resume the run there")
    if error := future.exception():
        return Ended(70, f"{error.__class__.__name__}: {error}")
    return Ended(**future.result())


def _answers(folder: Path) -> Iterator[int]:
    """How many answers the journals hold, again and again; each time only what is new is read."""
    read: dict[Path, int] = {}
    total = 0
    while True:
        for path in (folder / "journal").glob("*.jsonl"):
            with path.open("rb") as f:
                f.seek(read.get(path, 0))
                for line in f:
                    if line.endswith(b"\n"):
                        total += line.startswith(b'{"t":"done"')
                        read[path] = read.get(path, 0) + len(line)
        yield total


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that ask this process to stop are noted instead, in the list that is given."""
    caught: list[int] = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), lambda number, _: caught.append(number)) for name in names}
    try:
        yield caught
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
