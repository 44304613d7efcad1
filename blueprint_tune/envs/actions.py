"""How policy outputs in [-1, 1] become joint targets."""

from __future__ import annotations

import torch
from torch import Tensor

from blueprint_tune.config.schema import ActionConfig, RobotConfig
from blueprint_tune.errors import ConfigError


class JointPositionDelta:
    """Integrates outputs on the joint targets: target += scale × output.

    The target stays within ``windup_rad`` of the measured joint and within the joint's limits, so a
    blocked arm does not wind up. The gripper follows the last output: ``binary`` opens it above zero
    and closes it otherwise, ``continuous`` maps [-1, 1] to closed … open.

    Attributes:
        num_actions: arm joints, plus one for a gripper. names: one name an action.
    """

    def __init__(self, config: ActionConfig, robot: RobotConfig, joint_limits: Tensor) -> None:
        if config.gripper != "none" and robot.gripper is None:
            raise ConfigError(
                f"robot '{robot.name}' has no gripper, but the policy's actions use one. "
                "Use another robot or policy.actions.gripper=none."
            )
        self._arm = len(robot.arm_joints)
        self._config = config
        self._lower, self._upper = joint_limits[: self._arm, 0], joint_limits[: self._arm, 1]
        self._gripper = robot.gripper
        gripper = () if config.gripper == "none" else ("gripper",)
        self.names = (*robot.arm_joints, *gripper)
        self.num_actions = len(self.names)

    def targets(self, action: Tensor, measured: Tensor, previous: Tensor) -> Tensor:
        """Joint targets (N, R) in rad or m from actions (N, A), joint positions and targets (N, R)."""
        arm, windup = self._arm, self._config.windup_rad
        joints = measured[:, :arm]
        target = previous[:, :arm] + self._config.scale_rad * action[:, :arm]
        target = torch.minimum(torch.maximum(target, joints - windup), joints + windup)
        target = torch.minimum(torch.maximum(target, self._lower), self._upper)
        if self._gripper is None or self._config.gripper == "none":
            return torch.cat([target, previous[:, arm:]], dim=1)
        opened, closed = self._gripper.open_m, self._gripper.closed_m
        command = action[:, arm:]
        if self._config.gripper == "binary":
            fingers = torch.where(command > 0, opened, closed)
        else:
            fingers = closed + (command + 1.0) * 0.5 * (opened - closed)
        return torch.cat([target, fingers.expand(-1, len(self._gripper.joints))], dim=1)
