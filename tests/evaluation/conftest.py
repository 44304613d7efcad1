"""A tiny deterministic environment whose episodes can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.base import Ints, StepResult, VecEnv
from blueprint_tune.simulators.base import Viewpoint

MAX_STEPS = 20
HOLD = 2


class LineEnv(VecEnv):
    """A point on a line: ``x += 0.1 * action``; |x| < 0.12 for 2 steps in a row is success and the end.

    Episode ``slot`` of ``seed`` starts at ``start_of(seed, slot)``. Observations: (x, step). Reward: -|x|.
    """

    num_observations, num_actions = 2, 1
    device, control_dt_s, max_episode_steps = "cpu", 0.1, MAX_STEPS
    observation_names = (("x", 1), ("step", 1))
    action_names = ("push",)
    reward_terms = ("near",)

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.resets: list[tuple[list[int], list[int]]] = []

    @staticmethod
    def start_of(seeds: Ints, slots: Ints) -> NDArray[np.float64]:
        return np.round(0.5 + (seeds * 7 + slots * 3) % 11 / 20.0, 2)

    def reset(self, seeds: Ints, slots: Ints, stagger: bool = False) -> Tensor:
        assert seeds.shape == slots.shape == (self.num_envs,)
        self.resets.append((seeds.tolist(), slots.tolist()))
        self._seeds, self._slots = seeds.copy(), slots.copy()
        self.x = self.start_of(seeds, slots)
        self.steps, self.near = np.zeros(self.num_envs, dtype=int), np.zeros(self.num_envs, dtype=int)
        return self._observe()

    def _observe(self) -> Tensor:
        return torch.from_numpy(np.stack([self.x, self.steps], axis=1)).float()

    def step(self, actions: Tensor) -> StepResult:
        assert actions.shape == (self.num_envs, 1)
        self.x = self.x + 0.1 * actions.numpy()[:, 0]
        self.steps += 1
        self.near = np.where(np.abs(self.x) < 0.12, self.near + 1, 0)
        held = self.near >= HOLD
        truncated = ~held & (self.steps >= MAX_STEPS)
        reward, terminal, done = -np.abs(self.x), self._observe(), held | truncated
        self._slots = np.where(done, self._slots + self.num_envs, self._slots)
        self.x = np.where(done, self.start_of(self._seeds, self._slots), self.x)
        self.steps[done] = self.near[done] = 0
        flags = [torch.from_numpy(v) for v in (held, truncated, held, held)]
        return StepResult(
            self._observe(), terminal, torch.from_numpy(reward).float(), *flags, bool(done.any())
        )

    def measure(self, num_episodes: int) -> None:
        return None

    def configure(self, policy: PolicyConfig) -> None:
        raise AssertionError("a benchmark does not configure")

    def reward_sums(self) -> tuple[Tensor, Tensor, int]:
        raise AssertionError("a benchmark does not ask for reward terms")

    def dump_history(self, env_id: int, path: Path) -> Path:
        raise AssertionError("a benchmark does not explain failures")

    def save_state(self) -> dict[str, Any]:
        raise AssertionError("a benchmark does not save")

    def load_state(self, saved: dict[str, Any]) -> None:
        raise AssertionError("a benchmark does not load")

    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        raise AssertionError("a benchmark does not render")

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        raise AssertionError("a benchmark does not render")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def line_env() -> Callable[[int], LineEnv]:
    return LineEnv
