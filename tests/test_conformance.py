"""Our dialects against the vendors' own clients, over real sockets: the same reply is read alike, the same question is
put alike, but for differences that stand here with their reasons."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lmmbench import config
from lmmbench.faults import Fault
from lmmbench.providers.gemini import SAFETY
from lmmbench.types import Capabilities, Reply
from tests import kit
from tests.fake_server import Answer, Exchange, FakeServer

needs_sdk = kit.needs("openai", "google.genai", install=config.INSTALL_SDK)
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
KEY = "sk-sim-0123456789abcdef"
SYSTEM, USER = kit.request().system, kit.request().user
IMAGE_URL = f"data:image/png;base64,{base64.b64encode(kit.PIXEL.data).decode()}"


@pytest.fixture(autouse=True)
def sim_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_API_KEY", KEY)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a reply. `finish` is the vendor's word; `output` includes reasoning."""

    text: str
    finish: str
    reasoning: str | None
    input: int | None
    cached: int | None
    output: int | None
    reasoning_tokens: int | None


def ours(api: str, body: Any) -> Read | Fault:
    """Our dialect's reading of a body that the server sends."""
    with FakeServer([Answer(body=body)]) as server:
        (found,) = kit.ask(api, "http", server.url)
    if isinstance(found, Fault):
        return found
    u = found.usage
    return Read(found.text, found.finish_raw, found.reasoning, u.input, u.cached, u.output, u.reasoning)


# --- OpenAI ------------------------------------------------------------------------------------------


def completion(message: dict[str, Any], finish: Any = "stop", usage: Any = None) -> dict[str, Any]:
    """A chat completion around a message."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} if usage is None else usage
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "sim-a-2026-11-01",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}], "usage": usage,
    }  # fmt: skip


def tokens(cached: int, reasoning: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 900, "completion_tokens": 300, "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }  # fmt: skip


OPENAI_REPLIES = {
    "text": completion({"content": "정답: 가\n", "refusal": None}),
    "odd text": completion({"content": "이모지 🙂 \u2028 \u0000 \\ \" </s>"}),
    "empty text": completion({"content": ""}),
    "cut by the cap": completion({"content": "여기서 끊"}, "length"),
    "reasoning ate the cap": completion({"content": None}, "length", tokens(0, 300)),
    "refusal": completion({"content": None, "refusal": "도와 드릴 수 없습니다."}),
    "content filter": completion({"content": None}, "content_filter"),
    "half an answer, filtered": completion({"content": "그러니까"}, "content_filter"),
    "reasoning tokens": completion({"content": "42"}, usage=tokens(0, 256)),
    "cached tokens": completion({"content": "42"}, usage=tokens(512, 0)),
    "reasoning beside the text": completion({"content": "42", "reasoning_content": "6 × 7"}),
    "no usage": completion({"content": "42"}) | {"usage": None},
    "unknown fields": completion({"content": "42", "mood": "good"}) | {"service_tier": "flex", "x": [1]},
}  # fmt: skip


def read_by_openai(body: Any) -> Read:
    """What OpenAI's client makes of a body that the server sends; it folds nothing: reasoning is in its output."""
    import openai

    async def create(url: str) -> Any:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/sim/v1", max_retries=0) as client:
            return await client.chat.completions.create(model="sim-a", messages=[{"role": "user", "content": USER}])

    with FakeServer([Answer(body=body)]) as server:
        found = asyncio.run(create(server.url))
    choice, usage = found.choices[0], found.usage
    prompt, answer = (usage.prompt_tokens_details, usage.completion_tokens_details) if usage else (None, None)
    return Read(
        choice.message.refusal or choice.message.content or "",
        choice.finish_reason,
        getattr(choice.message, "reasoning_content", None),
        usage.prompt_tokens if usage else None,
        prompt.cached_tokens if prompt else None,
        usage.completion_tokens if usage else None,
        answer.reasoning_tokens if answer else None,
    )


@needs_sdk
@pytest.mark.parametrize("name", OPENAI_REPLIES)
def test_openais_client_and_our_dialect_read_alike(name: str) -> None:
    """Text, end and every count are the same; where the client shows a refusal apart, it is our text."""
    assert ours("openai-chat", OPENAI_REPLIES[name]) == read_by_openai(OPENAI_REPLIES[name])


# --- Gemini ------------------------------------------------------------------------------------------


def candidate(*parts: dict[str, Any], finish: str = "STOP", **usage: int) -> dict[str, Any]:
    """A generateContent reply around parts; `usage` adds counts."""
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {
        "candidates": [{**content, "finishReason": finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15, **usage},
        "modelVersion": "sim-a-001", "responseId": "r-1",
    }  # fmt: skip


GEMINI_REPLIES = {
    "text": candidate({"text": "정답: 가\n"}),
    "text in parts": candidate({"text": "정답: "}, {"text": "가"}),
    "cut by the cap": candidate({"text": "여기서 끊"}, finish="MAX_TOKENS"),
    "thinking ate the cap": candidate(finish="MAX_TOKENS", thoughtsTokenCount=250),
    "thoughts": candidate({"text": "6 × 7", "thought": True}, {"text": "42"}, thoughtsTokenCount=250),
    "cached tokens": candidate({"text": "42"}, cachedContentTokenCount=8),
    "answer blocked": candidate(finish="SAFETY"),
    "answer blocked half way": candidate({"text": "그러니까"}, finish="PROHIBITED_CONTENT"),
    "no usage": {k: v for k, v in candidate({"text": "42"}).items() if k != "usageMetadata"},
    "unknown fields": candidate({"text": "42", "mood": "good"}) | {"x": [1]},
}
PROMPT_BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 10}}


def asked_by_google(body: Any) -> Any:
    """What Google's client makes of a body that the server sends."""
    from google import genai
    from google.genai import types

    async def generate(url: str) -> Any:
        options = types.HttpOptions(base_url=f"{url}/sim", api_version="v1beta")
        client = genai.Client(vertexai=False, api_key=KEY, http_options=options)
        found = await client.aio.models.generate_content(model="sim-a", contents=USER)
        await client.aio.aclose()
        return found

    with FakeServer([Answer(body=body)]) as server:
        return asyncio.run(generate(server.url))


def read_by_google(body: Any) -> Read:
    """Its reading, with thoughts folded into the output: Google counts them outside, we say inside for every vendor."""
    found = asked_by_google(body)
    first, usage = found.candidates[0], found.usage_metadata
    parts = (first.content.parts if first.content else None) or []
    thoughts = "".join(p.text for p in parts if p.thought)
    return Read(
        "".join(p.text for p in parts if not p.thought),
        first.finish_reason.value,
        thoughts or None,
        usage.prompt_token_count if usage else None,
        usage.cached_content_token_count if usage else None,
        usage.candidates_token_count + (usage.thoughts_token_count or 0) if usage else None,
        usage.thoughts_token_count if usage else None,
    )


@needs_sdk
@pytest.mark.parametrize("name", GEMINI_REPLIES)
def test_googles_client_and_our_dialect_read_alike(name: str) -> None:
    """Text without thoughts, end and every count are the same."""
    assert ours("gemini", GEMINI_REPLIES[name]) == read_by_google(GEMINI_REPLIES[name])


@needs_sdk
def test_a_blocked_prompt_is_read_alike() -> None:
    """No candidate and a reason: Google's client shows the reason, we a refusal with that word."""
    found = asked_by_google(PROMPT_BLOCKED)
    read = ours("gemini", PROMPT_BLOCKED)
    assert isinstance(read, Read)
    assert found.text is None and read.text == ""
    assert read.finish == found.prompt_feedback.block_reason.value
    assert read.input == found.usage_metadata.prompt_token_count


# --- Anthropic ---------------------------------------------------------------------------------------

needs_anthropic = kit.needs("anthropic", install='pip install "lmmbench[dev]"')


def message(*blocks: dict[str, Any], stop: str = "end_turn", **usage: Any) -> dict[str, Any]:
    """A Messages reply around content blocks; `usage` adds counts."""
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "sim-a-20261101", "content": list(blocks),
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5, **usage},
    }  # fmt: skip


def say(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


ANTHROPIC_REPLIES = {
    "text": message(say("정답: 가\n")),
    "text in blocks": message(say("정답: "), say("가")),
    "cut by the cap": message(say("여기서 끊"), stop="max_tokens"),
    "thinking ate the cap": message({"type": "thinking", "thinking": "6 ×", "signature": "s"}, stop="max_tokens"),
    "thinking": message(
        {"type": "thinking", "thinking": "6 × 7", "signature": "s"}, say("42"),
        output_tokens_details={"thinking_tokens": 4},
    ),
    "redacted thinking": message({"type": "redacted_thinking", "data": "x"}, say("42")),
    "refusal": message(stop="refusal"),
    "refusal half way": message(say("그러니까"), stop="refusal"),
    "cache read and written": message(say("42"), cache_read_input_tokens=700, cache_creation_input_tokens=50),
    "stop sequence": message(say("42"), stop="stop_sequence"),
}  # fmt: skip


def read_by_anthropic(body: Any) -> Read:
    """What Anthropic's client makes of it, with its cache folded into the input: Anthropic counts it outside."""
    import anthropic

    async def create(url: str) -> Any:
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=f"{url}/sim", max_retries=0) as client:
            return await client.messages.create(
                model="sim-a", max_tokens=64, messages=[{"role": "user", "content": USER}]
            )

    with FakeServer([Answer(body=body)]) as server:
        found = asyncio.run(create(server.url))
    usage = found.usage
    details = getattr(usage, "output_tokens_details", None)
    thinking = "".join(b.thinking for b in found.content if b.type == "thinking")
    return Read(
        "".join(b.text for b in found.content if b.type == "text"),
        found.stop_reason,
        thinking or None,
        usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0),
        usage.cache_read_input_tokens,
        usage.output_tokens,
        details.thinking_tokens if details else None,
    )


@needs_anthropic
@pytest.mark.parametrize("name", ANTHROPIC_REPLIES)
def test_anthropics_client_and_our_dialect_read_alike(name: str) -> None:
    """Text without thinking, end and every count are the same, once the cache is counted as input."""
    assert ours("anthropic", ANTHROPIC_REPLIES[name]) == read_by_anthropic(ANTHROPIC_REPLIES[name])


# --- replies that hold no answer ---------------------------------------------------------------------


NO_ANSWERS: dict[str, Any] = {
    "error in a 200": {"error": {"message": "upstream broke", "code": 502}},
    "no choices": completion({}) | {"choices": [], "candidates": []},
    "a web page": "<html>Sign in</html>",
    "cut": '{"choices": [{"message": {"content": "정',
    "nothing": "",
}


@needs_sdk
@pytest.mark.parametrize("name", NO_ANSWERS)
@pytest.mark.parametrize(("api", "read"), [("openai-chat", read_by_openai), ("gemini", read_by_google)])
def test_where_the_client_finds_no_answer_neither_do_we(api: str, read: Callable[[Any], Any], name: str) -> None:
    """The clients let such a 200 pass, with null choices or as a bare text, and who reads it meets an exception of
    Python's; for us it is a fault of a kind."""
    fault = ours(api, NO_ANSWERS[name])
    assert isinstance(fault, Fault) and fault.kind in ("invalid", "page", "overload")
    with pytest.raises((TypeError, AttributeError, IndexError, ValueError)):
        read(NO_ANSWERS[name])


# --- the same question -------------------------------------------------------------------------------


def flat(value: Any, at: str = "body") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from flat(inner, f"{at}[{n}]")
    else:
        yield at, value


OF_THE_CONNECTION = ("host", "connection", "content-length", "accept", "accept-encoding")
"""Headers of the HTTP library and not of the question: how long, how packed, whether the connection stays."""


def differences(ours: Exchange, theirs: Exchange) -> set[str]:
    """Where two requests differ: `path`, `header name` (x-stainless-* as one) or a path in the body."""

    def fields(x: Exchange) -> dict[str, Any]:
        headers = {f"header {k}": v for k, v in x.headers.items() if k not in OF_THE_CONNECTION}
        return {"path": x.path, **headers, **dict(flat(x.body))}

    left, right = fields(ours), fields(theirs)
    differ = {name for name in left | right if left.get(name) != right.get(name)}
    return {"header x-stainless-*" if n.startswith("header x-stainless-") else n for n in differ}


OPENAI_DIFFERENCES = {
    "header user-agent": "each names itself",
    "header x-stainless-*": "tells OpenAI of the machine: system, processor, Python",
}
GEMINI_DIFFERENCES = {
    "header user-agent": "each names itself",
    "header x-goog-api-client": "names client and Python",
    "body.systemInstruction.role": "the client says `user`, which means nothing in a system instruction",
    "body.contents[0].parts[1].inlineData.data": "base64 in the alphabet for URLs; protobuf's JSON takes either",
    # the client writes names of inner objects in snake case; protobuf's JSON takes either
    "body.contents[0].parts[1].inlineData.mimeType": "ours",
    "body.contents[0].parts[1].inlineData.mime_type": "the client's",
    "body.generationConfig.thinkingConfig.thinkingLevel": "ours",
    "body.generationConfig.thinkingConfig.thinking_level": "the client's",
}


ANTHROPIC_DIFFERENCES = {
    "header user-agent": "each names itself",
    "header x-stainless-*": "tells Anthropic of the machine: system, processor, Python",
    "header x-api-key": "ours: the header of the documentation",
    "header authorization": "the client's since 2.x: the same key as a bearer token",
    "header anthropic-version": "ours is 2023-06-01, that of client 2.12 is 2026-10-21; the replies above are read alike",
}


async def question_by_anthropic(url: str) -> None:
    import anthropic

    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(kit.PIXEL.data).decode()}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": USER}]
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=f"{url}/sim", max_retries=0) as client:
        await client.messages.create(
            model="sim-a", max_tokens=64, system=SYSTEM, messages=[{"role": "user", "content": content}],
            output_config={"effort": "low"},
        )  # fmt: skip


async def question_by_openai(url: str) -> None:
    import openai

    content: Any = [{"type": "text", "text": USER}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/sim/v1", max_retries=0) as client:
        await client.chat.completions.create(
            model="sim-a", max_completion_tokens=64, temperature=0, seed=3, reasoning_effort="low",
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}],
        )  # fmt: skip


async def question_by_google(url: str) -> None:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=f"{url}/sim", api_version="v1beta")
    client = genai.Client(vertexai=False, api_key=KEY, http_options=options)
    parts: Any = [USER, types.Part.from_bytes(data=kit.PIXEL.data, mime_type="image/png")]
    await client.aio.models.generate_content(
        model="sim-a",
        contents=parts,
        config=types.GenerateContentConfig(
            system_instruction=SYSTEM, max_output_tokens=64, temperature=0, seed=3,
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
            safety_settings=[types.SafetySetting.model_validate(s) for s in SAFETY],
            automatic_continuation=False,
        ),
    )  # fmt: skip
    await client.aio.aclose()


QUESTIONS: dict[str, tuple[Callable[[str], Any], Capabilities, dict[str, str], str]] = {
    "openai-chat": (
        question_by_openai,
        Capabilities(
            cap_field="max_completion_tokens", effort="reasoning_effort", default_effort="low", cap_counts_reasoning=False
        ),
        OPENAI_DIFFERENCES,
        "authorization",
    ),
    "gemini": (
        question_by_google,
        Capabilities(
            cap_field="maxOutputTokens", effort="thinkingConfig.thinkingLevel", default_effort="LOW", cap_counts_reasoning=False
        ),
        GEMINI_DIFFERENCES,
        "x-goog-api-key",
    ),
    "anthropic": (
        question_by_anthropic,
        Capabilities(
            temperature="refused", seed="refused", effort="output_config.effort", default_effort="low", cap_counts_reasoning=False
        ),
        ANTHROPIC_DIFFERENCES,
        "x-api-key",
    ),
}  # fmt: skip


@needs_sdk
@needs_anthropic
@pytest.mark.parametrize("api", QUESTIONS)
def test_the_same_question_is_the_same_request(api: str) -> None:
    """Address, key and every field of the body, image included, are those of the vendor's own call; what differs is
    named above with its reason, and nothing else is."""
    ask_by_client, can, named, auth = QUESTIONS[api]
    with FakeServer() as server:
        (found,) = kit.ask(api, "http", server.url, asked=kit.request(USER, kit.PIXEL), can=can)
        assert isinstance(found, Reply)
        asyncio.run(ask_by_client(server.url))
        mine, theirs = server.history
    assert differences(mine, theirs) == set(named)
    assert KEY in mine.headers[auth] and KEY in str(theirs.headers)


@needs_sdk
def test_what_is_written_differently_means_the_same() -> None:
    """What differs in the question is a way of writing: image and effort are the same."""
    with FakeServer() as server:
        asyncio.run(question_by_google(server.url))
        body = server.history[0].body
    sent = body["contents"][0]["parts"][1]["inlineData"]
    assert (base64.urlsafe_b64decode(sent["data"]), sent["mime_type"]) == (kit.PIXEL.data, "image/png")
    assert body["generationConfig"]["thinkingConfig"] == {"thinking_level": "LOW"}
