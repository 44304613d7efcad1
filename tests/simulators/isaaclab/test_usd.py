"""The USD files of a task hold what the task says: masses, extents, joints, axes, limits, frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.task_terms import TaskTerms
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.isaaclab.usd import MOST_EFFORT, add_body, add_joint, new_stage, prim_name
from blueprint_tune.simulators.isaaclab.usd_robot import servos, write_robot, write_with_tool
from blueprint_tune.simulators.isaaclab.usd_scene import ABOVE_FLOOR_M, SceneFiles, write_scene
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene, compile_scene
from blueprint_tune.tasks.spec import TaskSpec, bind_task, catalog

Config = Callable[..., ExperimentConfig]


@dataclass
class Written:
    task: TaskSpec
    compiled: CompiledScene
    files: SceneFiles
    folder: Path


def written(config: Config, folder: Path, *overrides: str) -> Written:
    settings = config(*overrides)
    task = bind_task(settings)
    names = catalog(task)
    TaskTerms.bind(settings.policy, names)
    compiled = compile_scene(task, names)
    return Written(task, compiled, write_scene(compiled, task, names, folder), folder)


def opened(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageUpAxis(stage) == "Z" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    return stage


def extents(stage: Usd.Stage, prim: Usd.Prim) -> np.ndarray:
    """(3,) of the box around a prim in its own frame."""
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    return np.array(cache.ComputeUntransformedBound(prim).ComputeAlignedRange().GetSize())


def colliders(root: Usd.Prim) -> Iterator[Usd.Prim]:
    return (prim for prim in Usd.PrimRange(root) if prim.HasAPI(UsdPhysics.CollisionAPI))


NAMES = ("1", "_1", "__1", "1_b", "1-b", "1b", "_1b", "1_2d_b", "Robot", "_Robot", "a-b", "_a_2d_b", "a_2d_b")


@pytest.mark.parametrize("name", [*NAMES, "_", "__", "tür", "a b"])
def test_names_are_valid(name: str) -> None:
    stage = Usd.Stage.CreateInMemory()
    assert UsdGeom.Xform.Define(stage, f"/{prim_name(name)}")


def test_names_stay_different() -> None:
    assert len({prim_name(name) for name in NAMES}) == len(NAMES)
    assert prim_name("tea_tin_001") == "tea_tin_001"


def test_a_free_body_has_its_mass_and_its_size(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path)
    (entity,) = made.task.free
    stage = opened(made.files.free[entity.id])
    root = stage.GetDefaultPrim()
    assert root.HasAPI(UsdPhysics.RigidBodyAPI) and root.GetName() == entity.id
    assert UsdPhysics.MassAPI(root).GetMassAttr().Get() == pytest.approx(entity.mass_kg)
    np.testing.assert_allclose(extents(stage, root), entity.size, atol=1e-6)
    frictions = set()
    for prim in colliders(root):
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        frictions.add(round(UsdPhysics.MaterialAPI(material).GetStaticFrictionAttr().Get(), 6))
        assert material.GetPrim().GetAttribute("physxMaterial:frictionCombineMode").Get() == "max"
    assert frictions == {round(entity.friction, 6)}


def test_inertia_is_the_models(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path, "+scene=kitchen_001", "policy=dish_loading")
    model = made.compiled.model
    for name, path in made.files.free.items():
        stage = opened(path)
        mass = UsdPhysics.MassAPI(stage.GetDefaultPrim())
        body = model.body(name)
        turn = Gf.Matrix3f(Gf.Rotation(mass.GetPrincipalAxesAttr().Get()))
        axes = np.array(turn).T  # Gf multiplies rows
        tensor = axes @ np.diag(mass.GetDiagonalInertiaAttr().Get()) @ axes.T
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, body.iquat)
        ours = matrix.reshape(3, 3) @ np.diag(body.inertia) @ matrix.reshape(3, 3).T
        np.testing.assert_allclose(tensor, ours, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(mass.GetCenterOfMassAttr().Get(), body.ipos, atol=1e-6)


@pytest.mark.parametrize("policy", ["drawer_manipulation", "door_manipulation", "knob_manipulation"])
def test_a_fixture_moves_as_its_task_says(config: Config, tmp_path: Path, policy: str) -> None:
    made = written(config, tmp_path, f"policy={policy}")
    (entity,) = made.task.jointed
    stage = opened(made.files.furniture)
    root = stage.GetDefaultPrim()
    assert root.HasAPI(UsdPhysics.ArticulationRootAPI)
    prim = root.GetChild(f"{entity.id}_joint")
    slides = entity.joint.kind == "prismatic"
    joint = (UsdPhysics.PrismaticJoint if slides else UsdPhysics.RevoluteJoint)(prim)
    limits = np.array([joint.GetLowerLimitAttr().Get(), joint.GetUpperLimitAttr().Get()])
    expected = np.array([entity.joint.lower, entity.joint.upper])
    limits = limits if slides else np.radians(limits)
    np.testing.assert_allclose(limits, expected, rtol=1e-5, atol=2e-6)
    if not slides:
        low, high = np.float32(limits)
        assert low <= np.float32(expected[0]) and np.float32(expected[1]) <= high, (
            "starts at limits are within"
        )
    assert joint.GetAxisAttr().Get() == "X"
    assert prim.HasAPI(UsdPhysics.DriveAPI, "linear" if slides else "angular")
    cache = UsdGeom.XformCache()
    for rel, pos, rot in (
        (joint.GetBody0Rel(), joint.GetLocalPos0Attr(), joint.GetLocalRot0Attr()),
        (joint.GetBody1Rel(), joint.GetLocalPos1Attr(), joint.GetLocalRot1Attr()),
    ):
        (body,) = rel.GetTargets()
        frame = cache.GetLocalToWorldTransform(stage.GetPrimAtPath(body))
        axis = frame.TransformDir(Gf.Rotation(rot.Get()).TransformDir(Gf.Vec3d(1, 0, 0)))
        np.testing.assert_allclose(axis, entity.rotation @ entity.joint.axis, atol=1e-5)
        anchor = frame.Transform(Gf.Vec3d(pos.Get()))
        off = np.array(anchor) - entity.to_scene(entity.joint.anchor)
        np.testing.assert_allclose(np.cross(off, axis) if not slides else np.zeros(3), 0, atol=1e-5)
    moving = root.GetChild(entity.id)
    assert UsdPhysics.MassAPI(moving).GetMassAttr().Get() == pytest.approx(entity.moving_mass_kg, rel=1e-3)
    if entity.handle is not None:
        handle = root.GetChild(f"{entity.id}_handle")
        place = cache.GetLocalToWorldTransform(handle).ExtractTranslation()
        np.testing.assert_allclose(place, entity.handle_position, atol=1e-5)


def test_everything_that_stands_is_on_the_base(config: Config, tmp_path: Path) -> None:
    """One collider for every solid geom of MuJoCo's world and standing bodies, where it is there."""
    made = written(config, tmp_path, "policy=drawer_manipulation")
    model = made.compiled.model
    moving = {model.body(name).id for name in made.files.paths}
    robot = model.body(made.task.robot.base_body).id
    stands = [
        g
        for g in range(model.ngeom)
        if (model.geom_contype[g] or model.geom_conaffinity[g])
        and model.geom_type[g] != mujoco.mjtGeom.mjGEOM_PLANE
        and model.geom_bodyid[g] not in moving
        and model.body_rootid[model.geom_bodyid[g]] != robot
    ]
    stage = opened(made.files.furniture)
    base = stage.GetDefaultPrim().GetChild("base")
    found = {prim.GetName(): prim for prim in colliders(base)}
    assert set(found) == {f"shape_{g}" for g in stands} and len(stands) > 5
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    cache = UsdGeom.XformCache()
    for geom in stands:
        place = cache.GetLocalToWorldTransform(found[f"shape_{geom}"]).ExtractTranslation()
        np.testing.assert_allclose(place, data.geom_xpos[geom], atol=1e-5)


def test_without_fixtures_the_furniture_is_static(config: Config, tmp_path: Path) -> None:
    stage = opened(written(config, tmp_path).files.furniture)
    assert not any(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in stage.Traverse())
    assert sum(1 for _ in colliders(stage.GetDefaultPrim())) >= 4


def test_what_stands_and_is_felt_is_a_body_that_nothing_moves(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path, "+scene=lab_001", "policy=precision_insertion")
    socket = made.task.roles["socket"]
    stage = opened(made.files.standing[socket.id])
    root = stage.GetDefaultPrim()
    assert UsdPhysics.RigidBodyAPI(root).GetKinematicEnabledAttr().Get()
    np.testing.assert_allclose(extents(stage, root), socket.size, atol=1e-5)
    furniture = opened(made.files.furniture)
    felt = mujoco_geoms(made.compiled, socket.id)
    assert not felt & {prim.GetName() for prim in colliders(furniture.GetDefaultPrim())}


def mujoco_geoms(compiled: CompiledScene, body: str) -> set[str]:
    model = compiled.model
    return {f"shape_{g}" for g in np.flatnonzero(model.geom_bodyid == model.body(body).id)}


def test_moving_furniture_ends_above_the_floor(config: Config, tmp_path: Path) -> None:
    """The floor is no part of the articulation, so PhysX would have a door scrape along it."""
    made = written(config, tmp_path, "policy=door_manipulation")
    (entity,) = made.task.jointed
    stage = opened(made.files.furniture)
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    door = cache.ComputeWorldBound(stage.GetDefaultPrim().GetChild(entity.id)).ComputeAlignedRange()
    low = min(entity.to_scene(entity.joint.moving.center)[2] - entity.joint.moving.size[2] / 2, 1.0)
    assert door.GetMin()[2] == pytest.approx(max(low, ABOVE_FLOOR_M), abs=1e-5)
    high = entity.to_scene(entity.joint.moving.center)[2] + entity.joint.moving.size[2] / 2
    assert door.GetMax()[2] == pytest.approx(high, abs=1e-5)


@pytest.mark.parametrize("robot", ["franka", "ur10", "fetch"])
def test_a_robot_is_written_joint_by_joint(config: Config, tmp_path: Path, robot: str) -> None:
    """Chained over the file's joints, every link is where MuJoCo has it in the model's zero posture."""
    made = written(config, tmp_path, "policy=drawer_manipulation", f"robot={robot}", *GRIPPERS.get(robot, ()))
    model, name = made.compiled.model, made.task.robot.base_body
    write_robot(model, made.task.robot, tmp_path / "robot.usda")
    stage = opened(tmp_path / "robot.usda")
    root = stage.GetDefaultPrim()
    data = mujoco.MjData(model)
    data.qpos[: len(made.compiled.robot_joints)] = 0.0
    mujoco.mj_kinematics(model, data)
    base = model.body(name).id
    links = {prim.GetName(): prim for prim in root.GetChildren() if prim.HasAPI(UsdPhysics.RigidBodyAPI)}
    joints = [UsdPhysics.Joint(prim) for prim in root.GetChildren() if prim.IsA(UsdPhysics.Joint)]
    place = {str(links[prim_name(name)].GetPath()): Gf.Matrix4d(1.0)}
    for joint in [j for j in joints if j.GetPrim().GetName() != "root_joint"]:
        (parent,), (child,) = joint.GetBody0Rel().GetTargets(), joint.GetBody1Rel().GetTargets()
        outer = matrix(joint.GetLocalPos0Attr().Get(), joint.GetLocalRot0Attr().Get())
        inner = matrix(joint.GetLocalPos1Attr().Get(), joint.GetLocalRot1Attr().Get())
        place[str(child)] = inner.GetInverse() * outer * place[str(parent)]
    turn = data.xmat[base].reshape(3, 3)
    assert len(place) == len(links) > 6
    for path, found in place.items():
        body = model.body(path.rsplit("/", 1)[1]).id
        np.testing.assert_allclose(
            found.ExtractTranslation(), turn.T @ (data.xpos[body] - data.xpos[base]), atol=1e-5, err_msg=path
        )
        ours = turn.T @ data.xmat[body].reshape(3, 3)
        np.testing.assert_allclose(np.array(found.ExtractRotationMatrix()).T, ours, atol=1e-5, err_msg=path)
    driven = {j.GetPrim().GetName() for j in joints if not j.GetPrim().IsA(UsdPhysics.FixedJoint)}
    assert driven == {prim_name(joint) for joint in made.compiled.robot_joints}


GRIPPERS = {"ur10": ("robot.gripper=parallel",)}


def matrix(position: Gf.Vec3f, quat: Gf.Quatf) -> Gf.Matrix4d:
    return Gf.Matrix4d().SetRotate(Gf.Quatd(quat)).SetTranslateOnly(Gf.Vec3d(position))


def test_our_tool_is_put_on_an_arm_that_has_none(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path, "policy=drawer_manipulation", "robot=ur10", "robot.gripper=parallel")
    model, robot = made.compiled.model, made.task.robot
    full, bare, whole = (tmp_path / f"{name}.usda" for name in ("full", "bare", "whole"))
    write_robot(model, robot, full)
    write_robot(model, robot, bare)
    arm = Usd.Stage.Open(str(bare))
    for child in arm.GetDefaultPrim().GetChildren():
        if child.GetName().startswith("gripper_"):
            arm.RemovePrim(child.GetPath())
    arm.Save()
    write_with_tool(model, robot, str(bare), "wrist_3_link", whole)
    stages = [opened(path) for path in (full, whole)]
    roots = [stage.GetDefaultPrim() for stage in stages]
    children = [root.GetChildren() for root in roots]
    bodies = [{c.GetName() for c in each if c.HasAPI(UsdPhysics.RigidBodyAPI)} for each in children]
    joints = [{c.GetName() for c in each if c.IsA(UsdPhysics.Joint)} for each in children]
    assert bodies[0] == bodies[1] and joints[0] == joints[1] and "gripper_left_finger" in bodies[1]
    for name in ("gripper_base", "gripper_left_finger"):
        cache = UsdGeom.XformCache()
        places = [np.array(cache.GetLocalToWorldTransform(root.GetChild(name))) for root in roots]
        np.testing.assert_allclose(places[1], places[0], atol=1e-5)
    with pytest.raises(SimulatorError, match=r"has no link 'wrist_3_link' \(robot.isaaclab.tool_of\)"):
        write_with_tool(model, robot, str(made.files.furniture), "wrist_3_link", tmp_path / "x.usda")


def test_a_base_that_drives_is_refused(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path, "policy=drawer_manipulation", "robot=fetch", "robot.base=planar")
    with pytest.raises(SimulatorError, match=r"'base_link' has the joint 'base_x_joint'.*base=held"):
        write_robot(made.compiled.model, made.task.robot, tmp_path / "robot.usda")


def test_servos_are_the_models(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path)
    found = servos(made.compiled.model)
    assert found.stiffness["panda_joint1"] == 400 and found.damping["panda_joint1"] == pytest.approx(81)
    assert found.effort["panda_joint7"] == 12 and found.armature["panda_finger_joint1"] == 1
    assert list(found.stiffness) == list(made.compiled.robot_joints)


def test_what_has_no_limit_gets_none(tmp_path: Path) -> None:
    """MuJoCo says 0 for the force of a motor and the range of a joint that have no limits."""
    model = mujoco.MjModel.from_xml_string(UNLIMITED)
    found = servos(model)
    assert found.effort == {"free": MOST_EFFORT} and not found.speed
    stage, root = new_stage(tmp_path / "joint.usda", "robot")
    for name in ("a", "b"):
        add_body(stage, f"/robot/{name}", model, model.body(name).id)
    paths = [root.GetPath().AppendChild(name) for name in ("a", "b")]
    add_joint(stage, "/robot/free", model, 0, *paths, speed=np.pi)
    joint = UsdPhysics.RevoluteJoint(stage.GetPrimAtPath("/robot/free"))
    assert not joint.GetLowerLimitAttr().HasAuthoredValue()
    assert joint.GetPrim().GetAttribute("physxJoint:maxJointVelocity").Get() == pytest.approx(180.0)


UNLIMITED = """
<mujoco>
  <worldbody>
    <body name="a"><geom size="0.1"/>
      <body name="b"><joint name="free" damping="2"/><geom size="0.1"/></body>
    </body>
  </worldbody>
  <actuator><position joint="free" kp="10"/></actuator>
</mujoco>
"""


def test_the_ground_is_a_plane_of_our_own(config: Config, tmp_path: Path) -> None:
    stage = opened(written(config, tmp_path).files.ground)
    (plane,) = colliders(stage.GetDefaultPrim())
    assert plane.IsA(UsdGeom.Plane) and UsdGeom.Plane(plane).GetAxisAttr().Get() == "Z"


def test_an_asset_out_of_reach_is_named(config: Config, tmp_path: Path) -> None:
    made = written(config, tmp_path, "policy=drawer_manipulation", "robot=ur10", "robot.gripper=parallel")
    with pytest.raises(SimulatorError, match=r"/nowhere/ur10.usd cannot be opened.*usd_path"):
        write_with_tool(
            made.compiled.model, made.task.robot, "/nowhere/ur10.usd", "wrist_3_link", tmp_path / "x.usda"
        )
