"""What a request's parameters become for a model: the one place where its capabilities are applied, for every dialect."""

from __future__ import annotations

from typing import Any

from lmmbench.types import STOPS, Capabilities, Model, Request


def parameters(request: Request, model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """(sent, dropped) as name -> value, in the vendor's own names. Sent: the output cap, temperature, seed, the row's
    options (which win) and always an effort where the family has one. What the family ignores or refuses is dropped."""
    can = model.capabilities
    wanted = {
        can.cap_field: model.output_cap(request.max_output_tokens),
        "temperature": request.temperature,
        can.seed_field: request.seed,
        **model.options,
    }
    dropped = {name: wanted.pop(name) for name in _not_taken(can, wanted)}
    if model.effort is not None:
        wanted = with_value(wanted, can.effort, model.effort)
    return wanted, dropped


def _not_taken(can: Capabilities, wanted: dict[str, Any]) -> list[str]:
    """Names of wanted parameters that the family does not obey."""
    if can.temperature == can.seed == can.stop == "accepted" and can.temperature_range is None:
        return []
    taken = [("temperature", can.temperature), (can.seed_field, can.seed), *((stop, can.stop) for stop in STOPS)]
    names = [name for name, how in taken if how != "accepted" and name in wanted]
    if "temperature" not in names and not can.in_range(wanted["temperature"]):
        names.append("temperature")
    return names


def with_value(params: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The parameters with `value` at a dotted path; `params` stays as it is."""
    name, _, rest = path.partition(".")
    inner = params.get(name)
    return {**params, name: with_value(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
