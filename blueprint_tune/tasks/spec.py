"""A policy type bound to a scene: who plays which role, where the robot stands, what physics has to carry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blueprint_tune.config.paths import assets_dir, robot_file
from blueprint_tune.config.physics_schema import PhysicsConfig
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.config.robot_model import read_model
from blueprint_tune.config.schema import ExperimentConfig, RobotConfig, SceneConfig
from blueprint_tune.errors import ConfigError, ManifestError, SimulatorError, TaskPackageError, nearest
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.layout import Layout, lay_out
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.overlaps import Overlap, deep_overlaps, support
from blueprint_tune.tasks.package import read_package_scene
from blueprint_tune.tasks.placement import Base, check_given, place
from blueprint_tune.tasks.regions import fitted_socket, region
from blueprint_tune.tasks.roles import Casting, bindings, member_names
from blueprint_tune.tasks.scene import FRONT, Entity, Scene

if TYPE_CHECKING:
    from blueprint_tune.mdp.state import Catalog

_AROUND_M, _BELOW_M = 0.4, 0.05


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """What a simulator and an environment are built from.

    Attributes:
        roles: role (or member of a role) -> entity, in the policy's order.
        robot_base: x, y, z (m) and yaw (rad) of the base.
        free: bodies that move freely: roles of kind rigid in order, then clutter within the work area.
        cloths: roles of kind deformable, in order.
        jointed: articulated roles. static: colliders in reach, and things frozen where they are.
        pruned: drawn at most: out of reach, or inside something whose inside is not modelled.
        guesses: what stands in for missing measurements of anything simulated, a sentence each.
        notes: all there is to tell about how the scene was read and bound, guesses included.
        workspace: lowest and highest corner, (3,) m each, of the box in which the task takes place.
    """

    scene: Scene
    policy: PolicyConfig
    robot: RobotConfig
    physics: PhysicsConfig
    roles: dict[str, Entity]
    robot_base: Base
    free: tuple[Entity, ...]
    cloths: tuple[Entity, ...]
    jointed: tuple[Entity, ...]
    static: tuple[Entity, ...]
    pruned: tuple[Entity, ...]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    workspace: tuple[Floats, Floats]

    @property
    def loose(self) -> tuple[Entity, ...]:
        """Everything whose pose an episode may draw: ``free``, then ``cloths``."""
        return (*self.free, *self.cloths)

    @property
    def kinds(self) -> dict[str, str]:
        """What each of ``roles`` is: rigid, deformable, articulated or region."""
        return _kinds(self.policy)


def manifest_path(scene: SceneConfig) -> Path:
    """Where the scene's manifest is. Raises ManifestError for a scene that does not ship with the package."""
    if scene.manifest is not None:
        return Path(scene.manifest)
    scenes = assets_dir() / "scenes"
    shipped = sorted(folder.name for folder in scenes.iterdir() if folder.is_dir())
    if scene.id not in shipped:
        raise ManifestError(
            f"scene '{scene.id}' does not ship with the package. {nearest(scene.id, shipped)} "
            "For a scene of your own: +scene=manifest scene.manifest=<path to scene_manifest.json>."
        )
    return scenes / scene.id / "scene_manifest.json"


def bind_task(cfg: ExperimentConfig) -> TaskSpec:
    """Read the scene and bind the policy's roles to it. Raises ManifestError and TaskPackageError."""
    if cfg.scene.package is not None:
        return bind(read_package_scene(cfg.scene.package, cfg.scene.manifest, cfg.scene.up_axis), cfg)
    return bind(read_manifest(manifest_path(cfg.scene), cfg.scene.up_axis), cfg)


def bind(scene: Scene, cfg: ExperimentConfig) -> TaskSpec:
    """Bind the policy's roles to a scene that is already read.

    Raises TaskPackageError, and SimulatorError where the backend lacks the physics for a role.
    """
    _check_physics(cfg)
    _check_names(scene, cfg.robot)
    overlaps = deep_overlaps(scene.entities)
    roles, base = _cast(scene, overlaps, cfg)
    _check_supports(scene, roles, overlaps)
    _check_start(cfg.policy, roles)
    layout = lay_out(scene, roles, _kinds(cfg.policy), overlaps, base, _range_m(cfg.robot, roles, base))
    made_up = [*_role_guesses(roles), *layout.guesses, *cfg.robot.guesses]
    notes = [*cfg.scene.adaptations, *scene.notes, *_binding_notes(cfg, roles, base), *layout.notes, *made_up]
    guesses = (*_used_guesses(scene, layout), *made_up)
    return TaskSpec(
        scene=scene,
        policy=cfg.policy,
        robot=cfg.robot,
        physics=cfg.physics,
        roles=roles,
        robot_base=base,
        free=tuple(layout.free),
        cloths=tuple(layout.cloths),
        jointed=tuple(layout.jointed),
        static=tuple(layout.static),
        pruned=tuple(layout.pruned),
        guesses=guesses,
        notes=tuple(notes),
        workspace=_workspace(roles),
    )


def catalog(task: TaskSpec) -> Catalog:
    """The names that the terms of a policy file may use for this task."""
    from blueprint_tune.mdp.state import Catalog  # brings torch, which binding does without

    robot, policy = task.robot, task.policy
    frames, joints = ["robot/ee"], list(robot.joints)
    bodies = {"robot/arm": tuple(robot.colliding)}
    if robot.touching:
        bodies["robot/gripper"] = tuple(robot.touching)
    for role, entity in task.roles.items():
        frames.append(role)
        if task.kinds[role] == "deformable":
            frames += [f"{role}/corner_{i}" for i in range(4)]
            continue
        bodies[role] = (entity.id,)
        if task.kinds[role] != "articulated":
            continue
        joints.append(f"{role}/joint")
        if entity.handle is not None:
            frames.append(f"{role}/handle")
            bodies[f"{role}/handle"] = (f"{entity.id}_handle",)
    return Catalog(
        tuple(frames),
        tuple(joints),
        bodies,
        command_positions=tuple(n for n, term in policy.commands.items() if term.get("kind") == "position"),
        commands=tuple(policy.commands),
        members={
            role: member_names(role, config) for role, config in policy.roles.items() if config.count > 1
        },
        regions={r: _half(e) for r, e in task.roles.items() if task.kinds[r] == "region"},
        outward={
            f"{role}/joint": float(entity.joint.axis @ FRONT)
            for role, entity in task.roles.items()
            if task.kinds[role] == "articulated" and entity.joint is not None
        },
        joint_units=_joint_units(task),
        wrist=robot.arm_joints[-1],
        boxes={r: _half_of(e.size) for r, e in task.roles.items() if task.kinds[r] == "rigid"},
    )


def _joint_units(task: TaskSpec) -> dict[str, str]:
    """Joint -> rad or m: fingers and the base along x and y slide, arms as in their model, fixtures say."""
    robot = task.robot
    sliding = {*robot.base_joints[:2], *(robot.hand.joints if robot.hand else ())}
    sliding |= {joint.name for joint in read_model(robot_file(robot.model)).joints.values() if joint.slides}
    units = {name: "m" if name in sliding else "rad" for name in robot.joints}
    for role, entity in task.roles.items():
        if entity.joint is not None:
            units[f"{role}/joint"] = "m" if entity.joint.kind == "prismatic" else "rad"
    return units


def _half(entity: Entity) -> tuple[float, float, float]:
    found = region(entity)
    assert found is not None, entity.id  # only entities that have one play such a role
    return _half_of(found.size)


def _half_of(size: Floats) -> tuple[float, float, float]:
    x, y, z = (float(extent) / 2 for extent in size)
    return x, y, z


def _kinds(policy: PolicyConfig) -> dict[str, str]:
    return {name: asked.kind for role, asked in policy.roles.items() for name in member_names(role, asked)}


def _check_physics(cfg: ExperimentConfig) -> None:
    cloth = any(role.kind == "deformable" for role in cfg.policy.roles.values())
    if cloth and not cfg.backend.cloth:
        raise SimulatorError(
            f"backend '{cfg.backend.name}' has no cloth, which policy '{cfg.policy.name}' needs. "
            "Use backend=mujoco."
        )


def _check_names(scene: Scene, robot: RobotConfig) -> None:
    """A scene's entities and the robot's bodies live in one simulator."""
    taken = {robot.base_body, robot.ee_site, *robot.joints, *robot.colliding, *robot.touching}
    for entity in scene.entities:
        if entity.id in taken:
            raise TaskPackageError(
                f"{scene.id}: the object '{entity.source_id}' is called like a part of robot '{robot.name}'; "
                "rename it."
            )


def _cast(scene: Scene, overlaps: list[Overlap], cfg: ExperimentConfig) -> tuple[dict[str, Entity], Base]:
    """The best way to fill the roles for which the robot has somewhere to stand, and where."""
    castings = [
        Casting(scene, overlaps, cfg.policy.name, role, config, cfg.robot.hand)
        for role, config in cfg.policy.roles.items()
    ]
    failures = []
    for bound in bindings(castings):
        roles = _fitted(bound, cfg.policy)
        try:
            if cfg.scene.robot_base is not None:
                return roles, check_given(scene, roles, cfg.robot, cfg.scene.robot_base)
            return roles, place(scene, roles, cfg.robot)
        except TaskPackageError as error:
            failures.append(error)
    raise failures[0]


def _range_m(robot: RobotConfig, roles: dict[str, Entity], base: Base) -> float:
    """How far from its base's start the robot gets at things; one that drives does so as far as its roles."""
    if not robot.driven_base:
        return robot.reach_m
    farthest = max(float(np.linalg.norm(entity.position[:2] - base[:2])) for entity in roles.values())
    return robot.reach_m + farthest


def _fitted(roles: dict[str, Entity], policy: PolicyConfig) -> dict[str, Entity]:
    """The roles with holes made for the parts that belong in them."""
    fitted = dict(roles)
    for role, config in policy.roles.items():
        if config.fits is not None:
            if config.fits not in roles:
                raise TaskPackageError(
                    f"conf/policy/{policy.name}.yaml: roles.{role}.fits: there is no role '{config.fits}'. "
                    f"{nearest(config.fits, roles)}"
                )
            socket, guess = fitted_socket(roles[role], roles[config.fits])
            fitted[role] = replace(socket, guesses=(*socket.guesses, *((guess,) if guess else ())))
    return fitted


def _check_start(policy: PolicyConfig, roles: dict[str, Entity]) -> None:
    """Raises ConfigError when the start names a role, or a handle, that the task does not have."""
    handles = [f"{role}/handle" for role, entity in roles.items() if entity.handle is not None]
    known = {"near": [*roles, *handles], "holds": list(roles)}
    for key, names in known.items():
        name = getattr(policy.start, key)
        if name is not None and name not in names:
            raise ConfigError(
                f"conf/policy/{policy.name}.yaml: start.{key}: there is no '{name}'. {nearest(name, names)}"
            )


def _check_supports(scene: Scene, roles: dict[str, Entity], overlaps: list[Overlap]) -> None:
    """Raises TaskPackageError when what a role stands on is not where it can be."""
    for role, entity in roles.items():
        below = support(entity, scene.entities) if entity.movable else None
        for overlap in overlaps:
            if below is not None and not overlap.expected and overlap.other(below) is not None:
                raise TaskPackageError(
                    f"{scene.id}: {overlap}, and '{entity.id}' (role '{role}') stands on '{below.id}'. "
                    "Correct their positions or sizes in the manifest."
                )


def _binding_notes(cfg: ExperimentConfig, roles: dict[str, Entity], base: Base) -> list[str]:
    x, y, z, yaw = base
    how = "placed automatically" if cfg.scene.robot_base is None else "as scene.robot_base says"
    turned = f"turned by {degrees(yaw):.0f} degrees"
    return [
        *(f"role '{role}' is played by '{entity.id}'." for role, entity in roles.items()),
        f"robot '{cfg.robot.name}' stands at [{x:.3f}, {y:.3f}, {z:.3f}] m, {turned}, {how}.",
        *_unused_physics(cfg),
    ]


def _unused_physics(cfg: ExperimentConfig) -> list[str]:
    """What of the physics profile has no effect, in one sentence."""
    unused = ", ".join(cfg.backend.ignores)
    profile, backend = cfg.physics.name, cfg.backend.name
    return [f"physics '{profile}': backend '{backend}' has no use for {unused}."] if unused else []


def _used_guesses(scene: Scene, layout: Layout) -> list[str]:
    """The scene's guesses that this task's physics rests on."""
    loose = (*layout.free, *layout.cloths)
    collide = {entity.id for entity in (*loose, *layout.jointed, *layout.static)}
    used = {
        "place": collide | {""},
        "motion": {entity.id for entity in layout.jointed},
        "body": {entity.id for entity in (*loose, *layout.jointed)},
    }
    return [guess.text for guess in scene.guesses if guess.entity in used[guess.about]]


def _role_guesses(roles: dict[str, Entity]) -> list[str]:
    """What stands in for measurements of the places where things are put."""
    places = [region(entity) for entity in roles.values()]
    of_places = [guess for place in places if place is not None for guess in place.guesses]
    return [*(guess for entity in roles.values() for guess in entity.guesses), *of_places]


def _workspace(roles: dict[str, Entity]) -> tuple[Floats, Floats]:
    """The box around all roles and their handles, wider on every side but hardly lower."""
    corners = [corner for entity in roles.values() for corner in entity.bounds]
    corners += [entity.handle_position for entity in roles.values() if entity.handle_position is not None]
    low = np.min(corners, axis=0) - (_AROUND_M, _AROUND_M, _BELOW_M)
    return low, np.max(corners, axis=0) + _AROUND_M
