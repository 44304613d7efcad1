"""Where the robot stands: beside what it works on, clear of everything, looking at it.

For things to pick up the base stands level with the surface that carries them. For things to open it faces
their front with its shoulder 0.12 m below the handle and 0.3 m to its side, far enough back for the whole
opening: there the Panda holds a level hand at every opening with 0.3 rad or more to its joint limits;
straight in front of the handle no posture gives it more than 0.15. Before a shelf it faces the front, too,
0.2 m to the side of what it works on, where a hand that is level, turned by up to 0.5 rad and about as high
as the base leaves about 0.4 rad to every limit of the Panda, and 0.2 to 0.4 straight ahead; where that is
nowhere free, or not all within reach, it stands anywhere before the shelf and looks at the middle of its
roles. Robots that stand on the floor choose their spot only. One that drives need not reach everything from
there: where no spot serves, it starts behind what it moves, seen from where that goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.geometry import Bools, Floats
from blueprint_tune.tasks.goals import Goal, before, goals, middle, sees
from blueprint_tune.tasks.obstacles import Obstacles
from blueprint_tune.tasks.overlaps import top_below
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity, Scene
from blueprint_tune.tasks.unreachable import nowhere

Base = tuple[float, float, float, float]
"""x, y, z in metres and yaw in radians."""

HIGHEST_M = 1.2
_HEADROOM_M = 0.67
"""Above the shoulder."""
_BELOW_HANDLE_M = 0.12
"""Of the shoulder."""
_BESIDE_HANDLE_M = 0.3
_BESIDE_PLACE_M = 0.2
"""Of a shelf."""
_WRIST_M = 0.1
"""By so much farther than usual a base stands from what a level hand works on: the wrist is behind it."""
_LOOKING_ASIDE = 1.0
"""How much worse a base before a shelf is that does not face it."""
_NEARER_M = 0.2
"""By so much a handle may come nearer, forwards, than where the arm works best, as it opens."""
_PICK_DISTANCES_M = np.array([0.0, -0.05, 0.05, -0.1, 0.1])
"""Beside the distance at which the arm works best."""
_ANGLES = np.linspace(-np.pi, np.pi, 36, endpoint=False)
_CLEARANCE_M = 0.3
"""More room around the base than this is no better."""
_BEHIND_LOAD_M = np.array([0.1, 0.2, 0.3, 0.0])
"""Between a hand that waits where the arm works best and the load that the base is driven to, best first."""
_ASIDE = np.deg2rad([0, 10, -10, 20, -20, 30, -30, 45, -45])
"""Off the line from a load's destination through the load, best first."""


def base_height(scene: Scene, roles: Mapping[str, Entity], robot: RobotConfig) -> float:
    """Height of the base in metres: the mean of what its roles ask for, each for itself.

    Level with what carries a thing to pick up, or with the floor of where it is put; below a handle.
    """
    if robot.mount == "floor":
        return 0.0
    wanted = []
    for entity in roles.values():
        inside = region(entity)
        if entity.grip_position is not None:
            wanted.append(float(entity.grip_position[2]) - _BELOW_HANDLE_M - robot.shoulder_m)
        elif entity.movable:
            below = top_below(entity, scene.entities)
            wanted.append(entity.bottom if below is None else below)
        elif inside is not None:
            wanted.append(float(entity.to_scene(inside.center)[2] - inside.size[2] / 2))
    return float(np.clip(np.mean(wanted), 0.0, HIGHEST_M)) if wanted else 0.0


def place(scene: Scene, roles: Mapping[str, Entity], robot: RobotConfig) -> Base:
    """The best base for these roles. Raises TaskPackageError naming the role that no free base reaches."""
    wanted = goals(roles)
    height = base_height(scene, roles, robot)
    if not wanted:
        return 0.0, 0.0, height, 0.0
    entities = (scene.by_id | {entity.id: entity for entity in roles.values()}).values()
    obstacles = Obstacles(entities, roles.values(), 0.0, _top(height, robot))
    spots, scores, looks = _spots(wanted, robot.work_m)
    shoulders = np.column_stack([spots, np.full(len(spots), height + robot.shoulder_m)])
    clearance = obstacles.distance(spots) - robot.base_radius_m
    good = (clearance > 0) & _reaches(shoulders, wanted, robot.reach_m)
    for goal in wanted:
        good &= sees(scene, shoulders, goal) & before(spots, goal)
    if not good.any():
        start = _before_a_drive(scene, wanted, obstacles, height, robot) if robot.driven_base else None
        if start is None:
            raise TaskPackageError(nowhere(scene, wanted, obstacles, height, robot))
        return start
    scores = np.round(scores + np.minimum(clearance, _CLEARANCE_M), 6)
    best = int(np.argmax(np.where(good, scores, -np.inf)))
    x, y = spots[best]
    return float(x), float(y), height, float(np.arctan2(looks[best, 1], looks[best, 0]))


def check_given(scene: Scene, roles: Mapping[str, Entity], robot: RobotConfig, base: Sequence[float]) -> Base:
    """A base given by the user, who may mount it on a table.

    Raises TaskPackageError when something is where the robot would be, or a role is out of reach.
    """
    x, y, z, yaw = (float(value) for value in base)
    around = [entity for entity in scene.entities if entity.id not in {role.id for role in roles.values()}]
    obstacles = Obstacles(around, (), z, _top(z, robot))
    if obstacles.distance(np.array([[x, y]]))[0] < robot.base_radius_m:
        raise TaskPackageError(
            f"{scene.id}: scene.robot_base [{x:g}, {y:g}] is within {robot.base_radius_m:g} m of an entity; "
            "move it away, or set scene.robot_base=null to have it placed."
        )
    for goal in goals(roles):
        distance = float(np.linalg.norm(goal.points[0] - (x, y, z + robot.shoulder_m)))
        if distance > robot.reach_m:
            raise TaskPackageError(
                f"{scene.id}: role '{goal.role}' ('{goal.entity.id}') is {distance:.2f} m from the shoulder "
                f"of robot '{robot.name}' at scene.robot_base; it reaches {robot.reach_m:g} m. "
                "Move the base, or set scene.robot_base=null to have it placed."
            )
    return x, y, z, yaw


def _top(height: float, robot: RobotConfig) -> float:
    """Up to where things are in the robot's way: over its shoulder."""
    return height + robot.shoulder_m + _HEADROOM_M


def _spots(wanted: list[Goal], work_m: float) -> tuple[Floats, Floats, Floats]:
    """((C, 2) bases to try, (C,) how good each is by its distance alone, (C, 2) the way it looks)."""
    center, handle = middle(wanted), wanted[0].outward
    if handle is not None and all(goal.from_ahead for goal in wanted):
        opened = max(float(((goal.points[:, :2] - center) @ handle).max()) for goal in wanted)
        ahead = max(opened + round(work_m - _NEARER_M, 6), work_m)
        return _facing(center, handle, ahead, _BESIDE_HANDLE_M)
    shelf = next((goal.outward for goal in wanted if goal.outward is not None and not goal.from_ahead), None)
    if shelf is None:
        return _around(center, work_m)
    square = _facing(center, shelf, round(work_m + _WRIST_M, 6), _BESIDE_PLACE_M)
    around, worse, looks = _around(center, work_m)
    both = zip(square, (around, worse - _LOOKING_ASIDE, looks), strict=True)
    spots, scores, looks = (np.concatenate(parts) for parts in both)
    return spots, scores, looks


def _around(center: Floats, work_m: float) -> tuple[Floats, Floats, Floats]:
    """As ``_spots``: on rings around ``center`` (2,), looking at it."""
    rings = np.array([(d, a) for d in np.round(work_m + _PICK_DISTANCES_M, 6) for a in _ANGLES])
    spots = center + rings[:, :1] * np.column_stack([np.cos(rings[:, 1]), np.sin(rings[:, 1])])
    return spots, -np.abs(rings[:, 0] - work_m), center - spots


def _facing(center: Floats, front: Floats, ahead_m: float, beside_m: float) -> tuple[Floats, Floats, Floats]:
    """As ``_spots``: about ``ahead_m`` before ``center`` (2,), ``beside_m`` to its side, facing the front."""
    side = np.array([-front[1], front[0]])
    ahead = ahead_m + np.array([0.0, 0.05, -0.05, 0.1, 0.15, 0.2])
    beside = beside_m + np.array([0.0, 0.05, -0.05, 0.1, -0.1, -0.15, 0.15, -0.2])
    grid = np.array([(f, s) for f in ahead for b in beside for s in (-b, b)])
    worse = np.abs(grid[:, 0] - ahead_m) + np.abs(np.abs(grid[:, 1]) - beside_m)
    spots = center + grid[:, :1] * front + grid[:, 1:] * side
    return spots, -worse, np.tile(-front, (len(spots), 1))


def _reaches(shoulders: Floats, wanted: list[Goal], reach: float) -> Bools:
    """(C,) whether every point of every goal is within reach."""
    points = np.concatenate([goal.points for goal in wanted])
    return np.asarray(np.linalg.norm(points - shoulders[:, None], axis=2).max(axis=1) <= reach)


def _before_a_drive(
    scene: Scene, wanted: list[Goal], obstacles: Obstacles, height: float, robot: RobotConfig
) -> Base | None:
    """Behind what is to be moved, facing its destination, the hand clear of it; None if there is no room."""
    loads = [goal for goal in wanted if goal.entity.movable]
    places = [goal for goal in wanted if not goal.entity.movable and goal.entity.joint is None]
    if not loads or not places:
        return None
    center = middle(loads)
    way = middle(places) - center
    angles = np.arctan2(-way[1], -way[0]) + _ASIDE
    back = np.column_stack([np.cos(angles), np.sin(angles)])
    low, high = (np.array([goal.entity.bounds[k][:2] for goal in loads]) - center for k in (0, 1))
    half = np.maximum(low[:, None] * back, high[:, None] * back).sum(axis=2).max(axis=0)
    spots = np.concatenate(
        [center + (half + robot.work_m + gap)[:, None] * back for gap in _BEHIND_LOAD_M.tolist()]
    )
    shoulders = np.column_stack([spots, np.full(len(spots), height + robot.shoulder_m)])
    good = obstacles.distance(spots) > robot.base_radius_m
    for goal in loads:
        good &= sees(scene, shoulders, goal)
    if not good.any():
        return None
    x, y = spots[int(np.argmax(good))]
    look = center - (x, y)
    return float(x), float(y), height, float(np.arctan2(look[1], look[0]))
