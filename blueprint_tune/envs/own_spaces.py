"""What a task of its own shows and takes: its observations by name, its actions, its reward terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.errors import ConfigError

GROUP = "policy"
"""The group of observations that the policy sees; others (``critic``) are for learners that have more."""


def observation_parts(env: Any, name: str) -> tuple[tuple[str, int], ...]:
    """(name, size) of the parts of an observation. Raises ConfigError for what is no vector."""
    space = env.single_observation_space
    vector = space[GROUP] if GROUP in space.spaces else None
    if vector is None or getattr(vector, "shape", None) is None or len(vector.shape) != 1:
        raise ConfigError(
            f"'{name}' shows {space}. A policy here sees one vector, the group '{GROUP}' with its terms"
            " concatenated; pictures and nested groups cannot be learned from."
        )
    size = int(vector.shape[0])
    manager = getattr(env, "observation_manager", None)
    if manager is not None:
        sizes = [math.prod(shape) for shape in manager.group_obs_term_dim[GROUP]]
        if sum(sizes) == size:
            return tuple(zip(manager.active_terms[GROUP], sizes, strict=True))
    return ((GROUP, size),)


def action_names(env: Any, name: str) -> tuple[str, ...]:
    """One name an action. Raises ConfigError for actions that are no vector of numbers."""
    shape = getattr(env.single_action_space, "shape", None)
    if not shape or len(shape) != 1 or not hasattr(env.single_action_space, "low"):
        raise ConfigError(
            f"'{name}' takes {env.single_action_space}. A policy here gives one vector of numbers."
        )
    manager = getattr(env, "action_manager", None)
    sizes = dict(zip(manager.active_terms, manager.action_term_dim)) if manager else {"action": shape[0]}
    return tuple(
        term if size == 1 else f"{term}_{number}" for term, size in sizes.items() for number in range(size)
    )


class ActionMap:
    """Outputs in [-1, 1] -> the task's actions: over their range where it has bounds, else times a scale."""

    def __init__(self, space: Any, scale: float, device: str) -> None:
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        low, high = (np.where(bounded, bound, 0.0) for bound in (space.low, space.high))
        half, middle = np.where(bounded, (high - low) / 2, scale), (high + low) / 2
        self._half = torch.as_tensor(half, dtype=torch.float32, device=device)
        self._middle = torch.as_tensor(middle, dtype=torch.float32, device=device)

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """What -1 and 1 become, one pair an action."""
        lower, upper = (self._middle - self._half).tolist(), (self._middle + self._half).tolist()
        return tuple(zip(lower, upper, strict=True))

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, A) clipped to [-1, 1] -> (N, A)."""
        return outputs * self._half + self._middle


class RewardLog:
    """Sums of a task's reward terms over the episodes that have ended, out of what it logs of them.

    The task logs means over the environments that were reset in a step, as a rate over the longest episode,
    and keeps showing them until others are reset.
    """

    def __init__(self, env: Any, device: str) -> None:
        self._env = env
        manager = getattr(env, "reward_manager", None)
        self.terms: tuple[str, ...] = tuple(manager.active_terms) if manager else ()
        self.sums = torch.zeros(len(self.terms), device=device)
        self.steps = torch.zeros((), device=device)

    @property
    def weights(self) -> tuple[float, ...]:
        """What a term's value is multiplied by in an env step: its weight and the step's seconds."""
        return tuple(
            float(self._env.reward_manager.get_term_cfg(name).weight) * self._env.step_dt
            for name in self.terms
        )

    def add(self, log: Any, ended: Tensor, lengths: Tensor) -> None:
        """Count the episodes of ``ended``, (N,) bool, of ``lengths``, (N,) env steps."""
        rates = [log.get(f"Episode_Reward/{name}", 0.0) for name in self.terms]
        if rates:
            means = torch.stack([torch.as_tensor(rate, device=self.sums.device).float() for rate in rates])
            self.sums += means * (self._env.max_episode_length_s * ended.sum())
            self.steps += (lengths * ended).sum()

    def take(self) -> tuple[Tensor, Tensor, int]:
        """Raw and weighted sums, (T,) each on the CPU, and env steps, since the last call."""
        weighted, steps = self.sums.cpu(), int(self.steps)
        weights = torch.tensor(self.weights)
        raw = torch.where(weights != 0, weighted / weights, torch.zeros_like(weighted))
        self.clear()
        return raw, weighted, steps

    def clear(self) -> None:
        """Begin anew."""
        self.sums, self.steps = torch.zeros_like(self.sums), torch.zeros_like(self.steps)
