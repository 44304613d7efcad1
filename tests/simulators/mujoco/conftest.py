"""A robot that follows a script of end-effector poses through inverse kinematics and joint targets alone."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.simulators.mujoco.kinematics import _solve, _start_pose
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator

Floats = NDArray[np.float64]


class Scripted:
    """Every environment does the same; ``state`` is the simulator's."""

    def __init__(self, env: ManipulationEnv) -> None:
        assert isinstance(env.simulator, MujocoSimulator)
        self.simulator, self.task, self.state = env.simulator, env.task, env.simulator.state
        self.model = env.simulator.compiled.model
        self.rotation = _start_pose(self.model, mujoco.MjData(self.model), self.task)[1]
        self.arm = self.simulator.nominal.joint_pos[0, :7]
        self.fingers = 0.04

    def frame(self, name: str) -> Floats:
        """(3,) where a frame of environment 0 is."""
        return self.state.frame_pos[0, self.state.catalog.frames.index(name)].double().numpy()

    def go(self, position: Floats, seconds: float) -> None:
        """Move the end effector to a point, with the orientation of the policy's start."""
        data = mujoco.MjData(self.model)
        self.arm, error = _solve(self.model, data, self.task, self.arm, position, self.rotation)
        assert error < 0.003, "the script itself must be within reach"
        self.wait(seconds)

    def grip(self, width_m: float, seconds: float = 0.5) -> None:
        self.fingers = width_m
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        target = np.concatenate([self.arm, [self.fingers, self.fingers]])
        self.simulator.set_joint_targets(torch.from_numpy(target).float().expand(self.simulator.num_envs, -1))
        self.simulator.step(round(seconds / self.simulator.physics_dt_s))


@pytest.fixture
def scripted(new_env: Callable[..., ManipulationEnv]) -> Callable[..., Scripted]:
    """scripted(*overrides) -> a script in two environments at their nominal start."""

    def make(*overrides: str) -> Scripted:
        script = Scripted(new_env("backend=mujoco", *overrides, num_envs=2))
        script.simulator.reset(np.arange(2), script.simulator.nominal.take(np.zeros(2, dtype=np.int64)))
        return script

    return make
