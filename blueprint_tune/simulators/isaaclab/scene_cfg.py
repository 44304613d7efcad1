"""Describes a task's scene to Isaac Lab. Imported after Isaac Sim has started, never before."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import isaaclab.sim as sim_utils
import mujoco
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg, AssetBaseCfg, RigidObjectCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.sensors import CameraCfg, ContactSensorCfg

from blueprint_tune.config.physics_schema import PhysicsConfig
from blueprint_tune.config.schema import BackendConfig, RobotConfig
from blueprint_tune.errors import ConfigError, SimulatorError
from blueprint_tune.simulators.isaaclab.contacts import ContactPlan
from blueprint_tune.simulators.isaaclab.quaternions import QuaternionOrder
from blueprint_tune.simulators.isaaclab.usd import MOST_EFFORT, prim_name
from blueprint_tune.simulators.isaaclab.usd_robot import servos, subtree, write_robot, write_with_tool
from blueprint_tune.simulators.isaaclab.usd_scene import ENV, SceneFiles
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.spec import TaskSpec

ROBOT_PATH = f"{ENV}/Robot"
MOST_ITERATIONS = 255
"""PhysX keeps the number of a body's solver iterations in a byte."""
MOST_VELOCITY_ITERATIONS = 4
"""TGS makes position iterations of what is more."""
VELOCITY_SHARE = 4
"""Position iterations for a velocity iteration, as upstream's generator writes them."""
DEPENETRATION_MPS = 5.0
"""As Isaac Lab's own robots have it: things that overlap part no faster."""
PATCHES_PER_ENV = 128
"""GPU memory for pairs of shapes that touch: Isaac Lab's default suffices for 1280 environments of these."""
PICTURE = (640, 480)
"""Width and height of the camera, in pixels."""


@dataclass
class SceneSetup:
    """Everything that ``world.World`` builds from.

    Attributes:
        sim, scene: Isaac Lab's configurations; assets are attributes of ``scene``. camera: outside of it,
            because it is one for all environments; None without cameras.
        bodies: attribute names of the free bodies, in order. sensors: body -> attribute name.
        robot_joints, fixture_joints: by their prims' names, in our order. fixture_targets: where the drives
            of fixtures pull, rad or m (a button's spring; no force elsewhere).
    """

    sim: Any
    scene: Any
    camera: Any | None
    bodies: tuple[str, ...]
    sensors: dict[str, str]
    robot_joints: tuple[str, ...]
    fixture_joints: tuple[str, ...]
    fixture_targets: tuple[float, ...]


def describe(
    task: TaskSpec,
    compiled: CompiledScene,
    files: SceneFiles,
    contacts: ContactPlan,
    backend: BackendConfig,
    num_envs: int,
    order: QuaternionOrder,
) -> SceneSetup:
    """The scene of a task. Raises SimulatorError or ConfigError for a robot that cannot be had."""
    model, physics = compiled.model, task.physics
    scene = InteractiveSceneCfg(num_envs=num_envs, env_spacing=backend.env_spacing_m, replicate_physics=True)
    paths = dict(files.paths)
    scene.robot = _robot(task, compiled, contacts, files, order)
    for body in subtree(model, model.body(task.robot.base_body).id):
        paths[model.body(body).name] = f"{ROBOT_PATH}/{prim_name(model.body(body).name)}"
    fixtures = [model.joint(name).id for name in compiled.fixture_joints]
    scene.furniture = _furniture(model, fixtures, files, contacts, physics)
    bodies = {f"body_{index}": name for index, name in enumerate(files.free)}
    for attribute, name in bodies.items():
        spawn = _from_usd(files.free[name], physics, name in contacts.sensors)
        state = RigidObjectCfg.InitialStateCfg(**_pose(model, name, order))
        setattr(scene, attribute, RigidObjectCfg(prim_path=paths[name], spawn=spawn, init_state=state))
    for index, (name, path) in enumerate(files.standing.items()):
        spawn = _from_usd(path, physics, name in contacts.sensors)
        state = AssetBaseCfg.InitialStateCfg(**_pose(model, name, order))
        standing = AssetBaseCfg(prim_path=paths[name], spawn=spawn, init_state=state)
        setattr(scene, f"standing_{index}", standing)
    if backend.cameras and files.backdrop is not None:
        spawn = sim_utils.UsdFileCfg(usd_path=str(files.backdrop))
        scene.backdrop = AssetBaseCfg(prim_path=f"{ENV}/backdrop", spawn=spawn)
    sensors = {name: f"contact_{index}" for index, name in enumerate(contacts.sensors)}
    for name, attribute in sensors.items():
        setattr(scene, attribute, _sensor(name, contacts.sensors[name], paths))
    ground = sim_utils.UsdFileCfg(usd_path=str(files.ground), collision_props=_offsets(physics))
    # of all environments, which are kept from each other
    scene.ground = AssetBaseCfg(prim_path="/World/ground", spawn=ground, collision_group=-1)
    light = sim_utils.DomeLightCfg(intensity=2000.0, color=(0.9, 0.9, 0.9))
    scene.light = AssetBaseCfg(prim_path="/World/light", spawn=light)
    return SceneSetup(
        sim=simulation_cfg(physics, backend, num_envs),
        scene=scene,
        camera=_camera() if backend.cameras else None,
        bodies=tuple(bodies),
        sensors=sensors,
        robot_joints=tuple(prim_name(name) for name in compiled.robot_joints),
        fixture_joints=tuple(prim_name(name) for name in compiled.fixture_joints),
        fixture_targets=tuple(float(model.qpos_spring[model.jnt_qposadr[joint]]) for joint in fixtures),
    )


def _pose(model: mujoco.MjModel, name: str, order: QuaternionOrder) -> dict[str, Any]:
    """Where a body begins, for its initial state."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    position, quat = data.body(name).xpos, data.body(name).xquat
    return {"pos": tuple(position.tolist()), "rot": order.tuple_of(quat.tolist())}


def simulation_cfg(physics: PhysicsConfig, backend: BackendConfig, num_envs: int) -> Any:
    """The physics profile as PhysX takes it; the rest of it is on the bodies (:func:`_from_usd`)."""
    position, velocity = _iterations(physics)
    physx = sim_utils.PhysxCfg(
        solver_type={"PGS": 0, "TGS": 1}[physics.solver_type],
        min_position_iteration_count=position,
        max_position_iteration_count=position,
        min_velocity_iteration_count=velocity,
        max_velocity_iteration_count=velocity,
        enable_stabilization=physics.enable_stabilization and "enable_stabilization" not in backend.ignores,
        bounce_threshold_velocity=physics.bounce_threshold_velocity_mps,
        friction_offset_threshold=physics.friction_offset_threshold_m,
        friction_correlation_distance=physics.friction_correlation_distance_m,
        gpu_max_rigid_patch_count=max(5 * 2**15, PATCHES_PER_ENV * num_envs),
    )
    # what has no material of its own is the robot: its fingers have the friction of our pads
    material = sim_utils.RigidBodyMaterialCfg(
        static_friction=1.0,
        dynamic_friction=1.0,
        restitution=0.0,
        friction_combine_mode="max",
        restitution_combine_mode="min",
    )
    return sim_utils.SimulationCfg(
        dt=physics.dt_s,
        render_interval=physics.substeps,
        device=backend.device,
        gravity=(0.0, 0.0, -9.81),
        physx=physx,
        physics_material=material,
    )


def _iterations(physics: PhysicsConfig) -> tuple[int, int]:
    """Position and velocity iterations of the solver."""
    position = min(physics.solver_iterations, MOST_ITERATIONS)
    return position, min(max(1, position // VELOCITY_SHARE), MOST_VELOCITY_ITERATIONS)


def _offsets(physics: PhysicsConfig) -> Any:
    return sim_utils.CollisionPropertiesCfg(
        contact_offset=physics.contact_offset_m, rest_offset=physics.rest_offset_m
    )


def _from_usd(
    path: Path | str, physics: PhysicsConfig, felt: bool, articulated: bool = False, weightless: bool = False
) -> Any:
    """How a file is spawned. ``felt``: its bodies report contacts. ``weightless``: gravity is compensated."""
    position, velocity = _iterations(physics)
    rigid = sim_utils.RigidBodyPropertiesCfg(
        disable_gravity=weightless,
        enable_gyroscopic_forces=physics.enable_gyroscopic_forces,
        max_depenetration_velocity=DEPENETRATION_MPS,
        solver_position_iteration_count=position,
        solver_velocity_iteration_count=velocity,
    )
    root = sim_utils.ArticulationRootPropertiesCfg(
        enabled_self_collisions=False,
        solver_position_iteration_count=position,
        solver_velocity_iteration_count=velocity,
    )
    return sim_utils.UsdFileCfg(
        usd_path=str(path),
        activate_contact_sensors=felt,
        rigid_props=rigid,
        collision_props=_offsets(physics),
        articulation_props=root if articulated else None,
    )


def _furniture(
    model: mujoco.MjModel, joints: list[int], files: SceneFiles, contacts: ContactPlan, physics: PhysicsConfig
) -> Any:
    """What stands; its joints are drives without stiffness, but for springs, that give their damping."""
    path = f"{ENV}/furniture"
    if not files.jointed:
        spawn = sim_utils.UsdFileCfg(usd_path=str(files.furniture), collision_props=_offsets(physics))
        return AssetBaseCfg(prim_path=path, spawn=spawn)
    felt = any(files.paths.get(name, "").startswith(path) for name in contacts.sensors)
    names = [prim_name(model.joint(joint).name) for joint in joints]
    dofs = [int(model.jnt_dofadr[joint]) for joint in joints]
    # for a flap's springs; gravity does not move what slides beside it, on the level
    balanced = bool(model.body_gravcomp[model.jnt_bodyid[joints]].any())
    dry = {name: float(model.dof_frictionloss[dof]) for name, dof in zip(names, dofs, strict=True)}
    return ArticulationCfg(
        prim_path=path,
        spawn=_from_usd(files.furniture, physics, felt, articulated=True, weightless=balanced),
        init_state=ArticulationCfg.InitialStateCfg(
            joint_pos={
                name: float(model.jnt_range[joint, 0]) for name, joint in zip(names, joints, strict=True)
            }
        ),
        actuators={
            "joints": ImplicitActuatorCfg(
                joint_names_expr=names,
                effort_limit_sim=MOST_EFFORT,
                stiffness={n: float(model.jnt_stiffness[j]) for n, j in zip(names, joints, strict=True)},
                damping={n: float(model.dof_damping[d]) for n, d in zip(names, dofs, strict=True)},
                armature={n: float(model.dof_armature[d]) for n, d in zip(names, dofs, strict=True)},
                friction=dry,
                dynamic_friction=dry,
            )
        },
    )


def _robot(
    task: TaskSpec, compiled: CompiledScene, contacts: ContactPlan, files: SceneFiles, order: QuaternionOrder
) -> Any:
    """The robot at its base, driven by the servos of our model, gravity compensated as there."""
    model, robot = compiled.model, task.robot
    folder = files.furniture.parent
    base = model.body(robot.base_body).id
    found = servos(model)
    joints = {name: prim_name(name) for name in compiled.robot_joints}
    home = dict(zip(robot.chain, robot.chain_home, strict=True))
    if robot.hand is not None:
        home |= dict.fromkeys(robot.hand.joints, robot.hand.open_m)
    bodies = {model.body(body).name for body in subtree(model, base)}
    return ArticulationCfg(
        prim_path=ROBOT_PATH,
        spawn=_from_usd(
            _robot_usd(model, robot, folder),
            task.physics,
            not bodies.isdisjoint(contacts.sensors),
            articulated=True,
            weightless=True,
        ),
        init_state=ArticulationCfg.InitialStateCfg(
            **_pose(model, robot.base_body, order),
            joint_pos={joints[name]: float(value) for name, value in home.items()},
        ),
        actuators={
            "servos": ImplicitActuatorCfg(
                joint_names_expr=list(joints.values()),
                stiffness={joints[n]: v for n, v in found.stiffness.items()},
                damping={joints[n]: v for n, v in found.damping.items()},
                effort_limit_sim={joints[n]: v for n, v in found.effort.items()},
                armature={joints[n]: v for n, v in found.armature.items()},
                # limits of speed are in the files: an asset's own, those of what is written of our joints
            )
        },
    )


def _robot_usd(model: mujoco.MjModel, robot: RobotConfig, folder: Path) -> str:
    """The robot's file: the user's, Isaac Lab's own, that with our tool, or one written from our model."""
    given = robot.isaaclab
    if given.usd_path is not None:
        if "://" not in given.usd_path and not Path(given.usd_path).is_file():
            raise ConfigError(f"robot.isaaclab.usd_path={given.usd_path}: there is no such file.")
        return given.usd_path
    if given.asset is None:
        write_robot(model, robot, folder / "robot.usda")
        return str(folder / "robot.usda")
    module, _, name = given.asset.partition(":")
    try:
        usd_path = str(getattr(importlib.import_module(module), name).spawn.usd_path)
    except (ImportError, AttributeError) as error:
        raise SimulatorError(
            f"robot '{robot.name}': Isaac Lab has no asset '{given.asset}' ({error}). Correct "
            "robot.isaaclab.asset (module:NAME), or set it to null to have the robot's model written as USD."
        ) from error
    if given.tool_of is None:
        return usd_path
    tool = "" if robot.gripper == "none" else f"_{robot.gripper}"
    path = folder / f"{robot.name}{tool}.usd"
    write_with_tool(model, robot, usd_path, given.tool_of, path)
    return str(path)


def _sensor(name: str, against: tuple[str, ...], paths: dict[str, str]) -> Any:
    return ContactSensorCfg(
        prim_path=paths[name],
        filter_prim_paths_expr=[paths[other] for other in against],
        update_period=0.0,
        history_length=0,
    )


def _camera() -> Any:
    width, height = PICTURE
    return CameraCfg(
        prim_path="/World/camera",
        width=width,
        height=height,
        data_types=["rgb"],
        spawn=sim_utils.PinholeCameraCfg(),
    )
