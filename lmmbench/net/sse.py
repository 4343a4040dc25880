"""Server-sent events: bytes in, events out, by the rules of the HTML standard (9.2.6, interpreting an event stream).

Our own, because the packages at hand read whole responses of a blocking client, or hand out an event that the end of
the connection cut in two.
"""

from __future__ import annotations

from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined by line breaks, and its name."""

    data: str
    name: str = "message"


class Parser:
    """Feed it a stream's bytes as they come, split anywhere; it gives each event once its blank line is there. An event
    without one, at the end, was cut and is never given. Comments, `id` and `retry` are passed over."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._first = True
        self._after_cr = False
        self._data: list[str] = []
        self._name = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete. Lines end with CR, LF or CRLF; a CRLF may be split between chunks."""
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events = []
        for piece in ended:
            line, self._line = b"".join((*self._line, piece)), []
            if event := self._take(line):
                events.append(event)
        self._line.append(rest)
        return events

    def _take(self, line: bytes) -> Event | None:
        if self._first:
            self._first, line = False, line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        # a line's bytes are whole here, so that no character is ever cut
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._name or "message"
        self._data, self._name = [], ""
        return Event("\n".join(data), name) if data else None
