"""What the numbers of an observation are, from how their terms are declared and the task's names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprint_tune.mdp import observations as _observations  # noqa: F401  registers their terms
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.mdp.terms import REGISTRY, Signal


@dataclass(frozen=True)
class ObservationPart:
    """One entry of a policy file's observations, for somebody who has to measure it.

    Attributes:
        name: of the entry. size: how many numbers. components: a name each.
        units: one each, before ``scale``: m, rad, m/s, rad/s, or 1 for plain numbers; empty if not known.
        scale: what the measured value is multiplied by.
        frame: along whose axes: ``world``, or a name of the policy file; None without axes.
        term, parameters: as the policy file has them, with their defaults. meaning: a sentence.
    """

    name: str
    size: int
    components: tuple[str, ...]
    units: tuple[str, ...] = ()
    scale: float = 1.0
    frame: str | None = None
    term: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    meaning: str = ""


def describe_observation(
    name: str, entry: Mapping[str, Any], size: int, catalog: Catalog, action_names: tuple[str, ...]
) -> ObservationPart:
    """The part that ``entry`` of a policy file, which is bound already, gives ``size`` numbers of."""
    given = {key: value for key, value in entry.items() if key != "term"}
    registered = REGISTRY[entry["term"]]
    signal = _of_command(registered.signal or Signal("1", None, ()), given, catalog)
    components = _components(signal.components, size, given, catalog, action_names)
    if len(components) != size:
        components = (name,) if size == 1 else tuple(str(number) for number in range(size))
    return ObservationPart(
        name=name,
        size=size,
        components=components,
        units=_units(signal.unit, components, given, catalog),
        scale=float(given.get("scale", 1.0)),
        frame=str(given[signal.frame[1:-1]]) if signal.frame and signal.frame[0] == "{" else signal.frame,
        term=str(entry["term"]),
        parameters=parameters(entry),
        meaning=_sentence(registered.function.__doc__ or ""),
    )


def parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the term of ``entry`` of a policy file is called with, its defaults among it."""
    known = inspect.signature(REGISTRY[entry["term"]].function).parameters.values()
    defaults = {p.name: p.default for p in known if p.default is not inspect.Parameter.empty}
    return defaults | {key: value for key, value in entry.items() if key != "term"}


def _of_command(signal: Signal, given: Mapping[str, Any], catalog: Catalog) -> Signal:
    """A command is a point of the world, or a number."""
    if signal.unit != "command":
        return signal
    command = str(given["of"]).removeprefix("command/")
    return (
        Signal("m", "world", ("x", "y", "z"))
        if command in catalog.command_positions
        else Signal("1", None, ())
    )


def _components(
    declared: tuple[str, ...] | str,
    size: int,
    given: Mapping[str, Any],
    catalog: Catalog,
    action_names: tuple[str, ...],
) -> tuple[str, ...]:
    if isinstance(declared, tuple):
        return declared
    if declared == "actions":
        return action_names
    if declared == "joints":
        return catalog.joints[:size]  # the robot's come first
    named = str(given[declared[1:-1]])
    return catalog.members.get(named) or catalog.bodies.get(named, ())


def _units(
    unit: str, components: tuple[str, ...], given: Mapping[str, Any], catalog: Catalog
) -> tuple[str, ...]:
    if not unit.startswith("joint"):
        return (unit,) * len(components)
    if "joint" in given:  # one number: of a role with members, of whichever joint has its turn
        found = {catalog.joint_units.get(joint) for joint in _joints(str(given["joint"]), catalog)}
        known = list(found) * len(components) if len(found) == 1 else []
    else:
        known = [catalog.joint_units.get(joint) for joint in components]
    return tuple(unit.replace("joint", each) for each in known if each is not None)


def _joints(name: str, catalog: Catalog) -> tuple[str, ...]:
    """The joints that a policy file's name stands for: those of all members of a role."""
    if name == "robot/wrist":
        return (catalog.wrist,)
    role, slash, part = name.partition("/")
    return tuple(f"{member}{slash}{part}" for member in catalog.members.get(role, (role,)))


def _sentence(documentation: str) -> str:
    """The first paragraph of a docstring in plain text, without the shape it ends with."""
    first = " ".join(documentation.strip().partition("\n\n")[0].split())
    return re.sub(r",? \(N, [^)]*\)", "", first).replace("``", "'")
