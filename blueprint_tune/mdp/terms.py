"""The registry of terms: named functions of the scene state, bound once to one task's names.

A term is a function ``f(state, **parameters) -> Tensor``. The annotations of its parameters say how
a policy file's strings are resolved: ``Frame``, ``Joint`` and ``Command`` become references, a
``Contact`` annotated with :class:`Against` takes the name of a second parameter for the other body, a
``Positive`` number is checked to be one, a :class:`BoundTerm` (or a dict of them) is a condition of its own,
everything else is a plain value. All of it happens before a simulator starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from torch import Tensor

from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.mdp.state import (
    Body,
    Catalog,
    Command,
    Contact,
    Frame,
    Joint,
    Members,
    Region,
    SceneState,
)

TermFunction = Callable[..., Tensor]


class Against(NamedTuple):
    """Marks a ``Contact`` parameter: ``key`` names the YAML key of the body touched."""

    key: str


Positive = Annotated[float, "positive"]
"""Marks a parameter that must be greater than zero: a length, a force or a tolerance that is divided by."""


class Signal(NamedTuple):
    """What an observation's numbers are, for those who measure them on a robot (``mdp/describe.py``).

    Attributes:
        unit: before a ``scale`` is applied; ``1`` for plain numbers; ``joint`` or ``joint/s`` for that of the
            joints read; ``command`` for that of the command read.
        frame: along whose axes: ``world``, ``{parameter}`` for the frame given there; None without axes.
        components: a name each; ``joints`` for the robot's, ``actions`` for the policy's, ``{parameter}`` for
            the bodies or members given there.
    """

    unit: str
    frame: str | None
    components: tuple[str, ...] | str


@dataclass(frozen=True)
class Registered:
    """A term as registered: its function and how much a start must stay away from its condition."""

    function: TermFunction
    kinds: frozenset[str]
    start_margin: dict[str, float] = field(default_factory=dict)
    signal: Signal | None = None


REGISTRY: dict[str, Registered] = {}
_CONDITIONS = {"success", "termination"}
_ALSO = {"condition": _CONDITIONS, "metric": {"metric", "reward", *_CONDITIONS}}
"""Kinds that several kinds of terms can be used as."""


def term(
    *kinds: str,
    start_margin: dict[str, float] | None = None,
    unit: str = "1",
    frame: str | None = None,
    components: tuple[str, ...] | str = (),
) -> Callable[[TermFunction], TermFunction]:
    """Register a function as a term usable as ``kinds`` (reward, observation, success, termination, metric).

    ``start_margin`` (success terms) is added to the named tolerances when starts are drawn: a start
    for which the widened condition holds is drawn again. ``unit``, ``frame`` and ``components`` are those of
    an observation's :class:`Signal`.
    """
    signal = Signal(unit, frame, components) if "observation" in kinds else None

    def register(function: TermFunction) -> TermFunction:
        name = function.__name__
        assert name not in REGISTRY, name
        REGISTRY[name] = Registered(function, frozenset(kinds), start_margin or {}, signal)
        return function

    return register


@dataclass(frozen=True)
class BoundTerm:
    """A term with every parameter resolved.

    Attributes:
        name: the entry's name in the policy file. weight: rewards only, else 1.
        function: SceneState -> (N,) or (N, d) float32, or (N,) bool for conditions.
        widened: success terms: the same with its tolerances widened by the start margin.
    """

    name: str
    function: Callable[[SceneState], Tensor]
    weight: float
    widened: Callable[[SceneState], Tensor]


def bind_term(kind: str, name: str, entry: dict[str, Any], catalog: Catalog, where: str) -> BoundTerm:
    """Resolve one entry of a policy file.

    Raises ConfigError naming ``where`` and the entry for an unknown term, a term of another kind, a
    missing or unknown parameter, or a name that does not exist in the task.
    """
    place = f"{where}: {kind} '{name}'"
    given = dict(entry)
    if "term" not in given:
        raise ConfigError(f"{place} has no 'term'. Terms for it: {', '.join(sorted(_usable(kind)))}.")
    term_name = given.pop("term")
    registered = REGISTRY.get(term_name)
    if registered is None or not _fits(registered, kind):
        raise ConfigError(f"{place} uses term '{term_name}'. {nearest(str(term_name), _usable(kind))}")
    weight = _number(given.pop("weight", 1.0), f"{place}: weight")
    values = _resolve(registered.function, given, catalog, place)
    widened = {key: _widened(value) for key, value in values.items()}
    for key, margin in registered.start_margin.items():
        widened[key] += margin
    function = registered.function
    return BoundTerm(name, partial(_call, function, values), weight, partial(_call, function, widened))


def bind_terms(
    kind: str, entries: dict[str, dict[str, Any]], catalog: Catalog, where: str
) -> tuple[BoundTerm, ...]:
    """Resolve a section of a policy file in its order."""
    return tuple(bind_term(kind, name, entry, catalog, where) for name, entry in entries.items())


def _call(function: TermFunction, values: dict[str, Any], state: SceneState) -> Tensor:
    return function(state, **values)


def _widened(value: Any) -> Any:
    """A condition within a condition, with its own tolerances widened."""
    if isinstance(value, BoundTerm):
        return replace(value, function=value.widened)
    if isinstance(value, dict):
        return {key: _widened(inner) for key, inner in value.items()}
    return value


def _fits(registered: Registered, kind: str) -> bool:
    """Whether a term can be used as a kind; a condition is whatever can mean success or an end."""
    return bool(registered.kinds & _ALSO.get(kind, {kind}))


def _usable(kind: str) -> list[str]:
    return [name for name, registered in REGISTRY.items() if _fits(registered, kind)]


def _entry(value: Any, place: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{place}: '{key}' must be a term with its parameters, not {value!r}.")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where} must be a number, not {value!r}.")
    return float(value)


def _resolve(function: TermFunction, given: dict[str, Any], catalog: Catalog, place: str) -> dict[str, Any]:
    hints = get_type_hints(function, include_extras=True)
    values: dict[str, Any] = {}
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "state"]
    keys = [p.name for p in parameters]
    for parameter in parameters:
        hint = hints[parameter.name]
        if get_origin(hint) is Annotated and hint != Positive:
            keys.append(get_args(hint)[1].key)
        if parameter.name not in given:
            if parameter.default is inspect.Parameter.empty:
                raise ConfigError(
                    f"{place} needs '{parameter.name}' (term '{function.__name__}' takes {', '.join(keys)})."
                )
            continue
        values[parameter.name] = _value(hint, given, parameter.name, catalog, place)
    for key in given:
        if key not in keys:
            raise ConfigError(f"{place} has '{key}'. {nearest(key, [*keys, 'weight'])}")
    for parameter in parameters:
        values.setdefault(parameter.name, parameter.default)
    return values


def _value(hint: Any, given: dict[str, Any], key: str, catalog: Catalog, place: str) -> Any:
    value = given[key]
    if hint is Frame:
        return catalog.frame(str(value), place)
    if hint is Joint:
        return catalog.joint(str(value), place)
    if hint is Command:
        return catalog.command(str(value), place)
    if hint in (Region, Region | None):
        return catalog.region(str(value), place)
    if hint is Body:
        return catalog.box(str(value), place)
    if hint is Members:
        return catalog.members_of(str(value), place)
    if hint is BoundTerm:
        return bind_term("condition", key, _entry(value, place, key), catalog, place)
    if get_origin(hint) is dict and get_args(hint)[1] is BoundTerm:
        return {
            name: bind_term("condition", name, _entry(entry, place, name), catalog, place)
            for name, entry in _entry(value, place, key).items()
        }
    if get_origin(hint) is Annotated and get_args(hint)[0] is Contact:
        against = given.get(get_args(hint)[1].key)
        return catalog.contact(str(value), None if against is None else str(against), place)
    if hint == Positive:
        number = _number(value, f"{place}: '{key}'")
        if number <= 0:
            raise ConfigError(f"{place}: '{key}' must be greater than 0, not {value!r}.")
        return number
    if hint is float:
        return _number(value, f"{place}: '{key}'")
    return value
