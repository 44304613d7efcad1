"""Where the arm starts: inverse kinematics on the compiled model."""

from __future__ import annotations

import mujoco
import numpy as np
from blueprint_tune.tasks.spec import TaskSpec
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene

Floats = NDArray[np.float64]

POSITION_TOLERANCE_M = 0.003
ROTATION_TOLERANCE_RAD = 0.02
DAMPING = 0.05
"""Damped least squares (Wampler 1986): large enough to stay calm near singular postures."""
MAX_ITERATIONS = 300


def start_joint_positions(compiled: CompiledScene, task: TaskSpec) -> Floats:
    """Arm joints (A,) in rad that bring the end effector to the policy's start pose.

    Raises SimulatorError naming the frame and the remaining distance when the pose is out of reach.
    """
    model = compiled.model
    data = mujoco.MjData(model)
    frame = task.policy.start.near
    position, rotation = _start_pose(model, data, task)
    home = np.asarray(task.robot.home_rad)
    solved, error_m = _best_solution(model, data, task, home, position, rotation)
    if error_m > POSITION_TOLERANCE_M:
        base = np.asarray(task.robot_base[:3])
        raise SimulatorError(
            f"robot '{task.robot.name}' cannot reach its start pose near '{frame}' "
            f"({np.linalg.norm(position - base):.2f} m from its base, off by {error_m * 100:.1f} cm). "
            "Move the robot (scene.robot_base=[x,y,z,yaw]) or change policy.start.offset_m."
        )
    return solved


def _best_solution(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    task: TaskSpec,
    home: Floats,
    position: Floats,
    rotation: Floats,
) -> tuple[Floats, float]:
    """Try the home posture first, then postures around it; fixed seed, so the same scene starts alike."""
    rng = np.random.default_rng(0)
    best, best_error = home, np.inf
    for attempt in range(12):
        guess = home if attempt == 0 else home + rng.normal(0.0, 0.4, home.shape)
        solved, error = _solve(model, data, task, guess, position, rotation)
        if error < best_error:
            best, best_error = solved, error
        if best_error < POSITION_TOLERANCE_M:
            break
    return best, float(best_error)


def _start_pose(model: mujoco.MjModel, data: mujoco.MjData, task: TaskSpec) -> tuple[Floats, Floats]:
    """Position (3,) and rotation matrix (3, 3) of the end effector at the start."""
    mujoco.mj_forward(model, data)
    role, _, part = task.policy.start.near.partition("/")
    entity = task.roles[role].id
    body = data.body(f"{entity}_{part}" if part else entity)
    yaw = task.robot_base[3]
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    offset = task.policy.start.offset_m
    position = body.xpos + forward * offset[0] + left * offset[1] + up * offset[2]
    if task.policy.start.approach == "down":
        # the hand's z axis points out of the gripper, its y axis along the fingers' travel
        return position, np.column_stack([forward, -left, -up])
    handle = task.roles[role].handle
    vertical_bar = handle is not None and abs(handle.along[2]) > 0.5
    travel = left if vertical_bar else up
    return position, np.column_stack([np.cross(travel, forward), travel, forward])


def _solve(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    task: TaskSpec,
    guess: Floats,
    position: Floats,
    rotation: Floats,
) -> tuple[Floats, float]:
    joints = [model.joint(name) for name in task.robot.arm_joints]
    qpos = np.array([j.qposadr[0] for j in joints])
    dofs = np.array([j.dofadr[0] for j in joints])
    limits = np.array([j.range for j in joints])
    site = model.site(task.robot.ee_site).id
    jac = np.zeros((6, model.nv))
    data.qpos[qpos] = guess
    for _ in range(MAX_ITERATIONS):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error = _pose_error(data, site, position, rotation)
        if np.linalg.norm(error[:3]) < 1e-4 and np.linalg.norm(error[3:]) < 1e-3:
            break
        mujoco.mj_jacSite(model, data, jac[:3], jac[3:], site)
        j = jac[:, dofs]
        step = j.T @ np.linalg.solve(j @ j.T + DAMPING**2 * np.eye(6), error)
        data.qpos[qpos] = np.clip(data.qpos[qpos] + 0.5 * step, limits[:, 0] + 0.02, limits[:, 1] - 0.02)
    turned_off = np.linalg.norm(error[3:]) > ROTATION_TOLERANCE_RAD
    distance = float(np.linalg.norm(error[:3]))
    return data.qpos[qpos].copy(), distance + (1.0 if turned_off else 0.0)


def _pose_error(data: mujoco.MjData, site: int, position: Floats, rotation: Floats) -> Floats:
    """Translation (m) and rotation vector (rad) from the site's pose to the wanted one, (6,)."""
    current = data.site_xmat[site].reshape(3, 3)
    quat, turn = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quat, (rotation @ current.T).ravel())
    mujoco.mju_quat2Vel(turn, quat, 1.0)
    return np.concatenate([position - data.site_xpos[site], turn])
