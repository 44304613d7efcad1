"""Files of Isaac Lab's own robots, written from the project's MJCF: links side by side, as in theirs."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from blueprint_tune.config.compose import compose
from blueprint_tune.simulators.mujoco.robots import robot_spec
from isaac_physics.shapes import Floats

DEGREES = 180 / np.pi
_SHAPES = {
    int(mujoco.mjtGeom.mjGEOM_BOX): UsdGeom.Cube,
    int(mujoco.mjtGeom.mjGEOM_SPHERE): UsdGeom.Sphere,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): UsdGeom.Capsule,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): UsdGeom.Cylinder,
}

_FILES = {"franka": "panda_instanceable.usd", "ur10": "ur10_instanceable.usd"}


@lru_cache
def asset(robot: str) -> str:
    """The path of a robot's file, named as Isaac Lab's own; it lasts as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="isaac-double-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / _FILES[robot]
    _write(_model(robot), path)
    return str(path)


def _model(robot: str) -> mujoco.MjModel:
    """Universal Robots' asset has a link ``ee_link`` at the flange, x outwards, where our model has a peg."""
    config = compose(["+scene=kitchen_001", "policy=panel_interaction", f"robot={robot}"]).robot
    spec = robot_spec(config)
    if robot == "ur10":
        spec.delete(spec.body("tip"))
        flange = spec.body("wrist_3_link").add_body(name="ee_link", pos=[0, 0.0922, 0], quat=[1, 0, 0, 1])
        flange.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.005] * 3, mass=0.01)
    return spec.compile()


def _write(model: mujoco.MjModel, path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/robot").GetPrim()
    stage.SetDefaultPrim(root)
    UsdPhysics.ArticulationRootAPI.Apply(root)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for body in range(1, model.nbody):
        link = UsdGeom.Xform.Define(stage, f"/robot/{model.body(body).name}")
        _place(link, data.xpos[body], data.xquat[body])
        _add_mass(link.GetPrim(), model, body)
        for geom in np.flatnonzero(model.geom_bodyid == body):
            _add_shape(link.GetPrim(), model, int(geom))
        _add_joint(stage, model, body)
    stage.Save()


def _place(xform: UsdGeom.Xformable, position: Floats, quat_wxyz: Floats) -> None:
    xform.AddTranslateOp().Set(Gf.Vec3d(*map(float, position)))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*map(float, quat_wxyz)))


def _add_mass(link: Usd.Prim, model: mujoco.MjModel, body: int) -> None:
    UsdPhysics.RigidBodyAPI.Apply(link)
    mass = UsdPhysics.MassAPI.Apply(link)
    mass.CreateMassAttr(float(model.body_mass[body]))
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*map(float, model.body_ipos[body])))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*map(float, model.body_inertia[body])))
    mass.CreatePrincipalAxesAttr(Gf.Quatf(*map(float, model.body_iquat[body])))


def _add_shape(link: Usd.Prim, model: mujoco.MjModel, geom: int) -> None:
    path = link.GetPath().AppendChild(f"shape_{geom}")
    shape = _SHAPES[int(model.geom_type[geom])].Define(link.GetStage(), path)
    _place(shape, model.geom_pos[geom], model.geom_quat[geom])
    radius, half = (float(v) for v in model.geom_size[geom, :2])
    if shape.GetPrim().IsA(UsdGeom.Cube):
        shape.CreateSizeAttr(2.0)
        shape.AddScaleOp().Set(Gf.Vec3f(*map(float, model.geom_size[geom])))
    else:
        shape.CreateRadiusAttr(radius)
    if hasattr(shape, "CreateHeightAttr"):
        shape.CreateHeightAttr(2 * half)
        shape.CreateAxisAttr(UsdGeom.Tokens.z)
    if model.geom_contype[geom] or model.geom_conaffinity[geom]:
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())


def _add_joint(stage: Usd.Stage, model: mujoco.MjModel, body: int) -> None:
    """The joint that leads to a link; the base is fixed to the world."""
    parent, joint = int(model.body_parentid[body]), int(model.body_jntadr[body])
    moves = joint >= 0
    slides = moves and int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
    kind = UsdPhysics.PrismaticJoint if slides else UsdPhysics.RevoluteJoint
    name = model.joint(joint).name if moves else f"{model.body(body).name}_mount"
    made = (kind if moves else UsdPhysics.FixedJoint).Define(stage, f"/robot/{name}")
    made.CreateBody1Rel().SetTargets([f"/robot/{model.body(body).name}"])
    if not parent:
        return
    made.CreateBody0Rel().SetTargets([f"/robot/{model.body(parent).name}"])
    axis = Gf.Vec3d(*map(float, model.jnt_axis[joint])) if moves else Gf.Vec3d(1, 0, 0)
    anchor = Gf.Vec3d(*map(float, model.jnt_pos[joint])) if moves else Gf.Vec3d(0)
    on_child = Gf.Matrix4d().SetTransform(Gf.Rotation(Gf.Vec3d(1, 0, 0), axis), anchor)
    turn = Gf.Rotation(Gf.Quatd(*map(float, model.body_quat[body])))
    on_parent = on_child * Gf.Matrix4d().SetTransform(turn, Gf.Vec3d(*map(float, model.body_pos[body])))
    made.CreateLocalPos0Attr(Gf.Vec3f(on_parent.ExtractTranslation()))
    made.CreateLocalRot0Attr(Gf.Quatf(on_parent.ExtractRotationQuat()))
    made.CreateLocalPos1Attr(Gf.Vec3f(anchor))
    made.CreateLocalRot1Attr(Gf.Quatf(on_child.ExtractRotationQuat()))
    if moves:
        unit = 1.0 if slides else DEGREES
        low, high = (float(bound) * unit for bound in model.jnt_range[joint])
        made.CreateAxisAttr(UsdPhysics.Tokens.x)
        made.CreateLowerLimitAttr(low)
        made.CreateUpperLimitAttr(high)
        _add_drive(made.GetPrim(), model, joint, slides)


def _add_drive(joint: Usd.Prim, model: mujoco.MjModel, index: int, slides: bool) -> None:
    motor = int(np.flatnonzero(model.actuator_trnid[:, 0] == index)[0])
    drive = UsdPhysics.DriveAPI.Apply(joint, "linear" if slides else "angular")
    unit = 1.0 if slides else DEGREES
    drive.CreateStiffnessAttr(float(model.actuator_gainprm[motor, 0]) / unit)
    drive.CreateDampingAttr(float(-model.actuator_biasprm[motor, 2]) / unit)
    drive.CreateMaxForceAttr(float(model.actuator_forcerange[motor, 1]))
