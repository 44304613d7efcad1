"""What the roles of a task ask a robot to reach, and whether it can from where its shoulder is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from blueprint_tune.tasks.geometry import Bools, Floats
from blueprint_tune.tasks.obstacles import in_sight, is_solid, moved
from blueprint_tune.tasks.overlaps import support
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import FRONT, Entity, Scene

_NEAREST_FRONT_M = 0.25
"""How far before the opening of a shelf a base must be at least."""


@dataclass(frozen=True)
class Goal:
    """What one role asks the robot to reach: (P, 3) points in metres; ``outward`` (2,) unit for a front.

    ``from_ahead``: the robot must stand right in front of it, as for something that is opened.
    """

    role: str
    entity: Entity
    points: Floats
    outward: Floats | None
    from_ahead: bool = False


def goals(roles: Mapping[str, Entity]) -> list[Goal]:
    """One goal a role: an object's centre, a region's, or a handle, knob or button at five openings."""
    found = []
    for role, entity in roles.items():
        outward, inside = entity.grip_outward, region(entity)
        if outward is None:
            point = entity.position if inside is None or entity.movable else entity.to_scene(inside.center)
            ahead = inside is not None and inside.opening == "front"
            found.append(Goal(role, entity, point[None], _level(entity.rotation @ FRONT) if ahead else None))
            continue
        assert entity.joint is not None  # or it would have no way to look
        grip = (entity.handle or entity.joint.moving).center
        points = [entity.to_scene(moved(entity, f, grip)) for f in np.linspace(0, 1, 5)]
        found.append(Goal(role, entity, np.array(points), _level(outward), from_ahead=True))
    return found


def _level(outward: Floats) -> Floats | None:
    """(2,) the direction seen from above, or None if it points up or down."""
    length = float(np.linalg.norm(outward[:2]))
    return outward[:2] / length if length > 0.5 else None


def middle(wanted: list[Goal]) -> Floats:
    """(2,) seen from above, the middle of what is to be reached first."""
    return np.asarray(np.mean([goal.points[0, :2] for goal in wanted], axis=0))


def before(spots: Floats, goal: Goal) -> Bools:
    """(C,) whether a base stands in front of what opens to the front."""
    if goal.outward is None:
        return np.ones(len(spots), dtype=bool)
    return np.asarray((spots - goal.points[0, :2]) @ goal.outward > _NEAREST_FRONT_M)


def sees(scene: Scene, shoulders: Floats, goal: Goal) -> Bools:
    """(C,) whether nothing stands between the shoulder and where the role is worked on.

    What stands on it does not hide it: a pallet is moved with its load.
    """
    aim, own = goal.points[0].copy(), goal.entity
    if goal.outward is None:
        aim[2] = max(float(aim[2]), own.top) + 0.02
    between = [e for e in scene.entities if e is not own and is_solid(e) and support(e, [own]) is None]
    return in_sight(shoulders, aim, between)
