"""A policy type bound to a scene: who plays which role, where the robot stands, what physics has to carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees
from pathlib import Path

import numpy as np

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.config.schema import (
    ExperimentConfig,
    PhysicsConfig,
    PolicyConfig,
    RobotConfig,
    SceneConfig,
)
from blueprint_tune.errors import ManifestError, TaskPackageError, nearest
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.overlaps import inside, serious_overlaps, support
from blueprint_tune.tasks.placement import Base, check_given, place
from blueprint_tune.tasks.roles import Asked, bindings
from blueprint_tune.tasks.scene import Entity, Scene

_REACH_MARGIN_M = 0.1
_SHOULDER_M = 0.4
"""Robots reach from somewhere between their base and this far above it."""
_WORK_AREA_M = 0.2


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """What a simulator and an environment are built from.

    Attributes:
        roles: role -> entity, in the policy's order. robot_base: x, y, z (m) and yaw (rad) of the base, z up.
        free: bodies that move freely: roles of kind rigid in order, then clutter within the work area.
        jointed: articulated roles. static: colliders in reach, and things frozen where they are.
        pruned: drawn at most: out of reach, or inside something whose inside is not modelled.
        guesses: every value that stands in for a missing measurement, a sentence each.
        notes: everything worth telling about how the scene was read and bound, guesses included.
        workspace: lowest and highest corner, (3,) m each, of the box in which the task takes place.
    """

    scene: Scene
    policy: PolicyConfig
    robot: RobotConfig
    physics: PhysicsConfig
    roles: dict[str, Entity]
    robot_base: Base
    free: tuple[Entity, ...]
    jointed: tuple[Entity, ...]
    static: tuple[Entity, ...]
    pruned: tuple[Entity, ...]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    workspace: tuple[Floats, Floats]


def manifest_path(scene: SceneConfig) -> Path:
    """Where the scene's manifest is. Raises ManifestError for a scene that does not ship with the package."""
    if scene.manifest is not None:
        return Path(scene.manifest)
    scenes = assets_dir() / "scenes"
    path = scenes / scene.id / "scene_manifest.json"
    if Path(scene.id).name != scene.id or not path.is_file():
        shipped = [folder.name for folder in scenes.iterdir() if folder.is_dir()] if scenes.is_dir() else []
        raise ManifestError(
            f"scene '{scene.id}' does not ship with the package. {nearest(scene.id, shipped)} "
            "For a scene of your own: +scene=manifest scene.manifest=<path to scene_manifest.json>."
        )
    return path


def bind_task(cfg: ExperimentConfig) -> TaskSpec:
    """Read the scene and bind the policy's roles to it. Raises ManifestError and TaskPackageError."""
    return bind(read_manifest(manifest_path(cfg.scene), cfg.scene.up_axis), cfg)


def bind(scene: Scene, cfg: ExperimentConfig) -> TaskSpec:
    """Bind the policy's roles to a scene that is already read. Raises TaskPackageError."""
    _check_names(scene, cfg.robot)
    gripper = cfg.robot.gripper
    asked = [Asked(cfg.policy.name, role, config, gripper) for role, config in cfg.policy.roles.items()]
    roles, base = _placed(scene, asked, cfg)
    notes = _overlap_notes(scene, roles)
    sorted_out = _classify(scene, cfg, roles, base, notes)
    said = list(dict.fromkeys([*scene.notes, *notes, *_binding_notes(cfg, roles, base)]))
    free, jointed, static, pruned = sorted_out
    return TaskSpec(
        scene=scene,
        policy=cfg.policy,
        robot=cfg.robot,
        physics=cfg.physics,
        roles=roles,
        robot_base=base,
        free=free,
        jointed=jointed,
        static=static,
        pruned=pruned,
        guesses=_relevant_guesses(scene, (*free, *jointed, *static)),
        notes=tuple(said),
        workspace=_workspace(roles),
    )


def catalog(task: TaskSpec) -> Catalog:
    """The names that the terms of a policy file may use for this task."""
    robot, policy = task.robot, task.policy
    frames, joints = ["robot/ee"], list(robot.arm_joints)
    bodies = {"robot/arm": tuple(robot.collision_bodies)}
    if robot.gripper is not None:
        joints += robot.gripper.joints
        bodies["robot/gripper"] = tuple(robot.gripper.fingers)
    for role, entity in task.roles.items():
        frames.append(role)
        bodies[role] = (entity.id,)
        if policy.roles[role].kind != "articulated":
            continue
        joints.append(f"{role}/joint")
        if entity.handle is not None:
            frames.append(f"{role}/handle")
            bodies[f"{role}/handle"] = (f"{entity.id}_handle",)
    positions = tuple(name for name, term in policy.commands.items() if term.get("kind") == "position")
    return Catalog(tuple(frames), tuple(joints), bodies, positions, tuple(policy.commands))


def _check_names(scene: Scene, robot: RobotConfig) -> None:
    """A scene's entities and the robot's bodies live in one simulator."""
    taken = {robot.base_body, robot.ee_site, *robot.arm_joints, *robot.collision_bodies}
    if robot.gripper is not None:
        taken |= {*robot.gripper.joints, *robot.gripper.fingers}
    for entity in scene.entities:
        if entity.id in taken:
            raise TaskPackageError(
                f"{scene.id}: the object '{entity.source_id}' has the name of a part of robot '{robot.name}'; rename it."
            )


def _placed(scene: Scene, asked: Sequence[Asked], cfg: ExperimentConfig) -> tuple[dict[str, Entity], Base]:
    """The best binding of roles for which the robot has somewhere to stand, and where."""
    failed: TaskPackageError | None = None
    for roles in bindings(scene, asked) if asked else [{}]:
        try:
            if cfg.scene.robot_base is not None:
                return roles, check_given(scene, roles, cfg.robot, cfg.scene.robot_base)
            return roles, place(scene, roles, cfg.robot)
        except TaskPackageError as error:
            failed = failed or error
    assert failed is not None
    raise failed


def _overlap_notes(scene: Scene, roles: dict[str, Entity]) -> list[str]:
    """Notes on deep overlaps elsewhere. Raises TaskPackageError when what a role stands on is involved."""
    carriers = {}
    for role, entity in roles.items():
        below = support(entity, scene.entities) if entity.movable else None
        if below is not None:
            carriers[below.id] = role
    notes = []
    for a, b, amount in serious_overlaps(scene.entities):
        text = f"'{a.id}' and '{b.id}' overlap by {100 * amount:.0f} cm"
        role = carriers.get(a.id) or carriers.get(b.id)
        if role is not None:
            raise TaskPackageError(
                f"{scene.id}: {text}, and role '{role}' stands on one of them. Correct their positions or sizes in the manifest."
            )
        notes.append(f"{text}; they stay as they are.")
    return notes


def _classify(
    scene: Scene, cfg: ExperimentConfig, roles: dict[str, Entity], base: Base, notes: list[str]
) -> tuple[tuple[Entity, ...], tuple[Entity, ...], tuple[Entity, ...], tuple[Entity, ...]]:
    """(free, jointed, static, pruned)."""
    kinds = {entity.id: cfg.policy.roles[role].kind for role, entity in roles.items()}
    free = [entity for entity in roles.values() if kinds[entity.id] == "rigid"]
    jointed = [entity for entity in roles.values() if kinds[entity.id] == "articulated"]
    areas = [(e.position - _WORK_AREA_M, e.position + _WORK_AREA_M) for e in free]
    overlapping = {e.id for pair in serious_overlaps(scene.entities) for e in pair[:2]}
    static, pruned = [], []
    for entity in scene.entities:
        if kinds.get(entity.id) in ("rigid", "articulated"):
            continue
        holder = inside(entity, scene.entities) if entity.movable else None
        if not _in_reach(entity, base, cfg.robot.reach_m + _REACH_MARGIN_M) and kinds.get(entity.id) is None:
            pruned.append(entity)
        elif holder is not None:
            pruned.append(entity)
            notes.append(
                f"'{entity.id}' lies inside '{holder.id}', whose inside is solid here; it is not simulated."
            )
        elif entity.movable and entity.id not in overlapping and _within(entity, areas):
            free.append(entity)
        else:
            static.append(entity)
    return tuple(free), tuple(jointed), tuple(static), tuple(pruned)


def _in_reach(entity: Entity, base: Base, reach: float) -> bool:
    """Whether an entity's box comes within reach of the robot's axis, from its base to its shoulder."""
    low, high = entity.bounds
    x, y, z, _ = base
    point = np.array([x, y, float(np.clip((low[2] + high[2]) / 2, z, z + _SHOULDER_M))])
    gap = np.clip(point, low, high) - point
    gap[2] = max(low[2] - (z + _SHOULDER_M), z - high[2], 0.0)
    return bool(np.linalg.norm(gap) <= reach)


def _within(entity: Entity, areas: list[tuple[Floats, Floats]]) -> bool:
    return any(bool(np.all((low <= entity.position) & (entity.position <= high))) for low, high in areas)


def _binding_notes(cfg: ExperimentConfig, roles: dict[str, Entity], base: Base) -> list[str]:
    notes = [f"role '{role}' is played by '{entity.id}'." for role, entity in roles.items()]
    x, y, z, yaw = base
    how = "placed automatically" if cfg.scene.robot_base is None else "as scene.robot_base says"
    notes.append(
        f"robot '{cfg.robot.name}' stands at [{x:.3f}, {y:.3f}, {z:.3f}] m, turned {degrees(yaw):.0f} degrees, {how}."
    )
    return notes


def _relevant_guesses(scene: Scene, used: Sequence[Entity]) -> tuple[str, ...]:
    """The scene's guesses without those on entities that the task does not touch."""
    names = {entity.id for entity in used}
    everyone = set(scene.by_id)
    return tuple(g for g in scene.guesses if (who := g.split(":")[0]) in names or who not in everyone)


def _workspace(roles: dict[str, Entity]) -> tuple[Floats, Floats]:
    """The box around all roles and their handles, 0.4 m larger on every side but never below what they stand on."""
    corners = [corner for entity in roles.values() for corner in entity.bounds]
    corners += [entity.handle_position for entity in roles.values() if entity.handle_position is not None]
    if not corners:
        return np.full(3, -1.0), np.full(3, 1.0)
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return np.array([*(low[:2] - 0.4), low[2] - 0.05]), high + 0.4
