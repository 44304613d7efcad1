"""The physics of the ``pointmass`` backend in numpy: a gantry, points it can carry, joints it can pull at.

The first three arm joints are the gantry's axes in the robot's base; the other arm joints only turn. A
closed gripper holds points near it by a spring that slips when it pulls too hard. Points fall, rest at the
height where they stand in the scene, and do not meet each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.tasks.geometry import quat_about, quat_matrix, quat_multiply
from blueprint_tune.tasks.spec import TaskSpec

Floats = NDArray[np.float64]

METRES_PER_RAD = 0.3
TRAVEL_RAD = 2.0
"""How far every arm joint turns to either side of its home."""
LAG_S = 0.04
"""Time constant with which a joint follows its target."""
GRIP_RADIUS_M = 0.03
GRIP_RATE = 50.0
"""Of the critically damped spring between gripper and held point, rad/s: a held thing sags by 4 mm."""
SQUEEZE_N = 15.0
"""Of one closed finger; a pull of more than twice that times the friction slips."""
HANDLE_FRICTION = 1.0
FIXTURE_DRAG = 5.0
"""Per second: what a moving drawer loses of its speed."""
GRAVITY = np.array([0.0, 0.0, -9.81])
_HOME = (0.36, 0.0, 0.69)
"""Where the end effector is when a policy starts at home, in the base's axes, as a share of the reach."""
_FORWARD = np.array([0.5, 0.5, 0.5, 0.5])
_APPROACH = {
    "down": np.array([0.0, 1.0, 0.0, 0.0]),
    "slanted": quat_multiply(quat_about((0, 1, 0), np.pi / 4), _FORWARD),
    "forward": _FORWARD,
}
"""Orientation of the end effector in the base's axes, wxyz: z out of the gripper, y along its fingers."""


class Gantry:
    """``num_envs`` gantries over one bound task.

    Attributes:
        now: everything that changes, name -> (N, …): joint_pos, joint_vel (robot, then fixtures), targets,
            body_pos, body_vel, body_quat, mass_scale, friction_scale, size_scale (free bodies), finger_force,
            dt_s (a physics step).
        home: (J,) joints at the nominal start. limits: (J, 2). ee_quat: (4,), it never turns.

    What can be held are "points": free bodies, then handles; ``finger_force`` is (N, P) newtons.
    """

    def __init__(self, task: TaskSpec, num_envs: int) -> None:
        gripper = task.robot.hand
        fingers = len(gripper.joints) if gripper else 0
        opened, closed = (gripper.open_m, gripper.closed_m) if gripper else (0.0, 0.0)
        joints = [entity.joint for entity in task.jointed if entity.joint is not None]
        arm = np.asarray(task.robot.chain_home)
        self._task, self._joints, self._num_envs = task, joints, num_envs
        self._arm, self._robot = len(arm), len(arm) + fingers
        self._half_open = (opened + closed) / 2
        self.home = np.array([*arm, *[opened] * fingers, *(joint.lower for joint in joints)])
        limits = [(q - TRAVEL_RAD, q + TRAVEL_RAD) for q in arm] + [(closed, opened)] * fingers
        self.limits = np.array(limits + [(joint.lower, joint.upper) for joint in joints])
        base = quat_about((0, 0, 1), task.robot_base[3])
        self._axes = METRES_PER_RAD * quat_matrix(base).T
        self.ee_quat = quat_multiply(base, _APPROACH[task.policy.start.approach])
        self._ee_home = self._start_position(quat_matrix(base))
        self._rest = np.array([entity.position[2] for entity in task.free])
        self._mass = np.array([entity.moving_mass_kg for entity in (*task.free, *task.jointed)])
        self._friction = np.array([*(e.friction for e in task.free), *[HANDLE_FRICTION] * len(joints)])
        self.now = self._allocate(len(task.free), len(self.home), len(self._mass))

    def _allocate(self, bodies: int, joints: int, points: int) -> dict[str, Floats]:
        sizes = {
            "joint_pos": (joints,),
            "joint_vel": (joints,),
            "targets": (self._robot,),
            "body_pos": (bodies, 3),
            "body_vel": (bodies, 3),
            "body_quat": (bodies, 4),
            "mass_scale": (bodies,),
            "friction_scale": (bodies,),
            "size_scale": (bodies,),
            "finger_force": (points,),
            "dt_s": (),
        }
        return {name: np.zeros((self._num_envs, *size)) for name, size in sizes.items()}

    def _start_position(self, base: Floats) -> Floats:
        """(3,) where the end effector is while the arm is at home."""
        frame, offset = self._task.policy.start.near, np.asarray(self._task.policy.start.offset_m)
        if frame is None:
            return self._task.robot_base[:3] + base @ (self._task.robot.reach_m * np.array(_HOME) + offset)
        role, _, part = frame.partition("/")
        entity = self._task.roles[role]
        near = entity.handle_position if part else entity.position
        return np.asarray(near + base @ offset)

    def jacobian(self) -> Floats:
        """(6, A) velocity of the end effector per velocity of an arm joint; it moves but never turns."""
        rows = np.zeros((6, self._arm))
        rows[:3, :3] = self._axes.T
        return rows

    def step(self) -> None:
        """One physics step."""
        self._move_robot()
        pull = self._pull()
        self._move_bodies(pull[:, : len(self._rest)])
        self._move_fixtures(pull[:, len(self._rest) :])

    def _move_robot(self) -> None:
        now, robot, dt_s = self.now, self._robot, self.now["dt_s"][:, None]
        low, high = self.limits[:robot].T
        follow = 1.0 - np.exp(-dt_s / LAG_S)
        moved = follow * (np.clip(now["targets"], low, high) - now["joint_pos"][:, :robot])
        now["joint_pos"][:, :robot] += moved
        now["joint_vel"][:, :robot] = moved / dt_s

    def _pull(self) -> Floats:
        """(N, P, 3) acceleration of every point by the gripper's spring."""
        now, rate, dt_s = self.now, GRIP_RATE, self.now["dt_s"][:, None, None]
        points, velocities = self._points()
        ee, ee_velocity = self.end_effector()
        stretch = ee[:, None] - points
        fingers = now["joint_pos"][:, self._arm : self._robot]
        closed = (fingers < self._half_open).all(axis=1, keepdims=True) & (self._robot > self._arm)
        held = closed & (np.linalg.norm(stretch, axis=2) < GRIP_RADIUS_M)
        velocities[:, : len(self._rest)] += dt_s * GRAVITY
        # the spring acts as it will be after the step: stable for every mass and length of step
        spring = rate**2 * (stretch - dt_s * velocities) + 2 * rate * (ee_velocity[:, None] - velocities)
        spring *= held[..., None] / (1 + 2 * rate * dt_s + (rate * dt_s) ** 2)
        mass, friction = (
            self._scaled(self._mass, "mass_scale"),
            self._scaled(self._friction, "friction_scale"),
        )
        force, most = mass * np.linalg.norm(spring, axis=2), 2 * SQUEEZE_N * friction
        now["finger_force"][:] = held * (SQUEEZE_N + np.minimum(force, most) / 2)
        return spring * np.minimum(1.0, most / np.maximum(force, 1e-9))[..., None]

    def _scaled(self, values: Floats, scale: str) -> Floats:
        """(N, P) a property of every point with its environment's factor."""
        scaled = np.tile(values, (self._num_envs, 1))
        scaled[:, : len(self._rest)] *= self.now[scale]
        return scaled

    def _move_bodies(self, pull: Floats) -> None:
        position, velocity, dt_s = self.now["body_pos"], self.now["body_vel"], self.now["dt_s"][:, None, None]
        velocity += dt_s * (pull + GRAVITY)
        position += dt_s * velocity
        standing = position[..., 2] <= self._rest
        position[..., 2] = np.maximum(position[..., 2], self._rest)
        velocity[..., 2] = np.where(standing, np.maximum(velocity[..., 2], 0.0), velocity[..., 2])
        velocity[standing & (self.now["finger_force"][:, : len(self._rest)] == 0)] = 0.0

    def _move_fixtures(self, pull: Floats) -> None:
        dt_s = self.now["dt_s"]
        for index in range(len(self._joints)):
            column = self._robot + index
            along = self.on_fixture(index, self._handle(index))[1]
            push = (pull[:, index] * along).sum(axis=1) / (along**2).sum(axis=1)
            speed = (self.now["joint_vel"][:, column] + dt_s * push) * np.exp(-FIXTURE_DRAG * dt_s)
            moved = self.now["joint_pos"][:, column] + dt_s * speed
            kept = np.clip(moved, *self.limits[column])
            self.now["joint_pos"][:, column] = kept
            self.now["joint_vel"][:, column] = np.where(moved == kept, speed, 0.0)

    def end_effector(self) -> tuple[Floats, Floats]:
        """Position (m) and velocity (m/s) of the end effector, (N, 3) each."""
        turned, turning = self.now["joint_pos"][:, :3] - self.home[:3], self.now["joint_vel"][:, :3]
        # not a matrix product: its rounding may depend on how many environments there are
        moved, velocity = ((rows[:, :, None] * self._axes).sum(axis=1) for rows in (turned, turning))
        return self._ee_home + moved, velocity

    def on_fixture(self, index: int, point: Floats) -> tuple[Floats, Floats]:
        """Where a point (3,) of a moving part (given at joint position 0) is; its change with the joint."""
        entity, joint = self._task.jointed[index], self._joints[index]
        axis = entity.rotation @ joint.axis
        opening = self.now["joint_pos"][:, self._robot + index, None]
        if joint.kind == "prismatic":
            return point + opening * axis, np.broadcast_to(axis, (self._num_envs, 3))
        anchor = entity.to_scene(joint.anchor)
        arm = point - anchor
        turned = arm * np.cos(opening) + np.cross(axis, arm) * np.sin(opening)
        turned += axis * (axis @ arm) * (1.0 - np.cos(opening))
        return anchor + turned, np.cross(axis, turned)

    def _handle(self, index: int) -> Floats:
        entity = self._task.jointed[index]
        return entity.position if entity.handle_position is None else entity.handle_position

    def _points(self) -> tuple[Floats, Floats]:
        """Position and velocity, (N, P, 3) each."""
        positions, velocities = [self.now["body_pos"]], [self.now["body_vel"]]
        for index in range(len(self._joints)):
            position, along = self.on_fixture(index, self._handle(index))
            positions.append(position[:, None])
            velocities.append((along * self.now["joint_vel"][:, self._robot + index, None])[:, None])
        return np.concatenate(positions, axis=1), np.concatenate(velocities, axis=1)
