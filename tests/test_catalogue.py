"""What can go wrong, one line each: faults on the wire as a server really does them, in every dialect; the rest by name.

A line on the wire is a run of three questions, the first of which meets the fault, by a model of each dialect at once.
Its row in the results, and the requests that the server counted, are what the line says.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lmmbench import providers, runner
from lmmbench.net.http import MAX_BODY
from lmmbench.types import SCORED, Reply, Request
from tests.fake_server import _SPOKEN, RIGHT, Answer, Exchange, FakeServer, openai
from tests.kit import Ran, journal_of, manifest_of, names_of_tests, providers_yaml, rows_of, run_here, write_pack

DIALECTS = {"sim-a": "openai-chat", "sim-g": "gemini", "sim-c": "clova", "sim-h": "anthropic"}
ENDS = {"sim-a": ("length", "content_filter"), "sim-g": ("MAX_TOKENS", "SAFETY"), "sim-c": ("length", "content_filter"), "sim-h": ("max_tokens", "refusal")}  # fmt: skip
"""How each dialect says that an answer was cut off, and that it was withheld."""


def body(x: Exchange, text: str = RIGHT, **more: Any) -> dict[str, Any]:
    """A whole reply in the dialect that was spoken."""
    spoken = next((plain for part, (plain, _) in _SPOKEN.items() if part in x.path), openai)
    return spoken(text, model=x.model, **more)


def error(code: str, message: str = "told", **more: Any) -> dict[str, Any]:
    """An error as most vendors write it."""
    return {"error": {"code": code, "type": code, "message": message, **more}}


@dataclass(frozen=True, slots=True)
class Line:
    """A fault: what the server does (`once`: to the first request only), and what the row says then."""

    number: int
    title: str
    does: Answer | Callable[[Exchange], Answer]
    status: str = "ok"
    kind: str | None = None
    sends: int = 1
    once: bool = False
    wait_s: float = 0.0
    stops: bool = False
    billed: bool | None = None

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


def again(number: int, title: str, does: Answer, *, wait_s: float = 0.0) -> Line:
    """A fault that is over at the second request: the question is answered with two sends."""
    return Line(number, title, does, sends=2, once=True, wait_s=wait_s)


def limited(**headers: str) -> Answer:
    return Answer(
        status=429, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=error("rate_limit_exceeded")
    )


NOW = datetime.now(UTC).replace(microsecond=0)
SOON = {
    "Date": format_datetime(NOW, usegmt=True),
    "Retry-After": format_datetime(NOW + timedelta(seconds=1), usegmt=True),
}
PAST = {"Date": format_datetime(NOW, usegmt=True), "Retry-After": format_datetime(NOW - timedelta(days=1), usegmt=True)}
NESTED = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BOMB = gzip.compress(bytes(2**24), 9) * 4  # 64 MiB in 64 KB

LINES = [
    again(1, "429 with a delay", limited(Retry_After="0.2"), wait_s=0.2),
    again(2, "429 until a date of the server's own clock", Answer(status=429, headers=SOON), wait_s=1.0),
    again(2, "429 until a date that is past", Answer(status=429, headers=PAST)),
    *(again(3, f"429 with the delay {said!r}", limited(Retry_After=said)) for said in ("", "-5", "soon", "2026-11-22", "nan")),
    Line(3, "429 with an endless delay", limited(Retry_After="1e11"), "error", "quota", stops=True),
    again(4, "429 with milliseconds", limited(retry_after_ms="150"), wait_s=0.15),
    again(4, "429 with the limit's reset", limited(x_ratelimit_reset_requests="150ms", x_ratelimit_remaining_requests="0"), wait_s=0.15),
    again(4, "429 with Google's RetryInfo", Answer(status=429, body={"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "0.15s"}]}}), wait_s=0.15),
    again(5, "429 that says nothing", Answer(status=429)),
    Line(6, "429: no money", Answer(status=429, body=error("insufficient_quota")), "error", "quota", stops=True),
    Line(6, "429: a limit of 0", Answer(status=429, body={"error": {"status": "RESOURCE_EXHAUSTED", "message": "limit: 0, model: x"}}), "error", "quota", stops=True),
    Line(7, "429 until tomorrow", limited(Retry_After="86400"), "error", "quota", stops=True),
    Line(8, "402", Answer(status=402), "error", "quota", stops=True),
    Line(9, "500 for good", Answer(status=500), "error", "overload", sends=5),
    again(9, "500 once", Answer(status=500)),
    Line(10, "502 with a web page", Answer(status=502, body="<html>정답: A</html>"), "error", "overload", sends=5),
    again(11, "503 with a delay", Answer(status=503, headers={"Retry-After": "0.2"}), wait_s=0.2),
    again(12, "529", Answer(status=529, body=error("overloaded_error"))),
    again(12, "429 that is an overload", Answer(status=429, body=error("overloaded_error"))),
    *(again(13, str(status), Answer(status=status)) for status in (408, 409, 425)),
    Line(14, "400", Answer(status=400, body=error("invalid_request_error", "bad parameter")), "error", "request"),
    Line(15, "400: policy", Answer(status=400, body=error("content_policy_violation")), "refused", "policy"),
    Line(16, "400: too long", Answer(status=400, body=error("context_length_exceeded")), "error", "too_large"),
    Line(16, "413", Answer(status=413), "error", "too_large"),
    Line(18, "401", Answer(status=401), "error", "auth", stops=True),
    Line(19, "403", Answer(status=403), "error", "auth", stops=True),
    Line(20, "404", Answer(status=404, body=error("model_not_found")), "error", "config", stops=True),
    Line(21, "307", Answer(status=307, headers={"Location": "https://elsewhere.invalid/"}), "error", "config", stops=True),
    again(22, "200 with a rate limit inside", Answer(body=error("rate_limit_exceeded"))),
    Line(22, "200 with no money inside", Answer(body=error("insufficient_quota")), "error", "quota", stops=True),
    Line(23, "200 without a choice", Answer(body={"choices": [], "candidates": [], "content": []}), "invalid", "invalid", sends=2, billed=True),
    Line(24, "nothing said, cut by the cap", lambda x: Answer(body=body(x, "", finish=ENDS[x.model][0])), "truncated"),
    Line(25, "cut by the cap", lambda x: Answer(body=body(x, finish=ENDS[x.model][0])), "truncated"),
    Line(26, "withheld", lambda x: Answer(body=body(x, "", finish=ENDS[x.model][1])), "refused"),
    Line(28, "200 with nothing", Answer(body=b""), "invalid", "invalid", sends=2),
    Line(28, "204", Answer(status=204, body=b""), "invalid", "invalid", sends=2),
    Line(32, "reset before a byte", Answer(end="reset"), "error", "network", sends=5, billed=True),
    Line(33, "cut short of its length", Answer(end="cut"), "error", "network", sends=5, billed=True),
    Line(33, "cut inside a chunk", Answer(end="cut-chunked"), "error", "network", sends=5, billed=True),
    Line(34, "cut where nothing shows it", Answer(end="cut-close"), "invalid", "invalid", sends=2, billed=True),
    Line(35, "JSON and more", lambda x: Answer(body=json.dumps(body(x)) + "}"), "invalid", "invalid", sends=2),
    Line(36, "a body that drips", Answer(pieces=[b" ", 0.1] * 40), "error", "timeout", sends=2, billed=True),
    Line(37, "no answer ever", Answer(end="never"), "error", "timeout", sends=2, billed=True),
    Line(38, "more than a reply may have", Answer(body=b" " * (MAX_BODY + 1)), "invalid", "invalid", sends=2, billed=True),
    Line(39, "a bomb of gzip", Answer(body=BOMB, headers={"Content-Encoding": "gzip"}), "invalid", "invalid", sends=2, billed=True),
    Line(40, "gzip that is none", Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), "error", "network", sends=5),
    Line(41, "bytes that are no UTF-8", Answer(body=b'{"choices":"\xff"}'), "invalid", "invalid", sends=2),
    Line(42, "a web page", Answer(body="<html>log in, please", headers={"Content-Type": "text/html"}), "invalid", "page"),
    Line(42, "a network that wants a login", Answer(status=511, body="<html>log in, please"), "invalid", "page"),
    Line(43, "a byte order mark", lambda x: Answer(body=b"\xef\xbb\xbf" + json.dumps(body(x)).encode())),
    Line(44, "NaN and Infinity where nobody looks", lambda x: Answer(body=json.dumps({"odd": [float("nan"), float("inf")], **body(x)}).replace("Infinity", "-Infinity, 1e400"))),
    Line(45, "a number of 5,000 digits", lambda x: Answer(body=b'{"odd":' + b"9" * 5000 + b"," + json.dumps(body(x)).encode()[1:]), "invalid", "invalid", sends=2),
    Line(45, "brackets 100,000 deep", Answer(body=NESTED), "invalid", "invalid", sends=2),
    Line(47, "half a character", lambda x: Answer(body=json.dumps(body(x, "\ud800정답: A")).encode())),
    Line(48, "NUL, escapes, bidi", lambda x: Answer(body=json.dumps(body(x, "\x00\x1b]0;x\x07\u202e정답: A")))),
    Line(50, "no usage", lambda x: Answer(body={k: v for k, v in body(x).items() if k not in ("usage", "usageMetadata")})),
    Line(50, "usage that cannot be", lambda x: Answer(body=json.loads(json.dumps(body(x, usage=(10, 5))).replace(": 10", ": -1").replace(": 5", ": 1e300")))),
]  # fmt: skip


@contextmanager
def afflicted(home: Path, line: Line) -> Iterator[tuple[Ran, FakeServer]]:
    """A run whose first question meets the fault."""
    write_pack(home / "tasks" / "p", 3)

    def script(x: Exchange) -> Answer | None:
        if not x.question.startswith("q0000") or (line.once and x.nth > 1):
            return None
        return line.does(x) if callable(line.does) else line.does

    with FakeServer(script) as server:
        rows = {m: {"endpoint": api} for m, api in DIALECTS.items()}
        endpoints = {api: {"api": api} for api in DIALECTS.values()}
        timeout_s = 1.0 if line.kind == "timeout" else 20.0
        providers_yaml(home / "providers.yaml", server.url, rows, endpoints, concurrency=1, timeout_s=timeout_s)
        yield run_here(home, deadline_s=30, backoff_s=0.001), server


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_fault_on_the_wire(tmp_path: Path, line: Line) -> None:
    """Status and kind are those of the table; the server counted as many requests as the row says, none too early; a
    failure has no answer and no score; what the fault stops is asked no more, and nothing else is harmed."""
    with afflicted(tmp_path, line) as (ran, server):
        for model in DIALECTS:
            first, *others = sorted(rows_of(ran.folder, model), key=lambda r: r["item_id"])
            sent = [x for x in server.history if x.model == model and x.question.startswith("q0000")]
            assert (first["status"], first["error_kind"]) == (line.status, line.kind), (model, first["error"])
            assert (first["attempts"], len(sent)) == (line.sends, line.sends), model
            assert (first["score"] is None) == (line.status not in SCORED)
            assert (first["answer"] is None) == (line.status not in SCORED or line.kind == "policy")
            assert line.billed is None or first["maybe_billed"] == line.billed
            assert all(later.at - earlier.at >= line.wait_s for earlier, later in pairwise(sent))
            assert {r["status"] for r in others} == ({"skipped"} if line.stops else {"ok"}), model
            assert bool(manifest_of(ran.folder)["models"][model]["stopped"]) == line.stops
        assert ran.stop_reason == ""


def test_headers_that_drip_meet_the_deadline(tmp_path: Path) -> None:
    """36: a byte of a header now and then does not put off the end of an ask."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _n in range(200):
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.02)

    row = told_by(tmp_path, drip, timeout_s=0.3)
    assert (row["status"], row["error_kind"], row["attempts"]) == ("error", "timeout", 2)


def test_a_connection_that_went_stale_is_tried_again(tmp_path: Path) -> None:
    """52: a server that closes a kept connection as the next request arrives: that question is sent once more, and both
    are answered."""
    asked: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        asked.append(head)
        data = json.dumps(openai(RIGHT)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
        await reader.read(1)  # the next request: nobody answers it
        writer.close()

    row = told_by(tmp_path, once, items=4)
    assert row["status"] == "ok"
    assert len(asked) == 4


def told_by(home: Path, serve: Any, items: int = 1, **endpoint: Any) -> dict[str, Any]:
    """The last row of a run that asks a server of sockets and bytes."""
    import threading

    write_pack(home / "tasks" / "p", items)
    loop, port = asyncio.new_event_loop(), [0]
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port[0] = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait(10)
    try:
        providers_yaml(home / "providers.yaml", f"http://127.0.0.1:{port[0]}", **{"concurrency": 1, **endpoint})
        ran = run_here(home, deadline_s=20, backoff_s=0.001)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
    return rows_of(ran.folder)[-1]


# --- inside ------------------------------------------------------------------------------------------


class Odd:
    """A provider of somebody else's that does what it is told."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does

    def unsupported(self, request: Request) -> str:
        return ""

    async def ask(self, request: Request) -> Reply:
        done: Reply = self._does() if request.item.id == "q0000" else Reply(RIGHT, "stop")
        return done

    async def close(self) -> None:
        """Nothing is open."""


def raises(error: Exception) -> Callable[[], Any]:
    def does() -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    "does",
    [raises(ValueError("odd")), raises(ExceptionGroup("g", [OSError()])), raises(RecursionError()), raises(MemoryError()), lambda: None, lambda: "정답: A", lambda: {"text": "정답: A"}],
    ids=["ValueError", "group", "recursion", "memory", "None", "text", "dict"],
)  # fmt: skip
def test_what_a_provider_does_wrong_costs_its_own_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any]
) -> None:
    """54, 55: an exception of any kind, or something that is no Reply, is `adapter` for this question; the run goes on."""
    monkeypatch.setattr(providers, "make", lambda *_: Odd(does))
    write_pack(tmp_path / "tasks" / "p", 3)
    providers_yaml(
        tmp_path / "providers.yaml",
        "http://127.0.0.1:9",
        {"sim-a": {"endpoint": "here"}},
        {"here": {"api": "baseline"}},
    )
    ran = run_here(tmp_path, min_coverage=0.5)
    assert [(r["status"], r["error_kind"], r["score"] is None) for r in rows_of(ran.folder)] == [
        ("error", "adapter", True), ("ok", None, False), ("ok", None, False),
    ]  # fmt: skip


class Jumping:
    """A wall clock that is set a day forth or back each time somebody looks at it."""

    looked = 0

    @classmethod
    def now(cls, zone: Any = None) -> datetime:
        cls.looked += 1
        return datetime.now(zone) + timedelta(days=(-1) ** cls.looked * cls.looked)


def test_a_clock_that_jumps_changes_no_wait_and_no_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """53: waits, deadlines and latencies are measured by a clock that nobody sets; the wall clock is only written down.
    A run over days that come and go asks everything once, waits as long as it was told, and is published."""
    monkeypatch.setattr(runner, "datetime", Jumping)
    monkeypatch.setattr("time.time", lambda: 1e9 * (Jumping.looked % 7))
    write_pack(tmp_path / "tasks" / "p", 12)
    with FakeServer(lambda x: limited(Retry_After="0.2") if x.number == 3 else None) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=2)
        ran = run_here(tmp_path, deadline_s=20)
        assert (ran.code, ran.stop_reason, len(server.history)) == (0, "", 13)
        times = [x.at for x in server.history]
        assert 0.2 <= times[-1] - times[0] < 10
    assert Jumping.looked > 24
    assert all(0 <= r["latency_s"] < 5 and 0 <= r["queue_s"] < 5 for r in rows_of(ran.folder))
    days = [r["at"] for r in journal_of(ran.folder) if "at" in r]
    assert days != sorted(days), "the clock did jump"


# --- elsewhere ---------------------------------------------------------------------------------------

ELSEWHERE: dict[int, tuple[str, tuple[str, ...]]] = {
    14: ("a row that every request refuses", ("test_runner.py::test_three_refused_requests_in_a_row_stop_the_model",)),
    17: ("a parameter that the model does not know", ("test_providers.py::test_what_a_model_refuses_is_left_out_and_recorded",)),
    27: ("another model answered", ("test_alarms.py::test_another_model_is_shown_as_another", "test_alarms.py::test_a_change_in_mid_run_is_an_alarm")),
    29: ("no such host", ("test_net.py::test_a_host_without_an_address_is_unreachable",)),
    30: ("nobody listens", ("test_runner.py::test_a_dead_server_stops_its_endpoint_only",)),
    31: ("a certificate that is not trusted", ("test_net.py::test_a_certificate_that_the_system_does_not_trust_stops_the_model",)),
    47: ("half a character in a file", ("test_results.py::test_a_lone_surrogate_beside_the_answer_can_be_stored",)),
    49: ("a stream that breaks", ("test_streams.py::test_half_a_stream_is_never_an_answer", "test_streams.py::test_an_error_in_mid_stream_is_read_like_any_other")),
    56: ("kill -9", ("test_runner.py::test_kill_9_loses_no_answer_and_bills_few_twice",)),
    57: ("a power cut", ("test_power.py::test_a_power_cut_breaks_no_promise", "test_power.py::test_a_power_cut_while_recovering_breaks_no_promise")),
    58: ("signals", ("test_runner.py::test_a_signal_publishes_what_was_answered_and_resume_finishes", "test_runner.py::test_a_second_signal_waits_for_nobody", "test_runner.py::test_a_closed_terminal_publishes_what_was_answered")),
    59: ("the system takes the process for its memory: as kill -9", ("test_runner.py::test_kill_9_loses_no_answer_and_bills_few_twice",)),
    60: ("a full disk", ("test_disk.py::test_a_full_disk_at_any_call_loses_nothing",)),
    61: ("a failing sync", ("test_journal.py::test_nothing_is_written_after_a_failed_fsync", "test_disk.py::test_one_failing_call_loses_nothing")),
    62: ("a folder that cannot be written", ("test_cli.py::test_results_that_cannot_be_written_are_found_before_anything_is_asked",)),
    63: ("two processes, one run", ("test_runner.py::test_a_running_run_is_busy", "test_journal.py::test_whoever_publishes_is_alone")),
    64: ("two runs in a second", ("test_catalogue.py::test_runs_of_one_second_have_names_of_their_own",)),
    66: ("damage in the journal", ("test_journal.py::test_a_torn_tail_is_cut_on_opening", "test_journal.py::test_damaged_records_are_counted_and_asked_again")),
    67: ("a run of a later version", ("test_cli.py::test_what_is_no_run_is_refused",)),
    68: ("a reader on Windows", ("test_disk.py::test_a_reader_on_windows_is_waited_for",)),
    69: ("names that are no file names", ("test_catalogue.py::test_a_name_that_is_no_file_name_is_refused",)),
    70: ("Hangul in pieces (NFD)", ("test_packs.py::test_a_bad_item_is_refused_with_file_and_line",)),
    71: ("a terminal without Hangul", ("test_cli.py::test_a_terminal_that_cannot_print_hangul_gets_no_traceback",)),
    72: ("ids that are missing or stand twice", ("test_packs.py::test_a_bad_item_is_refused_with_file_and_line",)),
    73: ("a pack that was changed", ("test_packs.py::test_a_changed_file_is_refused",)),
    74: ("a media file that is missing or cut", ("test_media.py::test_a_bad_file_is_refused_in_one_sentence",)),
    75: ("a picture that unpacks to too much: none is unpacked here", ("test_media.py::test_no_bytes_break_the_check", "test_media.py::test_a_file_is_what_its_mime_says")),
    76: ("a path out of the pack", ("test_security.py::test_no_path_leaves_the_pack",)),
    77: ("a URL in a pack", ("test_security.py::test_no_url_is_fetched_from_a_pack",)),
    78: ("an archive with paths of its own", ("test_archive.py::test_nothing_leaves_the_runs_folder", "test_archive.py::test_more_than_a_run_holds_is_refused")),
    79: ("YAML that is more than data, or that means something else", ("test_security.py::test_yaml_is_data", "test_cli.py::test_a_text_that_yaml_could_misread_is_kept_where_it_is_quoted")),
    80: ("a misspelled key", ("test_cli.py::test_a_mistake_in_providers_yaml_is_found_before_anything_is_sent",)),
    81: ("braces in an item", ("test_packs.py::test_inserted_text_is_never_evaluated_nor_expanded_again",)),
    82: ("an answer in one of its many forms", ("test_golden.py::*", "test_extract.py::*")),
    83: ("several answers, or none", ("test_extract.py::*",)),
    84: ("an answer without end", ("test_catalogue.py::test_a_fault_on_the_wire", "test_security.py::test_no_answer_holds_a_scorer_up")),
    85: ("a pattern that never ends", ("test_security.py::test_no_answer_holds_a_scorer_up",)),
    86: ("a scorer that fails", ("test_results.py::test_a_scorer_that_fails_costs_no_answer",)),
    89: ("an answer that acts where it is shown", ("test_report.py::test_a_hostile_answer_does_nothing", "test_security.py::test_nothing_acts_on_the_terminal", "test_matrix.py::test_csv_is_read_by_spreadsheets")),
    90: ("a key thrown back", ("test_canary.py::test_a_key_stands_in_no_file_and_no_output",)),
    91: ("nothing but errors", ("test_cli.py::test_the_last_line_is_the_run_also_when_it_failed",)),
    92: ("no question left", ("test_catalogue.py::test_a_filter_that_leaves_no_question_is_refused",)),
    93: ("a price that is not known", ("test_cli.py::test_a_price_that_is_not_known_needs_consent",)),
    94: ("no money left in mid-run", ("test_runner.py::test_the_cap_holds_when_answers_cost_more_than_the_worst_case",)),
    95: ("a baseline of another kind", ("test_gate.py::*",)),
}  # fmt: skip
"""What is no matter of the wire, or was tested where it belongs."""

NOT_HERE = {
    46: "keys that stand twice in a verdict: no model judges here, and of an answer's keys the last counts, as everywhere",
    51: "batches: no batch API is used",
    65: "folders that are shared or synced: locks and syncs are as good as that file system's",
    87: "a judge that fails: no model judges here",
    88: "an answer that speaks to the judge: no model judges here",
}  # fmt: skip


def test_every_line_of_the_catalogue_is_held_or_excused() -> None:
    """All 95: on the wire above, inside above, by a test of that name elsewhere, or with the reason why not."""
    inside = {36, 52, 53, 54, 55}
    assert {line.number for line in LINES} | inside | set(ELSEWHERE) | set(NOT_HERE) == set(range(1, 96))
    assert not set(NOT_HERE) & (set(ELSEWHERE) | {line.number for line in LINES})
    there = names_of_tests()
    files = {name.partition("::")[0] + "::*" for name in there}
    assert [name for _, names in ELSEWHERE.values() for name in names if name not in there | files] == []


def test_runs_of_one_second_have_names_of_their_own() -> None:
    """64: two runs that begin in the same second are two runs."""
    from lmmbench import plan

    assert len({plan.new_run_id(NOW) for _ in range(200)}) > 195


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "com1", "a:b", "a|b", "a/b", "..", ".hidden", "x" * 65, "끝", "a.", ""]
)
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    """69: what some system cannot write as a file's name is no id."""
    from lmmbench import config
    from lmmbench.faults import UsageError

    with pytest.raises(UsageError):
        config.check_id(name, "model")


def test_a_filter_that_leaves_no_question_is_refused(tmp_path: Path) -> None:
    """92: exit 2 before anything is sent, and no folder."""
    from tests.kit import lmmbench

    write_pack(tmp_path / "tasks" / "p", 3)
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url)
        done = lmmbench("run", "--tasks", "p", "--min-attestation", "page", cwd=tmp_path)
        assert (done.returncode, server.history) == (2, [])
        assert "loosen --min-attestation" in done.stderr
        assert not (tmp_path / "results").exists()
