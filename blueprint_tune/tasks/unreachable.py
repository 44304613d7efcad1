"""Why a robot has nowhere to stand, in a sentence: which role, how far away, and what to do about it."""

from __future__ import annotations

import numpy as np

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.tasks.goals import Goal, before, sees
from blueprint_tune.tasks.obstacles import Obstacles
from blueprint_tune.tasks.scene import Scene


def nowhere(scene: Scene, wanted: list[Goal], obstacles: Obstacles, height: float, robot: RobotConfig) -> str:
    """The message when no base works: the role that none reaches, or the two farthest apart."""
    who = f"{scene.id}: robot '{robot.name}' (reach {robot.reach_m:g} m)"
    distances = [_nearest_shoulder(scene, goal, obstacles, height, robot) for goal in wanted]
    worst = int(np.argmax(distances))
    if distances[worst] > robot.reach_m or len(wanted) == 1:
        goal, distance = wanted[worst], distances[worst]
        far = f"{distance:.2f} m" if np.isfinite(distance) else "more than 3 m"
        front = "" if goal.outward is None else " before its front"
        return (
            f"{who} can stand nowhere from where it reaches role '{goal.role}' ('{goal.entity.id}'): from "
            f"the nearest free place for its base{front} its shoulder is {far} away. {_advice(wanted, goal)}"
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
    free = (obstacles.distance(around) > robot.base_radius_m) & sees(scene, shoulders, goal)
    free &= before(around, goal)
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
