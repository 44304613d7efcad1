"""Entities that share space: what lies inside what, what stands on what, and what cannot be as it is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blueprint_tune.tasks.classes import CLASSES, EntityClass
from blueprint_tune.tasks.geometry import Box, penetration
from blueprint_tune.tasks.scene import Entity

DEEP_M = 0.03
"""Boxes that overlap by less are pushed apart when the simulator settles the scene."""
_TOUCHING_M = 0.06
_FALL_M = 0.5
_NOTHING = EntityClass((0.1, 0.1, 0.1))


class Overlap(NamedTuple):
    """Two entities that share space, by ``depth_m``; ``expected`` for contents, fixtures and shells."""

    a: Entity
    b: Entity
    depth_m: float
    expected: bool

    def __str__(self) -> str:
        return f"'{self.a.id}' and '{self.b.id}' overlap by {100 * self.depth_m:.0f} cm"

    def other(self, entity: Entity) -> Entity | None:
        """The entity that ``entity`` overlaps, or None when it is not one of the two."""
        return self.b if entity is self.a else self.a if entity is self.b else None


def deep_overlaps(entities: Sequence[Entity]) -> list[Overlap]:
    """Every pair of entities that overlap by more than 3 cm."""
    low = np.array([entity.bounds[0] for entity in entities])
    high = np.array([entity.bounds[1] for entity in entities])
    found = []
    for i, a in enumerate(entities):
        meets = np.all((low[i + 1 :] < high[i] - DEEP_M) & (high[i + 1 :] > low[i] + DEEP_M), axis=1)
        for j in (np.flatnonzero(meets) + i + 1).tolist():
            b = entities[j]
            depth = penetration(Box(a.position, a.size), a.rotation, Box(b.position, b.size), b.rotation)
            if depth > DEEP_M:
                found.append(Overlap(a, b, depth, _expected(a, b)))
    return found


def _class(entity: Entity) -> EntityClass:
    return CLASSES.get(entity.category, _NOTHING)


def holds_things(entity: Entity) -> bool:
    """Whether other objects may be inside its box."""
    return _class(entity).holds == "contents" or "containable" in entity.affordances


def _expected(a: Entity, b: Entity) -> bool:
    """Contents in containers, fixtures built into furniture, furniture in the shell of a room."""
    for outer, inner in ((a, b), (b, a)):
        if outer.sim_role in ("scene_shell", "background") or _class(outer).shell:
            if not inner.movable or outer.size.min() > 0.5:
                return True
        elif holds_things(outer) or (_class(outer).holds == "fixtures" and not inner.movable):
            return True
    return False


def inside(entity: Entity, others: Sequence[Entity]) -> Entity | None:
    """The container in whose box the entity's centre lies, or None."""
    for other in others:
        if other is entity or not holds_things(other) or other.size.prod() <= entity.size.prod():
            continue
        local = other.rotation.T @ (entity.position - other.position)
        if np.all(np.abs(local) < other.size / 2):
            return other
    return None


def support(entity: Entity, others: Sequence[Entity]) -> Entity | None:
    """What the entity stands on, or would fall on within half a metre: the highest top under its middle."""
    best: Entity | None = None
    for other in others:
        low, high = other.bounds
        under = np.all((low[:2] <= entity.position[:2]) & (entity.position[:2] <= high[:2]))
        below = other.position[2] < entity.position[2] and -_TOUCHING_M < entity.bottom - high[2] < _FALL_M
        if other is not entity and under and below and (best is None or high[2] > best.top):
            best = other
    return best


def top_below(entity: Entity, others: Sequence[Entity]) -> float | None:
    """Height in metres of what the entity stands on or would fall on, floor included; None = nothing near."""
    below = support(entity, others)
    if below is not None:
        return below.top
    return 0.0 if -_TOUCHING_M < entity.bottom < _FALL_M else None
