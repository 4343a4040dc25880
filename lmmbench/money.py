"""What asks cost, in US dollars; null where a price or a count is not known, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from lmmbench import alarms
from lmmbench.types import Model, Peak, Price, Request, Usage


def price_of(model: Model, others: Mapping[str, Price], served: str | None) -> Price:
    """The price of an answer that `served` gave: the row's own, unless that is another name at its endpoint that has a
    price (`others`, by name)."""
    return others.get(alarms.other_name(model.name, served or model.name, others), model.price)


def cost(usage: Usage, price: Price, at: datetime, reported: float | None = None) -> float | None:
    """Cost in US dollars of one answer that was asked for at `at`: what its vendor says that it billed (`reported`), else
    what came from the vendor's cache or went into it at its own price, reasoning as output. None where a count is not
    known, or the price of a part that was used."""
    if reported is not None:
        return reported
    if usage.input is None or usage.output is None or price.input is None or price.output is None:
        return None
    cached, written = usage.cached or 0, usage.cache_write or 0
    fresh = max(0, usage.input - cached - written)
    given = _sum((fresh, price.input), (cached, price.cached_input), (written, price.cache_write))
    if given is None:
        return None
    return _dollars(given, usage.output * price.output, usage.input, price, peak=_is_peak(price.peak, at))


def worst(tokens_in: int, tokens_out: int, price: Price) -> float | None:
    """The most in US dollars that an answer within these counts can cost: at the dearest hour, in the dearest tier,
    every input token at the dearest of its prices. None where the price is not known."""
    if price.input is None or price.output is None:
        return None
    dearest = max(price.input, price.cached_input or 0.0, price.cache_write or 0.0)
    return _dollars(tokens_in * dearest, tokens_out * price.output, tokens_in, price, peak=True)


def _sum(*parts: tuple[int, float | None]) -> float | None:
    """Tokens times price, added up; None where tokens were used whose price is not known."""
    total = 0.0
    for tokens, price in parts:
        if tokens and price is None:
            return None
        total += tokens * (price or 0.0)
    return total


def _dollars(given: float, answered: float, tokens_in: int, price: Price, *, peak: bool) -> float:
    """US dollars for millionths of the price's currency, in the tier of a prompt this long."""
    if price.long_prompt and tokens_in > price.long_prompt.above:
        given, answered = given * price.long_prompt.input, answered * price.long_prompt.output
    times = price.peak.times if price.peak and peak else 1.0
    per_dollar = price.usd_rate.rate if price.usd_rate else 1.0
    return (given + answered) * times / per_dollar / 1_000_000


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _is_peak(peak: Peak | None, at: datetime) -> bool:
    """Whether a time is within the dearer hours. Their last minute is not: 04:00 is past 01:00-04:00."""
    if peak is None:
        return False
    then = at.astimezone(UTC)
    clock = f"{then:%H:%M}"
    return DAYS[then.weekday()] in peak.days and any(span[:5] <= clock < span[6:] for span in peak.utc)


def input_tokens(request: Request) -> int:
    """An estimate of a prompt's tokens, on the high side for the vendors' tokenizers: 1.5 a character, 50 for the
    frame, 2,000 an image."""
    return int(1.5 * (len(request.system) + len(request.user))) + 50 + 2000 * len(request.media)


def worst_tokens(request: Request, model: Model) -> tuple[int, int]:
    """(input, output) tokens that one send of this ask can use at most, by estimate and by the cap."""
    return input_tokens(request), model.most_output(request.max_output_tokens)


def worst_cost(request: Request, model: Model) -> float | None:
    """The most that one send of this ask can cost; None where the price is not known."""
    return worst(*worst_tokens(request, model), model.price)
