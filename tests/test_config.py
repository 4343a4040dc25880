"""providers.yaml: families, prices, addresses, keys, and names that are no more. And the shipped file's own rows."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmmbench import bench, config, plan, policy, retired
from lmmbench.faults import UsageError
from lmmbench.providers.parameters import parameters
from lmmbench.types import Capabilities, Endpoint, MediaLimits
from tests import kit
from tests.fake_server import Answer, FakeServer
from tests.test_parameters import ASK

SHIPPED = config.load(kit.ROOT / "providers.yaml")
TODAY = date(2026, 11, 22)
FAMILY = {"source": "made up", "as_of": "2026-11-22"}
THINKER = {**FAMILY, "effort": "reasoning_effort", "efforts": ["low", "high"], "default_effort": "low", "stop": "refused"}  # fmt: skip


def loaded(folder: Path, row: Any = None, families: Any = None, **endpoint: Any) -> config.Config:
    """The configuration of one model `m` on one endpoint `e`."""
    whole = {
        "version": 1, "endpoints": {"e": {"api": "openai-chat", "base_url": "https://h.example/v1", **endpoint}},
        "models": {"m": {"endpoint": "e", "name": "m", "vendor": "V", "family": "F", "region": "overseas", **(row or {})}},
    }  # fmt: skip
    path = folder / "providers.yaml"
    path.write_text(yaml.safe_dump(whole | ({"capabilities": families} if families else {})), encoding="utf-8")
    return config.load(path)


def refused(folder: Path, *args: Any, **endpoint: Any) -> str:
    with pytest.raises(UsageError) as raised:
        loaded(folder, *args, **endpoint)
    assert raised.value.exit_code == 2
    return str(raised.value)


# --- families ----------------------------------------------------------------------------------------


def test_a_row_has_the_capabilities_of_its_family(tmp_path: Path) -> None:
    """The entry that a row names is the model's own, limits of its inputs included."""
    limits = {"image": {"types": ["image/png"], "max_bytes": 20_000_000, "per_request": 1}}
    entry = {**THINKER, "temperature": "refused", "temperature_range": [0, 1], "limits": limits}
    can = loaded(tmp_path, {"capabilities": "f"}, {"f": entry}).models["m"].capabilities
    assert (can.temperature, can.temperature_range, can.efforts) == ("refused", (0.0, 1.0), ("low", "high"))
    assert can.limits == {"image": MediaLimits(("image/png",), 20_000_000, 1)}


@pytest.mark.parametrize(
    ("api", "cap_field", "seed"),
    [("openai-chat", "max_tokens", "accepted"), ("gemini", "maxOutputTokens", "accepted"),
     ("clova", "maxTokens", "accepted"), ("anthropic", "max_tokens", "refused")],
)  # fmt: skip
def test_a_row_without_a_family_has_its_dialects_plain_shape(
    tmp_path: Path, api: str, cap_field: str, seed: str
) -> None:
    """Nobody has to know of families to ask a vendor that does the usual."""
    model = loaded(tmp_path, api=api, base_url="https://h.example").models["m"]
    assert (model.capabilities.cap_field, model.capabilities.seed) == (cap_field, seed)


def test_the_contracts_example_row_loads(tmp_path: Path) -> None:
    """`inputs` and `options: {reasoning_effort: low}` without a family: the effort goes as it stands."""
    row = {"inputs": ["text", "image"], "options": {"reasoning_effort": "low"}, "verified": "never",
           "price": {"input": 0.10, "cached_input": 0.01, "output": 0.50, "currency": "USD", "as_of": "2026-11-01", "source": "vendor price page"}}  # fmt: skip
    model = loaded(tmp_path, row).models["m"]
    assert parameters(ASK, model)[0]["reasoning_effort"] == "low"


BAD_ROWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "family that is not there": ({"capabilities": "thinkr"}, ("'thinkr'", "'thinker'", "providers.yaml:")),
    "family written out": ({"capabilities": {"stop": "refused"}}, ("not defined", "capabilities:")),
    "stop that is refused": ({"capabilities": "thinker", "options": {"stop": ["\n"]}}, ("'m'", "'stop'", "remove")),
    "effort that does not exist": (
        {"capabilities": "thinker", "options": {"reasoning_effort": "hihg"}}, ("'hihg'", "low, high", "'high'"),
    ),
    "temperature that is refused": ({"capabilities": "cold", "options": {"temperature": 1}}, ("temperature", "remove")),
    "temperature out of range": ({"capabilities": "narrow", "options": {"temperature": 1.2}}, ("1.2", "0 to 1")),
    "temperature that is none": ({"capabilities": "narrow", "options": {"temperature": "hot"}}, ("'hot'", "0 to 1")),
    "cap of the row's own": ({"options": {"max_tokens": 9}}, ("max_tokens", "card", "remove")),
    "input that is none": ({"inputs": ["text", "imgae"]}, ("'imgae'", "'image'")),
    "key that has moved": ({"drops": ["seed"]}, ("'drops'", "capabilities", "docs/providers.md")),
    "date that is none": ({"retires_on": "soon"}, ("retires_on", "2027-01-14")),
    "price below zero": ({"price": {"cache_write": -1.0}}, ("price.cache_write", "0 or more")),
    "currency without a rate": ({"price": {"input": 1.0, "currency": "KRW"}}, ("KRW", "usd_rate")),
    "rate that is none": (
        {"price": {"currency": "KRW", "usd_rate": {"rate": 0, "as_of": "x", "source": "y"}}}, ("usd_rate.rate", "above 0"),
    ),
    "tier that is cheaper": ({"price": {"long_prompt": {"above": 9, "input": 0.5, "output": 1}}}, ("long_prompt.input", "1 or more")),
    "hours that are none": ({"price": {"peak": {"times": 2, "days": ["mon"], "utc": ["4-1"]}}}, ("'4-1'", "01:00-04:00")),
    "hours that end before they begin": ({"price": {"peak": {"times": 2, "days": ["mon"], "utc": ["22:00-02:00"]}}}, ("22:00-02:00",)),
    "day that is none": ({"price": {"peak": {"times": 2, "days": ["mo"], "utc": []}}}, ("'mon'",)),
    "inference of no part": ({"price": {"inferred": ["peaks"]}}, ("'peaks'", "'peak'")),
    "typo in a tier": ({"price": {"long_prompt": {"abov": 9, "input": 2, "output": 2}}}, ("abov", "'above'")),
}  # fmt: skip
FAMILIES = {"thinker": THINKER, "cold": {**FAMILY, "temperature": "refused"}, "narrow": {**FAMILY, "temperature_range": [0, 1]}}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD_ROWS)
def test_a_row_that_cannot_be_meant_is_refused_at_load(tmp_path: Path, wrong: str) -> None:
    """What a family, a price or the contract rules out is one sentence with the file, found before anything is asked."""
    row, says = BAD_ROWS[wrong]
    said = refused(tmp_path, row, FAMILIES)
    assert [word for word in ("providers.yaml", *says) if word not in said] == [], said


BAD_FAMILIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "typo": ({**FAMILY, "temprature": "refused"}, ("capabilities.f.temprature", "'temperature'")),
    "neither taken nor not": ({**FAMILY, "seed": "maybe"}, ("'accepted'",)),
    "no source": ({"as_of": "2026-11-22"}, ("'f'", "source")),
    "effort without a default": ({**FAMILY, "effort": "x"}, ("'f'", "default_effort")),
    "default that is no effort": ({**THINKER, "default_effort": "mid"}, ("'mid'", "efforts")),
    "ratio that is none": (
        {**FAMILY, "limits": {"image": {"max_ratio": 0.2}}},
        ("limits.image.max_ratio", "1 or more"),
    ),
    "unit that is none": ({**FAMILY, "cost_field": "cost", "cost_units": 0}, ("cost_units", "above 0")),
    "inference from nothing": ({**FAMILY, "inferred": ["seeds"]}, ("'seeds'", "'seed'")),
    "limit that is none": ({**FAMILY, "limits": {"image": {"max_byte": 1}}}, ("max_byte", "'max_bytes'")),
}


@pytest.mark.parametrize("wrong", BAD_FAMILIES)
def test_a_family_that_cannot_be_meant_is_refused_at_load(tmp_path: Path, wrong: str) -> None:
    """An entry is checked whether or not a row names it, and the sentence names the entry."""
    entry, says = BAD_FAMILIES[wrong]
    for row in ({}, {"capabilities": "f"}):
        said = refused(tmp_path, row, {"f": entry})
        assert [word for word in says if word not in said] == [], said


@pytest.mark.parametrize("api", ["gemini", "clova"])
def test_a_familys_cap_has_a_name_that_its_api_knows(tmp_path: Path, api: str) -> None:
    """Under another name the cap would be no cap: refused, with the names that there are."""
    said = refused(tmp_path, {"capabilities": "f"}, {"f": FAMILY}, api=api, base_url="https://h.example")
    assert f"the api {api} has max" in said


def test_the_examples_of_the_documentation_load(tmp_path: Path) -> None:
    """What docs/providers.md shows can be copied: its rows, its family, its price."""
    text = (kit.ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    rows, family, price = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    rows["models"]["mine-large"] |= price
    whole = {"version": 1, **rows, **family, "models": rows["models"] | family["models"]}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(whole, default=str))), encoding="utf-8")
    models = config.load(tmp_path / "p.yaml").models
    assert models["mine-thinker"].effort == "low" and models["mine-large"].price.usd_rate
    fields = {f.name for f in dataclasses.fields(Capabilities)}
    assert fields <= set(re.findall(r"`(\w+)`", text)), "every key of a family is explained"


def test_a_plan_carries_its_models_capabilities(tmp_path: Path) -> None:
    """A run is resumed with what it was begun with, whatever providers.yaml says by then; a plan from before there were
    capabilities is refused by one sentence."""
    cfg = loaded(tmp_path, {"capabilities": "thinker"}, FAMILIES)
    models = {"m": plan.PlannedModel(cfg.models["m"], cfg.endpoints["e"])}
    made = plan.make("r", models, {}, repeats=1, seed=0, option_order="given", options={})
    plan.save(made, tmp_path)
    assert plan.load(tmp_path).models["m"].model.capabilities == cfg.models["m"].capabilities
    old = json.loads((tmp_path / "plan.json").read_bytes()) | {"schema": 1}
    (tmp_path / "plan.json").write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(UsageError, match=r"schema 1 .* start a new run"):
        plan.load(tmp_path)


# --- the shipped rows --------------------------------------------------------------------------------


def test_every_system_of_the_mission_has_a_row_and_none_claims_to_be_verified() -> None:
    """Nobody has asked a vendor from here, and every row says so."""
    families = {m.family for m in SHIPPED.models.values()}
    mission = {"ChatGPT", "DeepSeek", "LLaMA", "Gemini", "Grok", "HyperCLOVA X", "Kanana"}
    assert mission | {"Claude", "Solar", "EXAONE", "A.X", "Mistral", "Qwen"} <= families
    assert {m.verified for m in SHIPPED.models.values()} == {"never"}
    assert {SHIPPED.models["deepseek-flash"].name, SHIPPED.models["deepseek-flash-thinking"].name} == {"deepseek-flash"}


@pytest.mark.parametrize("name", SHIPPED.models)
def test_every_row_sends_an_effort_where_its_family_has_one(name: str) -> None:
    """Vendors' defaults differ, so nothing is left to them: the effort is in every request, and in the row itself."""
    model = SHIPPED.models[name]
    sent: Any = parameters(ASK, model)[0]
    assert sent[model.capabilities.cap_field] == (64 if not model.reasons else 64 + 4096)
    if model.capabilities.effort:
        at: Any = model.options
        for part in model.capabilities.effort.split("."):
            sent, at = sent[part], at[part]
        assert sent == at == model.effort


@pytest.mark.parametrize("name", SHIPPED.models)
def test_every_price_says_when_and_where_it_was_read(name: str) -> None:
    """A price without a date and a source is a rumour."""
    price = SHIPPED.models[name].price
    assert (price.input is None) == (price.output is None)
    assert price.input is None or (date.fromisoformat(price.as_of) <= TODAY and price.source)


def test_every_family_is_dated_and_used_or_documented() -> None:
    """No entry stands there that no row names, and each has the date on which it was read."""
    used = [m.capabilities for m in SHIPPED.models.values()]
    assert [name for name, can in SHIPPED.capabilities.items() if can not in used] == []
    assert all(date.fromisoformat(can.as_of) <= TODAY for can in SHIPPED.capabilities.values())


def test_no_row_is_shipped_that_was_gone_when_it_was_written() -> None:
    """On the day of the catalogue every row's name was alive, and rows that go carry the date that the table of names has."""
    for name, model in SHIPPED.models.items():
        url = SHIPPED.endpoints[model.endpoint].base_url
        assert retired.gone(model.name, url, model.retires_on, TODAY) == "", name
        assert retired.end(model.name, url, "")[0] == model.retires_on, name


def test_thinking_on_and_off_are_two_models() -> None:
    """The same name with thinking on drops the temperature and gets the allowance; with thinking off it does neither."""
    on, off = (parameters(ASK, SHIPPED.models[m]) for m in ("deepseek-flash-thinking", "deepseek-flash"))
    assert (on[0]["thinking"], off[0]["thinking"]) == ({"type": "enabled"}, {"type": "disabled"})
    assert ("temperature" in on[1], "temperature" in off[1]) == (True, False)
    assert (on[0]["max_tokens"], off[0]["max_tokens"]) == (64 + 4096, 64)


# --- names that are no more --------------------------------------------------------------------------

OPENAI = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("deepseek-chat", ("2026-07-24", "deepseek-flash", "was")),
        ("gpt-3.5-turbo-0125", ("2026-10-23", "gpt-6", "was")),
        ("grok-3", ("2026-05-15", "grok-4.3", "was")),
        ("grok-3-mini", ()),  # the vendor's page does not name it
        ("gpt-4-32k", ()),
        ("gpt-4-0613", ("2026-10-23",)),
        ("grok-4-1-fast-reasoning", ("2026-05-15",)),
        ("o3", ("2026-12-11", "is to be")),
        ("KoGPT-6B", ("KoGPT", "2024", "kanana-o")),
        ("gpt-6-luna", ()),
        ("nonsense", ()),
    ],
)
def test_an_old_name_says_what_became_of_it(name: str, says: tuple[str, ...]) -> None:
    """The date of the end where one is known, and what comes next; nothing for a name that is just wrong."""
    said = retired.became(name, TODAY)
    assert bool(said) == bool(says)
    assert [word for word in says if word not in said] == []


@pytest.mark.parametrize(
    ("url", "retires_on", "day", "gone", "soon"),
    [
        (OPENAI, "", "2026-10-22", False, True),
        (OPENAI, "", "2026-10-23", True, False),
        (OPENAI, "", "2026-09-22", False, False),
        (OPENAI, "2028-01-01", "2026-11-22", False, False),  # the row knows better
        ("http://127.0.0.1:8000/v1", "", "2026-11-22", False, False),  # a server of one's own
        ("http://127.0.0.1:8000/v1", "2026-11-22", "2026-11-22", True, False),
    ],
)
def test_a_rows_model_is_gone_from_its_day_on(url: str, retires_on: str, day: str, gone: bool, soon: bool) -> None:
    """Refused from the date on, warned of for 30 days before it; what a server of one's own calls gpt-4 is none of
    OpenAI's."""
    at = date.fromisoformat(day)
    assert bool(retired.gone("gpt-4", url, retires_on, at)) == gone
    assert bool(retired.soon("gpt-4", url, retires_on, at)) == soon


def test_every_date_of_the_table_is_one() -> None:
    """A date that cannot be read would be an unforeseen error on the day that it matters."""
    for entry in retired.RETIRED.values():
        assert entry.then and (not entry.on or date.fromisoformat(entry.on).year >= 2026)


@pytest.mark.parametrize("days", [-1, 0, 10, 31])
def test_a_run_refuses_what_is_gone_and_warns_of_what_goes(tmp_path: Path, days: int) -> None:
    """Named in --models a retired model is exit 2, else skipped; within 30 days a warning stands on stderr."""
    day = (bench.today() + timedelta(days=days)).isoformat()
    kit.write_pack(tmp_path / "tasks" / "p", 1)
    with FakeServer() as server:
        rows = {"sim-a": {"retires_on": day}, "sim-b": {}}
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, rows)
        run = ("run", "--tasks", "p")
        named = kit.lmmbench(*run, "--models", "sim-a", cwd=tmp_path)
        if days > 0:
            assert named.returncode == 0
            assert (f"warning: sim-a: sim-a is to be switched off by its vendor on {day}" in named.stderr) == (
                days <= 30
            )
            return
        assert named.returncode == 2 and server.history == []
        assert f"was switched off by its vendor on {day}" in named.stderr
        rest = kit.lmmbench(*run, cwd=tmp_path)
        assert (
            rest.returncode == 0
            and f"skipped sim-a at endpoint 'sim': sim-a was switched off by its vendor on {day}" in rest.stderr
        )
        assert {x.model for x in server.history} == {"sim-b"}


def test_the_list_of_models_is_one_readable_line_each_and_says_who_goes(tmp_path: Path) -> None:
    """Every shipped row fits a line of 120 characters, and one that the vendor switches off carries the day."""
    said = kit.lmmbench("list", "models", "--providers", kit.ROOT / "providers.yaml", cwd=tmp_path)
    lines = {line.split()[0]: line for line in said.stdout.splitlines()}
    assert list(lines) == list(SHIPPED.models)
    assert max(map(len, lines.values())) <= 120
    assert lines["gpt-4o"].endswith("· retires 2027-01-14") and "retires" not in lines["gpt-6-luna"]


# --- addresses and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("from_variable", [False, True])
@pytest.mark.parametrize(
    ("api", "url", "says"),
    [
        ("openai-chat", "https://h.example/v1/chat/completions", ("/chat/completions", "remove")),
        ("openai-chat", "https://h.example/v1/chat/completions/", ("/chat/completions", "remove")),
        ("gemini", "https://h.example/v1beta", ("/v1beta", "remove")),
        ("anthropic", "https://h.example/v1/", ("/v1", "remove")),
        ("clova", "https://h.example/v3/chat-completions", ("/v3", "remove")),
        ("openai-chat", "https://h.example/v1 ", ("space", "without")),
        ("openai-chat", "https://h.example /v1", ("space", "without")),
        ("openai-chat", "https://h.example/v1\n", ("line break", "without")),
        ("openai-chat", "h.example/v1", ("https://",)),
        ("openai-chat", "localhost:8000/v1", ("https://",)),
        ("openai-chat", "htps://h.example/v1", ("http(s)://",)),
        ("openai-chat", "https:///v1", ("http(s)://",)),
        ("openai-chat", "https://u:hunter2@h.example/v1", ("without user",)),
        ("openai-chat", "https://h.example/v1?key=hunter2", ("query", "key_env")),
        ("openai-chat", "https://h.example/v1#x", ("fragment",)),
        ("openai-chat", "http://h.example/v1", ("plain http", "https", "allow_http")),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_meant_is_refused(
    api: str, url: str, says: tuple[str, ...], from_variable: bool
) -> None:
    """From the file or from a variable: one sentence with the endpoint and what to do, never with the address itself."""
    endpoint = Endpoint(api, base_url_env="SHOP_URL" if from_variable else "", base_url="" if from_variable else url, key_env="K")  # fmt: skip
    with pytest.raises(UsageError) as raised:
        config.base_url("shop", endpoint, {"SHOP_URL": url})
    said = str(raised.value)
    assert [word for word in ("'shop'", *says) if word not in said] == [], said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["https://h.example", "https://h.example/", "https://h.example/v1/", "http://127.0.0.1:8000/v1"]
)
def test_an_address_that_can_be_meant_is_taken_without_its_last_slash(url: str) -> None:
    """A trailing slash is no mistake, and a vendor may need no /v1."""
    assert config.base_url("e", Endpoint("openai-chat", base_url=url, key_env="K")) == url.rstrip("/")


@pytest.mark.parametrize(
    ("api", "path", "body", "asks"),
    [
        ("openai-chat", "", "404 page not found", "is /v1 missing at the end of the base_url of 'sim'?"),
        ("openai-chat", "/", "404 page not found", "is /v1 missing at the end of the base_url of 'sim'?"),
        ("openai-chat", "/api", "404 page not found", "is /v1 missing at the end of"),
        ("openai-chat", "/api//", "Cannot POST /api/chat/completions", "is /v1 missing at the end of"),
        ("openai-chat", "/v1/models", "Cannot POST /v1/models/chat/completions", "is /models too much at the end of"),
        ("openai-chat", "/v1/v1/", "404 page not found", "does /v1 stand twice in"),
        ("openai-chat", "/api//v1", "404 page not found", "is there a slash too many in"),
        ("openai-chat", "/v1/chat", "404 page not found", "is /chat too much at the end of"),
        ("openai-chat", "", "model 'sim-a' not found", ""),
        ("openai-chat", "/v1", "404 page not found", ""),
        ("openai-chat", "/v1/", "404 page not found", ""),
        ("openai-chat", "/v1beta/openai", "404 page not found", ""),
        ("openai-chat", "/v1/openai", "404 page not found", ""),
        ("openai-chat", "/compatible-mode/v1", "404 page not found", ""),
        ("gemini", "", "404 page not found", ""),
        ("gemini", "/v1", "404 page not found", "is /v1 too much (the api gemini adds its own) at the end of"),
        ("gemini", "/v1beta/openai", "404 page not found", "does /openai (which is for the api openai-chat) belong at"),
        ("gemini", "/v1", "models/sim-a is not found for API version v1beta; call ListModels to see available models", ""),
        ("clova", "/v1/openai", "404", "does /openai (which is for the api openai-chat) belong at the end of"),
        ("anthropic", "/anthropic", "404", ""),
    ],
)  # fmt: skip
def test_a_404_asks_about_what_is_doubtful_in_the_path(
    tmp_path: Path, api: str, path: str, body: str, asks: str
) -> None:
    """Some servers want /v1 and some do not, so only their own 404 tells. A 404 that is about the model, and a path that
    may well be right, are asked nothing."""
    kit.write_pack(tmp_path / "tasks" / "p", 1)
    with FakeServer(lambda _: Answer(status=404, body=body)) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, base_url=server.url + path, api=api)
        ran = kit.run_here(tmp_path)
    (row,) = kit.rows_of(ran.folder)
    assert row["error_kind"] == "config"
    assert ("?" in row["error"], asks in row["error"]) == (bool(asks), True), row["error"]


CLOVA_GOV = "https://clovastudio.stream.gov-ntruss.com/v1/openai"


@pytest.mark.parametrize(
    ("key", "url", "vendor"),
    [
        ("sk-ant-abcdefgh", OPENAI, "Anthropic"),
        ("sk-or-v1-abcdefgh", OPENAI, "OpenRouter"),
        ("sk-proj-abcdefgh", "https://api.deepseek.com", "OpenAI"),
        ("gsk_abcdefgh", OPENAI, "Groq"),
        ("AIzaSyabcdefgh", OPENAI, "Google"),
        ("up_abcdefgh", OPENAI, "Upstage"),
        ("nv-abcdefgh", OPENAI, "CLOVA Studio"),
        ("xai-abcdefgh", "https://api.upstage.ai/v1", "xAI"),
        ("KC_IS_abcdefgh", OPENAI, "Kakao"),
        ("xai-abcdefgh", "https://evilx.ai/v1", "xAI"),
        ("sk-ant-abcdefgh", "https://anthropic.com.example.org", "Anthropic"),
        ("sk-ant-abcdefgh", "https://api.anthropic.com", ""),
        ("sk-or-v1-abcdefgh", "https://openrouter.ai/api/v1", ""),
        ("AIzaSyabcdefgh", "https://generativelanguage.googleapis.com", ""),
        ("nv-abcdefgh", CLOVA_GOV, ""),
        ("KC_IS_abcdefgh", "https://kanana-o.a2s-endpoint.kr-central-2.kakaocloud.com/v1", ""),
        ("sk-proj-abcdefgh", OPENAI, ""),
        ("sk-abcdefgh", "https://api.deepseek.com", ""),
        ("xai-abcdefgh", "http://127.0.0.1:4000/v1", ""),
        ("", OPENAI, ""),
    ],
)
def test_a_key_of_another_vendor_is_refused_and_never_shown(key: str, url: str, vendor: str) -> None:
    """Sent, it would be known to a host that has no business with it. The sentence names the variable, the endpoint, the
    host and how to send it all the same; no part of the key is in it."""
    endpoint = Endpoint("openai-chat", base_url=url, key_env="K")
    if not vendor:
        assert config.key("e", endpoint, {"K": key}).reveal() == key
        return
    with pytest.raises(UsageError) as raised:
        config.key("e", endpoint, {"K": key})
    said = str(raised.value)
    assert all(word in said for word in ("the key in K", f"those of {vendor}", "'e'", "allow_foreign_key: true"))
    assert "abcdefgh" not in said and key[:5] not in said
    assert config.key("e", replace(endpoint, allow_foreign_key=True), {"K": key}).reveal() == key


@pytest.mark.parametrize("named", [["--models", "sim-a"], []])
def test_a_run_with_a_key_of_another_vendor_sends_nothing(tmp_path: Path, named: list[str]) -> None:
    """Exit 2 before the first ask, also where the model was not named; with allow_foreign_key it is asked."""
    kit.write_pack(tmp_path / "tasks" / "p", 1)
    with FakeServer() as proxy:  # a name that is not this machine, and goes no further than it
        env = {"SIM_API_KEY": "sk-ant-0123456789", "http_proxy": proxy.url}
        for allowed, code in ((False, 2), (True, 0)):
            keys: dict[str, Any] = {"allow_http": True, "key_env": "SIM_API_KEY", "allow_foreign_key": allowed}
            kit.providers_yaml(tmp_path / "providers.yaml", "http://vendor.invalid", **keys)
            done = kit.lmmbench("run", "--tasks", "p", "--allow-unknown-cost", *named, cwd=tmp_path, env=env)
            assert (done.returncode, len(proxy.history)) == (code, int(allowed)), done.stderr
            assert (
                "'sim-a' at endpoint 'sim' cannot be asked: the key in SIM_API_KEY begins as" in done.stderr
            ) != allowed
            assert "0123456789" not in done.stdout + done.stderr


# --- the sampling policy -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two models, one of which obeys no temperature and no seed."""
    home = tmp_path_factory.mktemp("policy")
    kit.write_pack(home / "tasks" / "p", 3)
    with FakeServer() as server:
        rows = {"sim-a": {"capabilities": "deaf"}, "sim-b": {}}
        kit.providers_yaml(home / "providers.yaml", server.url, rows)
        families = yaml.safe_dump({"capabilities": {"deaf": {**FAMILY, "temperature": "ignored", "seed": "refused"}}})
        with (home / "providers.yaml").open("a", encoding="utf-8") as f:
            f.write(families)
        done = kit.lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
        assert done.returncode == 0, done.stderr
        assert not [x for x in server.history if x.model == "sim-a" and x.body.keys() & {"temperature", "seed"}]
    (home / "printed").write_text(done.stdout, encoding="utf-8")
    return home / "results" / "r"


def test_what_was_dropped_stands_in_every_row(run: Path) -> None:
    """dropped_json holds what was meant and not sent."""
    told = Counter((r["model"], r["dropped_json"]) for r in kit.rows_of(run))
    assert told == {("sim-a", '{"seed":0,"temperature":0.0}'): 3, ("sim-b", "{}"): 3}


def test_run_json_holds_the_policy_and_what_was_dropped(run: Path) -> None:
    """A reader of the files alone knows how every model was sampled."""
    manifest = kit.manifest_of(run)
    assert manifest["sampling_policy"] == policy.SAMPLING["en"]
    assert manifest["models"]["sim-a"]["dropped"] == {"seed": 3, "temperature": 3}
    assert manifest["models"]["sim-b"]["dropped"] == {}


def test_the_policy_stands_below_every_matrix(run: Path) -> None:
    """After a run, in the matrix of a run, in Markdown and in Korean: the policy, and `temperature: n/a` by model."""
    home = run.parents[1]
    shown = [(home / "printed").read_text(encoding="utf-8")]
    shown += [kit.lmmbench("matrix", "r", "--format", form, cwd=home).stdout for form in ("table", "md")]
    for text in shown:
        assert "Sampling: temperature 0" in text
        assert "- sim-a  seed: n/a · temperature: n/a" in text
        assert "sim-b  " not in text.partition("Sampling:")[2]
    assert "생성 설정: 온도 0" in kit.lmmbench("matrix", "r", "--lang", "ko", cwd=home).stdout


def test_the_plain_shape_needs_no_table() -> None:
    """Where nothing was dropped the policy stands alone."""
    assert policy.lines("en", [{"models": {"sim-a": {"dropped": {}}, "old": {}}}]) == [policy.SAMPLING["en"]]


def test_a_snapshot_goes_with_its_model() -> None:
    """A dated name is the model's; a date of its own comes first; a server of one's own may call its models so."""
    url = "https://api.openai.com/v1"
    assert retired.gone("o3-mini-2025-01-31", url, "", TODAY) != ""
    assert retired.end("gpt-4o-2024-05-13", url, "")[0] == "2026-10-23"
    assert retired.end("gpt-4o-2024-08-06", url, "")[0] == "2027-01-14"
    assert retired.gone("o3-mini-2025-01-31", "http://127.0.0.1:8000/v1", "", TODAY) == ""


def test_credentials_of_the_vendors_own_client_do_not_go_over_plain_http() -> None:
    """A gemini endpoint with `transport: sdk` and no key_env brings Google Cloud's credentials: as safe as a key."""
    endpoint = Endpoint("gemini", base_url="http://api.example.com", transport="sdk")
    with pytest.raises(UsageError, match="plain http"):
        config.check_url("g", endpoint, endpoint.base_url)


def test_a_dry_run_warns_too(tmp_path: Path) -> None:
    """What a person should know before a run is said where it costs nothing yet."""
    row = {"endpoint": "e", "name": "m", "vendor": "v", "family": "f", "region": "overseas"}
    soon = (datetime.now(UTC).date() + timedelta(days=10)).isoformat()
    data = {
        "version": 1, "endpoints": {"e": {"api": "openai-chat", "base_url": "http://127.0.0.1:9/v1"}},
        "models": {"sim-a": row | {"retires_on": soon}},
    }  # fmt: skip
    (tmp_path / "providers.yaml").write_text(json.dumps(data), encoding="utf-8")
    kit.write_pack(tmp_path / "tasks" / "p", 2)
    done = kit.lmmbench("run", "--tasks", "p", "--models", "sim-a", "--dry-run", cwd=tmp_path)
    assert (done.returncode, f"switched off by its vendor on {soon}" in done.stderr) == (0, True)


def test_an_input_that_no_dialect_sends_is_refused(tmp_path: Path) -> None:
    """Video is sent by none, audio by two: a row that lists more would have questions asked without their file."""
    row = {"endpoint": "e", "name": "m", "vendor": "v", "family": "f", "region": "overseas"}
    for api, kind, says in (
        ("openai-chat", "video", "input 'video' is none of"),
        ("anthropic", "audio", "sends no audio"),
    ):
        data = {
            "version": 1, "endpoints": {"e": {"api": api, "base_url": "http://127.0.0.1:9/v1" if api != "anthropic" else "http://127.0.0.1:9"}},
            "models": {"sim-a": row | {"inputs": ["text", kind]}},
        }  # fmt: skip
        (tmp_path / "providers.yaml").write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(UsageError, match=says):
            config.load(tmp_path / "providers.yaml")
