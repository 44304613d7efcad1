"""Where the robot stands: beside what it works on, clear of everything, looking at it.

For things to pick up the base stands level with the surface that carries them. For things to open it stands
about 0.45 m below the handle and 0.3 m to its side, far enough back for the whole opening: there the Panda
holds a horizontal hand at every opening with at least 0.3 rad to its joint limits; straight in front it cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.geometry import Box, Floats, half_extents, quat_about, quat_matrix
from blueprint_tune.tasks.overlaps import support
from blueprint_tune.tasks.scene import Entity, Scene

Base = tuple[float, float, float, float]
"""x, y, z in metres and yaw in radians."""

HIGHEST_M = 1.2
_SHOULDER_M = 0.33
"""Height of the shoulder above the base, from which reach is measured here."""
_HEADROOM_M = 1.0
_BELOW_HANDLE_M = 0.45
_BESIDE_HANDLE_M = 0.3
_NEAREST_HANDLE_M = 0.35
_PICK_DISTANCES_M = (0.55, 0.5, 0.6, 0.45, 0.65)
_ANGLES = np.linspace(-np.pi, np.pi, 36, endpoint=False)
_FLAT_M = 0.03
_CLEARANCE_M = 0.3
"""More room around the base than this is no better."""


@dataclass(frozen=True)
class Goal:
    """What the robot has to reach for one role: (P, 3) points in metres, the first where it usually works."""

    role: str
    entity: Entity
    points: Floats
    outward: Floats | None


def goals(roles: Mapping[str, Entity]) -> list[Goal]:
    """One goal a role: the centre of an object, or a handle at five openings."""
    found = []
    for role, entity in roles.items():
        if entity.joint is None or entity.handle is None:
            found.append(Goal(role, entity, entity.position[None], None))
            continue
        points = [entity.to_scene(moved(entity, f, entity.handle.center)) for f in np.linspace(0, 1, 5)]
        found.append(Goal(role, entity, np.array(points), entity.handle_outward))
    return found


def moved(entity: Entity, fraction: float, point: Floats) -> Floats:
    """(3,) where a point of the moving part, own frame, is at a fraction of the joint's range."""
    joint = entity.joint
    if joint is None:
        return point
    position = joint.lower + fraction * joint.range
    if joint.kind == "prismatic":
        return point + position * joint.axis
    turn = quat_matrix(quat_about(joint.axis, position))
    return joint.anchor + turn @ (point - joint.anchor)


class _Obstacles:
    """Footprints of everything that a base or its column could run into."""

    def __init__(self, scene: Scene, roles: Mapping[str, Entity], low: float, high: float) -> None:
        boxes: list[tuple[Box, Floats]] = [
            (Box(e.position, e.size), e.rotation) for e in scene.entities if _solid(e)
        ]
        for entity in roles.values():
            boxes.extend(_swept(entity))
        kept = [(box, rotation) for box, rotation in boxes if _between(box, rotation, low, high)]
        self.center = np.array([box.center[:2] for box, _ in kept]).reshape(-1, 2)
        self.half = np.array([_footprint(box, rotation) for box, rotation in kept]).reshape(-1, 2)
        yaw = np.array([_yaw(rotation) for _, rotation in kept])
        self.cos, self.sin = np.cos(yaw), np.sin(yaw)

    def distance(self, points: Floats) -> Floats:
        """(P,) metres from each point (P, 2) to the nearest footprint; 0 inside one."""
        if not len(self.center):
            return np.full(len(points), np.inf)
        gap = points[:, None] - self.center
        x = np.abs(gap[..., 0] * self.cos + gap[..., 1] * self.sin) - self.half[:, 0]
        y = np.abs(gap[..., 1] * self.cos - gap[..., 0] * self.sin) - self.half[:, 1]
        return np.hypot(np.maximum(x, 0), np.maximum(y, 0)).min(axis=1)


def _solid(entity: Entity) -> bool:
    """Not the room around everything."""
    shell = entity.sim_role in ("scene_shell", "background") or entity.category in (
        "floor",
        "ceiling",
        "wall",
    )
    return not (shell and entity.size.min() > 0.5)


def _swept(entity: Entity) -> list[tuple[Box, Floats]]:
    """The moving part of an articulated entity as it opens."""
    joint = entity.joint
    if joint is None:
        return []
    out = []
    for fraction in (0.25, 0.5, 0.75, 1.0):
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
    return box.size[:2] / 2 if _upright(rotation) else half_extents(rotation, box.size)[:2]


def base_height(scene: Scene, roles: Mapping[str, Entity]) -> float:
    """Height of the base in metres: level with the first thing to pick up, else below the first handle."""
    fixed = [entity for entity in roles.values() if entity.handle is not None]
    rigid = [entity for entity in roles.values() if entity.movable]
    if rigid:
        below = support(rigid[0], scene.entities)
        wanted = rigid[0].bottom if below is None else below.top
    elif fixed:
        wanted = float(fixed[0].handle_position[2]) - _BELOW_HANDLE_M  # type: ignore[index]
    else:
        wanted = max((entity.bottom for entity in roles.values()), default=scene.floor_m)
    return float(np.clip(wanted, scene.floor_m, scene.floor_m + HIGHEST_M))


def place(scene: Scene, roles: Mapping[str, Entity], robot: RobotConfig) -> Base:
    """The best base for these roles. Raises TaskPackageError naming the role that no free base reaches."""
    wanted = goals(roles)
    height = base_height(scene, roles)
    if not wanted:
        return 0.0, 0.0, height, 0.0
    obstacles = _Obstacles(scene, roles, scene.floor_m, height + _HEADROOM_M)
    spots, scores = _near(wanted)
    clearance = obstacles.distance(spots) - robot.base_radius_m
    good = (
        (clearance > 0) & _reaches(spots, height, wanted, robot.reach_m) & _sees(scene, spots, height, wanted)
    )
    if not good.any():
        raise TaskPackageError(_nowhere(scene, wanted, obstacles, height, robot))
    scores = scores + np.minimum(clearance, _CLEARANCE_M)
    best = spots[int(np.argmax(np.where(good, np.round(scores, 6), -np.inf)))]
    look = np.mean([goal.points[0, :2] for goal in wanted], axis=0) - best
    return float(best[0]), float(best[1]), height, float(np.arctan2(look[1], look[0]))


def check_given(scene: Scene, roles: Mapping[str, Entity], robot: RobotConfig, base: Sequence[float]) -> Base:
    """A base given by the user. Raises TaskPackageError when it stands in something or is out of reach."""
    x, y, z, yaw = (float(value) for value in base)
    obstacles = _Obstacles(scene, {}, scene.floor_m, z + _HEADROOM_M)
    if obstacles.distance(np.array([[x, y]]))[0] < robot.base_radius_m:
        raise TaskPackageError(
            f"{scene.id}: scene.robot_base [{x:g}, {y:g}] is within {robot.base_radius_m:g} m of an entity; "
            "move it away, or set scene.robot_base=null to have it placed."
        )
    for goal in goals(roles):
        distance = float(np.linalg.norm(goal.points[0] - (x, y, z + _SHOULDER_M)))
        if distance > robot.reach_m:
            raise TaskPackageError(
                f"{scene.id}: role '{goal.role}' ('{goal.entity.id}') is {distance:.2f} m from the shoulder of robot "
                f"'{robot.name}' at scene.robot_base; it reaches {robot.reach_m:g} m. Move the base, or set it to null."
            )
    return x, y, z, yaw


def _near(wanted: list[Goal]) -> tuple[Floats, Floats]:
    """((C, 2) spots to try, (C,) how good each is by its distances alone, in metres)."""
    center = np.mean([goal.points[0, :2] for goal in wanted], axis=0)
    outward = next((goal.outward for goal in wanted if goal.outward is not None), None)
    if outward is None or np.linalg.norm(outward[:2]) < 0.5 or any(goal.outward is None for goal in wanted):
        rings = np.array([(d, a) for d in _PICK_DISTANCES_M for a in _ANGLES])
        spots = center + rings[:, :1] * np.stack([np.cos(rings[:, 1]), np.sin(rings[:, 1])], axis=1)
        return spots, -np.abs(rings[:, 0] - _PICK_DISTANCES_M[0])
    front = outward[:2] / np.linalg.norm(outward[:2])
    side = np.array([-front[1], front[0]])
    nearest = max(float(((goal.points[:, :2] - center) @ front).max()) for goal in wanted) + _NEAREST_HANDLE_M
    ahead = max(nearest, 0.55) + np.array([0.0, 0.05, -0.05, 0.1, 0.15, 0.2])
    beside = np.array([-1, 1])[:, None] * (
        _BESIDE_HANDLE_M + np.array([0.0, 0.05, -0.05, 0.1, -0.1, -0.15, 0.15, -0.2])
    )
    grid = np.array([(f, s) for f in ahead for s in beside.ravel()])
    worse = np.abs(grid[:, 0] - ahead[0]) + np.abs(np.abs(grid[:, 1]) - _BESIDE_HANDLE_M)
    return center + grid[:, :1] * front + grid[:, 1:] * side, -worse


def _reaches(spots: Floats, height: float, wanted: list[Goal], reach: float) -> Floats:
    """(C,) whether every point of every goal is within reach of the shoulder."""
    shoulders = np.concatenate([spots, np.full((len(spots), 1), height + _SHOULDER_M)], axis=1)
    points = np.concatenate([goal.points for goal in wanted])
    distances = np.linalg.norm(points - shoulders[:, None], axis=2)
    return np.asarray(distances.max(axis=1) <= reach)


def _sees(scene: Scene, spots: Floats, height: float, wanted: list[Goal]) -> Floats:
    """(C,) whether nothing stands between the shoulder and where each role is worked on."""
    shoulders = np.concatenate([spots, np.full((len(spots), 1), height + _SHOULDER_M)], axis=1)
    clear = np.ones(len(spots), dtype=bool)
    for goal in wanted:
        others = [e for e in scene.entities if e is not goal.entity and _solid(e)]
        if not others:
            continue
        low = np.array([entity.bounds[0] for entity in others])
        high = np.array([entity.bounds[1] for entity in others])
        aim = goal.points[0].copy()
        aim[2] = max(aim[2], goal.entity.top) + 0.02 if goal.outward is None else aim[2]
        clear &= ~_crosses(shoulders, aim, low, high)
    return clear


def _crosses(start: Floats, end: Floats, low: Floats, high: Floats) -> Floats:
    """(C,) whether the segment from each start (C, 3) to ``end`` passes through any box (B, 3) to (B, 3)."""
    way = end - start[:, None]
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)
    first, second = (low - start[:, None]) / way, (high - start[:, None]) / way
    enter = np.minimum(first, second).max(axis=2)
    leave = np.maximum(first, second).min(axis=2)
    return np.asarray(((enter < leave) & (leave > 0) & (enter < 1)).any(axis=1))


def _nowhere(
    scene: Scene, wanted: list[Goal], obstacles: _Obstacles, height: float, robot: RobotConfig
) -> str:
    """The message when no base works: which role is the trouble and how far the nearest free floor is."""
    grid = np.linspace(-3, 3, 61)
    spots = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    worst: tuple[float, Goal] | None = None
    for goal in wanted:
        around = goal.points[0, :2] + spots
        free = obstacles.distance(around) > robot.base_radius_m
        free &= _sees(scene, around, height, [goal])
        distance = float(np.linalg.norm(spots[free], axis=1).min()) if free.any() else np.inf
        if worst is None or distance > worst[0]:
            worst = (distance, goal)
    assert worst is not None
    distance, goal = worst
    far = f"{distance:.2f} m away" if np.isfinite(distance) else "more than 3 m away"
    together = f" together with {len(wanted) - 1} other role(s)" if len(wanted) > 1 else ""
    return (
        f"{scene.id}: robot '{robot.name}' (reach {robot.reach_m:g} m) can stand nowhere from where it reaches role "
        f"'{goal.role}' ('{goal.entity.id}'){together}; the nearest free place for its base is {far}. "
        f"Choose another entity (policy.roles.{goal.role}.entity=…) or set scene.robot_base=[x, y, z, yaw]."
    )
