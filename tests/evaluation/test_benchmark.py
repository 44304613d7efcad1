from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_baselines, run_benchmark

SEEDS = [42, 123, 456]
MakeEnv = Callable[[int], Any]


def towards_zero(observations: Tensor) -> Tensor:
    """Full speed, then slower near the goal."""
    return (-10.0 * observations[:, :1]).clamp(-1.0, 1.0)


def by_hand(start: float) -> tuple[int, float]:
    """Length and return of an episode of ``towards_zero``."""
    x, near, total = start, 0, 0.0
    for step in range(1, 21):
        x += 0.1 * max(-1.0, min(1.0, -10.0 * x))
        total -= abs(x)
        near = near + 1 if abs(x) < 0.12 else 0
        if near >= 2:
            return step, total
    return 20, total


def assert_same(a: BenchmarkResult, b: BenchmarkResult) -> None:
    for name in (
        "seed",
        "slot",
        "success",
        "returns",
        "length",
        "completion_time_s",
        "action_change",
        "action_jerk",
    ):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_episodes_are_what_they_are_by_hand(line_env: MakeEnv) -> None:
    env = line_env(4)
    result = run_benchmark(env, towards_zero, SEEDS, 5)
    starts = env.start_of(result.seed, result.slot)
    lengths, returns = zip(*(by_hand(start) for start in starts), strict=True)
    assert result.length.tolist() == list(lengths)
    np.testing.assert_allclose(result.returns, returns, atol=1e-5)
    assert result.success.all()
    np.testing.assert_allclose(result.completion_time_s, np.array(lengths) * 0.1)


def test_every_seed_and_slot_counts_once_in_order(line_env: MakeEnv) -> None:
    result = run_benchmark(line_env(7), towards_zero, SEEDS, 5)
    pairs = list(zip(result.seed.tolist(), result.slot.tolist(), strict=True))
    assert pairs == [(seed, slot) for seed in SEEDS for slot in range(5)]
    assert result.num_episodes == 15


@pytest.mark.parametrize("num_envs", [1, 2, 7, 15, 16, 64])
def test_the_number_of_environments_changes_nothing(line_env: MakeEnv, num_envs: int) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.ELU(), torch.nn.Linear(64, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.linspace(-1, 1, 128).reshape(64, 2))
        network[2].weight.copy_(torch.linspace(1, -1, 64).reshape(1, 64))
    reference = run_benchmark(line_env(3), network, SEEDS, 5)
    assert_same(run_benchmark(line_env(num_envs), network, SEEDS, 5), reference)


def test_surplus_environments_get_other_slots(line_env: MakeEnv) -> None:
    env = line_env(4)
    run_benchmark(env, towards_zero, [1], 6)
    assert env.resets == [([1, 1, 1, 1], [0, 1, 2, 3]), ([1, 1, 1, 1], [4, 5, 6, 7])]


def test_batches_have_one_size_and_episodes_one_place(line_env: MakeEnv) -> None:
    seen: list[tuple[int, ...]] = []

    def act(observations: Tensor) -> Tensor:
        seen.append(tuple(observations.shape))
        return towards_zero(observations)

    run_benchmark(line_env(5), act, SEEDS, 15)
    assert set(seen) == {(32, 2)}


def test_failures_have_no_completion_time(line_env: MakeEnv) -> None:
    result = run_benchmark(line_env(4), lambda o: torch.ones(len(o), 1), SEEDS, 2)
    assert not result.success.any()
    assert result.length.tolist() == [20] * 6
    assert np.isnan(result.completion_time_s).all()
    assert result.success_rate == 0.0


def test_actions_are_clipped_before_they_are_measured(line_env: MakeEnv) -> None:
    result = run_benchmark(line_env(4), lambda o: 5.0 * (1 - 2 * (o[:, 1:] % 2)), [1], 2)
    np.testing.assert_allclose(result.action_change, 2.0)
    np.testing.assert_allclose(result.action_jerk, 1.0)


@pytest.mark.parametrize("num_envs", [1, 6, 40])
def test_observations_are_a_bounded_spread_sample(line_env: MakeEnv, num_envs: int) -> None:
    result = run_benchmark(
        line_env(num_envs), lambda o: torch.zeros(len(o), 1), SEEDS, 5, max_observations=50
    )
    assert result.observations.dtype == np.float32
    assert 20 <= len(result.observations) <= 50
    assert set(result.observations[:, 1]) >= {0.0, 10.0, 18.0}
    assert len(set(result.observations[:, 0].round(3))) > 3 or num_envs == 1


def test_no_observations_when_none_are_wanted(line_env: MakeEnv) -> None:
    assert run_benchmark(line_env(4), towards_zero, SEEDS, 2, max_observations=0).observations.shape == (0, 2)


def test_baselines_do_not_depend_on_the_number_of_environments(line_env: MakeEnv) -> None:
    few, many = (run_baselines(line_env(n), SEEDS, 5) for n in (2, 64))
    assert set(few) == {"zero", "random"}
    for name in few:
        assert_same(few[name], many[name])
    assert (few["zero"].action_change == 0).all()
    assert 0.5 < few["random"].action_change.mean() < 0.8


def test_an_environment_that_does_not_end_is_our_bug(line_env: MakeEnv) -> None:
    env = line_env(2)
    env.max_episode_steps = 3
    with pytest.raises(AssertionError, match="did not end within 3 steps"):
        run_benchmark(env, lambda o: torch.ones(len(o), 1), [1], 2)
