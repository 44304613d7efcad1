"""A robot as USD: written from its model, or Isaac Lab's own arm with our tool on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdPhysics

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.isaaclab.usd import (
    HERE,
    MOST_EFFORT,
    Pose,
    add_body,
    add_fixed_joint,
    add_joint,
    composed,
    new_stage,
    prim_name,
)


@dataclass(frozen=True)
class Servos:
    """The motors of a model's joints by joint name, in its actuators' order; N m and rad, or N and m.

    Attributes:
        stiffness, damping: of the position servo, the joint's own damping included. effort: its largest.
        armature: kg m² or kg. speed: reached without load at full effort; none without a limit.
    """

    stiffness: dict[str, float]
    damping: dict[str, float]
    effort: dict[str, float]
    armature: dict[str, float]
    speed: dict[str, float]


def servos(model: mujoco.MjModel) -> Servos:
    """Of all actuators; they are position servos (``simulators/mujoco/robots.py``)."""
    found = Servos({}, {}, {}, {}, {})
    for actuator in range(model.nu):
        joint = int(model.actuator_trnid[actuator, 0])
        dof, name = int(model.jnt_dofadr[joint]), model.joint(joint).name
        limited = bool(model.actuator_forcelimited[actuator])
        effort = float(model.actuator_forcerange[actuator, 1]) if limited else MOST_EFFORT
        passive = float(model.dof_damping[dof])
        found.stiffness[name] = float(model.actuator_gainprm[actuator, 0])
        found.damping[name] = passive - float(model.actuator_biasprm[actuator, 2])
        found.effort[name] = effort
        found.armature[name] = float(model.dof_armature[dof])
        if passive > 0 and limited:
            found.speed[name] = effort / passive
    return found


def subtree(model: mujoco.MjModel, root: int) -> list[int]:
    """A body and all below it, parents first."""
    found = [root]
    for body in range(root + 1, model.nbody):
        if int(model.body_parentid[body]) in found:
            found.append(body)
    return found


def write_robot(model: mujoco.MjModel, robot: RobotConfig, path: Path) -> None:
    """Write the robot of a compiled model as one articulation whose base is fixed at the file's origin.

    Raises SimulatorError where a body has more joints than an articulation's can.
    """
    stage, root = new_stage(path, "Robot")
    UsdPhysics.ArticulationRootAPI.Apply(root)
    root.AddAppliedSchema("PhysxArticulationAPI")
    base = model.body(robot.base_body).id
    _check_joints(model, robot, base, 0)
    poses: dict[int, Pose] = {base: HERE}
    link = root.GetPath().AppendChild(prim_name(robot.base_body))
    add_body(stage, str(link), model, base)
    add_fixed_joint(stage, str(root.GetPath().AppendChild("root_joint")), root.GetPath(), link, HERE)
    _add_links(stage, model, robot, subtree(model, base)[1:], poses)
    stage.Save()


def write_with_tool(
    model: mujoco.MjModel, robot: RobotConfig, asset_usd: str, tool_of: str, path: Path
) -> None:
    """Write a robot that refers to ``asset_usd`` and has, below its link ``tool_of``, what the model has."""
    stage, root = new_stage(path, "Robot")
    root.GetReferences().AddReference(asset_usd)
    mount = model.body(tool_of).id
    _add_links(stage, model, robot, subtree(model, mount)[1:], {mount: _pose_in_asset(asset_usd, tool_of)})
    stage.Save()


def _pose_in_asset(asset_usd: str, link: str) -> Pose:
    """Where a link is as the asset's file has it; joints decide where it really is."""
    try:
        stage = Usd.Stage.Open(asset_usd)
    except Tf.ErrorException as error:
        raise SimulatorError(
            f"the robot's asset {asset_usd} cannot be opened. It comes from Isaac Sim's asset root, which "
            "must be within reach (docs/isaac-lab.md); or name a file of your own: robot.isaaclab.usd_path."
        ) from error
    prim = stage.GetDefaultPrim().GetChild(link)
    if not prim:
        known = ", ".join(child.GetName() for child in stage.GetDefaultPrim().GetChildren())
        raise SimulatorError(f"{asset_usd} has no link '{link}' (robot.isaaclab.tool_of); it has {known}.")
    matrix = UsdGeom.XformCache().ComputeRelativeTransform(prim, stage.GetDefaultPrim())[0]
    turn = Gf.Transform(matrix).GetRotation().GetQuat()
    position = np.array(matrix.ExtractTranslation())
    return position, np.array([turn.GetReal(), *turn.GetImaginary()])


def _add_links(
    stage: Usd.Stage, model: mujoco.MjModel, robot: RobotConfig, bodies: list[int], poses: dict[int, Pose]
) -> None:
    """Add bodies as children of the default prim. ``poses``: of their parents in the robot; completed."""
    root: Sdf.Path = stage.GetDefaultPrim().GetPath()
    speeds = servos(model).speed
    for body in bodies:
        name, parent = model.body(body).name, int(model.body_parentid[body])
        held: Pose = (np.array(model.body_pos[body]), np.array(model.body_quat[body]))
        poses[body] = composed(poses[parent], held)
        link, above = root.AppendChild(prim_name(name)), root.AppendChild(prim_name(model.body(parent).name))
        add_body(stage, str(link), model, body, poses[body])
        _check_joints(model, robot, body, 1)
        if model.body_jntnum[body]:
            joint = int(model.body_jntadr[body])
            path = str(root.AppendChild(prim_name(model.joint(joint).name)))
            add_joint(stage, path, model, joint, above, link, speeds.get(model.joint(joint).name))
        else:
            add_fixed_joint(stage, f"{link}_mount", above, link, held)


def _check_joints(model: mujoco.MjModel, robot: RobotConfig, body: int, most: int) -> None:
    if model.body_jntnum[body] > most:
        first = model.joint(int(model.body_jntadr[body])).name
        raise SimulatorError(
            f"robot '{robot.name}': its body '{model.body(body).name}' has the joint '{first}' beside "
            "others, or to the world, which USD cannot say of one body. Use robot.base=held if it drives, "
            "give each joint a body of its own in the model, name a USD file (robot.isaaclab.usd_path), or "
            "use backend=mujoco."
        )
