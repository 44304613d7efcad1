"""What evaluations measure, against numbers computed by hand and traces stepped one by one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.envs.probe import Probe
from blueprint_tune.envs.task_terms import REDUCTIONS, BoundMetric
from blueprint_tune.mdp.state import SceneState

NewEnv = Callable[..., ManipulationEnv]


def state(velocities: list[list[float]], value: list[float] | None = None) -> SceneState:
    """As far as a probe looks: joint velocities, (N, J), and what the metric and the grip tell, (N,)."""
    found = SimpleNamespace(joint_vel=torch.tensor(velocities), value=torch.tensor(value or [0.0] * 2))
    return cast(SceneState, found)


def metric(how: str) -> BoundMetric:
    return BoundMetric(how, lambda s: cast(Any, s).value, REDUCTIONS[how], how == "mean")


def probe(**changes: Any) -> Probe:
    settings = {"num_episodes": 2, "joints": np.array([0, 2]), "dt_s": np.array([0.1, 0.2])}
    return Probe(**{**settings, "grip": None, "metrics": (), **changes})


def test_acceleration_is_the_change_of_velocity_by_the_step_of_each_environment() -> None:
    it = probe()
    for velocities in ([[1.0, 9.0, 0.0], [2.0, 9.0, 0.0]], [[0.5, 0.0, 3.0], [2.0, 0.0, -1.0]]):
        it.physics_step(state(velocities))
    it.env_step(state([[0.0] * 3] * 2))
    first, second = it.results()
    np.testing.assert_allclose(first.acceleration, [[10, 0], [5, 30]], rtol=1e-6)
    np.testing.assert_allclose(second.acceleration, [[10, 0], [0, 5]], rtol=1e-6)


def test_nothing_counts_after_an_episodes_end() -> None:
    it = probe(metrics=tuple(metric(how) for how in REDUCTIONS), grip=lambda s: cast(Any, s).value)
    for k, values in enumerate(([0.0, 2.0], [3.0, 0.0], [1.0, 4.0])):
        it.physics_step(state([[1.0] * 3] * 2, values))
        it.env_step(state([[0.0] * 3] * 2, values))
        if k == 1:
            it.end(np.array([0, 5]))  # and one that is not measured
    first, second = it.results()
    assert first.metrics == {"final": 3.0, "sum": 3.0, "mean": 1.5, "max": 3.0, "onsets": 1.0}
    assert second.metrics == {"final": 4.0, "sum": 6.0, "mean": 2.0, "max": 4.0, "onsets": 2.0}
    assert len(first.acceleration) == 2 and len(second.acceleration) == 3
    assert first.grip_n.tolist() == [3.0] and second.grip_n.tolist() == [2.0, 4.0]


def test_only_the_first_environments_are_measured() -> None:
    it = probe(num_episodes=1, dt_s=np.array([0.1]), metrics=(metric("final"),))
    it.physics_step(state([[1.0] * 3, [5.0] * 3]))
    it.env_step(state([[1.0] * 3] * 2, [7.0, 8.0]))
    (only,) = it.results()
    assert only.metrics == {"final": 7.0} and only.acceleration.shape == (1, 2)


@pytest.fixture(params=["mujoco", "pointmass"])
def env(request: pytest.FixtureRequest, new_env: NewEnv) -> ManipulationEnv:
    return new_env(f"backend={request.param}", "policy.episode_s=0.5", num_envs=3)


def begin(env: ManipulationEnv, seed: int = 5) -> None:
    env.reset(np.full(3, seed, dtype=np.int64), np.arange(3))


def actions(env: ManipulationEnv, step: int) -> torch.Tensor:
    return torch.sin(torch.arange(3 * env.num_actions).reshape(3, -1) + 0.7 * step)


def test_measuring_changes_no_bit_of_what_is_played(env: ManipulationEnv) -> None:
    begin(env)
    plain = [env.step(actions(env, step)) for step in range(12)]
    begin(env)
    env.measure(2)
    measured = [env.step(actions(env, step)) for step in range(12)]
    assert plain[-1].done or plain[9].done, "an episode's end among them"
    for a, b in zip(plain, measured, strict=True):
        assert torch.equal(a.observations, b.observations) and torch.equal(a.rewards, b.rewards)


def test_the_trace_is_that_of_the_simulator_stepped_by_hand(env: ManipulationEnv) -> None:
    begin(env)
    probe, simulator, arm = env.measure(3), env.simulator, slice(0, 7)
    saved, targets = simulator.save_state(), []
    set_targets = simulator.set_joint_targets
    simulator.set_joint_targets = lambda t: (targets.append(t.clone()), set_targets(t))[0]  # type: ignore
    for step in range(2):
        env.step(actions(env, step))
    simulator.load_state(saved)
    expected, before = [], torch.zeros(3, 7)
    decimation = env.task.physics.substeps * env.task.policy.action_repeat
    for target in targets:
        set_targets(target)
        for _ in range(decimation):
            simulator.step(1)
            velocity = simulator.state.joint_vel[:, arm].clone()
            expected.append(((velocity - before) / env.task.physics.dt_s).abs())
            before = velocity
    found = np.stack([measured.acceleration for measured in probe.results()], axis=1)
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=1e-3, atol=1e-3)
    assert found.shape == (2 * decimation, 3, 7) and found.max() > 1.0


def test_only_joints_that_turn_have_an_acceleration_in_radians(new_env: NewEnv) -> None:
    env = new_env("robot=fetch", num_envs=2)
    env.reset(np.zeros(2, dtype=np.int64), np.arange(2))
    probe = env.measure(2)
    env.step(torch.zeros(2, env.num_actions))
    turning = len(env.task.robot.arm_joints) - 1  # the torso slides
    assert probe.results()[0].acceleration.shape[1] == turning


def test_a_new_reset_ends_the_measuring(env: ManipulationEnv) -> None:
    begin(env)
    probe = env.measure(3)
    begin(env)
    env.step(actions(env, 0))
    assert probe.results()[0].acceleration.size == 0
