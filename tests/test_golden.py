"""Golden pairs: what a vendor gets and gives, byte for byte, and what it means here.

Each `golden/<dialect>/<case>.json` states a rule in `about`, where the shape comes from in `source`, and how sure that is
in `sure`: documented (the vendor's page or SDK) | third-party | unverified. Two kinds, and a case may be both:
`request` (keys of our Request) and `model` (keys of its row) with the `call` that they become; `status`, `headers` and
`body` (JSON), `text`, or the `stream` (its bytes as text, one event or comment after the other) with the `reply` that
they mean, keys left out being null, or with the `fault`. `first` is the number of the stream's event with the first
content token, null where there is none.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lmmbench import config
from lmmbench.canon import sha256
from lmmbench.doors import decode
from lmmbench.faults import FAULTS, Fault
from lmmbench.net.http import Sender
from lmmbench.net.http1 import Headers
from lmmbench.net.sse import Parser
from lmmbench.providers import DIALECTS, make
from lmmbench.providers.streams import STREAMS, Folded
from lmmbench.runner import ITEM_BUDGET_S
from lmmbench.types import Capabilities, Endpoint, Item, Media, Model, Provenance, Reply, Request, Usage
from tests.fake_server import Answer, FakeServer
from tests.kit import ROOT

FOLDER = Path(__file__).parent / "golden"
CASES = {f"{path.parent.name}/{path.stem}": path for path in sorted(FOLDER.rglob("*.json"))}
KEYS = {
    "about",
    "source",
    "sure",
    "model",
    "request",
    "call",
    "status",
    "headers",
    "body",
    "text",
    "stream",
    "first",
    "reply",
    "fault",
}
ITEM = Item("q1", "s", "closed", "c", {}, ("1",), Provenance("", "", "", (), "recall"), ("하나", "둘"))


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CASES[name].read_bytes())
    return found


def model(case: dict[str, Any], dialect: str) -> Model:
    """The row: `sim-a`, with the case's own keys. `capabilities` is a name in this repository's providers.yaml; without
    one it is the plain shape of the dialect."""
    row = {"endpoint": "sim", "name": "sim-a", "vendor": "Simulated", "family": "Sim", "region": "overseas"}
    own = dict(case.get("model", {}))
    named = own.pop("capabilities", "")
    can = families()[named] if named else config.PLAIN.get(dialect, Capabilities())
    return replace(decode(Model, row | own, Path("golden"), {}), capabilities=can)


@cache
def families() -> dict[str, Capabilities]:
    return config.load(ROOT / "providers.yaml").capabilities


def request(given: dict[str, Any]) -> Request:
    """A question; `media` as {mime, data in Base64}."""
    ask = Request("p", ITEM, 0, "답만 쓰십시오.", "알맞은 답은?", (1, 2), 64, 7)
    raw = [(m["mime"], base64.b64decode(m["data"])) for m in given.get("media", ())]
    return replace(ask, **given | {"media": tuple(Media(mime, data, sha256(data)) for mime, data in raw)})


def reply_of(expected: dict[str, Any]) -> Reply:
    return Reply(**{"finish_raw": "", **expected, "usage": Usage(**expected.get("usage", {}))})


def folded(case: dict[str, Any], name: str) -> Folded:
    return STREAMS[name.partition("/")[0]].fold(Parser().feed("".join(case["stream"]).encode()))


def answered(case: dict[str, Any], name: str) -> Reply:
    dialect = name.partition("/")[0]
    if "stream" in case:
        body = folded(case, name).body
    else:
        body = case["text"].encode() if "text" in case else json.dumps(case["body"], ensure_ascii=False).encode()
    return DIALECTS[dialect].decode(case["status"], Headers(case["headers"].items()), body, model(case, dialect))


@pytest.mark.parametrize("name", [n for n in CASES if "reply" in load(n)])
def test_a_reply_means_this(name: str) -> None:
    """The rule stands in the case's `about`."""
    case = load(name)
    assert asdict(answered(case, name)) == asdict(reply_of(case["reply"])), case["about"]


@pytest.mark.parametrize("name", [n for n in CASES if "fault" in load(n) and "stream" not in load(n)])
def test_a_refusal_of_service_means_this(name: str) -> None:
    """The rule stands in the case's `about`."""
    case = load(name)
    with pytest.raises(Fault) as raised:
        answered(case, name)
    assert_is(raised.value, case)


def assert_is(found: Fault, case: dict[str, Any]) -> None:
    expected = {"unknown_finish": "", **case["fault"]}
    assert expected.pop("says", "") in found.message
    assert {k: getattr(found, k) for k in expected} == expected, case["about"]


@pytest.mark.parametrize("name", [n for n in CASES if "call" in load(n)])
def test_a_question_goes_out_as_this(name: str) -> None:
    """The rule stands in the case's `about`. The body is compared as JSON, key by key."""
    case = load(name)
    dialect = name.partition("/")[0]
    asked, row = request(case["request"]), model(case, dialect)
    call = DIALECTS[dialect].encode(asked, row)
    call = STREAMS[dialect].call(call, row) if asked.stream else call
    got = {
        "path": call.path, "headers": call.headers, "body": json.loads(call.body), "sent": call.sent, "dropped": call.dropped,
    }  # fmt: skip
    assert got == case["call"], case["about"]


STREAMED = [n for n in CASES if "stream" in load(n)]


@pytest.mark.parametrize("name", [n for n in STREAMED if "first" in load(n)])
def test_the_first_content_token_of_a_stream_is_in_this_event(name: str) -> None:
    """Keep-alive, roles and reasoning come before it and are none."""
    case = load(name)
    assert folded(case, name).first == case["first"], case["about"]


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_over_a_socket_means_the_same(name: str) -> None:
    """Sent by a server, piece by piece: the same reply, or the same fault; a time to the first token where there is a
    first token, and nowhere else."""
    case, dialect = load(name), name.partition("/")[0]
    pieces = [piece.encode() for piece in case["stream"]]
    with FakeServer([Answer(pieces=pieces, headers=case["headers"])]) as server:
        url = server.url + ("/sim/v1" if dialect == "openai-chat" else "/sim")
        found = asyncio.run(asked(model(case, dialect), Endpoint(dialect, url)))
        assert server.history[0].streams
    if isinstance(found, Fault):
        assert_is(found, case)
        return
    assert (found.ttft_s is None) == (case["first"] is None)
    got = replace(found, sent={}, dropped={}, request_sha="", latency_s=None, ttft_s=None)
    assert asdict(got) == asdict(reply_of(case["reply"])), case["about"]


async def asked(row: Model, endpoint: Endpoint) -> Reply | Fault:
    async with Sender() as sender:
        try:
            return await make(row, "sim", endpoint, sender).ask(request({"stream": True}))
        except Fault as fault:
            return fault


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_well_formed(name: str) -> None:
    """It says its rule, its source and how sure it is, holds one whole pair, and is text of this repository: UTF-8, with
    a line break at its end."""
    case = load(name)
    assert case.keys() <= KEYS
    assert case["about"].endswith(".")
    assert case["source"]
    assert case["sure"] in ("documented", "third-party", "unverified")
    assert ("request" in case) == ("call" in case)
    assert "call" in case or ("reply" in case) + ("fault" in case) == 1
    assert ("first" in case) == ("stream" in case and "reply" in case)
    assert case.get("fault", {"kind": "rate"})["kind"] in FAULTS
    raw = CASES[name].read_bytes()
    assert raw.endswith(b"}\n")
    assert b"\r" not in raw


def test_every_dialect_and_every_kind_of_body_has_its_cases() -> None:
    """A dialect without goldens is a claim without a proof; so is a fault that a body can mean."""
    assert {name.partition("/")[0] for name in CASES} == set(DIALECTS)
    for shape in ("reply", "fault"):
        assert {name.partition("/")[0] for name in STREAMED if shape in load(name)} == set(DIALECTS)
    kinds = Counter(load(n)["fault"]["kind"] for n in CASES if "fault" in load(n))
    assert set(kinds) == set(FAULTS) - {"network", "timeout", "unreachable", "adapter"}  # those come without a body


def test_the_table_in_the_docs_is_the_table_of_faults() -> None:
    """docs/faults.md says of each kind what `FAULTS` says, in the same order."""
    chapter = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").partition("\n## ")[0]
    lines = [line for line in chapter.splitlines() if "|" in line]
    told = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    rules = [
        [
            kind,
            rule.status,
            str(rule.attempts) if rule.attempts else f"{ITEM_BUDGET_S / 60:.0f} minutes long",
            rule.stops + (f", after {rule.stop_after} in a row" if rule.stop_after > 1 else ""),
        ]
        for kind, rule in FAULTS.items()
    ]
    assert [[kind, *rest] for kind, _, *rest in told] == rules


def test_the_number_of_pairs_is_the_one_that_is_told() -> None:
    """README, its Korean half, docs/faults.md and CHANGELOG.md count what is there."""
    told = {
        "README.md": "{} pairs",
        "README.ko.md": "{}개 짝",
        "docs/faults.md": "{} cases are",
        "CHANGELOG.md": "{} golden",
    }
    for page, words in told.items():
        assert words.format(len(CASES)) in (ROOT / page).read_text(encoding="utf-8"), (page, len(CASES))
