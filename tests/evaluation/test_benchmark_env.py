"""The benchmark on the program's own environments, contact physics among them, with short episodes."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from torch import Tensor

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_baselines, run_benchmark
from blueprint_tune.evaluation.documents import Beside, EvaluationId, evaluation_documents

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
        return run_benchmark(env, policy, SEEDS, 3, measured=True), run_baselines(env, SEEDS, 3)
    finally:
        env.close()


def report(played: tuple[BenchmarkResult, dict[str, BenchmarkResult]]) -> str:
    """The documents as they are written, without what says how and when they came about."""
    identity = EvaluationId("e", "j", "s", "p", "r", "c", "2026-01-01T00:00:00+00:00")
    documents = evaluation_documents(identity, played[0], Beside(played[1]))
    del documents["eval_results.json"]["wall_s"]
    for document in (documents["eval_config.json"], documents["benchmark_report.json"]["evaluation_config"]):
        del document["num_envs"]
    return json.dumps(documents, allow_nan=False)


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
    assert report(run(backend, 9)) == report(few), "byte for byte"


def test_metrics_and_strain_are_measured(few: tuple[BenchmarkResult, dict[str, BenchmarkResult]]) -> None:
    result = few[0]
    assert set(result.metrics) == {"grasp_attempts", "collision_count", "goal_distance_m"}
    assert 0 < result.metrics["goal_distance_m"].min() < 1
    assert result.strain is not None
    assert (result.strain.max_acceleration >= result.strain.acceleration_p99).all()
    assert result.strain.max_acceleration.min() > 0
    assert few[1]["zero"].strain is None, "baselines are not measured"
