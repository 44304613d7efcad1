"""The selection evaluation: what trials are compared by while they train.

Mean actions on the task as its file states it, on seeds kept for selection. It plays in the trial's
own environment, whose state is put aside and restored, so it leaves no trace in the training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.config.schema import SelectionConfig
from blueprint_tune.envs.base import VecEnv


class Selection:
    """Evaluates when its share of the time allows, and repeats the last figure when it does not."""

    def __init__(self, config: SelectionConfig) -> None:
        self._config = config
        self._trained_s, self._spent_s, self._last_s = 0.0, 0.0, 0.0
        self._success_rate = -1.0

    def evaluate(self, env: VecEnv, act: Callable[[Tensor], Tensor], trained_s: float) -> dict[str, float]:
        """Metrics of the newest evaluation; ``trained_s`` is the training time since the last call."""
        self._trained_s += trained_s
        allowed_s = self._config.max_time_fraction * (self._trained_s + self._spent_s)
        fresh = self._success_rate < 0 or self._spent_s + self._last_s <= allowed_s
        if fresh:
            began = time.perf_counter()
            self._success_rate = play(env, act, self._config.seed, self._config.episodes)
            self._last_s = time.perf_counter() - began
            self._spent_s += self._last_s
        return {
            "eval/success_rate": self._success_rate,
            "eval/fresh": float(fresh),
            "perf/eval_fraction": self._spent_s / (self._trained_s + self._spent_s),
        }

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "times_s": torch.tensor([self._trained_s, self._spent_s, self._last_s], dtype=torch.float64),
            "success_rate": self._success_rate,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._trained_s, self._spent_s, self._last_s = saved["times_s"].tolist()
        self._success_rate = saved["success_rate"]


def play(env: VecEnv, act: Callable[[Tensor], Tensor], seed: int, episodes: int) -> float:
    """Success rate over slots 0 … episodes - 1 of a seed; the environment's state is left as it was."""
    saved = env.save_state()
    successes = 0
    for first in range(0, episodes, env.num_envs):
        slots = first + np.arange(env.num_envs)
        counted = torch.from_numpy(slots < episodes)
        successes += _play_once(env, act, seed, slots, counted)
    env.load_state(saved)
    return successes / episodes


def _play_once(
    env: VecEnv, act: Callable[[Tensor], Tensor], seed: int, slots: np.ndarray, counted: Tensor
) -> int:
    """Successful ones among the counted first episodes; stops as soon as all of them are decided."""
    observations = env.reset(np.full(env.num_envs, seed, dtype=np.int64), slots)
    succeeded = torch.zeros(env.num_envs, dtype=torch.bool)
    running = counted.clone()
    while running.any():
        result = env.step(act(observations))
        observations = result.observations
        succeeded |= result.success_now & running
        running &= ~(result.terminated | result.truncated | succeeded)
    return int((succeeded & counted).sum())
