"""Where episodes start: a pure function of (seed, slot).

A start whose success condition, widened by its term's margin, already holds is drawn again, so that
standing still cannot succeed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.draws import make_draws
from blueprint_tune.envs.episodes import Draw, Episodes, Floats, Ints
from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp.state import SceneState
from blueprint_tune.mdp.terms import BoundTerm
from blueprint_tune.simulators.base import Simulator
from blueprint_tune.tasks.spec import TaskSpec

MAX_ATTEMPTS = 64
"""A start that is still inside the success region after this many draws means the task is ill-posed."""


class StartSampler:
    """Draws episodes of one policy in one simulator.

    ``nominal_frames``: (F, 3) positions and (F, 4) orientations of the scene's frames at the nominal
    start. They stand for whatever a draw does not place, so that no start depends on where things are.
    """

    def __init__(
        self,
        task: TaskSpec,
        policy: PolicyConfig,
        simulator: Simulator,
        success: BoundTerm,
        nominal_frames: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        self._task, self._simulator, self._success = task, simulator, success
        self._nominal_frames = nominal_frames
        self._policy_name = policy.name
        self._joint_noise_rad = policy.start.joint_noise_rad
        self._draws = make_draws(policy, task)

    def draw(self, seeds: Ints, slots: Ints) -> Episodes:
        """The episodes of k (seed, slot) pairs. Raises ConfigError if the task leaves no honest start."""
        attempts = np.zeros(len(slots), dtype=np.int64)
        episodes = self._draw(Draw(seeds, slots, attempts))
        for attempt in range(1, MAX_ATTEMPTS):
            again = np.flatnonzero(self._succeeds_at_once(episodes))
            if not len(again):
                return episodes
            redrawn = self._draw(Draw(seeds[again], slots[again], np.full(len(again), attempt)))
            episodes.put(again, redrawn)
        raise ConfigError(
            f"policy '{self._policy_name}': {len(again)} starts lay inside the success region "
            f"{MAX_ATTEMPTS} times in a row. "
            "Widen the ranges of its commands or events."
        )

    def _draw(self, draw: Draw) -> Episodes:
        k = len(draw.slots)
        nominal = self._simulator.nominal
        postures = len(nominal.joint_pos)
        drawn = (draw.uniform("robot_posture", 1)[:, 0] * postures).astype(np.int64)
        starts = nominal.take(drawn)
        robot = self._task.robot
        arm = len(robot.chain)
        noise = draw.uniform("robot_joints", arm) * 2.0 - 1.0
        noise *= [robot.weights.get(name, 1.0) for name in robot.chain]
        limits = self._simulator.joint_limits[:arm]
        joints = starts.joint_pos[:, :arm] + noise * self._joint_noise_rad
        starts.joint_pos[:, :arm] = np.clip(joints, limits[:, 0], limits[:, 1])
        starts.joint_target[:, :arm] = starts.joint_pos[:, :arm]
        episodes = Episodes(starts, {}, np.zeros((k, 0), dtype=np.int64), {})
        for apply in self._draws:
            apply(draw, episodes)
        return episodes

    def _succeeds_at_once(self, episodes: Episodes) -> NDArray[np.bool_]:
        """(k,) whether the widened success condition holds at the start."""
        starts, simulator = episodes.starts, self._simulator
        catalog = simulator.state.catalog
        k = len(starts.joint_pos)
        state = SceneState(catalog, k, len(simulator.robot_joints), 1)
        state.frame_pos[:], state.frame_quat[:] = self._nominal_frames
        for role, entity in self._task.roles.items():
            if entity.id in simulator.free_bodies:
                column = simulator.free_bodies.index(entity.id)
                state.frame_pos[:, catalog.frames.index(role)] = _tensor(starts.body_pos[:, column])
                state.frame_quat[:, catalog.frames.index(role)] = _tensor(starts.body_quat[:, column])
        state.joint_pos[:] = _tensor(starts.joint_pos)
        state.joint_limits = simulator.state.joint_limits.cpu()
        state.commands = {name: _tensor(values) for name, values in episodes.commands.items()}
        state.order = torch.from_numpy(episodes.order)
        if state.order.shape[1]:
            state.active = state.order[:, 0]
        return self._success.widened(state).numpy()


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values).float()
