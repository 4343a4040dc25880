"""Streams: any bytes become the same events however they are split, events fold into the plain reply, and over real
sockets nothing but a whole answer is an answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lmmbench
from lmmbench import plan
from lmmbench.faults import Fault
from lmmbench.net.http import Sender
from lmmbench.net.sse import Event, Parser
from lmmbench.providers import gemini, make, openai_chat
from lmmbench.providers.streams import STREAMS, Folded
from lmmbench.types import Call, Capabilities, Endpoint, Item, Model, Provenance, Reply, Request, Usage
from tests import kit
from tests.fake_server import Answer, FakeServer, anthropic_chunks, clova_chunks, gemini_chunks, openai_chunks, sse
from tests.fake_server import gemini as gemini_reply
from tests.fake_server import openai as openai_reply

ITEM = Item("q1", "s", "open", "c", {}, ("x",), Provenance("", "", "", (), "recall"))
ASK = Request("p", ITEM, 0, "답만 쓰십시오.", "알맞은 답은?", (), 64, 7, stream=True)
SIM = Model("sim", "sim-a", "Simulated", "Sim", "overseas")


# --- bytes into events -------------------------------------------------------------------------------


def parse(*chunks: bytes) -> list[Event]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


RULES: dict[str, tuple[bytes, list[Event]]] = {
    "three line ends": (b"data: a\n\ndata: b\r\n\r\ndata: c\r\r", [Event("a"), Event("b"), Event("c")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
    "a second mark is text": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("a")]),
    "one space is dropped": (b"data:a\n\ndata:  b\n\n", [Event("a"), Event(" b")]),
    "lines are joined": (b"data: a\ndata\ndata: b\n\n", [Event("a\n\nb")]),
    "a name holds for one event": (b"event: token\ndata: a\n\ndata: b\n\n", [Event("a", "token"), Event("b")]),
    "a name without data": (b"event: ping\n\ndata: a\n\n", [Event("a")]),
    "comments, blanks, id, retry": (b": keep-alive\n\n\n\nid: 7\nretry: 9\nx: y\ndata: a\n\n", [Event("a")]),
    "empty data": (b"data\n\ndata:\n\n", [Event(""), Event("")]),
    "a cut event is none": (b"data: a\n\ndata: b", [Event("a")]),
    "no blank line is no event": (b"data: a\n\ndata: b\n", [Event("a")]),
    "bad UTF-8": (b"data: \xff\xea\xb0\n\n", [Event("\ufffd\ufffd")]),
    "a colon in the data": (b'data: {"a": "b:c"}\n\n', [Event('{"a": "b:c"}')]),
    "JSON is no event": (b'{"error": {"message": "no"}}', []),
}


@pytest.mark.parametrize("name", RULES)
def test_the_standards_rules(name: str) -> None:
    """The HTML standard's event stream, rule by rule; also when it comes byte by byte."""
    given_bytes, events = RULES[name]
    assert parse(given_bytes) == events
    assert parse(*(given_bytes[n : n + 1] for n in range(len(given_bytes)))) == events


LINES = st.sampled_from(
    [b"data: \xea\xb0\x80\xeb\x82\x98", b"data", b": x", b"event: e", b"\xef\xbb\xbfdata: z", b"\xff", b""]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 200)))
@example([(b"data: \xea\xb0\x80", b"\r\n"), (b"", b"\r\n")], [7, 10, 12])
def test_any_split_gives_the_same_events(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """Where the bytes are cut, be it inside a character or between CR and LF, changes nothing."""
    whole = b"".join(line + end for line, end in lines)
    at = [0, *sorted(min(c, len(whole)) for c in cuts), len(whole)]
    assert parse(*(whole[a:b] for a, b in pairwise(at))) == parse(whole)


@given(st.binary())
def test_no_bytes_break_the_parser(data: bytes) -> None:
    """Every sequence of bytes is a stream of some events."""
    assert all(isinstance(event, Event) for event in parse(data))


# --- events into the plain reply ---------------------------------------------------------------------


def events(*chunks: Any) -> list[Event]:
    return parse(sse(chunks))


def fold(api: str, *chunks: Any) -> Folded:
    return STREAMS[api].fold(events(*chunks))


def delta(finish: str | None = None, **says: Any) -> dict[str, Any]:
    return {"model": "sim-a", "choices": [{"index": 0, "delta": says, "finish_reason": finish}]}


STOP = delta("stop")


@given(st.text(), st.sampled_from(["stop", "length", "content_filter"]))
def test_openai_streamed_and_plain_read_alike(said: str, finish: str) -> None:
    """The fold of any answer's stream is decoded to the reply of the same answer in one piece."""
    plain = openai_chat.decode(200, {}, json.dumps(openai_reply(said, finish=finish)).encode(), SIM)
    folded = fold("openai-chat", *openai_chunks(said, finish=finish))
    assert openai_chat.decode(200, {}, folded.body, SIM) == plain
    assert (folded.first is None) == (not plain.text)


@given(st.text(min_size=1))
def test_gemini_streamed_and_plain_read_alike(said: str) -> None:
    """Parts and counts of a Gemini stream come together as in its plain reply."""
    plain = gemini.decode(200, {}, json.dumps(gemini_reply(said)).encode(), SIM)
    folded = fold("gemini", *gemini_chunks(said))
    assert gemini.decode(200, {}, folded.body, SIM) == plain
    assert folded.first == 0


OPENAI: dict[str, tuple[list[Any], int | None, dict[str, Any]]] = {
    "role and empty deltas are no content": (
        [delta(role="assistant", content=""), delta(content=""), delta(content="가"), STOP], 2, {"text": "가"},
    ),
    "reasoning is no content": (
        [delta(reasoning_content="음"), delta(reasoning="흠"), delta(content="가"), STOP], 2,
        {"text": "가", "reasoning": "음"},
    ),
    "reasoning inside the text is none": (
        [delta(content="<thi"), delta(content="nk>음</th"), delta(content="ink>\n\n"), delta(content="가"), STOP], 3,
        {"text": "가", "reasoning": "음"},
    ),
    "reasoning without an opening tag": (
        [delta(content="음"), delta(content="</think>가"), delta(content="나"), STOP], 1, {"text": "가나", "reasoning": "음"},
    ),
    "reasoning that never ends": ([delta(content="<think>음"), delta("length")], None, {"text": "", "finish": "length"}),
    "a refusal is content": (
        [delta(refusal=""), delta(refusal="안 "), delta(refusal="됩니다"), STOP], 1, {"text": "안 됩니다", "finish": "refusal"},
    ),
    "Mistral's lists": (
        [delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "음"}]}]), delta(content="가"), STOP], 1,
        {"text": "가", "reasoning": "음"},
    ),
    "tool calls and what else comes": (
        [delta(tool_calls=[{"index": 0}], function_call={}, audio=1, x=None), delta(content="가"), STOP], 1, {"text": "가"},
    ),
    "no usage is null": ([delta(content="가"), STOP, "[DONE]"], 0, {"usage": Usage()}),
    "usage in a chunk without choices": (
        [delta(content="가"), STOP, {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}], 0,
        {"usage": Usage(3, None, 1, None)},
    ),
    "usage that grows": (
        [{**delta(content="가"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
         {**STOP, "usage": {"prompt_tokens": 3, "completion_tokens": 9}}], 0, {"usage": Usage(3, None, 9, None)},
    ),
    "other choices are not asked for": (
        [delta(content="가"), {"choices": [{"index": 1, "delta": {"content": "나"}}, 3]}, STOP], 0, {"text": "가"},
    ),
    "an empty answer": ([delta(role="assistant", content=None), STOP], None, {"text": "", "finish": "stop"}),
    "names from whichever chunk has them": (
        [{"id": "", "model": "", "choices": []}, {**delta(content="가"), "id": "c1", "system_fingerprint": "fp"}, STOP], 1,
        {"served_model": "sim-a", "system_fingerprint": "fp", "request_id": "c1"},
    ),
    "nothing counts after the end mark": ([delta(content="가"), STOP, "[DONE]", delta(content="나")], 0, {"text": "가"}),
    "blank data": ([delta(content="가"), "", "null", "[]", STOP], 0, {"text": "가"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPENAI)
def test_openai_streams(name: str) -> None:
    """Each shape of stream: the event of the first content token, and what the reply says."""
    chunks, first, said = OPENAI[name]
    folded = fold("openai-chat", *chunks)
    assert folded.first == first
    reply = openai_chat.decode(200, {}, folded.body, SIM)
    assert {name: getattr(reply, name) for name in said} == said


NOT_WHOLE: dict[str, tuple[str, list[Any]]] = {
    "openai, no finish reason": ("openai-chat", [delta(content="가"), "[DONE]"]),
    "openai, an empty finish reason": ("openai-chat", [delta("", content="가"), "[DONE]"]),
    "openai, nothing at all": ("openai-chat", ["[DONE]"]),
    "openai, no JSON": ("openai-chat", [delta(content="가"), "{", STOP]),
    "gemini, no finish reason": ("gemini", [{"candidates": [{"content": {"parts": [{"text": "가"}]}}]}]),
    "anthropic, no stop reason": ("anthropic", [{"type": "message_start", "message": {"content": []}}, {"type": "message_stop"}]),
    "clova, no result": ("clova", [{"message": {"content": "가"}}]),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_a_stream_without_its_end_is_no_answer(name: str) -> None:
    """Text without the vendor's finish reason may be half an answer; a stream that cannot be read may lack a piece."""
    api, chunks = NOT_WHOLE[name]
    with pytest.raises(Fault) as raised:
        fold(api, *chunks)
    assert (raised.value.kind, raised.value.maybe_billed) == ("invalid", True)


ERRORS: dict[str, tuple[str, list[Any]]] = {
    "openai": ("openai-chat", [delta(content="가"), {"error": {"code": "server_is_overloaded", "message": "x"}}, STOP]),
    "openrouter": ("openai-chat", [{"choices": [{"error": {"code": 502, "message": "overloaded"}, "finish_reason": "error"}]}]),
    "vllm": ("openai-chat", [delta(content="가"), {"object": "error", "message": "overloaded", "code": 500}]),
    "gemini": ("gemini", [*gemini_chunks("가"), {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}]),
    "gemini, in a list": ("gemini", [[{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}]]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_mid_stream_is_read_like_any_other(name: str) -> None:
    """What an error event says decides its kind, whatever text came before it."""
    api, chunks = ERRORS[name]
    decode = gemini.decode if api == "gemini" else openai_chat.decode
    with pytest.raises(Fault) as raised:
        decode(200, {}, fold(api, *chunks).body, SIM)
    assert raised.value.kind == "overload"


def test_a_named_error_event_is_an_error() -> None:
    """`event: error` with flat data, as some servers send it."""
    folded = STREAMS["openai-chat"].fold([Event('{"message": "rate_limit"}', "error")])
    assert json.loads(folded.body) == {"error": {"message": "rate_limit"}}


def test_a_blocked_gemini_stream_is_whole() -> None:
    """A prompt that is blocked has no candidate and no finish reason; an answer that is blocked midway has both."""
    blocked = gemini.decode(200, {}, fold("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}).body, SIM)
    assert (blocked.finish, blocked.finish_raw) == ("refusal", "SAFETY")
    midway = [{"candidates": [{"content": {"parts": [{"text": "가"}]}}]}, {"candidates": [{"finishReason": "SAFETY"}]}]
    assert gemini.decode(200, {}, fold("gemini", *midway).body, SIM).finish == "refusal"


def test_gemini_thoughts_are_no_content() -> None:
    """Parts marked as thought come before the first content token; both kinds of tokens are in the last counts."""
    thought = {
        "candidates": [{"content": {"parts": [{"text": "음", "thought": True}]}}],
        "usageMetadata": {"thoughtsTokenCount": 3},
    }
    folded = fold("gemini", thought, *gemini_chunks("가나다라마", usage=(7, 2)))
    reply = gemini.decode(200, {}, folded.body, SIM)
    assert folded.first == 1
    assert (reply.text, reply.reasoning, reply.usage) == ("가나다라마", "음", Usage(7, None, 5, 3))


def test_anthropic_events_become_its_message() -> None:
    """Named events, pings, blocks by index, counts from the first and the last event: one message as in a plain reply."""
    told: list[Any] = [
        ("message_start", {"message": {"id": "m1", "model": "sim-a", "content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": "음"}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
        ("ping", {}),
        ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "가"}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "나"}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "unheard_of"}}),
        ("content_block_stop", {"index": 1}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}}),
        ("message_stop", {}),
    ]  # fmt: skip
    folded = STREAMS["anthropic"].fold([Event(json.dumps({"type": name, **data}), name) for name, data in told])
    assert folded.first == 6
    assert json.loads(folded.body) == {
        "id": "m1", "model": "sim-a", "stop_reason": "end_turn", "usage": {"input_tokens": 9, "output_tokens": 7},
        "content": [{"type": "thinking", "thinking": "음", "signature": "s"}, {"type": "text", "text": "가나"}],
    }  # fmt: skip


def test_anthropics_error_event_is_the_body() -> None:
    """It has no `[DONE]`, and says errors by a named event."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
    folded = STREAMS["anthropic"].fold(
        [Event('{"type": "message_start"}', "message_start"), Event(json.dumps(overloaded), "error")]
    )
    assert json.loads(folded.body) == overloaded


@pytest.mark.parametrize("again", ["", "가나"])
def test_clova_events_become_its_result(again: str) -> None:
    """Tokens make the text; a result that tells the whole of it again does not double it."""
    usage = {"promptTokens": 9, "completionTokens": 2, "totalTokens": 11}
    told: list[Any] = [
        Event(json.dumps({"message": {"role": "assistant", "content": "", "thinkingContent": "음"}}), "token"),
        Event(json.dumps({"message": {"role": "assistant", "content": "가"}, "finishReason": None}), "token"),
        Event(json.dumps({"message": {"role": "assistant", "content": "나"}}), "token"),
        Event(json.dumps({"message": {"content": again}, "finishReason": "stop", "usage": usage}), "result"),
        Event('{"data": "[DONE]"}', "signal"),
    ]
    folded = STREAMS["clova"].fold(told)
    assert folded.first == 1
    result = json.loads(folded.body)["result"]
    assert result["message"] == {"role": "assistant", "content": "가나", "thinkingContent": "음"}
    assert (result["finishReason"], result["usage"]) == ("stop", usage)


def test_clovas_error_event_is_the_body() -> None:
    """A status inside an event is CLOVA's word for an error."""
    status = {"status": {"code": "42901", "message": "Too many requests"}}
    assert json.loads(STREAMS["clova"].fold([Event(json.dumps(status), "error")]).body) == status


# --- the call ----------------------------------------------------------------------------------------


def test_each_dialect_asks_for_a_stream_in_its_own_way() -> None:
    """What a stream adds to the plain call is recorded; the question's own bytes stay the same."""
    plain = Call("/x:generateContent", {"A": "b"}, b'{"model": "m"}', {"seed": 1}, {})
    openai_call, gemini_call, anthropic_call, clova_call = (
        STREAMS[api].call(plain, SIM) for api in ("openai-chat", "gemini", "anthropic", "clova")
    )
    options = {"stream": True, "stream_options": {"include_usage": True}}
    assert json.loads(openai_call.body) == {"model": "m", **options}
    assert openai_call.sent == {"seed": 1, **options}
    assert gemini_call.path == "/x:streamGenerateContent?alt=sse"
    assert json.loads(anthropic_call.body) == {"model": "m", "stream": True}
    assert clova_call.headers == {"A": "b", "Accept": "text/event-stream"}
    assert all(call.sent["stream"] is True for call in (gemini_call, anthropic_call, clova_call))
    assert gemini_call.body == clova_call.body == plain.body


def test_a_model_that_knows_no_stream_options_is_sent_none() -> None:
    """Its stream tells no usage: that is recorded, and the counts are null."""
    silent = replace(SIM, capabilities=Capabilities(stream_options="refused"))
    call = STREAMS["openai-chat"].call(Call("/x", {}, b'{"model": "m"}', {}, {}), silent)
    assert json.loads(call.body) == {"model": "m", "stream": True}
    assert (call.sent, call.dropped) == ({"stream": True}, {"stream_options": {"include_usage": True}})


# --- over real sockets -------------------------------------------------------------------------------


def ask(
    server: FakeServer, *, api: str = "openai-chat", request: Request = ASK, timeout_s: float = 10.0
) -> Reply | Fault:
    """One ask through the whole provider; a fault is returned."""

    async def main() -> Reply | Fault:
        url = server.url + ("/sim/v1" if api == "openai-chat" else "/sim")
        async with Sender() as sender:
            provider = make(SIM, "sim", Endpoint(api, url, timeout_s=timeout_s), sender)
            try:
                return await provider.ask(request)
            except Fault as fault:
                return fault

    return asyncio.run(main())


def told(answer: Answer, **options: Any) -> Reply | Fault:
    with FakeServer([answer]) as server:
        return ask(server, **options)


APIS = ("openai-chat", "gemini", "anthropic", "clova")


@pytest.mark.parametrize("api", APIS)
def test_a_streamed_answer_is_the_plain_one_with_a_first_token(api: str) -> None:
    """Both forms give the same reply but for the times and what was sent."""
    with FakeServer(text="정답: 가나다라 😀") as server:
        streamed, plain = ask(server, api=api), ask(server, api=api, request=replace(ASK, stream=False))
        assert [x.streams for x in server.history] == [True, False]
        assert server.history[0].headers["accept-encoding"] == "identity"
    assert isinstance(streamed, Reply) and isinstance(plain, Reply)
    assert plain.ttft_s is None
    assert streamed.ttft_s is not None and streamed.latency_s is not None
    assert 0 < streamed.ttft_s <= streamed.latency_s
    assert streamed.sent["stream"] is True and "stream" not in plain.sent
    for reply in (streamed, plain):
        reply.latency_s, reply.ttft_s, reply.sent, reply.request_sha = None, None, {}, ""
    assert streamed == plain


def test_chunks_may_end_anywhere() -> None:
    """Inside a character, inside a line, between CR and LF: the answer is whole."""
    body = sse(openai_chunks("방언 문제")).replace(b"\n", b"\r\n")
    reply = told(Answer(pieces=[body[n : n + 1] for n in range(len(body))]))
    assert isinstance(reply, Reply) and reply.text == "방언 문제"


def test_the_first_token_is_content() -> None:
    """Keep-alive comments, blank lines, the role and the reasoning come first and do not count; then the server waits."""
    silence = [
        b": keep-alive\n\n",
        b"\n\n\n",
        *(sse([c]) for c in (delta(role="assistant", content=""), delta(reasoning="음"))),
    ]
    reply = told(Answer(pieces=[*silence, 0.2, sse([delta(content="가")]), sse([STOP, "[DONE]"])]))
    assert isinstance(reply, Reply) and reply.ttft_s is not None
    assert reply.text == "가" and reply.ttft_s >= 0.2


CHUNKS = {
    "openai-chat": openai_chunks, "gemini": gemini_chunks, "anthropic": anthropic_chunks, "clova": clova_chunks,
}  # fmt: skip
PING = sse([("ping", {"type": "ping"})])


@pytest.mark.parametrize("api", APIS)
def test_keep_alive_is_no_first_token_in_any_dialect(api: str) -> None:
    """Blank lines, comments and pings come at once, the answer after a while: the first token is the answer's."""
    silence = [b": keep-alive\n\n", b"\n\n", *([PING] if api == "anthropic" else [])]
    reply = told(Answer(pieces=[*silence, 0.2, sse(CHUNKS[api]("정답: 가"))]), api=api)
    assert isinstance(reply, Reply) and reply.ttft_s is not None
    assert (reply.text, reply.finish) == ("정답: 가", "stop") and reply.ttft_s >= 0.2


@pytest.mark.parametrize("api", APIS)
def test_a_stream_in_any_dialect_may_be_cut_anywhere(api: str) -> None:
    """Byte by byte it is the same answer; without its second half it is none."""
    body = sse(CHUNKS[api]("방언 문제 😀"))
    reply = told(Answer(pieces=[body[n : n + 1] for n in range(len(body))]), api=api)
    assert isinstance(reply, Reply) and reply.text == "방언 문제 😀"
    for end in ("cut-chunked", "cut-close"):
        half = told(Answer(pieces=[body[: len(body) // 2]], end=end), api=api)
        assert isinstance(half, Fault) and half.maybe_billed
        assert half.kind == ("network" if end == "cut-chunked" else "invalid")


@pytest.mark.parametrize("api", ["anthropic", "clova"])
def test_an_end_mark_ends_the_wait_in_its_dialect(api: str) -> None:
    """message_stop and signal, as [DONE]: a server that holds the connection open after it is not waited for."""
    started = time.monotonic()
    reply = told(Answer(pieces=[sse(CHUNKS[api]("가")), 30.0]), api=api, timeout_s=20)
    assert isinstance(reply, Reply) and time.monotonic() - started < 10


def test_the_first_token_is_timed_when_it_comes() -> None:
    """Not when the stream ends."""
    reply = told(Answer(pieces=[sse([delta(content="가")]), 0.2, sse([STOP, "[DONE]"])]))
    assert isinstance(reply, Reply) and reply.ttft_s is not None and reply.latency_s is not None
    assert reply.latency_s - reply.ttft_s >= 0.15


HALF = sse([delta(role="assistant", content="반"), delta(content="쪽")])
WHOLE = [HALF, sse([STOP])]
BROKEN: dict[str, tuple[Answer, str]] = {
    "cut in chunks": (Answer(pieces=[HALF], end="cut-chunked"), "network"),
    "cut that http cannot see": (Answer(pieces=[HALF], end="cut-close"), "invalid"),
    "cut inside the last event": (Answer(pieces=[HALF, sse([STOP])[:-9]], end="cut-close"), "invalid"),
    "no finish reason": (Answer(pieces=[HALF, sse(["[DONE]"])]), "invalid"),
    "an error event": (Answer(pieces=[HALF, sse([{"error": {"message": "overloaded", "code": 503}}])]), "overload"),
    "an error event, then a cut": (Answer(pieces=[HALF, sse([{"error": {"code": "rate_limit"}}])], end="cut-chunked"), "rate"),
    "tool calls": (Answer(pieces=[HALF, sse([delta("tool_calls", tool_calls=[{"index": 0}])])]), "invalid"),
    "silence": (Answer(pieces=[HALF, 30.0]), "timeout"),
    "a web page": (Answer(body="<html>no</html>", headers={"Content-Type": "text/event-stream"}), "page"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_half_a_stream_is_never_an_answer(name: str) -> None:
    """Each way in which a stream can end early is a fault of its kind that may have been billed."""
    answer, kind = BROKEN[name]
    found = told(answer, timeout_s=0.5 if name == "silence" else 10)
    assert isinstance(found, Fault)
    assert (found.kind, found.maybe_billed) == (kind, True)


ENDED: dict[str, Answer] = {
    "no [DONE]": Answer(pieces=WHOLE),
    "no [DONE], and a cut": Answer(pieces=WHOLE, end="cut-chunked"),
    "no [DONE], and a cut that http cannot see": Answer(pieces=WHOLE, end="cut-close"),
    "no [DONE], and silence": Answer(pieces=[*WHOLE, 30.0]),
    "[DONE], and silence": Answer(pieces=[*WHOLE, sse(["[DONE]"]), 30.0]),
    "[DONE], and a cut": Answer(pieces=[*WHOLE, sse(["[DONE]"])], end="cut-chunked"),
    "[DONE], and no end of more": Answer(pieces=[*WHOLE, sse(["[DONE]"]), *([b": more\n"] * 50), 30.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDED)
def test_a_finish_reason_makes_the_answer_whole(name: str) -> None:
    """An answer that was received is kept, whatever the connection does after it; its time is the last event's."""
    reply = told(ENDED[name], timeout_s=2)
    assert isinstance(reply, Reply) and reply.latency_s is not None
    assert (reply.text, reply.finish, reply.usage) == ("반쪽", "stop", Usage())
    assert reply.latency_s < 2


def test_a_server_that_does_not_stream_is_read_as_it_answers() -> None:
    """A 200 with JSON is the plain reply, after keep-alive blanks too; no first token is claimed."""
    for body in (openai_reply("가나"), "\n\n\n" + json.dumps(openai_reply("가나"), indent=1)):
        reply = told(Answer(body=body))
        assert isinstance(reply, Reply)
        assert (reply.text, reply.ttft_s) == ("가나", None) and reply.latency_s


@pytest.mark.parametrize(("status", "kind"), [(429, "rate"), (401, "auth"), (500, "overload")])
def test_an_error_status_is_read_as_without_a_stream(status: int, kind: str) -> None:
    """With a JSON body, or with events: the status says that there is no answer."""
    for body in ({"error": {"message": "no"}}, sse(openai_chunks("가"))):
        found = told(Answer(status=status, body=body, headers={"Retry-After": "7"}))
        assert isinstance(found, Fault)
        assert (found.kind, found.retry_after) == (kind, 7.0)


def test_a_whole_stream_under_an_error_status_is_no_answer() -> None:
    """Also when the connection breaks after its finish reason."""
    for end in ("whole", "cut-chunked"):
        found = told(Answer(status=500, pieces=[*WHOLE, sse(["[DONE]"])], end=end))
        assert isinstance(found, Fault) and found.kind in ("overload", "network")


def test_a_stream_keeps_its_connection() -> None:
    """The end of the body is waited for, so that the next ask need not connect anew before its first token."""

    async def main(url: str) -> None:
        async with Sender() as sender:
            provider = make(SIM, "sim", Endpoint("openai-chat", url), sender)
            for _ in range(5):
                await provider.ask(ASK)

    with FakeServer(lambda _: Answer(pieces=[*WHOLE, sse(["[DONE]"]), 0.02])) as server:
        asyncio.run(main(server.url + "/sim/v1"))
        assert (len(server.history), server.connections) == (5, 1)


def test_the_end_mark_ends_the_wait() -> None:
    """A server that says nothing after `[DONE]`, and does not end its body, is waited for a moment only."""
    started = time.monotonic()
    assert isinstance(told(ENDED["[DONE], and silence"], timeout_s=30), Reply)
    assert time.monotonic() - started < 10


# --- a run -------------------------------------------------------------------------------------------


def desk(tmp_path: Path, url: str, models: Sequence[str] = ("sim-a",)) -> None:
    kit.write_pack(tmp_path / "tasks/p", 4)
    kit.providers_yaml(tmp_path / "providers.yaml", url, models)


def test_rows_of_a_streamed_run_differ_in_times_and_sent_only(tmp_path: Path) -> None:
    """The same answers give the same rows, scores included; `ttft_s` is there where it was streamed, and null else."""
    with FakeServer() as server:
        desk(tmp_path, server.url)
        streamed = kit.run_here(tmp_path, run_id="streamed", stream=True).folder
        plain = kit.run_here(tmp_path, run_id="plain").folder
    left = {"run_id", "latency_s", "ttft_s", "queue_s", "started_at", "sent_json", "request_sha"}
    first, second = (
        [{k: v for k, v in row.items() if k not in left} for row in kit.rows_of(run)] for run in (streamed, plain)
    )
    assert first == second and len(first) == 4
    for row in kit.rows_of(streamed):
        assert 0 < row["ttft_s"] <= row["latency_s"]
        assert json.loads(row["sent_json"])["stream"] is True
    assert {row["ttft_s"] for row in kit.rows_of(plain)} == {None}
    first, none = (kit.manifest_of(run)["models"]["sim-a"]["ttft_s"] for run in (streamed, plain))
    assert first["n"] == 4 and first["p50"] > 0 and none is None


@pytest.mark.parametrize("api", APIS)
def test_a_whole_run_is_streamed_in_any_dialect(tmp_path: Path, api: str) -> None:
    """`--stream` at the command line: each row has its time to the first token, which keep-alive does not make shorter,
    run.json the median, the matrix tokens a second; answers and scores are those of a plain run."""
    kit.write_pack(tmp_path / "tasks/p", 3)
    wait = 0.05
    body: list[bytes | float] = [
        b": keep-alive\n\n",
        b"\n\n",
        wait,
        sse(CHUNKS[api]("정답: A", model="sim-a", usage=(40, 30))),
    ]
    with FakeServer(lambda x: Answer(pieces=body) if x.streams else Answer(usage=(40, 30))) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, api=api)
        for name, option in (("streamed", ["--stream"]), ("plain", [])):
            done = kit.lmmbench("run", "--tasks", "p", "--run-id", name, *option, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        assert [x.streams for x in server.history] == [True] * 3 + [False] * 3
    streamed, plain = (kit.rows_of(tmp_path / "results" / name) for name in ("streamed", "plain"))
    same = ("item_id", "status", "answer", "score", "finish", "input_tokens", "output_tokens", "served_model")
    assert [[row[k] for k in same] for row in streamed] == [[row[k] for k in same] for row in plain]
    for row in streamed:
        assert (row["status"], row["output_tokens"]) == ("ok", 30)
        assert wait <= row["ttft_s"] <= row["latency_s"]
    assert {row["ttft_s"] for row in plain} == {None}
    assert kit.manifest_of(tmp_path / "results/streamed")["models"]["sim-a"]["ttft_s"]["p50"] >= wait
    cells = lmmbench.matrix(tmp_path / "results/streamed")
    took = [row["latency_s"] for row in streamed]
    assert cells["tokens_per_s"].iloc[0] == pytest.approx(90 / sum(took))


def test_stream_stands_in_the_plan(tmp_path: Path) -> None:
    """It is part of what is asked; a resumed run takes it from the plan, and refuses another."""
    with FakeServer() as server:
        desk(tmp_path, server.url)
        for name, option in (("streamed", ["--stream"]), ("plain", [])):
            done = kit.lmmbench("run", "--tasks", "p", "--run-id", name, *option, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert ("first token after" in done.stderr) == bool(option)
        plans = {name: plan.load(tmp_path / "results" / name) for name in ("streamed", "plain")}
        assert (plans["streamed"].stream, plans["plain"].stream) == (True, False)
        assert plans["streamed"].plan_sha != plans["plain"].plan_sha
        refused = kit.lmmbench("run", "--resume", "plain", "--stream", cwd=tmp_path)
        assert refused.returncode == 2 and "--stream differs from the run" in refused.stderr
        for option in ([], ["--stream"]):
            assert kit.lmmbench("run", "--resume", "streamed", *option, cwd=tmp_path).returncode == 0
        assert [x.streams for x in server.history] == [True] * 4 + [False] * 4
    for name in ("streamed", "plain"):
        shown = kit.lmmbench("show", name, "q0000", cwd=tmp_path).stdout
        assert ("(first token after 0." in shown) == (name == "streamed"), shown


def test_a_key_that_a_stream_echoes_is_taken_out(tmp_path: Path) -> None:
    """From events that are no JSON, from errors, and from a text that names it piece by piece: it is in no file."""
    key = "sk-canary-0123456789"
    pieces = [delta(content=key[:9]), delta(content=key[9:]), STOP]
    echoes = [sse(["{" + key]), sse([{"error": {"message": f"bad key {key}"}}]), sse(pieces), sse(["{" + key])]
    with FakeServer([Answer(pieces=[echo, sse(["[DONE]"])]) for echo in echoes]) as server:
        kit.write_pack(tmp_path / "tasks/p", 4)
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, key_env="SIM_API_KEY", concurrency=1)
        done = kit.lmmbench(
            "run", "--tasks", "p", "--run-id", "r", "--stream", "--allow-unknown-cost", cwd=tmp_path, env={"SIM_API_KEY": key}
        )  # fmt: skip
        assert server.history[0].headers["authorization"] == f"Bearer {key}"
    told = kit.journal_of(tmp_path / "results/r")
    assert any("[key]" in record.get("error", "") for record in told)
    assert any(record.get("answer") == "[key]" for record in told)
    written = b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    assert key not in done.stdout + done.stderr
    assert key.encode() not in written


def test_models_that_cannot_stream_say_so_in_the_row(tmp_path: Path) -> None:
    """A baseline computes its answer: `ttft_s` is null, and nothing fails."""
    kit.write_pack(tmp_path / "tasks/p", 2)
    rows = {"sim-b": {"endpoint": "baseline", "name": "chance", "region": "reference"}}
    kit.providers_yaml(tmp_path / "providers.yaml", "", rows, api="baseline")
    ran = kit.run_here(tmp_path, stream=True)
    assert ran.code == 0
    assert {row["ttft_s"] for row in kit.rows_of(ran.folder)} == {None}
