"""A run that is published while it is asked: a process of its own grades each answer soon after it is recorded.

Where answers come quickly, asking takes the whole of a processor, and grading a third of what asking takes. Python does
one thing at a time in a process, so a thread would only take that from the asks. The process is forked before the first
socket is opened, and only while nothing else runs in this one: what is loaded is shared with it. It reads the journal as
anybody may, owns no lock and no connection, and until it is told that it may publish it changes no file that anybody
reads but items.parquet. It ends with the process that it was forked from, however that ends. Where it cannot be forked
(other systems than Linux, threads), or fails, the run is published afterwards: by the same code, to the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, NoReturn

from lmmbench import bench, config, results, shards
from lmmbench import journal as journals
from lmmbench.bench import Published
from lmmbench.packs import Pack
from lmmbench.plan import Plan
from lmmbench.results import ANSWERED

BEGIN, OVER, PUBLISH = b"b", b"o", b"p"
"""Orders: answers are coming; nothing more will come; the journals' locks are held, so that files may take their
places."""
LOOK_S = 0.02
"""How often the journal is looked at while an answer is awaited."""
MOST_ASKS = 500_000
"""Of larger runs a second process would hold too much: of a million asks 661 MB with the first one, which alone held 531."""
_PR_SET_PDEATHSIG = 1  # prctl(2)
Over = Callable[[float | None], bool]
"""Waits so many seconds (None: for ever) for word that nothing more will be written, and says whether it has come."""


class Unfinished(Exception):
    """The process has not published; the text says why."""


class Follower:
    """The index of one journal that is still written (results.Live)."""

    def __init__(self, plan: Plan, journal: Path, over: Over, allowed: Callable[[], object]) -> None:
        self.index = results.no_records(plan)
        self.index.journals[journal] = 0
        self._plan = plan
        self._journal = journal
        self._over = over
        self._allowed = allowed
        self._file: IO[bytes] | None = None
        self._read = 0
        self._whole = False
        self._settled = dict.fromkeys(plan.models, 0)
        """Asks of each model, from its first on, that are answered."""

    def choose(self, models: Sequence[str]) -> str:
        """The first that is answered, or the only one: its rows are written as they come."""
        while len(models) > 1 and not self._whole:
            for model_id in models:
                if self._answered(model_id, self._plan.asks):
                    return model_id
            self._follow(LOOK_S)
        return models[0]

    def settle(self, model_id: str, stop: int) -> None:
        while not self._whole and not self._answered(model_id, stop):
            self._follow(LOOK_S)

    def end(self) -> None:
        while not self._whole:
            self._follow(None)
        self._allowed()
        if self._journal.stat().st_size != self._read:
            raise RuntimeError("somebody wrote to the journal before its locks were held")

    def _answered(self, model_id: str, stop: int) -> bool:
        """What is answered stays so; a failure may still become an answer."""
        status, at = self.index.outcomes[model_id].status, self._settled[model_id]
        while at < stop and status[at] >= ANSWERED:
            at += 1
        self._settled[model_id] = at
        return at >= stop

    def _follow(self, seconds: float | None) -> None:
        """Wait so long, then read the whole lines that have come."""
        over = self._over(seconds)
        self._file = self._file or self._journal.open("rb")
        self._file.seek(self._read)
        for line in self._file:
            if not line.endswith(b"\n"):  # still on its way
                break
            record = journals.parse(line, texts=False)
            results.note(self.index, self._plan, self._journal, self._read, record)
            self._read += len(line)
        self._whole = over


class Publisher:
    """The process, as whoever forked it sees it."""

    def __init__(self, pid: int, orders: int, told: int) -> None:
        self._pid, self._orders, self._told = pid, orders, told

    def begin(self) -> None:
        """The first answer is there."""
        self._order(BEGIN)

    def over(self) -> None:
        """Nothing more will be written."""
        self._order(OVER)
        _come_back(self._pid)

    def finish(self) -> Published:
        """What it publishes, after `over`. The caller has the journals' locks. Raises Unfinished, and then it writes
        nothing more."""
        self._order(PUBLISH)
        try:
            with os.fdopen(os.dup(self._told), "rb") as f:
                told = json.loads(f.read())
        except ValueError:
            raise Unfinished("killed") from None
        if "failed" in told:
            raise Unfinished(told["failed"])
        counts = {model_id: Counter(counted) for model_id, counted in told["counts"].items()}
        return Published(told["cells"], counts, told["manifest"], tuple(told["warnings"]))

    def _order(self, word: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is gone, and tells nothing
            os.write(self._orders, word)

    def stop(self) -> None:
        """End it, whatever it does; what it has published stays."""
        os.close(self._orders)
        os.close(self._told)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@contextlib.contextmanager
def beside(folder: Path, run_plan: Plan, chosen: list[Pack], how: bench.Execution) -> Iterator[Publisher | None]:
    """A process that publishes the run while it is asked, None where there can be none. It is ended with the context."""
    wanted = not how.shard and run_plan.asks * len(run_plan.models) <= MOST_ASKS
    publisher = _fork(partial(_publish, folder, run_plan, chosen)) if wanted and _may_fork(folder, run_plan) else None
    try:
        yield publisher
    finally:
        if publisher:
            publisher.stop()


def _may_fork(folder: Path, run_plan: Plan) -> bool:
    """Only a process with a single thread, of Python's or of a library's, can be forked without danger, and only one
    that is told how its children end has them to itself."""
    try:
        alone = sys.platform == "linux" and sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    except OSError:
        return False
    one_journal = {path.stem for path in (folder / "journal").glob("*.jsonl")} <= {shards.MAIN} and not run_plan.shards
    return alone and one_journal and signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def _fork(publish: Callable[[Over], Published]) -> Publisher | None:
    """None where the system refuses another process."""
    ordered, orders = os.pipe()
    told, telling = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        for end in (ordered, orders, told, telling):
            os.close(end)
        return None
    if pid == 0:
        os.close(orders)
        os.close(told)
        _live(parent, ordered, telling, publish)
    os.close(ordered)
    os.close(telling)
    return Publisher(pid, orders, told)


def _come_back(pid: int) -> None:
    """A process that stood aside is one like all others again, with all its threads: they began where it was."""
    with contextlib.suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.sched_getscheduler(0), os.sched_param(0))


# --- in the process ----------------------------------------------------------------------------------


def _live(parent: int, ordered: int, telling: int, publish: Callable[[Over], Published]) -> NoReturn:
    """All that the process does."""
    try:
        _end_with(parent)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # whoever forked it decides
        _step_aside()
        with os.fdopen(telling, "wb") as f:
            f.write(_outcome(publish, partial(_is_over, ordered)).encode())
    finally:
        os._exit(0)  # nothing that the other process would do at its end may be done here


def _end_with(parent: int) -> None:
    """The kernel kills this process when its parent ends."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        os._exit(0)


def _step_aside() -> None:
    """Leave the processors to all that want them, until `_come_back`. Not where the kernel would let nobody come back
    (sched(7): that takes CAP_SYS_NICE, or RLIMIT_NICE): a thread of its own tries it first."""
    came_back = threading.Event()

    def attempt() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            came_back.set()

    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    if came_back.is_set():
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _outcome(publish: Callable[[Over], Published], over: Over) -> str:
    """What `Publisher.finish` reads, as JSON."""
    try:
        told = publish(over)
        return json.dumps({field.name: getattr(told, field.name) for field in fields(told)})
    except Exception as e:
        return json.dumps({"failed": f"{e.__class__.__name__}: {e}"})


def _publish(folder: Path, run_plan: Plan, chosen: list[Pack], over: Over) -> Published:
    over(None)  # BEGIN: before the first answer it would only hold up the first asks
    for planned in run_plan.models.values():
        config.key(planned.model.endpoint, planned.endpoint)  # what is written here is to lose them too
    bench.prepare(folder, run_plan, chosen)
    live = Follower(run_plan, folder / "journal" / f"{shards.MAIN}.jsonl", over, partial(over, None))
    return bench.publish(folder, run_plan, chosen, None, live=live)


def _is_over(ordered: int, seconds: float | None) -> bool:
    """Wait for the next order, so long at most. Whether it is OVER."""
    ready, _, _ = select.select([ordered], [], [], seconds)
    word = os.read(ordered, 1) if ready else BEGIN
    if not word:
        os._exit(0)
    return word == OVER
