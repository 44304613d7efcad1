"""The drives of joints, as PhysX computes them."""

from __future__ import annotations

import mujoco
import numpy as np


def add_motor(spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, effort: float) -> None:
    """An implicit drive: stiffness (target - position) - damping velocity, at most effort."""
    motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    motor.gainprm[0], motor.biasprm[1], motor.biasprm[2] = stiffness, -stiffness, -damping
    if np.isfinite(effort):
        motor.forcerange, motor.forcelimited = [-effort, effort], mujoco.mjtLimited.mjLIMITED_TRUE


def change_motor(spec: mujoco.MjSpec, joint: str, changes: dict[str, float]) -> None:
    """Give a joint and its motor the values of an actuator config, by that config's names."""
    motor, moved = spec.actuator(joint), spec.joint(joint)
    if "stiffness" in changes:
        motor.gainprm[0], motor.biasprm[1] = changes["stiffness"], -changes["stiffness"]
    if "damping" in changes:
        motor.biasprm[2] = -changes["damping"]
    if "effort_limit_sim" in changes:
        effort = changes["effort_limit_sim"]
        motor.forcerange, motor.forcelimited = [-effort, effort], mujoco.mjtLimited.mjLIMITED_TRUE
    moved.armature = changes.get("armature", moved.armature)
    moved.frictionloss = changes.get("friction", moved.frictionloss)
    if "viscous_friction" in changes:
        moved.damping = [changes["viscous_friction"], 0, 0]
