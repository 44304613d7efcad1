"""What assets and sensors have in common here: a place in the session, and data as old as the last update."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isaac_physics import session
from isaac_physics.builder import Built
from isaac_physics.views import rows
from isaac_physics.world import World


class Thing:
    """Made before the simulation plays, initialised when it does."""

    def __init__(self) -> None:
        session.require_simulation()
        session.current.things.append(self)

    def _prepare(self, built: Built) -> None:
        """Add to the model before it is compiled."""

    def _initialize(self, world: World) -> None:
        """Begin to read and write the physics."""

    def _draw(self) -> None:
        """Take a picture."""


class Buffered:
    """Values that are read from the physics once per update; see :func:`buffered`."""

    def __init__(self) -> None:
        self._time_s = 0.0
        self._values: dict[str, Tensor] = {}
        self._stamps: dict[str, float] = {}

    def update(self, dt: float) -> None:
        self._time_s += dt

    def _forget(self, *names: str) -> None:
        for name in names:
            self._stamps.pop(name, None)


def buffered(read: Callable[[Any], Tensor]) -> Any:
    """A property that is as old as the last ``update``; writers change it in place or forget it."""
    name = read.__name__

    def get(self: Buffered) -> Tensor:
        if self._stamps.get(name, -1.0) < self._time_s:
            self._values[name], self._stamps[name] = read(self), self._time_s
        return self._values[name]

    return property(get)


def part(name: str, columns: slice) -> Any:
    """A property that is a view of some columns of another."""
    return property(lambda self: getattr(self, name)[..., columns])


def find(
    keys: str | Sequence[str], names: Sequence[str], preserve_order: bool
) -> tuple[list[int], list[str]]:
    """Indices and names that expressions match, in the order of the names or of the expressions.

    Raises ValueError for an expression without a match, or two for one name.
    """
    keys = [keys] if isinstance(keys, str) else list(keys)
    matches = [[i for i, name in enumerate(names) if re.fullmatch(key, name)] for key in keys]
    found = [i for match in matches for i in match]
    if not all(matches):
        unmatched = [key for key, match in zip(keys, matches, strict=True) if not match]
        raise ValueError(f"Not all regular expressions are matched: {unmatched}. Available: {list(names)}")
    if len(found) != len(set(found)):
        raise ValueError(f"Multiple matches for one name: {keys} in {list(names)}")
    found = found if preserve_order else sorted(found)
    return found, [names[i] for i in found]


def environments(env_ids: Tensor | None, count: int) -> np.ndarray:
    """The environments that a writer of Isaac Lab passes on to PhysX."""
    return np.arange(count) if env_ids is None else rows(env_ids)
