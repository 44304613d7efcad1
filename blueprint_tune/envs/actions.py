"""How policy outputs in [-1, 1] become joint targets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from blueprint_tune.config.policy_schema import ActionConfig
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.envs.inverse_kinematics import damped_least_squares
from blueprint_tune.envs.rotations import rotation_between, turn, twist
from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp.state import Frame
from blueprint_tune.simulators.base import Simulator

AXES = {
    "xyz": ("x", "y", "z"),
    "xyz_yaw": ("x", "y", "z", "yaw"),
    "xyz_twist": ("x", "y", "z", "twist"),
    "pose": ("x", "y", "z", "rx", "ry", "rz"),
}
"""Shifts along world axes, then turns: yaw about the vertical, twist about the way the gripper points."""

DAMPING = 0.05
"""Of the least squares: calm near singular postures, millimetres of error elsewhere."""
POSE_GAIN = 2.0
"""Joint targets lead by this multiple of what the pose error asks for, so that soft joints keep up."""


class Gripper:
    """The last output opens and closes a parallel gripper.

    ``binary`` opens it above zero and closes it otherwise, ``continuous`` maps [-1, 1] to closed … open.
    A robot that has none does without this output.
    """

    def __init__(self, config: ActionConfig, robot: RobotConfig) -> None:
        self._mode, self._gripper = config.gripper, robot.hand
        acts = config.gripper in ("binary", "continuous") and robot.hand is not None
        self.names = ("gripper",) if acts else ()

    def targets(self, output: Tensor, previous: Tensor) -> Tensor:
        """Finger targets (N, F) in m from the output (N, 0 or 1); without one, the previous targets."""
        if self._gripper is None or not self.names:
            return previous
        opened, closed = self._gripper.open_m, self._gripper.closed_m
        if self._mode == "binary":
            fingers = torch.where(output > 0, opened, closed)
        else:
            fingers = closed + (output + 1.0) * 0.5 * (opened - closed)
        return fingers.expand(-1, len(self._gripper.joints))


class JointPositionDelta:
    """Integrates outputs on the joint targets: target += scale × output.

    The target stays within ``windup_rad`` of the measured joint and within the joint's limits, so a
    blocked arm does not wind up.

    Attributes:
        names: one name an action, arm joints and then the gripper.
    """

    def __init__(self, config: ActionConfig, robot: RobotConfig, joint_limits: Tensor) -> None:
        self._config, self._gripper = config, Gripper(config, robot)
        self._arm = len(robot.chain)
        self._lower, self._upper = joint_limits[: self._arm, 0], joint_limits[: self._arm, 1]
        self.names = (*robot.chain, *self._gripper.names)

    def targets(self, action: Tensor, measured: Tensor, previous: Tensor) -> Tensor:
        """Joint targets (N, R) in rad or m from actions (N, A), joint positions and targets (N, R)."""
        arm, windup = self._arm, self._config.windup_rad
        joints = measured[:, :arm]
        target = previous[:, :arm] + self._config.scale_rad * action[:, :arm]
        target = torch.minimum(torch.maximum(target, joints - windup), joints + windup)
        target = torch.minimum(torch.maximum(target, self._lower), self._upper)
        return torch.cat([target, self._gripper.targets(action[:, arm:], previous[:, arm:])], dim=1)

    def apply(self, action: Tensor, simulator: Simulator) -> Tensor:
        """Joint targets (N, R) for the simulator's present state."""
        state = simulator.state
        return self.targets(action, state.joint_pos[:, : state.num_robot_joints], state.joint_targets)

    def restart(self, env_ids: Any, simulator: Simulator) -> None:
        """Nothing to do: the simulator resets the joint targets."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing beyond the simulator's joint targets."""
        return {}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Nothing to restore."""


class EndEffectorDelta:
    """Integrates outputs on an end-effector target, followed by damped least squares on the Jacobian.

    What ``axes`` does not command is held as it was at the episode's start. The target stays within
    ``windup_m`` and ``windup_rad`` of the measured pose.
    """

    def __init__(self, config: ActionConfig, robot: RobotConfig, joint_limits: Tensor) -> None:
        if config.axes is None or config.scale_m is None or config.windup_m is None:
            raise ConfigError("policy.actions: kind 'ee_delta' needs axes, scale_m and windup_m.")
        self._config, self._gripper = config, Gripper(config, robot)
        self._scale_m, self._windup_m = config.scale_m, config.windup_m
        self._arm = len(robot.chain)
        self._lower, self._upper = joint_limits[: self._arm, 0], joint_limits[: self._arm, 1]
        self._axes = AXES[config.axes]
        self._device = joint_limits.device
        weights = torch.tensor([robot.weights.get(n, 1.0) for n in robot.chain], device=self._device)
        self._weights = None if bool((weights == 1.0).all()) else weights
        self.names = (*self._axes, *self._gripper.names)
        self._allocate(0)

    def restart(self, env_ids: Any, simulator: Simulator) -> None:
        """Begin from the measured pose of environments that start an episode."""
        state = simulator.state
        ee = state.catalog.frames.index("robot/ee")
        if len(self._position) != state.num_envs:
            self._allocate(state.num_envs)
        self._position[env_ids] = state.frame_pos[env_ids, ee]
        self._quat[env_ids] = state.frame_quat[env_ids, ee]

    def _allocate(self, num_envs: int) -> None:
        self._position = torch.zeros(num_envs, 3, device=self._device)
        self._quat = torch.zeros(num_envs, 4, device=self._device)

    def apply(self, action: Tensor, simulator: Simulator) -> Tensor:
        """Joint targets (N, R) in rad or m for the simulator's present state."""
        state = simulator.state
        ee = Frame(state.catalog.frames.index("robot/ee"))
        position, quat = state.position(ee), state.quaternion(ee)
        self._move_target(action, position)
        error = torch.cat([self._position - position, rotation_between(quat, self._quat)], dim=1)
        step = self._joint_step(simulator.ee_jacobian(), error)
        lead = (POSE_GAIN * step).clamp(-self._config.windup_rad, self._config.windup_rad)
        target = state.joint_pos[:, : self._arm] + lead
        target = torch.minimum(torch.maximum(target, self._lower), self._upper)
        fingers = state.joint_targets[:, self._arm :]
        return torch.cat([target, self._gripper.targets(action[:, len(self._axes) :], fingers)], dim=1)

    def _joint_step(self, jacobian: Tensor, error: Tensor) -> Tensor:
        """(N, A) least squares over joints that move as readily as their weights say."""
        if self._weights is None:
            return damped_least_squares(jacobian, error, DAMPING)
        return damped_least_squares(jacobian * self._weights, error, DAMPING) * self._weights

    def _move_target(self, action: Tensor, position: Tensor) -> None:
        target = self._position + self._scale_m * action[:, :3]
        self._position.copy_(position + (target - position).clamp(-self._windup_m, self._windup_m))
        if self._config.axes == "xyz":
            return
        if self._config.axes == "xyz_twist":
            self._quat.copy_(twist(self._quat, action[:, 3:4] * self._config.scale_rad))
            return
        vector = torch.zeros_like(position)
        if self._config.axes == "xyz_yaw":
            vector[:, 2] = action[:, 3]
        else:
            vector.copy_(action[:, 3:6])
        self._quat.copy_(turn(self._quat, vector * self._config.scale_rad))

    def state_dict(self) -> dict[str, Tensor]:
        """The end-effector targets."""
        return {"position": self._position.clone(), "quat": self._quat.clone()}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Restore :meth:`state_dict`."""
        self._position, self._quat = (saved[k].to(self._device, copy=True) for k in ("position", "quat"))


Actions = JointPositionDelta | EndEffectorDelta


def make_actions(config: ActionConfig, robot: RobotConfig, joint_limits: Tensor) -> Actions:
    """The action mapping of a policy for a robot. Raises ConfigError when they do not fit."""
    kinds: dict[str, type[JointPositionDelta] | type[EndEffectorDelta]] = {
        "joint_position_delta": JointPositionDelta,
        "ee_delta": EndEffectorDelta,
    }
    return kinds[config.kind](config, robot, joint_limits)
