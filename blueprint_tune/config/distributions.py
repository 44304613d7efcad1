"""The distributions of ``ray.tune`` that a search space may name; checking them needs no Ray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint_tune.errors import nearest

_HOME = "ray.tune."
_ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "uniform": (("lower", "upper"), ()),
    "quniform": (("lower", "upper", "q"), ()),
    "loguniform": (("lower", "upper"), ("base",)),
    "qloguniform": (("lower", "upper", "q"), ("base",)),
    "randn": ((), ("mean", "sd")),
    "qrandn": (("mean", "sd", "q"), ()),
    "randint": (("lower", "upper"), ()),
    "qrandint": (("lower", "upper"), ("q",)),
    "lograndint": (("lower", "upper"), ("base",)),
    "qlograndint": (("lower", "upper", "q"), ("base",)),
    "choice": (("categories",), ()),
    "grid_search": (("values",), ()),
}
"""Name -> required and optional arguments."""

_ENUMERATED = 64
_INSIDE = 0.37
"""A share of the way from the lower to the upper bound that meets no whole number by chance."""


def distribution_problems(entry: Any) -> Iterator[str]:
    """What is wrong with the entry of one key, as ends of sentences that begin with that key."""
    if not isinstance(entry, dict) or not isinstance(entry.get("_target_"), str):
        yield f"needs a distribution, for example {{_target_: {_HOME}uniform, lower: 0.1, upper: 0.5}}."
        return
    target = entry["_target_"]
    name = target.removeprefix(_HOME)
    if not target.startswith(_HOME):
        yield f"names '{target}', which is outside ray.tune; configuration does not run other code."
    elif name not in _ARGUMENTS:
        yield f"names the distribution '{target}', which does not exist. {nearest(name, _ARGUMENTS)}"
    else:
        yield from _argument_problems(name, {key: value for key, value in entry.items() if key != "_target_"})


def _argument_problems(name: str, given: dict[Any, Any]) -> Iterator[str]:
    required, optional = _ARGUMENTS[name]
    absent = [argument for argument in required if argument not in given]
    unknown = [str(argument) for argument in given if argument not in required + optional]
    for argument in unknown:
        yield f"gives {_HOME}{name} an unknown '{argument}'. {nearest(argument, required + optional)}"
    if absent:
        yield f"lacks {' and '.join(absent)} of {_HOME}{name}."
    if absent or unknown:
        return
    if name in ("choice", "grid_search"):
        values = given[required[0]]
        if not isinstance(values, list) or not values:
            yield f"needs a list of values in {required[0]}."
        return
    words = [f"{argument}={value}" for argument, value in given.items() if not _is_number(value)]
    if words:
        yield f"needs numbers; {', '.join(words)} is none."
    elif "lower" in given:
        yield from _bound_problems(name, given)


def _bound_problems(name: str, given: dict[str, Any]) -> Iterator[str]:
    lower, upper = given["lower"], given["upper"]
    if not lower < upper:
        yield f"needs lower below upper, not {lower} and {upper}."
    elif "log" in name and lower <= 0:
        yield f"needs a lower bound above 0 on a logarithmic scale, not {lower}."
    elif given.get("q", 1) <= 0:
        yield f"needs q above 0, not {given['q']}."
    elif "int" in name and any(isinstance(given[bound], float) for bound in ("lower", "upper")):
        yield f"needs whole numbers as bounds, not {lower} and {upper}."


def representative_values(entry: dict[str, Any]) -> list[Any]:
    """Values that the distribution can draw: all of a short list, else the ends and one between."""
    name = entry["_target_"].removeprefix(_HOME)
    if name in ("choice", "grid_search"):
        return list(entry["categories" if name == "choice" else "values"])
    if "lower" not in entry:
        return [entry.get("mean", 0.0)]
    lower, upper, step = entry["lower"], entry["upper"], entry.get("q", 1)
    if "int" not in name:
        inside = lower + _INSIDE * (upper - lower)
        return [lower, upper, round(inside / step) * step if "q" in entry else inside]
    last = upper if name.startswith("q") else upper - 1  # ray.tune.randint leaves its upper bound out
    values = [*range(lower, last + 1, step)] if last - lower < _ENUMERATED * step else [lower, last]
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
