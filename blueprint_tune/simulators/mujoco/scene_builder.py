"""Compile a bound task into one MuJoCo model: robot, fixtures, free bodies, colliders and sensors.

Order matters: the robot's joints come first, then fixture joints, then free bodies, so that
``qpos[:, :J]`` is ``SceneState.joint_pos`` without a gather. Sensors are added in the layout of
:class:`SensorLayout`, so that one contiguous cast of ``sensordata`` refreshes the whole scene state.

Collision bits: furniture is touched by the robot (2) and by free objects (4); the robot collides with
whatever lists bit 2, never with itself; fixtures ignore the furniture they sit in.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_tune.config.physics_schema import PhysicsConfig
from blueprint_tune.errors import SimulatorError
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators.mujoco.bodies import STATIC_CONTACT, add_drawn, add_free, add_static
from blueprint_tune.simulators.mujoco.cloth import Cloth, add_cloth, corners, describe
from blueprint_tune.simulators.mujoco.fixtures import add_fixture
from blueprint_tune.simulators.mujoco.robots import robot_spec
from blueprint_tune.tasks.scene import Entity
from blueprint_tune.tasks.spec import TaskSpec

_SOLVERS = {"Newton": mujoco.mjtSolver.mjSOL_NEWTON, "CG": mujoco.mjtSolver.mjSOL_CG}
_ROLE_RGBA = [0.85, 0.36, 0.22, 1.0]
_PALETTE = ([0.76, 0.70, 0.60, 1], [0.58, 0.62, 0.66, 1], [0.68, 0.60, 0.50, 1], [0.80, 0.80, 0.78, 1])


@dataclass(frozen=True)
class SensorLayout:
    """Columns of ``sensordata``: positions, quaternions, linear, angular velocities, contact forces."""

    num_frames: int
    num_contacts: int

    @property
    def size(self) -> int:
        """Number of columns."""
        return 13 * self.num_frames + 3 * self.num_contacts


@dataclass(frozen=True)
class CompiledScene:
    """A compiled task.

    Attributes:
        robot_joints, fixture_joints: joint names in ``qpos`` order. free_bodies: names in ``qpos`` order,
            those of ``cloths`` last.
        free_geoms: per free body, its collision geom ids. pad_geoms: geom ids of the finger pads.
    """

    model: mujoco.MjModel
    layout: SensorLayout
    robot_joints: tuple[str, ...]
    fixture_joints: tuple[str, ...]
    free_bodies: tuple[str, ...]
    free_geoms: tuple[tuple[int, ...], ...]
    pad_geoms: tuple[int, ...]
    cloths: tuple[Cloth, ...]


def compile_scene(task: TaskSpec, catalog: Catalog) -> CompiledScene:
    """Build and compile the model of a task.

    Raises SimulatorError when the robot file lacks a body, joint, site or actuator its config names.
    """
    spec = robot_spec(task.robot)
    _place_robot(spec, task)
    _set_options(spec.option, task.physics)
    world = spec.worldbody
    _light(spec)
    for entity in task.jointed:
        add_fixture(world, entity, _rgba(entity, role=True))
    roles = [entity.id for entity in task.roles.values()]
    for entity in task.free:
        add_free(world, entity, _rgba(entity, entity.id in roles))
    for entity in task.cloths:
        add_cloth(spec, entity, _rgba(entity, entity.id in roles))
    for entity in task.static:
        add_static(world, entity, _rgba(entity, entity.id in roles), entity.id in roles)
    for entity in task.pruned:
        add_drawn(world, entity, _rgba(entity))
    _add_floor(world)
    layout = _add_sensors(spec, task, catalog)
    model = _compile(spec, task)
    return _describe(model, task, layout)


def _place_robot(spec: mujoco.MjSpec, task: TaskSpec) -> None:
    base = spec.body(task.robot.base_body)
    x, y, z, yaw = task.robot_base
    base.pos = [x, y, z]
    base.quat = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
    if z > 0.02:
        radius = 0.75 * task.robot.base_radius_m
        spec.worldbody.add_geom(
            name="robot_pedestal",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=[radius, z / 2, 0],
            pos=[x, y, z / 2],
            rgba=[0.25, 0.27, 0.3, 1],
            contype=0,
            conaffinity=0,
        )


def _set_options(option: mujoco.MjOption, physics: PhysicsConfig) -> None:
    option.timestep = physics.dt_s
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = physics.impratio
    option.iterations = physics.solver_iterations
    option.solver = _SOLVERS[physics.mujoco_solver]
    # A diverged environment must be seen and reported, not silently put back to its start.
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def _light(spec: mujoco.MjSpec) -> None:
    """One sun from above and a bright headlight, so that pictures show what stands in the shade."""
    spec.visual.headlight.ambient[:] = 0.35
    spec.visual.headlight.diffuse[:] = 0.45
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0, 0, 6],
        dir=[0.3, 0.4, -1],
        diffuse=[0.5, 0.5, 0.5],
    )


def _rgba(entity: Entity, role: bool = False) -> list[float]:
    if role:
        return _ROLE_RGBA
    return list(_PALETTE[sum(entity.category.encode()) % len(_PALETTE)])


def _add_floor(world: mujoco.MjsBody) -> None:
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[10, 10, 0.1],
        rgba=[0.86, 0.86, 0.84, 1],
        **STATIC_CONTACT,
    )


def _add_sensors(spec: mujoco.MjSpec, task: TaskSpec, catalog: Catalog) -> SensorLayout:
    kinds = mujoco.mjtSensor
    for kind, of_cloth in (
        (kinds.mjSENS_FRAMEPOS, kinds.mjSENS_SUBTREECOM),
        (kinds.mjSENS_FRAMEQUAT, kinds.mjSENS_FRAMEQUAT),
        (kinds.mjSENS_FRAMELINVEL, kinds.mjSENS_SUBTREELINVEL),
        (kinds.mjSENS_FRAMEANGVEL, kinds.mjSENS_FRAMEANGVEL),
    ):
        for frame in catalog.frames:
            object_type, name = _frame_object(task, frame)
            cloth = task.kinds.get(frame) == "deformable"  # the middle of its masses
            if cloth and kind != of_cloth:
                object_type = mujoco.mjtObj.mjOBJ_BODY
            spec.add_sensor(type=of_cloth if cloth else kind, objtype=object_type, objname=name)
    body = mujoco.mjtObj.mjOBJ_BODY
    force_only, net_force, one = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), 3, 1
    for request in catalog.contacts:
        other = {} if request.against is None else {"reftype": body, "refname": request.against}
        spec.add_sensor(
            type=kinds.mjSENS_CONTACT,
            objtype=body,
            objname=request.body,
            intprm=[force_only, net_force, one],
            **other,
        )
    return SensorLayout(len(catalog.frames), len(catalog.contacts))


def _frame_object(task: TaskSpec, frame: str) -> tuple[mujoco.mjtObj, str]:
    if frame == "robot/ee":
        return mujoco.mjtObj.mjOBJ_SITE, task.robot.ee_site
    role, _, part = frame.partition("/")
    entity = task.roles[role].id
    if task.kinds[role] == "deformable" and part:
        return mujoco.mjtObj.mjOBJ_XBODY, corners(task.roles[role])[int(part.removeprefix("corner_"))]
    if task.kinds[role] == "region":
        return mujoco.mjtObj.mjOBJ_SITE, f"{entity}_region"
    return mujoco.mjtObj.mjOBJ_XBODY, f"{entity}_{part}" if part else entity


def _compile(spec: mujoco.MjSpec, task: TaskSpec) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as error:
        raise SimulatorError(
            f"scene '{task.scene.id}' with robot '{task.robot.name}' does not compile: {error}"
        ) from error


def _describe(model: mujoco.MjModel, task: TaskSpec, layout: SensorLayout) -> CompiledScene:
    joints = [model.joint(i).name for i in range(model.njnt)]
    robot_joints = tuple(task.robot.joints)
    actuated = tuple(model.joint(model.actuator_trnid[a, 0]).name for a in range(model.nu))
    if actuated != robot_joints or tuple(joints[: len(robot_joints)]) != robot_joints:
        raise SimulatorError(
            f"robot '{task.robot.name}': its actuators must drive {', '.join(robot_joints)} in this order, "
            f"but the model has {', '.join(actuated)}."
        )
    cloths = tuple(describe(model, entity) for entity in task.cloths)
    free = (*(entity.id for entity in task.free), *(cloth.name for cloth in cloths))
    pads = tuple(
        g
        for finger in (task.robot.hand.fingers if task.robot.hand else [])
        for g in range(model.ngeom)
        if model.geom_bodyid[g] == model.body(finger).id and model.geom_priority[g] > 0
    )
    return CompiledScene(
        model=model,
        layout=layout,
        robot_joints=robot_joints,
        fixture_joints=tuple(f"{entity.id}_joint" for entity in task.jointed),
        free_bodies=free,
        free_geoms=tuple(
            tuple(np.flatnonzero(model.geom_bodyid == model.body(entity.id).id).tolist())
            for entity in task.free
        ),
        pad_geoms=pads,
        cloths=cloths,
    )
