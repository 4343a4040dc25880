"""What an answer costs: laws that hold for every price, and the tiers by example."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench import bench, config, money, plan
from lmmbench.types import LongPrompt, Model, Peak, Price, Rate, Usage
from tests import kit
from tests.fake_server import Answer, FakeServer, openai

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
WEEK = ("mon", "tue", "wed", "thu", "fri")
DEEPSEEK = Peak(2.0, ("01:00-04:00", "06:00-10:00"), WEEK)  # type: ignore[arg-type]
MILLION = 1_000_000

amounts = st.floats(0, 1000)
maybe = st.none() | amounts
times = st.floats(1, 5)
peaks = st.builds(Peak, times, st.just(DEEPSEEK.utc), st.just(DEEPSEEK.days))
rates = st.builds(Rate, st.floats(0.01, 2000), st.just(""), st.just(""))
tiers = st.builds(LongPrompt, st.integers(0, 5000), times, times)
prices = st.builds(
    Price,
    input=maybe,
    cached_input=maybe,
    cache_write=maybe,
    output=maybe,
    long_prompt=st.none() | tiers,
    peak=st.none() | peaks,
    usd_rate=st.none() | rates,
)
tokens = st.integers(0, 10_000)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def usages(draw: Any) -> Usage:
    """Counts as a vendor gives them: what was cached or written is part of the input."""
    fresh, cached, written, out = (draw(tokens) for _ in range(4))
    return Usage(fresh + cached + written, cached, out, None, written)


@given(usages(), prices, moments, tokens, tokens)
def test_more_tokens_never_cost_less(usage: Usage, price: Price, at: datetime, a: int, b: int) -> None:
    """Cost is monotone in what was asked and in what was answered, in every tier and at any hour; and the worst case of
    so many tokens is never below the cost of an answer within them."""
    more_in, more_out = (usage.input or 0) + a, (usage.output or 0) + b
    cost = money.cost(usage, price, at)
    dearer = money.cost(replace(usage, input=more_in, output=more_out), price, at)
    worst = money.worst(more_in, more_out, price)
    if cost is not None:
        assert dearer is not None and dearer >= cost * (1 - 1e-12)
        assert worst is not None and worst >= cost * (1 - 1e-12)


@given(usages(), prices, moments)
def test_what_is_not_known_makes_the_cost_null(usage: Usage, price: Price, at: datetime) -> None:
    """A count that was not said, or the price of a part that was used, is never taken as 0."""
    assert money.cost(replace(usage, input=None), price, at) is None
    assert money.cost(replace(usage, output=None), price, at) is None
    for gap in (replace(price, input=None), replace(price, output=None)):
        assert money.cost(usage, gap, at) is None
        assert money.worst(10, 10, gap) is None
    if usage.cached:
        assert money.cost(usage, replace(price, cached_input=None), at) is None
    if usage.cache_write:
        assert money.cost(usage, replace(price, cache_write=None), at) is None


def test_each_part_has_its_own_price() -> None:
    """2 fresh, 3 cached and 4 written tokens, and 5 out, each a million times: a price for each."""
    price = Price(input=1.0, cached_input=10.0, cache_write=100.0, output=1000.0)
    usage = Usage(9 * MILLION, 3 * MILLION, 5 * MILLION, 2 * MILLION, 4 * MILLION)
    assert money.cost(usage, price, NOON) == pytest.approx(2 + 30 + 400 + 5000)


def test_a_part_that_was_not_used_needs_no_price() -> None:
    """Most vendors name no price for writing to a cache: that hides no cost of an answer that wrote nothing."""
    assert money.cost(Usage(MILLION, None, 0), Price(input=1.0, output=1.0), NOON) == 1.0
    assert money.cost(Usage(MILLION, 0, 0, None, 0), Price(input=1.0, output=1.0), NOON) == 1.0


def test_a_long_prompt_is_dearer_as_a_whole() -> None:
    """Above the bound every token of the ask has the dearer price, at the bound none has."""
    price = Price(input=1.0, cached_input=0.5, output=1.0, long_prompt=LongPrompt(200_000, 2.0, 1.5))
    assert money.cost(Usage(200_000, 0, 100_000), price, NOON) == pytest.approx(0.3)
    assert money.cost(Usage(200_001, 0, 100_000), price, NOON) == pytest.approx(0.4 + 0.15, abs=1e-5)
    assert money.cost(Usage(400_000, 400_000, 0), price, NOON) == pytest.approx(0.4)
    assert money.worst(200_001, 100_000, price) == pytest.approx(0.55, abs=1e-5)


@pytest.mark.parametrize(
    ("at", "factor"),
    [
        ("2026-11-23T00:59:59+00:00", 1), ("2026-11-23T01:00:00+00:00", 2), ("2026-11-23T03:59:59+00:00", 2),
        ("2026-11-23T04:00:00+00:00", 1), ("2026-11-23T06:30:00+00:00", 2), ("2026-11-23T10:00:00+00:00", 1),
        ("2026-11-22T02:00:00+00:00", 1), ("2026-11-27T02:00:00+00:00", 2), ("2026-11-28T02:00:00+00:00", 1),
        ("2026-11-23T11:00:00+09:00", 2), ("2026-11-23T09:00:00+09:00", 1),
    ],
)  # fmt: skip
def test_deepseeks_hours(at: str, factor: int) -> None:
    """Monday to Friday, 01-04 and 06-10 UTC, are twice as dear, wherever the clock of the record stands."""
    price = Price(input=0.15, cached_input=0.003, output=0.60, peak=DEEPSEEK)
    cost = money.cost(Usage(MILLION, 0, MILLION), price, datetime.fromisoformat(at))
    assert cost == pytest.approx(0.75 * factor)


def test_the_worst_case_is_the_dearest_hour() -> None:
    """Nobody knows at which hour a reserved ask will be sent."""
    assert money.worst(MILLION, MILLION, Price(input=0.15, output=0.60, peak=DEEPSEEK)) == pytest.approx(1.5)


def test_other_currencies_are_given_in_dollars() -> None:
    """A rate is how much one dollar buys: 1,400 won a million tokens at 1,400 won a dollar are one dollar."""
    price = Price(input=1400.0, output=0.0, currency="KRW", usd_rate=Rate(1400.0, "2026-11-20", "made up"))
    assert money.cost(Usage(MILLION, 0, 0), price, NOON) == pytest.approx(1.0)
    assert money.worst(MILLION, 0, price) == pytest.approx(1.0)


def test_a_time_of_any_zone_is_the_same_time() -> None:
    """The hour that counts is UTC's."""
    seoul = datetime(2026, 11, 23, 11, tzinfo=timezone(timedelta(hours=9)))
    price = Price(input=1.0, output=1.0, peak=DEEPSEEK)
    assert money.cost(Usage(MILLION, 0, 0), price, seoul) == 2.0


# --- who served it ------------------------------------------------------------------------------------

ROW = Model("sim", "sim-a", "Simulated", "Sim", "overseas", price=Price(input=1.0, output=1.0))
OTHERS = {"sim-b": Price(input=2.0, output=2.0), "sim-b-pro": Price(input=3.0, output=3.0)}


@pytest.mark.parametrize(
    ("served", "price"),
    [
        (None, 1.0), ("", 1.0), ("sim-a", 1.0), ("sim-a-2026-05-01", 1.0), ("models/sim-a", 1.0), ("sim-x", 1.0), ("sim-a-mini", 1.0),
        ("sim-b", 2.0), ("SIM-B-0801", 2.0), ("sim-b-pro-0801", 3.0), ("sim-b-mini", 1.0),
    ],
)  # fmt: skip
def test_the_price_is_that_of_who_served(served: str | None, price: float) -> None:
    """A dated name of what was asked is what was asked; another name that is priced has its price; what has no row has
    the price of the row that was asked."""
    assert money.price_of(ROW, OTHERS, served).input == price


def test_of_a_name_and_a_dated_name_the_longer_one_has_its_price() -> None:
    """Both fit; the dated one says more."""
    others = {"sim-b": OTHERS["sim-b"], "sim-b-0801": OTHERS["sim-b-pro"]}
    assert money.price_of(ROW, others, "sim-b-0801").input == 3.0
    assert money.price_of(ROW, others, "sim-b-0901").input == 2.0


DEAR = {"input": 100.0, "output": 100.0}
PRICED: dict[str, dict[str, Any]] = {
    "sim-a": {"price": {"input": 1.0, "output": 1.0}}, "sim-b": {"price": DEAR}, "sim-far": {"endpoint": "far", "price": DEAR},
    "sim-twice": {"price": DEAR}, "sim-again": {"name": "sim-twice", "price": {"input": 5.0, "output": 5.0}}, "sim-free": {},
}  # fmt: skip


def desk(folder: Path, url: str) -> Path:
    kit.write_pack(folder / "tasks/p", 6)
    kit.providers_yaml(folder / "providers.yaml", url, PRICED, concurrency=1)
    return folder


def test_a_row_knows_the_other_prices_of_its_endpoint(tmp_path: Path) -> None:
    """Not those of another endpoint, of a row without a price, or of a name that two rows price differently."""
    path = kit.providers_yaml(tmp_path / "providers.yaml", "http://127.0.0.1:1", PRICED)
    cfg = config.load(path)
    assert config.other_prices(cfg.models["sim-a"], cfg) == {"sim-b": Price(input=100.0, output=100.0)}
    assert set(config.other_prices(cfg.models["sim-twice"], cfg)) == {"sim-a", "sim-b"}


def test_an_answer_of_another_model_is_priced_by_its_row(tmp_path: Path) -> None:
    """In the rows and the sum, from plan.json alone: graded again after providers.yaml changed, the files are the same to
    the byte. A plan that holds no other prices is read as before."""
    names = ("sim-a", "sim-a-0801", "sim-b", "sim-b-0801", "sim-far", "sim-twice")
    with FakeServer([Answer(body=openai("정답: A", model=name)) for name in names]) as server:
        ran = kit.run_here(desk(tmp_path, server.url), models="sim-a")
    costs = {row["served_model"]: row["cost_usd"] * 1e6 for row in kit.rows_of(ran.folder)}
    asked, dear = pytest.approx(15.0), pytest.approx(1500.0)
    assert costs == dict(zip(names, (asked, asked, dear, dear, asked, asked), strict=True))
    assert kit.manifest_of(ran.folder)["cost_usd"] == pytest.approx(3060e-6)

    before = {p: p.read_bytes() for p in sorted(ran.folder.rglob("*.parquet"))}
    (tmp_path / "providers.yaml").unlink()
    again = kit.lmmbench("score", "r", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {p: p.read_bytes() for p in before} == before

    path = ran.folder / "plan.json"
    old = json.loads(path.read_bytes())
    for planned in old["models"].values():
        assert set(planned.pop("others")) == {"sim-b"}
    path.write_text(json.dumps(old), encoding="utf-8")
    bench.publish(ran.folder, plan.load(ran.folder), None, None)
    assert {round(row["cost_usd"] * 1e6, 6) for row in kit.rows_of(ran.folder)} == {15.0}


def test_the_note_says_whose_price_it_is(tmp_path: Path) -> None:
    """A reader of a cost need not look for its price."""
    with FakeServer(lambda x: Answer(body=openai("정답: A", model="sim-b" if x.number < 4 else "sim-x"))) as server:
        done = kit.lmmbench("run", "--tasks", "p", "--models", "sim-a", cwd=desk(tmp_path, server.url))
    assert "4 answers came from sim-b, which is not the model that was asked for, and is counted at the price of sim-b\n" in done.stderr  # fmt: skip
    assert "2 answers came from sim-x, which is not the model that was asked for, and is counted at the row's price; add a row" in done.stderr  # fmt: skip


def test_the_cap_is_settled_by_what_was_served(tmp_path: Path) -> None:
    """An ask is reserved at the price of the model that was asked; what a dearer one cost is spent all the same, so that
    the run stops an ask later than it would have, and not at the end."""
    with FakeServer(lambda _: Answer(body=openai("정답: A", model="sim-b", usage=(1000, 1000)))) as server:
        ran = kit.run_here(desk(tmp_path, server.url), models="sim-a", max_cost=0.3)
    assert ran.counts["sim-a"] == {"ok": 2, "skipped": 4}, "0.2 dollars each, where less than 0.001 was reserved"


def test_prices_of_others_are_no_part_of_what_is_asked(tmp_path: Path) -> None:
    """plan_sha is the same without them, and shards whose files differ in them belong to one run."""
    with FakeServer() as server:
        run_plan = plan.load(kit.run_here(desk(tmp_path, server.url), models="sim-a").folder)
    alone = {m: replace(p, others={}) for m, p in run_plan.models.items()}
    assert alone == run_plan.models and run_plan.models["sim-a"].others
    assert plan.plan_sha(replace(run_plan, models=alone)) == plan.plan_sha(run_plan) == run_plan.plan_sha
    told = {m: replace(p, endpoint=replace(p.endpoint, trains_on_inputs=True)) for m, p in run_plan.models.items()}
    assert plan.plan_sha(replace(run_plan, models=told)) == run_plan.plan_sha, "nor is who trains on it"
