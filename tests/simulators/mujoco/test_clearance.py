"""Robots start clear of what they open, and what stands open stays so until it is touched."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.simulators.mujoco.clearance import Clearance
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator

NewEnv = Callable[..., ManipulationEnv]
NUM_ENVS = 50
WIDE_DRAWER = ("+scene=bedroom_001", "policy=drawer_manipulation", "robot=fetch")
UR10 = ("robot=ur10", "robot.gripper=parallel")


def compiled(env: ManipulationEnv) -> CompiledScene:
    assert isinstance(env.simulator, MujocoSimulator)
    return env.simulator.compiled


@pytest.mark.parametrize(
    "overrides",
    [
        WIDE_DRAWER,
        ("+scene=bathroom_001", "policy=drawer_manipulation", "robot=fetch"),
        ("+scene=bedroom_001", "policy=door_manipulation", *UR10),  # a wide door swings
        ("+scene=kitchen_001", "policy=door_manipulation", *UR10),  # a dishwasher's folds down
        ("+scene=bathroom_001", "policy=drawer_manipulation", "robot=fetch", "robot.base=planar"),
        ("+scene=kitchen_001", "policy=drawer_manipulation"),
    ],
)
def test_nothing_moves_while_nobody_acts(new_env: NewEnv, overrides: tuple[str, ...]) -> None:
    env = new_env(*overrides, num_envs=NUM_ENVS)
    robot = len(env.simulator.robot_joints)
    before = env.simulator.state.joint_pos[:, robot:].clone()
    for _ in range(10):
        env.step(torch.zeros(NUM_ENVS, env.num_actions))
    moved = (env.simulator.state.joint_pos[:, robot:] - before).abs()
    ranges = torch.from_numpy(np.ptp(env.simulator.joint_limits[robot:], axis=1)).float()
    assert (moved < 0.02 * ranges).all()


def test_a_posture_in_the_way_of_a_drawer_is_not_clear(new_env: NewEnv) -> None:
    env = new_env(*WIDE_DRAWER, num_envs=1)
    clearance = Clearance(compiled(env), env.task)
    assert clearance.clear(env.simulator.nominal.joint_pos[0, : len(env.task.robot.arm_joints)])
    assert not clearance.clear(np.asarray(env.task.robot.home_rad))


def test_only_what_swings_up_or_down_is_balanced(new_env: NewEnv) -> None:
    def balance(*overrides: str) -> set[float]:
        env = new_env("policy=door_manipulation", *overrides, num_envs=1)
        model: mujoco.MjModel = compiled(env).model
        (joint,) = compiled(env).fixture_joints
        body = int(model.joint(joint).bodyid[0])
        return {
            float(model.body_gravcomp[b])
            for b in range(model.nbody)
            if b == body or model.body_parentid[b] == body
        }

    assert balance("+scene=kitchen_001", *UR10) == {1.0}
    assert balance("+scene=bedroom_001", *UR10) == {0.0}
