"""Rollouts and generalised advantages, against the definition written as loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blueprint_tune.learning.rollout import Rollout, advantages_and_returns


def slow_advantages(
    rewards: Tensor, ended: Tensor, values: Tensor, last: Tensor, discount: float, decay: float
) -> Tensor:
    """Sum of discounted temporal-difference errors up to the episode's end, for every step by itself."""
    steps, envs = rewards.shape
    found = torch.zeros(steps, envs, dtype=torch.float64)
    for env in range(envs):
        for first in range(steps):
            factor = 1.0
            for step in range(first, steps):
                after = last[env] if step == steps - 1 else values[step + 1, env]
                going_on = 1.0 - ended[step, env]
                error = rewards[step, env] + discount * going_on * after - values[step, env]
                found[first, env] += factor * float(error)
                factor *= discount * decay
                if ended[step, env]:
                    break
    return found


@pytest.mark.parametrize(("discount", "decay"), [(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)])
def test_advantages_are_those_of_the_definition(discount: float, decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 12, 5, generator=generator)
    ended = (torch.rand(12, 5, generator=generator) < 0.2).float()
    ended[-1, 0] = 1.0
    last = torch.randn(5, generator=generator)
    advantages, returns = advantages_and_returns(rewards, ended, values, last, discount, decay)
    expected = slow_advantages(rewards, ended, values, last, discount, decay)
    torch.testing.assert_close(advantages.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(returns, advantages + values)


def test_without_bootstrapping_returns_are_discounted_sums() -> None:
    rewards = torch.tensor([[1.0], [2.0], [4.0]])
    zeros = torch.zeros(3, 1)
    returns = advantages_and_returns(rewards, zeros, zeros, torch.zeros(1), 0.5, 1.0)[1]
    assert returns[:, 0].tolist() == [1 + 1 + 1, 2 + 2, 4]


def test_a_rollout_can_be_filled_again() -> None:
    rollout = Rollout(length=3, num_envs=2, num_observations=2, num_actions=1)
    yes, no = torch.tensor([True, False]), torch.tensor([False, False])
    for round_ in range(2):
        rollout.clear()
        for row in range(3):
            done = round_ == 0
            value = float(10 * round_ + row)
            rollout.add(
                torch.full((2, 2), value), torch.full((2, 1), -value), torch.full((2, 1), value + 0.5)
            )
            rollout.add_outcome(
                torch.full((2,), value), no, yes if done else no, torch.full((2, 2), value + 1), done
            )
        if round_ == 0:
            assert [(row, envs.tolist()) for row, envs, _ in rollout.bootstraps] == [
                (0, [0]),
                (1, [0]),
                (2, [0]),
            ]
            assert rollout.bootstraps[2][2].tolist() == [[3.0, 3.0]], "what was seen before the reset"
    assert rollout.observations[:, 0, 0].tolist() == [10.0, 11.0, 12.0]
    assert rollout.means[:, 1, 0].tolist() == [-10.0, -11.0, -12.0]
    assert rollout.actions[2].tolist() == [[12.5], [12.5]]
    assert rollout.rewards[1].tolist() == [11.0, 11.0]
    assert (rollout.ended == 0).all() and not rollout.bootstraps, "nothing of the first round is left"


def test_termination_ends_without_a_bootstrap() -> None:
    rollout = Rollout(1, 2, 1, 1)
    yes, no = torch.tensor([True, False]), torch.tensor([False, True])
    rollout.add(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1))
    rollout.add_outcome(torch.zeros(2), yes, no, torch.tensor([[5.0], [6.0]]), True)
    assert rollout.ended.tolist() == [[1.0, 1.0]]
    ((row, envs, seen),) = rollout.bootstraps
    assert (row, envs.tolist(), seen.tolist()) == (0, [1], [[6.0]])
