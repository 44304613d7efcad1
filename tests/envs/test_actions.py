"""Policy outputs become joint targets: by hand for joints, by where the end effector goes for poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.policy_schema import ActionConfig
from blueprint_tune.config.schema import ExperimentConfig, RobotConfig
from blueprint_tune.envs.actions import JointPositionDelta, make_actions
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.envs.rotations import rotation_between
from blueprint_tune.errors import ConfigError

JOINTS = ActionConfig(kind="joint_position_delta", gripper="binary", scale_rad=0.1, windup_rad=0.25)
LIMITS = torch.tensor([[-1.0, 1.0]] * 7 + [[0.0, 0.04]] * 2)


@pytest.fixture
def robot(config: Callable[..., ExperimentConfig]) -> RobotConfig:
    return config().robot


def targets(
    actions: JointPositionDelta, output: list[float], measured: float = 0.0, previous: float = 0.0
) -> list[float]:
    """Targets of joint 1 and of the fingers; the other arm joints get no output."""
    row = torch.zeros(1, len(actions.names))
    row[0, 0] = output[0]
    row[0, 7:] = torch.tensor(output[1:])
    found = actions.targets(row, torch.full((1, 9), measured), torch.full((1, 9), previous))
    assert found.shape == (1, 9)
    return [round(value, 5) for value in (found[0, 0].item(), *found[0, 7:].tolist())]


def test_joint_outputs_integrate_on_the_target(robot: RobotConfig) -> None:
    actions = JointPositionDelta(JOINTS, robot, LIMITS)
    assert actions.names == (*robot.arm_joints, "gripper")
    assert targets(actions, [0.5, 1.0])[0] == 0.05
    assert targets(actions, [-1.0, 1.0], previous=0.2)[0] == 0.1


def test_a_blocked_joint_does_not_wind_up(robot: RobotConfig) -> None:
    actions = JointPositionDelta(JOINTS, robot, LIMITS)
    assert targets(actions, [1.0, 1.0], measured=0.0, previous=0.2)[0] == 0.25
    assert targets(actions, [0.0, 1.0], measured=0.0, previous=-0.6)[0] == -0.25


def test_targets_stay_within_the_limits(robot: RobotConfig) -> None:
    actions = JointPositionDelta(JOINTS, robot, LIMITS)
    assert targets(actions, [1.0, 1.0], measured=0.98, previous=0.98)[0] == 1.0
    assert targets(actions, [-1.0, 1.0], measured=-0.98, previous=-0.98)[0] == -1.0


@pytest.mark.parametrize(
    ("mode", "output", "fingers"),
    [
        ("binary", 0.01, 0.04),
        ("binary", 0.0, 0.0),
        ("binary", -1.0, 0.0),
        ("continuous", 1.0, 0.04),
        ("continuous", -1.0, 0.0),
        ("continuous", 0.5, 0.03),
    ],
)
def test_the_last_output_moves_the_gripper(
    robot: RobotConfig, mode: str, output: float, fingers: float
) -> None:
    actions = JointPositionDelta(replace(JOINTS, gripper=mode), robot, LIMITS)
    assert targets(actions, [0.0, output])[1:] == [fingers, fingers]


def test_without_a_gripper_output_the_fingers_stay(robot: RobotConfig) -> None:
    actions = JointPositionDelta(replace(JOINTS, gripper="none"), robot, LIMITS)
    assert actions.names == tuple(robot.arm_joints)
    assert targets(actions, [0.0], previous=0.02)[1:] == [0.02, 0.02]


def test_what_cannot_work_is_refused(robot: RobotConfig) -> None:
    bare = replace(robot, gripper="none", grippers={"none": None})
    assert make_actions(JOINTS, bare, LIMITS).names == tuple(robot.arm_joints)
    with pytest.raises(ConfigError, match="kind 'ee_delta' needs axes, scale_m and windup_m"):
        make_actions(replace(JOINTS, kind="ee_delta"), robot, LIMITS)


EE = (
    "policy.actions={kind: ee_delta, axes: %s, gripper: binary, "
    "scale_m: 0.02, scale_rad: 0.1, windup_m: 0.1, windup_rad: 0.25}"
)


def flown(env: ManipulationEnv, output: list[float], steps: int) -> tuple[Tensor, Tensor]:
    """How far (m) and by what rotation vector (rad) the end effector went, (N, 3) each."""
    env.reset(np.zeros(2, dtype=np.int64), np.arange(2))
    state = env.simulator.state
    position, quat = state.frame_pos[:, 0].clone(), state.frame_quat[:, 0].clone()
    action = torch.tensor([*output, 1.0]).expand(2, -1)
    for _ in range(steps):
        env.step(action)
    for _ in range(25):
        env.step(torch.cat([torch.zeros(2, env.num_actions - 1), action[:, -1:]], dim=1))
    return state.frame_pos[:, 0] - position, rotation_between(quat, state.frame_quat[:, 0])


@pytest.mark.parametrize(
    ("axes", "output", "shift", "turn"),
    [
        ("xyz", [1.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ("xyz", [0.0, -0.5, 0.5], [0.0, -0.05, 0.05], [0.0, 0.0, 0.0]),
        ("xyz_yaw", [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.05], [0.0, 0.0, 0.5]),
        ("xyz_twist", [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.05], [0.0, 0.0, -0.5]),
        ("pose", [0.0, 0.5, 0.0, 0.6, 0.0, 0.0], [0.0, 0.05, 0.0], [0.3, 0.0, 0.0]),
    ],
)
def test_the_end_effector_goes_where_it_is_told(
    new_env: Callable[..., ManipulationEnv],
    axes: str,
    output: list[float],
    shift: list[float],
    turn: list[float],
) -> None:
    """In world axes, holding what is not commanded."""
    level = "policy.start.joint_noise_rad=0.0"  # so that what a hand points at is straight down
    env = new_env("backend=mujoco", EE % axes, "policy.episode_s=20", level, num_envs=2)
    moved, turned = flown(env, output, steps=5)
    torch.testing.assert_close(moved, torch.tensor([shift, shift]), atol=0.006, rtol=0)
    torch.testing.assert_close(turned, torch.tensor([turn, turn]), atol=0.04, rtol=0)


@pytest.mark.parametrize(
    "overrides",
    [
        ("robot=ur10", "robot.gripper=parallel"),
        ("robot=fetch",),
        ("robot=fetch", "robot.base=planar"),
        ("robot.model=examples/robots/six_axis.urdf",),
    ],
)
def test_every_robot_goes_where_it_is_told(
    new_env: Callable[..., ManipulationEnv], overrides: tuple[str, ...]
) -> None:
    still = ("policy.episode_s=20", "policy.start.joint_noise_rad=0.0")
    env = new_env("backend=mujoco", EE % "xyz_yaw", *still, *overrides, num_envs=2)
    moved, turned = flown(env, [0.5, 0.0, 0.5, 0.6], steps=5)
    torch.testing.assert_close(moved, torch.tensor([[0.05, 0.0, 0.05]] * 2), atol=0.012, rtol=0)
    torch.testing.assert_close(turned, torch.tensor([[0.0, 0.0, 0.3]] * 2), atol=0.06, rtol=0)


def test_a_joint_with_a_small_weight_is_spared(new_env: Callable[..., ManipulationEnv]) -> None:
    """Fetch's torso and base leave what the arm can do to the arm, in starts and in motion."""
    env = new_env("backend=mujoco", EE % "xyz", "robot=fetch", "policy.episode_s=20", num_envs=64)
    env.reset(np.zeros(64, dtype=np.int64), np.arange(64))
    spread = (env.simulator.state.joint_pos - torch.from_numpy(env.simulator.nominal.joint_pos)).abs()
    noise = env.policy.start.joint_noise_rad
    assert spread[:, 0].max() <= 0.1 * noise + 1e-6 < 0.5 * noise < spread[:, 1].max() <= noise + 1e-6
    start = env.simulator.state.joint_pos.clone()
    for _ in range(10):
        env.step(torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(64, -1))
    moved = (env.simulator.state.joint_pos - start).abs()
    assert moved[:, 0].max() < 0.05 < moved[:, 2].max()


def test_the_pose_target_does_not_wind_up(new_env: Callable[..., ManipulationEnv]) -> None:
    """Pushed against the table for long, the hand comes back at once when told to."""
    env = new_env("backend=mujoco", EE % "xyz", "policy.episode_s=20", num_envs=2)
    _, _ = flown(env, [0.0, 0.0, -1.0], steps=40)
    pressed = env.simulator.state.frame_pos[:, 0, 2].clone()
    for _ in range(8):
        env.step(torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, -1))
    assert (env.simulator.state.frame_pos[:, 0, 2] > pressed + 0.02).all()


def test_an_episode_begins_with_the_measured_pose(new_env: Callable[..., ManipulationEnv]) -> None:
    env = new_env("backend=pointmass", EE % "xyz", num_envs=2)
    flown(env, [1.0, 1.0, 1.0], steps=5)
    moved, _ = flown(env, [0.0, 0.0, 0.0], steps=2)
    torch.testing.assert_close(moved, torch.zeros(2, 3), atol=1e-5, rtol=0)
