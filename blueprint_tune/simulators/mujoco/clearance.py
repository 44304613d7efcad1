"""Whether a robot starts clear of what surrounds it, however far the things it works on stand open."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.spec import TaskSpec

Floats = NDArray[np.float64]

NUM_OPENINGS = 7
"""Of a jointed thing, from one end of its range to the other."""
NUM_NOISY = 32
"""Postures that are tried beside the given one: episodes start with noise on the joints of arm and base."""
DEPTH_M = 0.001
"""Deeper than this two bodies overlap, and the first physics step throws them apart."""


class Clearance:
    """Judges postures of one task. Its draws are always the same ones."""

    def __init__(self, compiled: CompiledScene, task: TaskSpec) -> None:
        model, robot = compiled.model, task.robot
        self._model, self._data = model, mujoco.MjData(model)
        self._chain = np.array([model.joint(name).qposadr[0] for name in robot.chain])
        self._limits = np.array([model.joint(name).range for name in robot.chain])
        self._base = np.zeros(len(robot.driven_base))
        self._fixtures = [
            (model.joint(name).qposadr[0], model.joint(name).range) for name in compiled.fixture_joints
        ]
        if robot.hand is not None:
            for name in robot.hand.joints:
                self._data.joint(name).qpos[0] = robot.hand.open_m
        first = int(model.joint(robot.arm_joints[0]).bodyid[0])
        moving = np.zeros(model.nbody, dtype=bool)
        moving[first] = True
        for body in range(first + 1, model.nbody):  # parents come before their children
            moving[body] = moving[model.body_parentid[body]]
        self._moving = moving
        self._robot = model.body_rootid == model.body_rootid[first]
        weights = np.array([robot.weights.get(name, 1.0) for name in robot.chain])
        noise = np.random.default_rng(0).uniform(-1.0, 1.0, (NUM_NOISY, len(weights)))
        self._noise = np.vstack([0.0 * weights, noise * weights * task.policy.start.joint_noise_rad])

    def clear(self, arm: Floats) -> bool:
        """Whether nothing is met in ``arm`` ((A,) rad or m) and postures nearby, at any opening."""
        chain = np.concatenate([self._base, arm])
        for opening in np.linspace(0.0, 1.0, NUM_OPENINGS):
            for address, (lower, upper) in self._fixtures:
                self._data.qpos[address] = lower + opening * (upper - lower)
            for noise in self._noise:
                self._data.qpos[self._chain] = np.clip(chain + noise, *self._limits.T)
                if self._met():
                    return False
        return True

    def _met(self) -> bool:
        """Whether the arm overlaps with anything that is not of it."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        contact = self._data.contact
        geoms = contact.geom[(contact.dist < -DEPTH_M) & (contact.geom >= 0).all(axis=1)]
        bodies = self._model.geom_bodyid[geoms]
        moving, robot = self._moving[bodies], self._robot[bodies]
        return bool(((moving[:, 0] & ~robot[:, 1]) | (moving[:, 1] & ~robot[:, 0])).any())
