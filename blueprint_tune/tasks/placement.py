"""Where the robot stands: beside what it works on, clear of everything, looking at it.

For things to pick up the base stands level with the surface that carries them. For things to open it faces
their front with its shoulder 0.12 m below the handle and 0.3 m to its side, far enough back for the whole
opening: there the Panda holds a level hand at every opening with 0.3 rad or more to its joint limits;
straight in front of the handle no posture gives it more than 0.15. Robots that stand on the floor choose
their spot only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.geometry import Bools, Floats
from blueprint_tune.tasks.obstacles import Obstacles, in_sight, is_solid, moved
from blueprint_tune.tasks.overlaps import support, top_below
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import FRONT, Entity, Scene

Base = tuple[float, float, float, float]
"""x, y, z in metres and yaw in radians."""

HIGHEST_M = 1.2
_HEADROOM_M = 0.67
"""Above the shoulder."""
_BELOW_HANDLE_M = 0.12
"""Of the shoulder."""
_BESIDE_HANDLE_M = 0.3
_NEARER_M = 0.2
"""By so much a handle may come nearer, forwards, than where the arm works best, as it opens."""
_NEAREST_FRONT_M = 0.25
"""How far before the opening of a shelf a base must be at least."""
_PICK_DISTANCES_M = np.array([0.0, -0.05, 0.05, -0.1, 0.1])
"""Beside the distance at which the arm works best."""
_ANGLES = np.linspace(-np.pi, np.pi, 36, endpoint=False)
_CLEARANCE_M = 0.3
"""More room around the base than this is no better."""
_BEHIND_LOAD_M = np.array([0.1, 0.2, 0.3, 0.0])
"""Between a hand that waits where the arm works best and the load that the base is driven to, best first."""
_ASIDE = np.deg2rad([0, 10, -10, 20, -20, 30, -30, 45, -45])
"""Off the line from a load's destination through the load, best first."""


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
        grip = np.zeros(3) if entity.handle is None else entity.handle.center
        points = [entity.to_scene(moved(entity, f, grip)) for f in np.linspace(0, 1, 5)]
        found.append(Goal(role, entity, np.array(points), _level(outward), from_ahead=True))
    return found


def _level(outward: Floats) -> Floats | None:
    """(2,) the direction seen from above, or None if it points up or down."""
    length = float(np.linalg.norm(outward[:2]))
    return outward[:2] / length if length > 0.5 else None


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
    spots, scores, facing = _spots(wanted, robot.work_m)
    shoulders = np.column_stack([spots, np.full(len(spots), height + robot.shoulder_m)])
    clearance = obstacles.distance(spots) - robot.base_radius_m
    good = (clearance > 0) & _reaches(shoulders, wanted, robot.reach_m)
    for goal in wanted:
        good &= _sees(scene, shoulders, goal) & _before(spots, goal)
    if not good.any():
        start = _before_a_drive(scene, wanted, obstacles, height, robot) if robot.driven_base else None
        if start is None:
            raise TaskPackageError(_nowhere(scene, wanted, obstacles, height, robot))
        return start
    scores = np.round(scores + np.minimum(clearance, _CLEARANCE_M), 6)
    x, y = spots[int(np.argmax(np.where(good, scores, -np.inf)))]
    look = _middle(wanted) - (x, y) if facing is None else facing
    return float(x), float(y), height, float(np.arctan2(look[1], look[0]))


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


def _middle(wanted: list[Goal]) -> Floats:
    return np.asarray(np.mean([goal.points[0, :2] for goal in wanted], axis=0))


def _spots(wanted: list[Goal], work_m: float) -> tuple[Floats, Floats, Floats | None]:
    """((C, 2) bases to try, (C,) how good each is by its distance alone, the way (2,) to face or None)."""
    center, front = _middle(wanted), wanted[0].outward
    if front is None or not all(goal.from_ahead for goal in wanted):
        rings = np.array([(d, a) for d in np.round(work_m + _PICK_DISTANCES_M, 6) for a in _ANGLES])
        around = np.column_stack([np.cos(rings[:, 1]), np.sin(rings[:, 1])])
        return center + rings[:, :1] * around, -np.abs(rings[:, 0] - work_m), None
    side = np.array([-front[1], front[0]])
    opened = max(float(((goal.points[:, :2] - center) @ front).max()) for goal in wanted)
    ahead = max(opened + round(work_m - _NEARER_M, 6), work_m) + np.array([0.0, 0.05, -0.05, 0.1, 0.15, 0.2])
    beside = _BESIDE_HANDLE_M + np.array([0.0, 0.05, -0.05, 0.1, -0.1, -0.15, 0.15, -0.2])
    grid = np.array([(f, s) for f in ahead for b in beside for s in (-b, b)])
    worse = np.abs(grid[:, 0] - ahead[0]) + np.abs(np.abs(grid[:, 1]) - _BESIDE_HANDLE_M)
    return center + grid[:, :1] * front + grid[:, 1:] * side, -worse, -front


def _reaches(shoulders: Floats, wanted: list[Goal], reach: float) -> Bools:
    """(C,) whether every point of every goal is within reach."""
    points = np.concatenate([goal.points for goal in wanted])
    return np.asarray(np.linalg.norm(points - shoulders[:, None], axis=2).max(axis=1) <= reach)


def _before(spots: Floats, goal: Goal) -> Bools:
    """(C,) whether a base stands in front of what opens to the front."""
    if goal.outward is None:
        return np.ones(len(spots), dtype=bool)
    return np.asarray((spots - goal.points[0, :2]) @ goal.outward > _NEAREST_FRONT_M)


def _sees(scene: Scene, shoulders: Floats, goal: Goal) -> Bools:
    """(C,) whether nothing stands between the shoulder and where the role is worked on.

    What stands on it does not hide it: a pallet is moved with its load.
    """
    aim, own = goal.points[0].copy(), goal.entity
    if goal.outward is None:
        aim[2] = max(float(aim[2]), own.top) + 0.02
    between = [e for e in scene.entities if e is not own and is_solid(e) and support(e, [own]) is None]
    return in_sight(shoulders, aim, between)


def _before_a_drive(
    scene: Scene, wanted: list[Goal], obstacles: Obstacles, height: float, robot: RobotConfig
) -> Base | None:
    """Behind what is to be moved, facing its destination, the hand clear of it; None if there is no room."""
    loads = [goal for goal in wanted if goal.entity.movable]
    places = [goal for goal in wanted if not goal.entity.movable and goal.entity.joint is None]
    if not loads or not places:
        return None
    center = _middle(loads)
    way = _middle(places) - center
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
        good &= _sees(scene, shoulders, goal)
    if not good.any():
        return None
    x, y = spots[int(np.argmax(good))]
    look = center - (x, y)
    return float(x), float(y), height, float(np.arctan2(look[1], look[0]))


def _nowhere(
    scene: Scene, wanted: list[Goal], obstacles: Obstacles, height: float, robot: RobotConfig
) -> str:
    """The message when no base works: the role that none reaches, or the two that none reaches together."""
    who = f"{scene.id}: robot '{robot.name}' (reach {robot.reach_m:g} m)"
    distances = [_nearest_shoulder(scene, goal, obstacles, height, robot) for goal in wanted]
    worst = int(np.argmax(distances))
    if distances[worst] > robot.reach_m or len(wanted) == 1:
        goal, distance = wanted[worst], distances[worst]
        far = f"{distance:.2f} m" if np.isfinite(distance) else "more than 3 m"
        before = "" if goal.outward is None else " before its front"
        return (
            f"{who} can stand nowhere from where it reaches role '{goal.role}' ('{goal.entity.id}'): from the "
            f"nearest free place for its base{before} its shoulder is {far} away. {_advice(wanted, goal)}"
        )
    pairs = [(a, b) for i, a in enumerate(wanted) for b in wanted[i + 1 :]]
    a, b = max(pairs, key=lambda pair: _between(*pair))
    return (
        f"{who} can stand nowhere from where it reaches all roles together; each alone is in reach. Farthest "
        f"apart are role '{a.role}' ('{a.entity.id}') and role '{b.role}' ('{b.entity.id}'), "
        f"{_between(a, b):.2f} m. {_advice(wanted, b)}"
    )


def _nearest_shoulder(
    scene: Scene, goal: Goal, obstacles: Obstacles, height: float, robot: RobotConfig
) -> float:
    """Metres to the farthest point of a goal from the best free place within 3 m; inf if there is none."""
    grid = np.linspace(-3, 3, 61)
    around = goal.points[0, :2] + np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    shoulders = np.column_stack([around, np.full(len(around), height + robot.shoulder_m)])
    free = (obstacles.distance(around) > robot.base_radius_m) & _sees(scene, shoulders, goal)
    free &= _before(around, goal)
    if not free.any():
        return float(np.inf)
    return float(np.linalg.norm(goal.points - shoulders[free, None], axis=2).max(axis=1).min())


def _between(a: Goal, b: Goal) -> float:
    return float(np.linalg.norm(a.points[0] - b.points[0]))


def _advice(wanted: list[Goal], goal: Goal) -> str:
    """What to do next; an entity can be named only for a role that one entity plays alone."""
    stem = goal.role.rpartition("_")[0]
    alone = [other.role for other in wanted if other.role == f"{stem}_0"] == []
    other = f"choose another entity (policy.roles.{goal.role}.entity=…)" if alone else "use another scene"
    return f"Correct the manifest, {other}, or set scene.robot_base=[x,y,z,yaw]."
