"""What of a scene moves, what is in the way, and what is only scenery, for one binding of roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from blueprint_tune.tasks.overlaps import Overlap, inside, top_below
from blueprint_tune.tasks.placement import Base
from blueprint_tune.tasks.scene import Entity, Scene

_REACH_MARGIN_M = 0.1
_SHOULDER_M = 0.4
"""Robots reach from somewhere between their base and this far above it."""
_WORK_AREA_M = 0.2
_SURFACE_M = (0.7, 0.7, 0.04)
"""Of a surface that is made up under something that hangs in the air."""


@dataclass
class Layout:
    """Where every entity of a scene belongs; the lists are as in TaskSpec."""

    free: list[Entity] = field(default_factory=list)
    cloths: list[Entity] = field(default_factory=list)
    jointed: list[Entity] = field(default_factory=list)
    static: list[Entity] = field(default_factory=list)
    pruned: list[Entity] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)


def lay_out(
    scene: Scene,
    roles: Mapping[str, Entity],
    asked: Mapping[str, str],
    overlaps: Sequence[Overlap],
    base: Base,
    reach_m: float,
) -> Layout:
    """Sort a scene's entities for physics, with a surface made up under roles that have none.

    ``asked``: the kind of each role.
    """
    layout = Layout()
    kinds = {entity.id: asked[role] for role, entity in roles.items()}
    layout.free += [entity for entity in roles.values() if kinds[entity.id] == "rigid"]
    layout.cloths += [entity for entity in roles.values() if kinds[entity.id] == "deformable"]
    layout.jointed += [entity for entity in roles.values() if kinds[entity.id] == "articulated"]
    rigid = [*layout.free, *layout.cloths]
    played = {entity.id: entity for entity in roles.values()}
    stuck = {entity.id for overlap in overlaps for entity in (overlap.a, overlap.b)}
    for entity in scene.entities:
        if kinds.get(entity.id) in ("rigid", "deformable", "articulated"):
            continue
        entity = played.get(entity.id, entity)
        holder = inside(entity, scene.entities) if entity.movable else None
        needed = entity.id in kinds or in_reach(entity, base, reach_m + _REACH_MARGIN_M)
        if not needed or entity.category == "floor" or holder is not None:
            layout.pruned.append(entity)
            if needed and holder is not None:
                layout.notes.append(f"'{entity.id}' lies inside '{holder.id}' and is not simulated.")
        elif entity.movable and entity.id not in stuck and _near_work(entity, rigid):
            layout.free.append(entity)
        else:
            layout.static.append(entity)
    layout.notes += [f"{overlap}; they stay as they are." for overlap in overlaps if not overlap.expected]
    layout.static += [e for e in roles.values() if kinds[e.id] == "region" and e.id not in scene.by_id]
    for entity in rigid:
        if top_below(entity, scene.entities) is None:
            layout.static.append(_surface_under(entity, scene))
            layout.guesses.append(
                f"{entity.id}: nothing is under it; a surface at {entity.bottom:.2f} m is assumed."
            )
    return layout


def in_reach(entity: Entity, base: Base, reach_m: float) -> bool:
    """Whether an entity's box comes within reach of the robot's axis, from its base to its shoulder."""
    low, high = entity.bounds
    x, y, z, _ = base
    across = np.clip((x, y), low[:2], high[:2]) - (x, y)
    above = max(low[2] - (z + _SHOULDER_M), z - high[2], 0.0)
    return bool(np.hypot(np.linalg.norm(across), above) <= reach_m)


def _near_work(entity: Entity, rigid: Sequence[Entity]) -> bool:
    return any(bool(np.all(np.abs(entity.position - role.position) <= _WORK_AREA_M)) for role in rigid)


def _surface_under(entity: Entity, scene: Scene) -> Entity:
    name = f"{entity.id}_surface"
    while name in scene.by_id:
        name += "_"
    size = np.array(_SURFACE_M)
    position = np.array([*entity.position[:2], entity.bottom - size[2] / 2])
    level = np.array([1.0, 0.0, 0.0, 0.0])
    words = frozenset({"surface"})
    static = replace(entity, id=name, source_id=name, category="surface", labels=words, sim_role="static")
    return replace(
        static,
        position=position,
        quat=level,
        size=size,
        shape="box",
        movable=False,
        affordances=frozenset(),
        joint=None,
    )
