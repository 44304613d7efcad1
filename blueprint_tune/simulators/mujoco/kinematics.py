"""Where the arm starts: inverse kinematics on the compiled model."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.clearance import Clearance
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.geometry import quat_about, quat_matrix
from blueprint_tune.tasks.roles import grasp_width
from blueprint_tune.tasks.spec import TaskSpec

Floats = NDArray[np.float64]

POSITION_TOLERANCE_M = 0.003
ROTATION_TOLERANCE_RAD = 0.02
DAMPING = 0.05
"""Damped least squares (Wampler 1986): large enough to stay calm near singular postures."""
SLANT_RAD = np.pi / 4
MAX_ITERATIONS = 200
MAX_GUESSES = 40
NUM_SPREAD = 256
"""Postures among which an episode's start is drawn where a policy spreads the start pose."""
GRIP_BELOW_TOP_M = 0.012
"""How deep the finger tips reach down beside a part that is held at the start."""
STEPS_ASIDE_M = np.array(
    [
        [back, left, up]
        for back in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
        for left in (0.0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3, -0.4, 0.4)
        for up in (0.0, 0.1, 0.2, 0.3)
    ]
)
"""Back, left and up from its home posture: where a hand waits that would be in the way of what opens."""
ENOUGH_ROOM_RAD = 0.3
"""Postures nearer than this to a joint limit are avoided: a start there leaves no way out."""


@dataclass(frozen=True)
class Postures:
    """K postures in which episodes may start.

    Attributes:
        arm: (K, A) rad or m. fingers_m, fingers_target_m: of every finger joint.
        held: the body that the closed gripper holds, with its pose: (K, 3) m, (K, 4) wxyz; None = nothing.
    """

    arm: Floats
    fingers_m: float
    fingers_target_m: float
    held: str | None
    held_pos: Floats
    held_quat: Floats


def start_postures(compiled: CompiledScene, task: TaskSpec) -> Postures:
    """Postures that bring the end effector to the policy's start pose; NUM_SPREAD of them if it is spread.

    Raises SimulatorError naming the frame and the remaining distance when a pose is out of reach.
    """
    model = compiled.model
    data = mujoco.MjData(model)
    position, rotation = _start_pose(model, data, task)
    home = np.asarray(task.robot.home_rad)
    first, error_m = _best_solution(model, data, task, home, position, rotation)
    _check_reached(task, position, error_m)
    if task.policy.start.near is None and task.jointed:
        first, position = _stepped_aside(compiled, data, task, first, position, rotation)
    poses, arm = [(position, rotation)], [first]
    if task.policy.start.spread_m is not None or task.policy.start.spread_twist_rad > 0:
        poses = _spread(task, position, rotation)
        solved = [_from(first, model, data, task, *pose) for pose in poses]
        for pose, (_, off_m) in zip(poses, solved, strict=True):
            _check_reached(task, pose[0], off_m)
        arm = [joints for joints, _ in solved]
    return _with_gripper(task, np.array(arm), poses)


def _stepped_aside(
    compiled: CompiledScene,
    data: mujoco.MjData,
    task: TaskSpec,
    posture: Floats,
    position: Floats,
    rotation: Floats,
) -> tuple[Floats, Floats]:
    """Posture and position of the hand, moved aside until nothing that opens meets it.

    As they were where that is so already, or nowhere.
    """
    clearance = Clearance(compiled, task)
    if clearance.clear(posture):
        return posture, position
    turned = quat_matrix(quat_about((0, 0, 1), task.robot_base[3])) @ np.diag([-1.0, 1.0, 1.0])
    nearest = np.argsort(np.linalg.norm(STEPS_ASIDE_M, axis=1), kind="stable")
    for step in STEPS_ASIDE_M[nearest[1:]]:
        there = position + turned @ step
        moved, error_m = _solve(compiled.model, data, task, posture, there, rotation)
        if error_m <= POSITION_TOLERANCE_M and clearance.clear(moved):
            return moved, there
    return posture, position


def _from(
    posture: Floats,
    model: mujoco.MjModel,
    data: mujoco.MjData,
    task: TaskSpec,
    position: Floats,
    rotation: Floats,
) -> tuple[Floats, float]:
    """The solution that is found from a posture nearby, or else the best one."""
    solved, error_m = _solve(model, data, task, posture, position, rotation)
    if error_m <= POSITION_TOLERANCE_M:
        return solved, error_m
    return _best_solution(model, data, task, posture, position, rotation)


def _check_reached(task: TaskSpec, position: Floats, error_m: float) -> None:
    if error_m <= POSITION_TOLERANCE_M:
        return
    frame = task.policy.start.near or "its home posture"
    base = np.asarray(task.robot_base[:3])
    raise SimulatorError(
        f"robot '{task.robot.name}' cannot reach its start pose near '{frame}' "
        f"({np.linalg.norm(position - base):.2f} m from its base, off by {error_m * 100:.1f} cm). "
        "Move the robot (scene.robot_base=[x,y,z,yaw]) or change policy.start.offset_m or spread_m."
    )


def _spread(task: TaskSpec, position: Floats, rotation: Floats) -> list[tuple[Floats, Floats]]:
    """Start poses drawn around the first, always the same ones."""
    start, yaw = task.policy.start, task.robot_base[3]
    ahead = quat_matrix(quat_about((0, 0, 1), yaw))
    rng = np.random.default_rng(0)
    half = np.array([*(start.spread_m or (0.0, 0.0, 0.0)), start.spread_twist_rad])
    drawn = rng.uniform(-half, half, (NUM_SPREAD, 4))
    return [
        (position + ahead @ offset[:3], rotation @ quat_matrix(quat_about((0, 0, 1), offset[3])))
        for offset in drawn
    ]


def _with_gripper(task: TaskSpec, arm: Floats, poses: list[tuple[Floats, Floats]]) -> Postures:
    gripper, role = task.robot.hand, task.policy.start.holds
    fingers_m = 0.0
    if gripper is not None:
        fingers_m = gripper.closed_m if task.policy.actions.gripper == "closed" else gripper.open_m
    if role is None:
        return Postures(arm, fingers_m, fingers_m, None, np.zeros((0, 3)), np.zeros((0, 4)))
    if gripper is None:
        raise SimulatorError(
            f"robot '{task.robot.name}' has no gripper, in which policy '{task.policy.name}' starts with "
            f"'{role}'. Use another robot, or policy.start.holds=null."
        )
    part = task.roles[role]
    below = float(part.size[2]) / 2 - GRIP_BELOW_TOP_M
    held_pos = np.array([position - (0.0, 0.0, below) for position, _ in poses])
    # the hand points down: the part stands upright in it, its x axis along the hand's
    held_quat = np.array([_yaw_quat(rotation[:, 0]) for _, rotation in poses])
    share = (grasp_width(part) / gripper.max_width_m) * (gripper.open_m - gripper.closed_m)
    return Postures(arm, gripper.closed_m + share, gripper.closed_m, part.id, held_pos, held_quat)


def _yaw_quat(forward: Floats) -> Floats:
    return quat_about((0, 0, 1), float(np.arctan2(forward[1], forward[0])))


def _best_solution(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    task: TaskSpec,
    home: Floats,
    position: Floats,
    rotation: Floats,
) -> tuple[Floats, float]:
    """The solution nearest to the home posture among those with room to the joint limits.

    The guesses come from a fixed seed, so the same scene starts alike.
    """
    rng = np.random.default_rng(0)
    limits = np.array([model.joint(name).range for name in task.robot.arm_joints])
    turns = [model.joint(name).type[0] == mujoco.mjtJoint.mjJNT_HINGE for name in task.robot.arm_joints]
    best, best_error, best_cost = home, np.inf, np.inf
    for attempt in range(MAX_GUESSES):
        guess = home if attempt == 0 else np.clip(home + rng.normal(0, 0.5, home.shape), *limits.T)
        solved, error = _solve(model, data, task, guess, position, rotation)
        room = float(np.minimum(solved - limits[:, 0], limits[:, 1] - solved)[turns].min(initial=np.inf))
        cramped = max(0.0, ENOUGH_ROOM_RAD - room) / ENOUGH_ROOM_RAD
        cost = float(np.linalg.norm(solved - home)) + 10.0 * cramped
        if error < POSITION_TOLERANCE_M:
            error = 0.0
        if (error, cost) < (best_error, best_cost):
            best, best_error, best_cost = solved, error, cost
    return best, float(best_error)


def _start_pose(model: mujoco.MjModel, data: mujoco.MjData, task: TaskSpec) -> tuple[Floats, Floats]:
    """Position (3,) and rotation matrix (3, 3) of the end effector at the start."""
    origin = _origin(model, data, task)
    yaw = task.robot_base[3]
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    offset = task.policy.start.offset_m
    position = origin + forward * offset[0] + left * offset[1] + up * offset[2]
    if task.policy.start.approach == "down":
        # the hand's z axis points out of the gripper, its y axis along the fingers' travel
        return position, np.column_stack([forward, -left, -up])
    slant = SLANT_RAD if task.policy.start.approach == "slanted" else 0.0
    out = np.cos(slant) * forward - np.sin(slant) * up
    handle = next((e.handle for e in task.roles.values() if e.handle is not None), None)
    vertical_bar = handle is not None and abs(handle.along[2]) > 0.5
    stands = any(entity.movable for entity in task.roles.values())
    travel = left if vertical_bar or stands else np.cross(out, left)
    return position, np.column_stack([np.cross(travel, out), travel, out])


def _origin(model: mujoco.MjModel, data: mujoco.MjData, task: TaskSpec) -> Floats:
    """(3,) the point that the start's offset counts from."""
    for name, angle in zip(task.robot.arm_joints, task.robot.home_rad, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(model, data)
    frame = task.policy.start.near
    if frame is None:
        return np.array(data.site(task.robot.ee_site).xpos)
    role, _, part = frame.partition("/")
    entity = task.roles[role].id
    return np.array(data.body(f"{entity}_{part}" if part else entity).xpos)


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
