"""What an evaluation measures beside rewards: the arm's acceleration, the grip, a policy file's metrics.

Acceleration and grip are taken at every physics step, metrics at every env step; training takes neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.envs.task_terms import BoundMetric
from blueprint_tune.mdp.state import SceneState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Reading = Callable[[SceneState], Tensor]


@dataclass(frozen=True)
class Measured:
    """One episode.

    Attributes:
        acceleration: (T, A) rad/s², the size of the change of each turning joint's velocity over each of the
            T physics steps, by the step's length.
        grip_n: (G,) newtons, the grip's force at those physics steps at which something was grasped.
        metrics: name -> value.
    """

    acceleration: NDArray[np.float32]
    grip_n: NDArray[np.float32]
    metrics: dict[str, float]


class Probe:
    """Measures the episodes that the first ``num_episodes`` environments begin together, each to its end.

    On the CPU, wherever the state lives.

    ``joints``: columns of ``state.joint_vel``. ``dt_s``: (K,) a physics step. ``grip``: (N,) newtons, 0 where
    nothing is grasped; None = not measured.
    """

    def __init__(
        self,
        num_episodes: int,
        joints: Ints,
        dt_s: Floats,
        grip: Reading | None,
        metrics: tuple[BoundMetric, ...],
    ) -> None:
        self.num_episodes = num_episodes
        self._joints, self._grip, self._metrics = joints, grip, metrics
        self._per_s = torch.from_numpy(1.0 / dt_s).unsqueeze(1)
        self._last = torch.zeros(num_episodes, len(joints), dtype=torch.float64)
        self._accelerations: list[NDArray[np.float32]] = []
        self._grips: list[NDArray[np.float32]] = []
        self._running = torch.ones(num_episodes, dtype=torch.bool)
        self._physics_steps = np.zeros(num_episodes, dtype=np.int64)
        self._env_steps = torch.zeros(num_episodes, dtype=torch.float64)
        self._values = torch.zeros(num_episodes, len(metrics), dtype=torch.float64)
        self._before = torch.zeros(num_episodes, len(metrics), dtype=torch.float64)

    def physics_step(self, state: SceneState) -> None:
        """Take the state after a physics step."""
        velocity = state.joint_vel[: self.num_episodes, self._joints].double().cpu()
        change = (velocity - self._last).mul_(self._per_s).abs_()
        self._last = velocity
        self._accelerations.append(change.float().numpy())
        if self._grip is not None:
            self._grips.append(self._grip(state)[: self.num_episodes].float().cpu().numpy().copy())

    def env_step(self, state: SceneState) -> None:
        """Take the state after an env step, before any environment goes on to its next start."""
        self._physics_steps[self._running.numpy()] = len(self._accelerations)
        self._env_steps += self._running
        if not self._metrics:
            return
        values = [metric.function(state)[: self.num_episodes].double() for metric in self._metrics]
        now = torch.stack(values, dim=1).cpu()
        for column, metric in enumerate(self._metrics):
            taken = metric.reduce(self._values[:, column], self._before[:, column], now[:, column])
            self._values[:, column] = torch.where(self._running, taken, self._values[:, column])
        self._before = now

    def end(self, env_ids: Ints) -> None:
        """Episodes have ended; what their environments do from here on is not theirs."""
        self._running[env_ids[env_ids < self.num_episodes]] = False

    def results(self) -> list[Measured]:
        """One an episode, in the environments' order."""
        shape = (-1, self.num_episodes, len(self._joints))
        acceleration = np.array(self._accelerations, dtype=np.float32).reshape(shape)
        grips = np.array(self._grips, dtype=np.float32).reshape(-1, self.num_episodes)
        return [self._result(k, acceleration, grips[:, k]) for k in range(self.num_episodes)]

    def _result(self, k: int, acceleration: NDArray[np.float32], grip_n: NDArray[np.float32]) -> Measured:
        steps = self._physics_steps[k]
        held = grip_n[:steps]
        values = {
            metric.name: float(self._values[k, column] / (self._env_steps[k] if metric.averages else 1.0))
            for column, metric in enumerate(self._metrics)
        }
        return Measured(acceleration[:steps, k], held[held > 0], values)
