"""Capabilities applied: what is sent and what is dropped for a request, whatever the family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench.providers.parameters import parameters, with_value
from lmmbench.types import STOPS, Capabilities, Item, Model, Provenance, Request

ITEM = Item("q1", "s", "closed", "c", {}, ("1",), Provenance("", "", "", (), "recall"), ("하나", "둘"))
ASK = Request("p", ITEM, 0, "답만 쓰십시오.", "알맞은 답은?", (1, 2), 64, 7)
EFFORT: dict[str, Any] = {"effort": "reasoning_effort", "efforts": ("none", "low", "high"), "default_effort": "low"}


def model(options: dict[str, Any] | None = None, **can: Any) -> Model:
    return Model(
        "sim", "sim-a", "Simulated", "Sim", "overseas", options=options or {}, capabilities=Capabilities(**can)
    )


def test_a_family_that_takes_all_is_sent_all() -> None:
    """The plain shape: cap, temperature 0, seed, and the row's options as they stand; nothing is dropped."""
    sent = {"max_tokens": 64, "temperature": 0.0, "seed": 7, "top_k": 1}
    assert parameters(ASK, model({"top_k": 1})) == (sent, {})


@pytest.mark.parametrize("name", ["temperature", "seed"])
@pytest.mark.parametrize("taken", ["ignored", "refused"])
def test_what_is_not_obeyed_is_dropped_and_recorded(name: str, taken: str) -> None:
    """Whether a vendor ignores a parameter or answers 400: it is not sent, and stands in `dropped` with its value."""
    can: dict[str, Any] = {name: taken}
    sent, dropped = parameters(ASK, model(**can))
    assert name not in sent
    assert dropped == {name: {"temperature": 0.0, "seed": 7}[name]}


def test_the_names_are_the_familys_own() -> None:
    """Cap and seed go under the names that the family knows, in `sent` as in `dropped`."""
    sent, dropped = parameters(ASK, model(cap_field="maxTokens", seed_field="random_seed"))
    assert (sent, dropped) == ({"maxTokens": 64, "temperature": 0.0, "random_seed": 7}, {})
    assert parameters(ASK, model(seed_field="random_seed", seed="refused"))[1] == {"random_seed": 7}


def test_a_temperature_outside_the_familys_range_is_dropped() -> None:
    """0 is no temperature for a family that takes more than 0 only: another one is not slipped in."""
    assert parameters(ASK, model(temperature_range=(0.1, 1.0)))[1] == {"temperature": 0.0}
    assert parameters(ASK, model(temperature_range=(0.0, 1.0)))[1] == {}


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_that_is_ignored_is_not_sent(stop: str) -> None:
    """A row's stop sequences go only where they work."""
    assert parameters(ASK, model({stop: ["\n"]}, stop="ignored"))[1] == {stop: ["\n"]}
    assert parameters(ASK, model({stop: ["\n"]}))[0][stop] == ["\n"]


def test_an_effort_is_always_sent_where_there_is_one() -> None:
    """The row's own, else the family's default; beside what else stands at its path."""
    assert parameters(ASK, model(**EFFORT))[0]["reasoning_effort"] == "low"
    assert parameters(ASK, model({"reasoning_effort": "high"}, **EFFORT))[0]["reasoning_effort"] == "high"
    deep = model({"thinking": {"display": "none"}}, effort="thinking.effort", default_effort="low")
    assert parameters(ASK, deep)[0]["thinking"] == {"display": "none", "effort": "low"}
    assert deep.options == {"thinking": {"display": "none"}}


REASONS = {"never": (False, False, False), "on_request": (False, False, True), "by_default": (True, False, True),
           "always": (True, True, True)}  # fmt: skip


@pytest.mark.parametrize("reasons", REASONS)
def test_the_allowance_follows_the_effort(reasons: Any) -> None:
    """A cap holds the reasoning allowance where the model reasons with what is sent: at no effort, `none`, `low`."""
    plain = model(reasons=reasons)
    asked = [plain, *(model({"reasoning_effort": e}, reasons=reasons, **EFFORT) for e in ("none", "low"))]
    assert tuple(m.output_cap(64) == 64 + 4096 for m in asked) == REASONS[reasons]


@pytest.mark.parametrize("off", ["none", "disabled", False, 0])
def test_every_word_for_no_thinking_is_one(off: Any) -> None:
    """Vendors switch thinking off by a word, a switch or a budget of 0."""
    assert not model(effort="x.y", default_effort=off, reasons="by_default").reasons


def test_a_cap_that_does_not_count_reasoning_holds_the_answer_only() -> None:
    """The allowance is not sent then; but what one answer may cost includes it."""
    apart = model(reasons="always", cap_counts_reasoning=False)
    assert (apart.output_cap(64), apart.most_output(64)) == (64, 64 + 4096)


@given(
    st.sampled_from(["accepted", "ignored", "refused"]),
    st.sampled_from(["accepted", "ignored", "refused"]),
    st.sampled_from(["accepted", "ignored"]),
    st.dictionaries(st.sampled_from([*STOPS, "top_k", "reasoning_effort"]), st.sampled_from(["none", "low", "high"])),
)
def test_nothing_is_lost(temperature: Any, seed: Any, stop: Any, options: dict[str, Any]) -> None:
    """Whatever a family takes: each parameter that was meant stands in `sent` or in `dropped`, in one of them only."""
    can = replace(Capabilities(**EFFORT), temperature=temperature, seed=seed, stop=stop)
    sent, dropped = parameters(ASK, replace(model(options), capabilities=can))
    meant = {"max_tokens", "temperature", "seed", "reasoning_effort", *options}
    assert sent.keys() | dropped.keys() == meant
    assert not sent.keys() & dropped.keys()


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), st.integers())
def test_a_value_is_put_where_its_path_says(path: list[str], value: int) -> None:
    """Parts of the path that are not there are made, others are kept, and the original is not touched."""
    params = {"a": {"b": 1, "c": 2}, "b": 5}
    got: Any = with_value(params, ".".join(path), value)
    for part in path:
        got = got[part]
    assert got == value
    assert params == {"a": {"b": 1, "c": 2}, "b": 5}
