"""What one rollout leaves for the learner, and the advantages computed from it."""

from __future__ import annotations

import torch
from torch import Tensor


class Rollout:
    """Preallocated (T, N, …) tensors of one rollout; values are computed from them in one batch later.

    ``bootstraps`` keeps the observations in which episodes were cut off by time, so that their value
    can stand in for the rest of the episode. What is recorded is copied to ``device``.
    """

    def __init__(
        self, length: int, num_envs: int, num_observations: int, num_actions: int, device: str = "cpu"
    ) -> None:
        self.observations = torch.zeros(length, num_envs, num_observations, device=device)
        self.actions = torch.zeros(length, num_envs, num_actions, device=device)
        self.means = torch.zeros(length, num_envs, num_actions, device=device)
        self.rewards = torch.zeros(length, num_envs, device=device)
        self.ended = torch.zeros(length, num_envs, device=device)
        self.bootstraps: list[tuple[int, Tensor, Tensor]] = []
        self._row = 0

    def clear(self) -> None:
        """Begin a new rollout."""
        self._row = 0
        self.bootstraps.clear()

    def add(self, observations: Tensor, means: Tensor, actions: Tensor) -> None:
        """Record what the policy saw and did; :meth:`add_outcome` completes the row."""
        row = self._row
        self.observations[row], self.means[row], self.actions[row] = observations, means, actions

    def add_outcome(
        self, rewards: Tensor, terminated: Tensor, truncated: Tensor, terminal: Tensor, done: bool
    ) -> None:
        """Record what the environments answered; ``terminal`` (N, O) are observations before the reset."""
        row = self._row
        self.rewards[row] = rewards
        if done:
            self.ended[row] = terminated | truncated
            cut = truncated.nonzero()[:, 0]
            if len(cut):
                self.bootstraps.append((row, cut.to(self.rewards.device), terminal[cut]))
        else:
            self.ended[row] = 0.0
        self._row += 1


def advantages_and_returns(
    rewards: Tensor, ended: Tensor, values: Tensor, last_values: Tensor, discount: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns, (T, N) each.

    ``ended`` is 1 where an episode ended at that step, whose reward already holds any bootstrap.
    Source: Schulman et al., High-Dimensional Continuous Control Using GAE, ICLR 2016, eq. 16.
    """
    going_on = 1.0 - ended
    following = torch.cat([values[1:], last_values[None]])
    deltas = rewards + discount * going_on * following - values
    decay = discount * gae_lambda * going_on
    advantages = torch.empty_like(deltas)
    running = torch.zeros_like(last_values)
    for row in range(len(deltas) - 1, -1, -1):
        running = deltas[row] + decay[row] * running
        advantages[row] = running
    return advantages, advantages + values
