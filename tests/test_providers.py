"""The dialects as pure functions: what goes out for a request, and what each shape of reply means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import config
from lmmbench.faults import FAULTS, Fault, UsageError
from lmmbench.net.delay import LONGEST
from lmmbench.providers import DIALECTS, anthropic, clova, gemini, openai_chat
from lmmbench.providers.http_faults import http_fault
from lmmbench.providers.lenient import code, count
from lmmbench.types import Capabilities, Item, Media, Model, Provenance, Reply, Request, Usage
from tests import fake_server

ITEM = Item("q1", "s", "closed", "c", {}, ("1",), Provenance("", "", "", (), "recall"), ("하나", "둘"))
ASK = Request("p", ITEM, 0, "답만 쓰십시오.", "알맞은 답은?\nA. 하나\nB. 둘", (1, 2), 64, 7)
CAT = Media("image/png", b"\x89PNG", "sha")
SIM = Model("sim", "sim-a", "Simulated", "Sim", "overseas")
THINKING = Capabilities(
    cap_field="max_completion_tokens",
    effort="reasoning_effort",
    efforts=("none", "low", "high"),
    default_effort="low",
    reasons="by_default",
)
THINKER = replace(SIM, capabilities=THINKING)
GEMINI = replace(SIM, capabilities=Capabilities(cap_field="maxOutputTokens"))


def data(body: bytes) -> Any:
    return json.loads(body)


# --- encode ------------------------------------------------------------------------------------------


def test_openai_encodes_a_question_as_it_stands() -> None:
    """The body is the card's texts, the cap, temperature and seed, and nothing else; Hangul goes as UTF-8."""
    call = openai_chat.encode(ASK, SIM)
    assert (call.path, call.headers) == ("/chat/completions", {"Content-Type": "application/json"})
    assert data(call.body) == {
        "model": "sim-a",
        "messages": [{"role": "system", "content": ASK.system}, {"role": "user", "content": ASK.user}],
        "max_tokens": 64,
        "temperature": 0.0,
        "seed": 7,
    }
    assert "알맞은".encode() in call.body
    assert call.sent == {"max_tokens": 64, "temperature": 0.0, "seed": 7}
    assert call.dropped == {}


def test_openai_adds_the_allowance_under_the_rows_own_name() -> None:
    """A model that reasons gets the card's cap plus its allowance, in the field that it knows; options are sent."""
    sent = data(openai_chat.encode(ASK, THINKER).body)
    assert sent["max_completion_tokens"] == 64 + 4096
    assert sent["reasoning_effort"] == "low"
    assert "max_tokens" not in sent


def test_openai_sends_no_empty_system_text_and_puts_images_in_parts() -> None:
    """Without a system text there is one message; media follow the text as data URIs."""
    body = data(openai_chat.encode(replace(ASK, system="", media=(CAT,)), SIM).body)
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": ASK.user},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ],
        }
    ]


def test_gemini_encodes_a_question_as_it_stands() -> None:
    """Gemini's own body: contents, systemInstruction, generationConfig, and filters that are off for every item."""
    call = gemini.encode(
        replace(ASK, media=(CAT,)), replace(GEMINI, options={"thinkingConfig": {"thinkingLevel": "LOW"}})
    )
    assert call.path == "/v1beta/models/sim-a:generateContent"
    assert data(call.body) == {
        "contents": [
            {"role": "user", "parts": [{"text": ASK.user}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]}
        ],
        "generationConfig": {
            "maxOutputTokens": 64,
            "temperature": 0.0,
            "seed": 7,
            "thinkingConfig": {"thinkingLevel": "LOW"},
        },
        "safetySettings": gemini.SAFETY,
        "systemInstruction": {"parts": [{"text": ASK.system}]},
    }  # fmt: skip
    assert {s["threshold"] for s in gemini.SAFETY} == {"BLOCK_NONE"}


@pytest.mark.parametrize("dialect", [openai_chat, gemini], ids=["openai", "gemini"])
def test_what_a_model_refuses_is_left_out_and_recorded(dialect: Any) -> None:
    """What a family ignores or refuses is not sent, and is reported as dropped with its value."""
    call = dialect.encode(ASK, replace(SIM, capabilities=Capabilities(temperature="ignored", seed="refused")))
    assert call.dropped == {"temperature": 0.0, "seed": 7}
    assert not {"temperature", "seed"} & (data(call.body).get("generationConfig") or data(call.body)).keys()
    assert not {"temperature", "seed"} & call.sent.keys()


def test_the_key_goes_in_a_header_only() -> None:
    """Each dialect has its own header; the body never holds the key."""
    assert openai_chat.auth("k-1") == {"Authorization": "Bearer k-1"}
    assert gemini.auth("k-1") == {"x-goog-api-key": "k-1"}
    assert clova.auth("k-1") == {"Authorization": "Bearer k-1"}
    assert anthropic.auth("k-1") == {"x-api-key": "k-1"}


# --- decode: answers ---------------------------------------------------------------------------------


def chat(message: Any = None, finish: Any = "stop", **top: Any) -> dict[str, Any]:
    return {"model": "sim-a", "choices": [{"message": message, "finish_reason": finish}], **top}


def says(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return chat({"role": "assistant", "content": content, **message}, finish)


def used(usage: Any) -> dict[str, Any]:
    return chat({"content": "A"}, usage=usage)


OPENAI_ANSWERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (
        fake_server.openai("정답: A"),
        {
            "text": "정답: A", "finish": "stop", "finish_raw": "stop", "usage": Usage(10, None, 5, None),
            "served_model": "sim-a", "system_fingerprint": "fp_1", "request_id": "chatcmpl-1", "reasoning": None,
        },
    ),
    "refusal field": (says(None, refusal="할 수 없습니다"), {"text": "할 수 없습니다", "finish": "refusal"}),
    "refusal field null": (says("A", refusal=None), {"text": "A", "finish": "stop"}),
    "content_filter": (says("반쯤", "content_filter"), {"text": "반쯤", "finish": "refusal"}),
    "content_filter, null": (says(None, "content_filter"), {"text": "", "finish": "refusal"}),
    "length": (says("정답은", "length"), {"text": "정답은", "finish": "length"}),
    "length, empty": (says("", "length"), {"text": "", "finish": "length"}),
    "length, null": (says(None, "length", reasoning_content="음"), {"text": "", "finish": "length", "reasoning": "음"}),
    "empty": (says(""), {"text": "", "finish": "stop"}),
    "end_turn": (says("A", "end_turn"), {"finish": "stop", "finish_raw": "end_turn"}),
    "no finish": (says("A", None), {"text": "A", "finish": "stop", "finish_raw": ""}),
    "list": (says([{"type": "text", "text": "정답"}, {"type": "text", "text": ": A"}]), {"text": "정답: A"}),
    "list with thinking": (
        says([{"type": "thinking", "thinking": [{"type": "text", "text": "음"}]}, {"type": "text", "text": "A"}]),
        {"text": "A"},
    ),
    "list with a null text": (says([{"type": "text", "text": None}, {"type": "text", "text": "A"}]), {"text": "A"}),
    "reasoning_content": (says("A", reasoning_content="생각"), {"text": "A", "reasoning": "생각"}),
    "reasoning": (says("A", reasoning="생각"), {"text": "A", "reasoning": "생각"}),
    "reasoning as a list": (says("A", reasoning=[{"text": "생각"}]), {"text": "A"}),
    "think": (says("<think>\n생각\n</think>\n\n정답: A"), {"text": "정답: A", "reasoning": "생각"}),
    "thinking": (says("<thinking>생각</thinking>A"), {"text": "A", "reasoning": "생각"}),
    "think not opened": (says("생각하면\n</think>\nA"), {"text": "A", "reasoning": "생각하면"}),
    "think not closed": (says("<think>생각하다가", "length"), {"text": "", "reasoning": "생각하다가", "finish": "length"}),
    "think in a text": (says("I think A"), {"text": "I think A", "reasoning": None}),
    "usage missing": (says("A"), {"usage": Usage()}),
    "usage null": (used(None), {"usage": Usage()}),
    "usage a list": (used([1]), {"usage": Usage()}),
    "usage empty": (used({}), {"usage": Usage()}),
    "usage of nulls": (
        used({"prompt_tokens": None, "completion_tokens": None, "completion_tokens_details": None, "prompt_tokens_details": None}),
        {"usage": Usage()},
    ),
    "usage of nonsense": (used({"prompt_tokens": "nine", "completion_tokens": -1}), {"usage": Usage()}),
    "usage with details of nonsense": (
        used({"prompt_tokens": 9, "completion_tokens": 4, "completion_tokens_details": "4", "prompt_tokens_details": [0]}),
        {"usage": Usage(9, None, 4, None)},
    ),
    "cached and reasoning": (
        used({"prompt_tokens": 9, "completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 6}, "prompt_tokens_details": {"cached_tokens": 3}}),
        {"usage": Usage(9, 3, 8, 6)},
    ),
    "cache hit": (used({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}), {"usage": Usage(9, 4, 1)}),
    "model not a text": ({**says("A"), "model": 5, "id": 5, "system_fingerprint": {"a": 1}}, {"text": "A"}),
    "choices beside the first": ({"choices": [*says("A")["choices"], *says("B")["choices"]]}, {"text": "A"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPENAI_ANSWERS)
def test_openai_decodes_an_answer(name: str) -> None:
    """A reply that holds an answer is normalised, and nothing beside the text can cost it."""
    body, expected = OPENAI_ANSWERS[name]
    reply = openai_chat.decode(200, {}, json.dumps(body).encode(), SIM)
    assert {k: getattr(reply, k) for k in expected} == expected
    well_typed(reply)


def test_reasoning_counted_outside_is_put_inside() -> None:
    """`output` includes reasoning for every vendor; a row says where its vendor counts it."""
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 6}}
    body = json.dumps(used(usage)).encode()
    outside = replace(SIM, capabilities=Capabilities(reasoning_tokens="outside"))
    assert openai_chat.decode(200, {}, body, SIM).usage == Usage(9, None, 2, 6)
    assert openai_chat.decode(200, {}, body, outside).usage == Usage(9, None, 8, 6)


def test_cached_tokens_counted_outside_are_put_inside() -> None:
    """`input` includes what came from the vendor's cache and what went into it; a row says where its vendor counts it."""
    details = {"cached_tokens": 3, "cache_write_tokens": 2}
    body = json.dumps(used({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": details})).encode()
    outside = replace(SIM, capabilities=Capabilities(cached_tokens="outside"))
    assert openai_chat.decode(200, {}, body, SIM).usage == Usage(9, 3, 1, None, 2)
    assert openai_chat.decode(200, {}, body, outside).usage == Usage(14, 3, 1, None, 2)


def candidate(parts: Any = None, finish: Any = "STOP", **top: Any) -> dict[str, Any]:
    content = {} if parts is None else {"content": {"role": "model", "parts": parts}}
    return {"candidates": [{**content, "finishReason": finish}], "modelVersion": "sim-g", **top}


def counted(usage: Any) -> dict[str, Any]:
    return candidate([{"text": "A"}], usageMetadata=usage)


GEMINI_ANSWERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (
        fake_server.gemini("정답: A"),
        {
            "text": "정답: A", "finish": "stop", "finish_raw": "STOP", "usage": Usage(10, None, 5, None),
            "served_model": "sim-g", "request_id": "r-1", "reasoning": None,
        },
    ),
    "prompt blocked": (
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}},
        {"text": "", "finish": "refusal", "finish_raw": "PROHIBITED_CONTENT", "usage": Usage(4)},
    ),
    "prompt blocked, candidates empty": ({"promptFeedback": {"blockReason": "OTHER"}, "candidates": []}, {"finish": "refusal"}),
    "feedback without a block": (candidate([{"text": "A"}], promptFeedback={"safetyRatings": []}), {"text": "A", "finish": "stop"}),
    "answer blocked": (candidate(None, "SAFETY"), {"text": "", "finish": "refusal", "finish_raw": "SAFETY"}),
    "recitation with text": (candidate([{"text": "옛날"}], "RECITATION"), {"text": "옛날", "finish": "refusal"}),
    "MAX_TOKENS without parts": (candidate(None, "MAX_TOKENS"), {"text": "", "finish": "length"}),
    "MAX_TOKENS, empty parts": (candidate([], "MAX_TOKENS"), {"text": "", "finish": "length"}),
    "MAX_TOKENS with text": (candidate([{"text": "정"}], "MAX_TOKENS"), {"text": "정", "finish": "length"}),
    "thoughts": (candidate([{"text": "음", "thought": True}, {"text": "정답"}, {"text": ": A"}]), {"text": "정답: A", "reasoning": "음"}),
    "a part without text": (candidate([{"functionCall": {}}, {"text": "A"}]), {"text": "A"}),
    "a part with a null text": (candidate([{"text": None}, {"text": "A"}]), {"text": "A"}),
    "no finish": ({"candidates": [{"content": {"parts": [{"text": "A"}]}}]}, {"text": "A", "finish": "stop"}),
    "usage missing": (candidate([{"text": "A"}]), {"usage": Usage()}),
    "usage null": (counted(None), {"usage": Usage()}),
    "thoughts outside": (
        counted({"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 6, "cachedContentTokenCount": 3}),
        {"usage": Usage(9, 3, 8, 6)},
    ),
    "thoughts without an answer": (counted({"promptTokenCount": 9, "thoughtsTokenCount": 6}), {"usage": Usage(9, None, 6, 6)}),
    "usage of nonsense": (counted({"promptTokenCount": "9.5", "candidatesTokenCount": -1, "cachedContentTokenCount": []}), {"usage": Usage()}),
    "usage not a number": (counted({"promptTokenCount": float("nan"), "candidatesTokenCount": 1e400}), {"usage": Usage()}),
    "model not a text": (candidate([{"text": "A"}]) | {"modelVersion": 5, "responseId": 5}, {"text": "A"}),
}  # fmt: skip


@pytest.mark.parametrize("name", GEMINI_ANSWERS)
def test_gemini_decodes_an_answer(name: str) -> None:
    """A reply that holds an answer or a block is normalised, and nothing beside the text can cost it."""
    body, expected = GEMINI_ANSWERS[name]
    reply = gemini.decode(200, {}, json.dumps(body).encode(), SIM)
    assert {k: getattr(reply, k) for k in expected} == expected
    well_typed(reply)


# --- decode: no answer -------------------------------------------------------------------------------

DEEP = "[" * 200_000 + "]" * 200_000
LONG_INT = "1" * 5_000
NO_ANSWER: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n ",
    "HTML": b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>",
    "truncated": json.dumps(fake_server.openai("A")).encode()[:-20],
    "trailing": json.dumps(fake_server.openai("A")).encode() + b"}",
    "bad UTF-8": b'{"choices": "\xff\xfe\xfa"}',
    "5,000 digits": json.dumps(used({"prompt_tokens": 0})).replace(": 0", f": {LONG_INT}").encode(),
    "deep": DEEP.encode(),
    "deep inside": ('{"choices": ' + DEEP + "}").encode(),
    "null": b"null",
    "a number": b"5",
    "a list": b"[1]",
    "a list of nothing": b"[]",
    "a text": b'"A"',
    "no keys": b"{}",
    "choices []": b'{"choices": []}',
    "choices null": b'{"choices": null}',
    "choices of null": b'{"choices": [null]}',
    "no message": b'{"choices": [{"finish_reason": "stop"}]}',
    "content null": json.dumps(says(None)).encode(),
    "content a number": json.dumps(says(5)).encode(),
    "candidates []": b'{"candidates": []}',
    "candidates a text": b'{"candidates": "A"}',
    "candidate null": b'{"candidates": [null]}',
    "a new finish_reason without a text": json.dumps(says("", "novel")).encode(),
    "a tool": json.dumps(says("부", "tool_calls")).encode(),
    "content []": json.dumps(says([])).encode(),
    "a new finishReason without a text": json.dumps(candidate([{"text": ""}], "NOVEL")).encode(),
    "thoughts only": json.dumps(candidate([{"text": "음", "thought": True}])).encode(),
    "STOP without parts": json.dumps(candidate(None)).encode(),
    "no finish, no parts": b'{"candidates": [{}]}',
    "parts a number": json.dumps(candidate(5)).encode(),
    "content a text": b'{"candidates": [{"content": "A", "finishReason": "STOP"}]}',
    "feedback a text": b'{"promptFeedback": "no"}',
    "status a text": b'{"status": "20000", "result": {"message": {"content": "A"}}}',
    "result null": b'{"status": {"code": "20000"}, "result": null}',
    "message a text": b'{"status": {"code": "20000"}, "result": {"message": "A"}}',
    "blocks a text": b'{"type": "message", "content": "A", "stop_reason": "end_turn"}',
    "blocks null": b'{"type": "message", "content": [null], "stop_reason": "end_turn"}',
    "text null": b'{"type": "message", "content": [{"type": "text", "text": null}], "stop_reason": "end_turn"}',
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_200_without_an_answer_is_invalid(name: str, dialect: Any) -> None:
    """Status 200 does not make an answer: what cannot be read as one is `invalid` (`page` where somebody else answers), never a text."""
    with pytest.raises(Fault) as raised:
        dialect.decode(200, {}, NO_ANSWER[name], SIM)
    assert raised.value.kind == ("page" if name == "HTML" else "invalid")
    assert raised.value.rule.status == "invalid"
    assert len(raised.value.message) < 400


def test_a_byte_order_mark_and_leading_blank_lines_are_no_fault() -> None:
    """Some servers send a BOM; some send blank lines to keep the connection open."""
    body = json.dumps(fake_server.openai("A")).encode()
    assert openai_chat.decode(200, {}, b"\xef\xbb\xbf" + body, SIM).text == "A"
    assert openai_chat.decode(200, {}, b"\n\n\n" + body, SIM).text == "A"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded", "message": "slow"}, "rate"),
        ({"code": 503, "status": "UNAVAILABLE", "message": "later"}, "overload"),
        ({"code": "invalid_api_key"}, "auth"),
        ({"type": "insufficient_quota"}, "quota"),
        ("overloaded", "overload"),
        ({"message": "who knows"}, "invalid"),
    ],
)
def test_an_error_object_in_a_200_is_believed(error: Any, kind: str, dialect: Any) -> None:
    """The body is believed before the status."""
    with pytest.raises(Fault) as raised:
        dialect.decode(200, {}, json.dumps({"error": error, "choices": []}).encode(), SIM)
    assert raised.value.kind == kind


# --- any reply at all --------------------------------------------------------------------------------


def well_typed(reply: Reply) -> None:
    """A reply's parts have the types that the journal and the parquet files need: texts that are texts, and counts
    that fit 64 bits."""
    for name in ("text", "finish", "finish_raw"):
        assert isinstance(getattr(reply, name), str), name
    for name in ("reasoning", "served_model", "system_fingerprint", "request_id", "service_tier"):
        assert isinstance(getattr(reply, name), str | None), name
    for tokens in astuple(reply.usage):
        assert tokens is None or (type(tokens) is int and 0 <= tokens < 2**63), tokens


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "a"]), inner, max_size=2),
    max_leaves=5,
)
OPENAI_PLACES = [
    ("choices",), ("choices", 0), ("choices", 0, "message"), ("choices", 0, "finish_reason"),
    *(("choices", 0, "message", k) for k in ("content", "refusal", "reasoning", "reasoning_content")),
    ("model",), ("id",), ("system_fingerprint",), ("error",), ("usage",), ("usage", "prompt_tokens"),
    ("usage", "completion_tokens"), ("usage", "prompt_tokens_details"), ("usage", "completion_tokens_details"),
    ("usage", "prompt_cache_hit_tokens"),
]  # fmt: skip
GEMINI_PLACES = [
    ("candidates",), ("candidates", 0), ("candidates", 0, "finishReason"), ("candidates", 0, "content"),
    ("candidates", 0, "content", "parts"), ("candidates", 0, "content", "parts", 0),
    ("candidates", 0, "content", "parts", 0, "text"), ("candidates", 0, "content", "parts", 0, "thought"),
    ("promptFeedback",), ("modelVersion",), ("responseId",), ("error",), ("usageMetadata",),
    *(("usageMetadata", k) for k in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount")),
]  # fmt: skip


def put(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    at = body
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    return body


CLOVA_PLACES = [
    ("status",), ("status", "code"), ("result",), ("result", "finishReason"), ("result", "message"),
    ("result", "message", "content"), ("result", "message", "thinkingContent"), ("result", "usage"), ("error",),
    *(("result", "usage", k) for k in ("promptTokens", "completionTokens", "completionTokensDetails")),
]  # fmt: skip
ANTHROPIC_PLACES = [
    ("content",), ("content", 0), ("content", 0, "type"), ("content", 0, "text"), ("stop_reason",), ("stop_details",),
    ("model",), ("id",), ("error",), ("usage",),
    *(("usage", k) for k in ("service_tier", "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens_details")),
]  # fmt: skip
PLACES: list[tuple[str, Callable[[str], Any], tuple[str | int, ...]]] = [
    *(("openai-chat", fake_server.openai, place) for place in OPENAI_PLACES),
    *(("gemini", fake_server.gemini, place) for place in GEMINI_PLACES),
    *(("clova", fake_server.clova, place) for place in CLOVA_PLACES),
    *(("anthropic", fake_server.anthropic, place) for place in ANTHROPIC_PLACES),
]


@given(st.sampled_from(PLACES), ANYTHING)
@settings(max_examples=400)
def test_any_value_anywhere_is_read(at: tuple[str, Callable[[str], Any], tuple[str | int, ...]], value: Any) -> None:
    """Whatever stands at any place of a reply, decode gives a well-typed Reply or a Fault, nothing else."""
    dialect, whole, place = at
    decodes(DIALECTS[dialect], put(whole("A"), place, value))


@pytest.mark.parametrize(
    ("dialect", "whole", "place"), PLACES, ids=[f"{d} {'.'.join(map(str, p))}" for d, _, p in PLACES]
)
def test_a_number_beyond_64_bits_is_not_believed(dialect: str, whole: Callable[[str], Any], place: Any) -> None:
    """A 4,000-digit count passes JSON, and would break the cost and the parquet file."""
    decodes(DIALECTS[dialect], put(whole("A"), place, 10**4000))


def decodes(dialect: Any, body: Any) -> None:
    try:
        reply = dialect.decode(200, {}, json.dumps(body).encode(), SIM)
    except Fault as fault:
        assert fault.kind in FAULTS
    else:
        well_typed(reply)


@given(st.binary(max_size=200), st.sampled_from([200, 204, 301, 400, 429, 500, 599]))
@settings(deadline=None)
def test_any_bytes_with_any_status_are_a_fault_or_a_reply(body: bytes, status: int) -> None:
    """No body makes decode raise anything but a Fault."""
    for dialect in DIALECTS.values():
        with pytest.raises(Fault) as raised:
            dialect.decode(status, {}, body, SIM)
        assert raised.value.kind in FAULTS


# --- refusals of service -----------------------------------------------------------------------------


def err(code: Any = None, message: str = "", **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, **more}}).encode()


def google(code: int, status: str, *details: dict[str, Any], message: str = "Quota exceeded.") -> bytes:
    return json.dumps({"error": {"code": code, "status": status, "message": message, "details": details}}).encode()


def retry_info(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota_failure(quota: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}


PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
GENERATED = "Wed, 21 Oct 2026 07:28:00 GMT"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

SERVICE: dict[str, tuple[int, dict[str, str], bytes, str, float | None]] = {
    "400": (400, {}, err(message="temperature must be at most 1"), "request", None),
    "400 plain text": (400, {}, b"bad", "request", None),
    "400 content policy": (400, {}, err("content_policy_violation", "blocked"), "policy", None),
    "400 content filter": (400, {}, err("content_filter", "The response was filtered"), "policy", None),
    "400 inspection": (400, {}, err("data_inspection_failed", "inappropriate"), "policy", None),
    "400 context": (400, {}, err("context_length_exceeded", "maximum context length is 8192"), "too_large", None),
    "400 context, vLLM": (400, {}, b'{"message": "This model\'s maximum context length is 4096 tokens"}', "too_large", None),
    "400 bad key, Google": (400, {}, google(400, "INVALID_ARGUMENT", message="API key not valid."), "auth", None),
    "401": (401, {}, err("invalid_api_key", "Incorrect API key provided: sk-…"), "auth", None),
    "401 empty": (401, {}, b"", "auth", None),
    "402": (402, {}, err("invalid_request_error", "Insufficient Balance"), "quota", None),
    "402 empty": (402, {}, b"", "quota", None),
    "403": (403, {}, b"region", "auth", None),
    "403 Google": (403, {}, google(403, "PERMISSION_DENIED", message="no"), "auth", None),
    "404": (404, {}, err("model_not_found", "The model sim-a does not exist"), "config", None),
    "404 page": (404, {}, PAGE, "config", None),
    "405": (405, {}, b"", "config", None),
    "408": (408, {}, b"", "overload", None),
    "409": (409, {}, b"", "overload", None),
    "413": (413, {}, b"", "too_large", None),
    "418": (418, {}, b"", "request", None),
    "422": (422, {}, err(message="unprocessable"), "request", None),
    "425": (425, {}, b"", "overload", None),
    "429": (429, {}, b"", "rate", None),
    "429 code": (429, {}, err("rate_limit_exceeded", "see your account's billing page"), "rate", None),
    "429 seconds": (429, {"Retry-After": "7"}, b"", "rate", 7.0),
    "429 part of a second": (429, {"Retry-After": "0.5"}, b"", "rate", 0.5),
    "429 ms": (429, {"retry-after-ms": "1500", "Retry-After": "2"}, b"", "rate", 1.5),
    "429 date": (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": GENERATED}, b"", "rate", 30.0),
    "429 date past": (429, {"Retry-After": "Wed, 21 Oct 2026 07:27:30 GMT", "Date": GENERATED}, b"", "rate", None),
    "429 garbage": (429, {"Retry-After": "soon"}, b"", "rate", None),
    "429 negative": (429, {"Retry-After": "-5"}, b"", "rate", None),
    "429 infinite": (429, {"Retry-After": "inf"}, b"", "rate", None),
    "429 date without a zone": (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000", "Date": GENERATED}, b"", "rate", 30.0),
    "429 too long": (429, {"Retry-After": str(int(LONGEST) + 1)}, b"", "quota", LONGEST + 1),
    "429 insufficient_quota": (429, {"Retry-After": "1"}, err("insufficient_quota", "You exceeded your current quota"), "quota", 1.0),
    "429 spend limit": (429, {}, err("organization_spend_limit_exceeded", "spend", type="insufficient_quota"), "quota", None),
    "429 overloaded": (429, {}, err(None, "Overloaded", type="overloaded_error"), "overload", None),
    "429 CLOVA": (429, {}, b'{"status": {"code": "42901", "message": "Too many requests"}}', "rate", None),
    "429 RetryInfo": (429, {"Retry-After": "1"}, google(429, "RESOURCE_EXHAUSTED", quota_failure(PER_MINUTE), retry_info("46s")), "rate", 46.0),
    "429 RetryInfo in a list": (429, {}, b"[" + google(429, "RESOURCE_EXHAUSTED", retry_info("1.5s")) + b"]", "rate", 1.5),
    "429 RetryInfo garbage": (429, {"Retry-After": "3"}, google(429, "RESOURCE_EXHAUSTED", retry_info("soon")), "rate", 3.0),
    "429 RetryInfo of 5,000 digits": (429, {}, google(429, "RESOURCE_EXHAUSTED", retry_info(LONG_INT + "s")), "rate", None),
    "429 a day's quota": (429, {}, google(429, "RESOURCE_EXHAUSTED", quota_failure(PER_DAY), retry_info("36s")), "quota", 36.0),
    "429 no quota": (
        429, {}, google(429, "RESOURCE_EXHAUSTED", message="Quota exceeded for metric: free_tier_requests, limit: 0"), "quota", None
    ),
    "500": (500, {}, err(message="The server had an error"), "overload", None),
    "502 page": (502, {}, PAGE, "overload", None),
    "503": (503, {"Retry-After": "2"}, google(503, "UNAVAILABLE", message="overloaded"), "overload", 2.0),
    "503 for a day": (503, {"Retry-After": "86400"}, b"maintenance", "quota", 86400.0),
    "529": (529, {}, err(None, "Overloaded", type="overloaded_error"), "overload", None),
    "302": (302, {"Location": "https://elsewhere.invalid"}, b"", "config", None),
    "204": (204, {}, b"", "invalid", None),
    "deep": (500, {}, DEEP.encode(), "overload", None),
    "5,000 digits": (429, {}, b'{"error": {"code": ' + LONG_INT.encode() + b"}}", "rate", None),
    "details a text": (400, {}, err(1, "no", details="none"), "request", None),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVICE)
def test_a_refusal_of_service_is_classified(name: str) -> None:
    """The error's own words first, the status second; the delay as the server says it. A delay of more than ten
    minutes is not waited for: it stops the endpoint, whatever the status is."""
    status, headers, body, kind, delay = SERVICE[name]
    fault = http_fault(status, headers, body)
    assert (fault.kind, fault.retry_after) == (kind, delay)
    assert f"HTTP {status}" in fault.message
    assert len(fault.message) < 400
    assert "\n" not in fault.message


@given(
    st.integers(100, 999), st.dictionaries(st.sampled_from(["error", "code", "message", "details", "status"]), ANYTHING)
)
@settings(deadline=None)
def test_any_error_body_is_classified(status: int, body: dict[str, Any]) -> None:
    """Whatever an error's body holds, a known kind of fault comes of it."""
    assert http_fault(status, {}, json.dumps(body).encode()).kind in FAULTS


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, {"error": {"message": "The moderation service is temporarily down"}}, "overload"),
        (500, {"error": {"message": "content_filter backend failed"}}, "overload"),
        (503, {"error": {"message": "billing backend hiccup"}}, "overload"),
        (429, {"error": {"message": "too many moderation calls"}}, "rate"),
        (400, {"error": {"code": "content_filter", "message": "blocked"}}, "policy"),
    ],
)
def test_a_server_that_is_down_passes_no_verdict(status: int, body: dict[str, Any], kind: str) -> None:
    """A 5xx or a rate limit that happens to mention moderation or billing is retried: it is no refusal, and no end of
    the account's money."""
    with pytest.raises(Fault) as raised:
        openai_chat.decode(status, {}, json.dumps(body).encode(), SIM)
    assert raised.value.kind == kind


# --- what a row may say ------------------------------------------------------------------------------

FAMILY = {"source": "made up", "as_of": "2026-11-01"}


@pytest.mark.parametrize(
    ("family", "options", "says"),
    [
        ({"cap_field": "maxCompletionTokens"}, {"maxTokens": 9}, "options.maxTokens is set by the pack's card, as maxCompletionTokens"),
        ({}, {"max_tokens": 9}, "options.max_tokens is set by the pack's card"),
        ({}, {"model": "another"}, "options.model is what lmmbench itself says of the question"),
        ({}, {"messages": []}, "options.messages is what lmmbench itself says"),
        ({}, {"n": 4}, "options.n is what lmmbench itself says"),
        ({"faults": {"current quota": "rat"}}, {}, "'rat' is no kind of fault (did you mean 'rate'?)"),
        ({"faults": {"": "rate"}}, {}, "'' is no text"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_meant_is_refused(tmp_path: Path, family: Any, options: Any, says: str) -> None:
    """A second cap under another name, which CLOVA refuses and others obey unseen; a fault of no kind."""
    row = {"endpoint": "sim", "name": "m", "vendor": "v", "family": "f", "region": "overseas", "options": options}
    data = {
        "version": 1, "endpoints": {"sim": {"api": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}},
        "capabilities": {"c": FAMILY | family}, "models": {"m": row | {"capabilities": "c"}},
    }  # fmt: skip
    path = tmp_path / "providers.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        config.load(path)
    assert says in str(raised.value)


def test_a_familys_own_words_go_before_everyone_elses() -> None:
    """OpenAI says 'current quota' of money, Qwen of tokens a minute: only the family that says so is read that way."""
    body = err("insufficient_quota", "You exceeded your current quota")
    assert http_fault(429, {}, body).kind == "quota"
    assert http_fault(429, {}, body, {"exceeded your CURRENT quota": "rate"}).kind == "rate"


def test_a_code_is_a_code_in_any_type() -> None:
    """CLOVA's status code comes as text and as a number; what is no code is none."""
    assert [code(x) for x in ("20000", 20000, 20000.0, None, True, -1, [20000])] == ["20000"] * 3 + [""] * 4


def test_a_count_is_a_count_in_any_type() -> None:
    """5, 5.0 and "5" are 5; half a token, a negative or a foreign number of tokens is none."""
    assert [count(x) for x in (5, 5.0, "5", 0)] == [5, 5, 5, 0]
    nothing = [5.5, -1, "-1", "5.0", "", "٥", True, None, float("nan"), float("inf"), 2**63, str(2**63), "9" * 5000]
    assert [count(x) for x in nothing] == [None] * len(nothing)
