"""What asks cost, in US dollars; null where a price or a count is not known, never 0."""

from __future__ import annotations

from lmmbench.types import Model, Price, Request, Usage


def cost(usage: Usage, price: Price) -> float | None:
    """Cost of one answer: cached input at its own price, reasoning as output."""
    if usage.input is None or usage.output is None or price.input is None or price.output is None:
        return None
    cached = usage.cached or 0
    cached_price = price.input if price.cached_input is None else price.cached_input
    return ((usage.input - cached) * price.input + cached * cached_price + usage.output * price.output) / 1_000_000


def input_tokens(request: Request) -> int:
    """An estimate of a prompt's tokens, on the high side for the vendors' tokenizers: 1.5 a character, 50 for the
    frame, 2,000 an image."""
    return int(1.5 * (len(request.system) + len(request.user))) + 50 + 2000 * len(request.media)


def worst_tokens(request: Request, model: Model) -> tuple[int, int]:
    """(input, output) tokens that one send of this ask can use at most, by estimate and by the cap."""
    return input_tokens(request), model.most_output(request.max_output_tokens)


def worst_cost(request: Request, model: Model) -> float | None:
    """The most that one send of this ask can cost; None where the price is not known."""
    tokens_in, tokens_out = worst_tokens(request, model)
    return cost(Usage(input=tokens_in, output=tokens_out), model.price)
