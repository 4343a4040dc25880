"""Long work shows itself: a live table on a terminal, plain lines elsewhere, both on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from lmmbench import config
from lmmbench.runner import Lane
from lmmbench.terminal import shown_as, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

LIVE_S = 0.5
PLAIN_S = 10.0
NEWS_S = 1.0
"""How often it is looked for what is said at once where lines are plain: an alarm, an endpoint that waits."""
LONG_S = 5.0
"""A wait of fewer seconds is no news."""
NOTE_CELLS = 28
"""Room that the table leaves at least for `waiting 40 s for deepseek`; with less, lines are shown instead."""


def errors(lane: Lane) -> int:
    return lane.statuses["error"] + lane.statuses["invalid"]


def waiting(lane: Lane, now: float) -> str:
    """`waiting 40 s for deepseek`, a stop's reason, or nothing."""
    if lane.stopped:
        return visible(f"stopped: {lane.stopped}")
    wait = lane.gate.waiting_s(now)
    return f"waiting {wait:.0f} s for {lane.model.endpoint}" if wait >= 1 else visible(lane.last_error)


def at_once(lane: Lane) -> str:
    """`deepseek 7/16`: how many asks its endpoint has on the wire, and how many it may have now."""
    return f"{lane.model.endpoint} {lane.gate.in_flight}/{lane.gate.pace.limit}"


def rate_text(lane: Lane, elapsed: float) -> str:
    """Three figures at most, never an exponent."""
    value = rate(lane, elapsed)
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def rate(lane: Lane, elapsed: float) -> float:
    return sum(lane.statuses.values()) / elapsed if elapsed > 0 else 0.0


def money_text(lane: Lane) -> str:
    """What a keyed model has cost so far; nothing for one that costs nothing."""
    if not config.may_cost(lane.gate.endpoint):
        return ""
    return f"${lane.cost_usd:.4f}" if lane.cost_known else "cost unknown"


def line(lane: Lane, elapsed: float, now: float) -> str:
    """One plain line of a model's progress."""
    parts = [
        f"{lane.model_id} {lane.done}/{lane.planned}", f"{rate_text(lane, elapsed)}/s", f"in flight at {at_once(lane)}",
        f"errors {errors(lane)}", f"retries {lane.retries}", money_text(lane), waiting(lane, now),
    ]  # fmt: skip
    return " · ".join(p for p in parts if p)


HEADINGS = ("model", "done", "per s", "in flight", "errors", "retries", "cost", "")


def _cells(lane: Lane, elapsed: float, now: float) -> tuple[str, ...]:
    return (
        lane.model_id, f"{lane.done}/{lane.planned}", rate_text(lane, elapsed), at_once(lane), str(errors(lane)),
        str(lane.retries), money_text(lane), waiting(lane, now)[:60],
    )  # fmt: skip


def screen(lanes: list[Lane], elapsed: float, now: float, console: Console) -> Table | Text:
    """What a terminal shows: a table, or a line for each model where that would be wider than the terminal."""
    from rich.text import Text

    rows = [_cells(lane, elapsed, now) for lane in lanes]
    *widths, _ = (max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True))
    title = f"{elapsed:.0f} s"
    if sum(widths) + NOTE_CELLS + 3 * len(HEADINGS) + 1 <= console.width:
        return _table(title, [(*figures, shown_as(note, console.encoding)) for *figures, note in rows])
    text = "\n".join([title, *(line(lane, elapsed, now) for lane in lanes)])
    return Text(shown_as(text, console.encoding), overflow="fold")


def _table(title: str, rows: list[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left")
    for name in HEADINGS:
        shown.add_column(
            name, justify="left" if name in ("model", "") else "right", no_wrap=name != "", overflow="fold"
        )
    for *figures, note in rows:
        shown.add_row(*figures, Text(note, overflow="fold"))  # a vendor's words are no markup
    return shown


def tell_alarms(lanes: list[Lane], told: Counter[str], console: Console) -> None:
    """Print the alarms that sounded since the last time; `told` counts those of each model."""
    for lane in lanes:
        for text in lane.alarms[told[lane.model_id] :]:
            console.print(visible(f"alarm: {lane.model_id}: {text}"), markup=False, highlight=False, soft_wrap=True)
            told[lane.model_id] += 1


async def watch(lanes: list[Lane], console: Console, *, live: bool) -> None:
    """Show progress until cancelled."""
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    told: Counter[str] = Counter()
    if live:
        from rich.live import Live

        with Live(screen(lanes, 0, loop.time(), console), console=console, transient=True, auto_refresh=False) as shown:

            def show() -> None:
                tell_alarms(lanes, told, console)
                shown.update(screen(lanes, time.monotonic() - started, loop.time(), console), refresh=True)

            await _every(LIVE_S, show)
    else:
        said: dict[str, str] = {}
        waits: set[str] = set()

        def show_line(lane: Lane) -> None:
            text = line(lane, time.monotonic() - started, loop.time())
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            said[lane.model_id] = f"{lane.done}{waiting(lane, loop.time())}"

        def news() -> None:
            tell_alarms(lanes, told, console)
            for lane in newly_waiting(lanes, waits, loop.time()):
                show_line(lane)

        def say() -> None:
            for lane in lanes:
                if said.get(lane.model_id) != f"{lane.done}{waiting(lane, loop.time())}":
                    show_line(lane)

        await asyncio.gather(_every(NEWS_S, news), _every(PLAIN_S, say))


def newly_waiting(lanes: list[Lane], waits: set[str], now: float) -> list[Lane]:
    """The models whose endpoint began a long wait since the last time; `waits` holds those that wait."""
    found = [lane for lane in lanes if lane.gate.waiting_s(now) >= LONG_S and lane.model_id not in waits]
    waits.intersection_update(lane.model_id for lane in lanes if lane.gate.waiting_s(now) > 0)
    waits.update(lane.model_id for lane in found)
    return [lane for lane in found if not lane.stopped]


async def _every(seconds: float, do: Callable[[], None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(seconds)
            do()
    do()
