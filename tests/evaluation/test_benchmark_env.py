"""The benchmark on the program's own environments, contact physics among them, with short episodes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_baselines, run_benchmark

SEEDS = [42, 123]


def act(num_actions: int, observations: Tensor) -> Tensor:
    """Some deterministic motion that depends on what is seen."""
    return torch.sin(7.0 * observations[:, :num_actions])


def run(backend: str, num_envs: int) -> tuple[BenchmarkResult, dict[str, BenchmarkResult]]:
    overrides = ["+scene=kitchen_001", "policy=dexterous_pick_place", f"backend={backend}", "preset=smoke"]
    env = make_env(
        compose([*overrides, f"backend.num_envs={num_envs}", "policy.episode_s=0.5"]), num_threads=1
    )
    try:
        policy = functools.partial(act, env.num_actions)
        return run_benchmark(env, policy, SEEDS, 3), run_baselines(env, SEEDS, 3)
    finally:
        env.close()


@pytest.fixture(scope="module", params=["pointmass", "mujoco"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def few(backend: str) -> tuple[BenchmarkResult, dict[str, BenchmarkResult]]:
    return run(backend, 4)


def test_episodes_last_as_long_as_the_policy_says(
    few: tuple[BenchmarkResult, dict[str, BenchmarkResult]],
) -> None:
    result = few[0]
    assert result.length.tolist() == [round(0.5 / result.control_dt_s)] * 6
    assert len(set(result.returns)) == 6
    assert result.observations.shape[0] >= 16


def test_standing_still_and_acting_at_random_do_not_solve_it(
    few: tuple[BenchmarkResult, dict[str, BenchmarkResult]],
) -> None:
    assert not few[1]["zero"].success.any()
    assert not few[1]["random"].success.any()


def test_starts_and_physics_do_not_depend_on_the_number_of_environments(
    backend: str, few: tuple[BenchmarkResult, dict[str, BenchmarkResult]]
) -> None:
    many = run(backend, 9)
    for a, b in ((few[0], many[0]), (few[1]["random"], many[1]["random"])):
        np.testing.assert_array_equal(a.length, b.length)
        np.testing.assert_array_equal(a.success, b.success)
        np.testing.assert_array_equal(a.action_change, b.action_change)
        np.testing.assert_allclose(a.returns, b.returns, rtol=1e-5)
