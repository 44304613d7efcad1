"""What policy types add to an episode's state is saved with it: turns, sizes, held parts, cloth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv

POLICIES = ("panel_interaction", "mixed_sku_logistics", "precision_insertion", "laundry_sorting")
"""Turns and early ends; sizes that differ; spread starts with a part in hand; cloth, and bins in turns."""


def go_on(env: ManipulationEnv, first: int, steps: int) -> list[torch.Tensor]:
    found = []
    for step in range(first, first + steps):
        angle = torch.arange(env.num_envs)[:, None] + torch.arange(env.num_actions) * 0.9 + 0.2 * step
        result = env.step(torch.sin(angle))
        found += [result.observations.clone(), result.rewards.clone(), result.terminated.clone()]
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_a_loaded_environment_goes_on_bit_for_bit(
    new_env: Callable[..., ManipulationEnv], benchmark: Callable[[str], list[str]], policy: str
) -> None:
    make = [*benchmark(policy), "backend=mujoco", "policy.episode_s=0.8"]
    env = new_env(*make)
    env.reset(np.full(4, 5), np.arange(4), stagger=True)
    go_on(env, 0, 12)  # the first episodes are over, the next are drawn
    saved = env.save_state()
    expected = go_on(env, 12, 20)
    other = new_env(*make)
    other.load_state(saved)
    for found, wanted in zip(go_on(other, 12, 20), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("policy", POLICIES)
def test_starts_do_not_depend_on_the_number_of_environments(
    new_env: Callable[..., ManipulationEnv], benchmark: Callable[[str], list[str]], policy: str
) -> None:
    few, many = (new_env(*benchmark(policy), "backend=mujoco", num_envs=n) for n in (2, 5))
    for env in (few, many):
        env.reset(np.full(env.num_envs, 5), np.arange(env.num_envs))
    ours, theirs = go_on(few, 0, 8), go_on(many, 0, 8)
    # the actions of environment i do not depend on how many there are
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b[:2])
