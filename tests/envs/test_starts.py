"""Starts that would succeed by standing still are drawn again, or the task is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import ConfigError


def test_a_task_without_an_honest_start_is_refused(new_env: Callable[..., ManipulationEnv]) -> None:
    env = new_env("backend=pointmass")
    goal = dict(env.policy.commands["goal"], x_m=[-0.01, 0.01], y_m=[-0.01, 0.01], z_m=[0.0, 0.01])
    env.configure(replace(env.policy, commands={"goal": goal}, events={}))
    with pytest.raises(ConfigError, match="starts lay inside the success region 64 times in a row"):
        env.reset(np.zeros(4, dtype=np.int64), np.arange(4))


def test_only_the_starts_that_must_be_are_drawn_again(new_env: Callable[..., ManipulationEnv]) -> None:
    env = new_env("backend=pointmass")
    seeds, slots = np.zeros(500, dtype=np.int64), np.arange(500)
    honest = env._sampler.draw(seeds, slots)
    env.configure(replace(env.policy, success=dict(env.policy.success, distance_m=1e-6)))
    env._sampler._success = replace(env._sampler._success, widened=env._sampler._success.function)
    free = env._sampler.draw(seeds, slots)
    gap = np.linalg.norm(free.commands["goal"] - free.starts.body_pos[:, 0], axis=1)
    inside = gap <= 0.08
    assert 0.01 < inside.mean() < 0.6
    changed = (honest.commands["goal"] != free.commands["goal"]).any(axis=1)
    np.testing.assert_array_equal(changed, inside)


def test_starts_do_not_depend_on_what_the_simulator_is_doing(
    new_env: Callable[..., ManipulationEnv],
) -> None:
    """Where the robot happens to stand must not decide which starts count as successes."""
    success = "policy.success={term: within_distance, a: robot/ee, b: target, distance_m: 0.12, hold_s: 0.5}"
    env, other = new_env("backend=pointmass", success), new_env("backend=pointmass", success)
    for _ in range(20):
        other.step(torch.ones(4, other.num_actions))
    other.configure(other.policy)
    seeds, slots = np.zeros(200, dtype=np.int64), np.arange(200)
    found, expected = other._sampler.draw(seeds, slots), env._sampler.draw(seeds, slots)
    np.testing.assert_array_equal(found.starts.body_pos, expected.starts.body_pos)
