"""Success under perturbations, on real environments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.evaluation_schema import RobustnessConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_benchmark
from blueprint_tune.evaluation.robustness import NAME, Perturbed, run_robustness

NewEnv = Callable[..., ManipulationEnv]
CONFIG = RobustnessConfig(2, friction=[0.5], mass=[0.5, 2.0], action_delay=[1], observation_noise=[0.1])


def still(env: ManipulationEnv) -> Callable[[Tensor], Tensor]:
    return lambda o: torch.zeros(len(o), env.num_actions)


def swept(
    env: ManipulationEnv, act: Callable[[Tensor], Tensor], config: RobustnessConfig = CONFIG
) -> tuple[BenchmarkResult, tuple[Perturbed, ...]]:
    result = run_benchmark(env, act, [42, 123], 3)
    free = env.simulator.free_bodies
    return result, run_robustness(env, env.policy, act, result, config, free, free)


def test_rows_are_the_perturbations_after_the_unperturbed(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", "policy.episode_s=0.5")
    _, rows = swept(env, still(env))
    assert [(r.perturbation, r.value, r.unit) for r in rows] == [
        ("none", None, ""),
        ("friction", 0.5, "×"),
        ("mass", 0.5, "×"),
        ("mass", 2.0, "×"),
        ("action_delay", 1.0, "env steps"),
        ("observation_noise", 0.1, "std"),
    ]
    assert {r.episodes for r in rows} == {4}


def test_the_environment_is_left_with_the_policys_own_events(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", "policy.episode_s=0.5")
    before, act = env.policy, still(env)
    first, _ = swept(env, act)
    assert env.policy == before and NAME not in env.policy.events
    np.testing.assert_array_equal(run_benchmark(env, act, [42, 123], 3).returns, first.returns)


def test_what_a_task_lacks_is_left_out(new_env: NewEnv) -> None:
    env = new_env("policy=drawer_manipulation", "backend=pointmass", "policy.episode_s=0.5")
    assert env.simulator.free_bodies == ()
    _, rows = swept(env, still(env))
    assert [r.perturbation for r in rows] == ["none", "action_delay", "observation_noise"]


def test_a_smooth_object_slips_out_of_the_grip_and_shows(new_env: NewEnv) -> None:
    """A hand that grips and lifts; with a hundredth of the friction what it held slides away."""
    env = new_env("backend=pointmass", num_envs=6)
    names = [name for name, size in env.observation_names for _ in range(size)]
    target, goal, held = (names.index(name) for name in ("target_rel", "goal_rel", "held"))

    def act(observations: Tensor) -> Tensor:
        to_target = observations[:, target : target + 3]
        near = to_target.norm(dim=1, keepdim=True) < 0.1
        holds = near & (observations[:, held : held + 1] > 0)
        move = 2.5 * (to_target + holds * observations[:, goal : goal + 3])
        grip = torch.where(near, -1.0, 1.0)
        rest = torch.zeros(len(observations), env.num_actions - 4)
        return torch.cat([move, rest, grip], dim=1).clamp(-1.0, 1.0)

    config = replace(CONFIG, friction=[0.01], mass=[], action_delay=[], observation_noise=[20.0])
    result, rows = swept(env, act, config)
    assert result.success_rate > 0.5
    rates = [row.successes / row.episodes for row in rows]
    assert rates[0] > rates[1] and rates[0] > rates[2], "noise blinds it, too little friction lets go"


def test_noise_is_the_same_whatever_the_number_of_environments(new_env: NewEnv) -> None:
    config = replace(CONFIG, friction=[], mass=[], action_delay=[], observation_noise=[0.5])
    seen: list[dict[int, np.ndarray]] = []
    for num_envs in (2, 5):
        env = new_env("backend=pointmass", "policy.episode_s=0.5", num_envs=num_envs)
        rows: dict[int, np.ndarray] = {}

        def act(
            observations: Tensor, rows: dict[int, np.ndarray] = rows, env: ManipulationEnv = env
        ) -> Tensor:
            for k, row in enumerate(observations[:4].numpy()):
                if row.any():
                    rows.setdefault(k, row.copy())
            return torch.sin(7.0 * observations[:, : env.num_actions])

        result = run_benchmark(env, lambda o: torch.sin(7.0 * o[:, : env.num_actions]), [42, 123], 3)  # noqa: B023
        run_robustness(env, env.policy, act, result, config, (), ())
        seen.append(rows)
    assert sorted(seen[0]) == sorted(seen[1]) == [0, 1, 2, 3]
    for k in range(4):
        np.testing.assert_array_equal(seen[0][k], seen[1][k])


@pytest.mark.parametrize("episodes", [1, 50])
def test_never_more_episodes_than_the_benchmark_played(new_env: NewEnv, episodes: int) -> None:
    env = new_env("backend=pointmass", "policy.episode_s=0.5")
    config = replace(CONFIG, episodes_per_seed=episodes, mass=[], friction=[], observation_noise=[])
    _, rows = swept(env, still(env), config)
    assert {row.episodes for row in rows} == {2 * min(episodes, 3)}
