"""What a robot's base must not stand in, and what must not stand between its shoulder and its work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from blueprint_tune.tasks.geometry import Bools, Box, Floats, half_extents, quat_about, quat_matrix
from blueprint_tune.tasks.scene import Entity

_FLAT_M = 0.03
"""Whatever rises less above the floor is stepped on: floors, rugs."""
_STAGES = (0.25, 0.5, 0.75, 1.0)


class Obstacles:
    """Footprints of everything between two heights, with what articulated entities sweep when they open."""

    def __init__(
        self, entities: Iterable[Entity], opening: Iterable[Entity], low: float, high: float
    ) -> None:
        boxes = [(Box(e.position, e.size), e.rotation) for e in entities if is_solid(e)]
        for entity in opening:
            boxes.extend(_swept(entity))
        kept = [(box, rotation) for box, rotation in boxes if _between(box, rotation, low, high)]
        self._center = np.array([box.center[:2] for box, _ in kept]).reshape(-1, 2)
        self._half = np.array([_footprint(box, rotation) for box, rotation in kept]).reshape(-1, 2)
        yaw = np.array([_yaw(rotation) for _, rotation in kept])
        self._cos, self._sin = np.cos(yaw), np.sin(yaw)

    def distance(self, points: Floats) -> Floats:
        """(P,) metres from each point (P, 2) to the nearest footprint; 0 inside one."""
        if not len(self._center):
            return np.full(len(points), np.inf)
        gap = points[:, None] - self._center
        x = np.abs(gap[..., 0] * self._cos + gap[..., 1] * self._sin) - self._half[:, 0]
        y = np.abs(gap[..., 1] * self._cos - gap[..., 0] * self._sin) - self._half[:, 1]
        return np.asarray(np.hypot(np.maximum(x, 0), np.maximum(y, 0)).min(axis=1))


def is_solid(entity: Entity) -> bool:
    """False for a shell that is the room around everything; walls and floors of their own are solid."""
    shell = entity.sim_role in ("scene_shell", "background")
    return not (shell and entity.size.min() > 0.5)


def in_sight(shoulders: Floats, aim: Floats, between: Sequence[Entity]) -> Bools:
    """(C,) whether the straight way from each shoulder (C, 3) to ``aim`` (3,) is free of ``between``."""
    if not between:
        return np.ones(len(shoulders), dtype=bool)
    low = np.array([entity.bounds[0] for entity in between])
    high = np.array([entity.bounds[1] for entity in between])
    way = aim - shoulders[:, None]
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)
    first, second = (low - shoulders[:, None]) / way, (high - shoulders[:, None]) / way
    enter = np.minimum(first, second).max(axis=2)
    leave = np.maximum(first, second).min(axis=2)
    return np.asarray(~((enter < leave) & (leave > 0) & (enter < 1)).any(axis=1))


def moved(entity: Entity, fraction: float, point: Floats) -> Floats:
    """(3,) where a point of the moving part (own frame, joint at 0) is at a fraction of the joint's range."""
    joint = entity.joint
    if joint is None:
        return point
    position = joint.lower + fraction * joint.range
    if joint.kind == "prismatic":
        return np.asarray(point + position * joint.axis)
    turn = quat_matrix(quat_about(joint.axis, position))
    return np.asarray(joint.anchor + turn @ (point - joint.anchor))


def _swept(entity: Entity) -> list[tuple[Box, Floats]]:
    """The moving part of an articulated entity at stages of its opening."""
    joint = entity.joint
    if joint is None:
        return []
    out = []
    for fraction in _STAGES:
        turn = np.eye(3)
        if joint.kind == "revolute":
            turn = quat_matrix(quat_about(joint.axis, joint.lower + fraction * joint.range))
        center = entity.to_scene(moved(entity, fraction, joint.moving.center))
        out.append((Box(center, joint.moving.size), entity.rotation @ turn))
    return out


def _between(box: Box, rotation: Floats, low: float, high: float) -> bool:
    half = half_extents(rotation, box.size)[2]
    return bool(box.center[2] + half > low + _FLAT_M and box.center[2] - half < high)


def _upright(rotation: Floats) -> bool:
    return bool(abs(rotation[2, 2]) > 0.99)


def _yaw(rotation: Floats) -> float:
    return float(np.arctan2(rotation[1, 0], rotation[0, 0])) if _upright(rotation) else 0.0


def _footprint(box: Box, rotation: Floats) -> Floats:
    """(2,) half extents; of the axis-aligned box around it when it is tilted."""
    return box.size[:2] / 2 if _upright(rotation) else half_extents(rotation, box.size)[:2]
