"""Entities that share space: what lies inside what, and what cannot be where it is said to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from blueprint_tune.tasks.classes import CLASSES, EntityClass
from blueprint_tune.tasks.geometry import Box, penetration
from blueprint_tune.tasks.scene import Entity

DEEP_M = 0.03
"""Boxes that overlap by less are pushed apart when the simulator settles the scene."""
_NOTHING = EntityClass((0.1, 0.1, 0.1))


def depth(a: Entity, b: Entity) -> float:
    """Overlap of two boxes in metres; 0 when they are apart."""
    a_low, a_high = a.bounds
    b_low, b_high = b.bounds
    if np.any(a_low >= b_high) or np.any(b_low >= a_high):
        return 0.0
    return max(0.0, penetration(Box(a.position, a.size), a.rotation, Box(b.position, b.size), b.rotation))


def _class(entity: Entity) -> EntityClass:
    return CLASSES.get(entity.category, _NOTHING)


def may_share_space(a: Entity, b: Entity) -> bool:
    """Contents in containers, fixtures built into furniture, and anything in the shell of a room."""
    for outer, inner in ((a, b), (b, a)):
        holds = "contents" if "containable" in outer.affordances else _class(outer).holds
        if _class(outer).shell or outer.sim_role in ("scene_shell", "background"):
            if not inner.movable or outer.size.min() > 0.5:
                return True
        elif holds == "contents" or (holds == "fixtures" and not inner.movable):
            return True
    return False


def serious_overlap(entity: Entity, others: Sequence[Entity]) -> tuple[Entity, float] | None:
    """(the entity that ``entity`` overlaps most among those it may not, by how many metres), or None."""
    worst: tuple[Entity, float] | None = None
    for other in others:
        if other is entity or may_share_space(entity, other):
            continue
        found = depth(entity, other)
        if found > DEEP_M and (worst is None or found > worst[1]):
            worst = (other, found)
    return worst


def serious_overlaps(entities: Sequence[Entity]) -> Iterator[tuple[Entity, Entity, float]]:
    """Every pair of entities that overlap by more than 3 cm and may not."""
    low = np.array([entity.bounds[0] for entity in entities])
    high = np.array([entity.bounds[1] for entity in entities])
    for i, entity in enumerate(entities):
        meets = np.all((low[i + 1 :] < high[i]) & (high[i + 1 :] > low[i]), axis=1)
        for j in np.flatnonzero(meets) + i + 1:
            other = entities[j]
            found = 0.0 if may_share_space(entity, other) else depth(entity, other)
            if found > DEEP_M:
                yield entity, other, found


def inside(entity: Entity, others: Sequence[Entity]) -> Entity | None:
    """The container in whose box the entity's centre lies, or None."""
    for other in others:
        if other is entity or other.movable or other.size.prod() <= entity.size.prod():
            continue
        if _class(other).holds != "contents" and "containable" not in other.affordances:
            continue
        local = other.rotation.T @ (entity.position - other.position)
        if np.all(np.abs(local) < other.size / 2):
            return other
    return None


def support(entity: Entity, others: Sequence[Entity], tolerance_m: float = 0.06) -> Entity | None:
    """What the entity stands on: the highest thing under its middle whose top is just under its bottom."""
    best: Entity | None = None
    for other in others:
        if other is entity:
            continue
        low, high = other.bounds
        under = np.all((low[:2] <= entity.position[:2]) & (entity.position[:2] <= high[:2]))
        if under and abs(high[2] - entity.bottom) < tolerance_m and (best is None or high[2] > best.top):
            best = other
    return best
