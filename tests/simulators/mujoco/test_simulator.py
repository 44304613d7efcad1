"""What only this backend does: per-environment masses and friction, and divergence that is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator

NewEnv = Callable[..., ManipulationEnv]


def simulator_of(new_env: NewEnv) -> MujocoSimulator:
    simulator = new_env("backend=mujoco", num_envs=3).simulator
    assert isinstance(simulator, MujocoSimulator)
    return simulator


def test_masses_and_friction_are_scaled_for_their_environment_only(new_env: NewEnv) -> None:
    simulator = simulator_of(new_env)
    model, tin = simulator.compiled.model, simulator.free_bodies[0]
    simulator.reset(np.arange(3), simulator.nominal.take(np.zeros(3, dtype=np.int64)))
    starts = simulator.nominal.take(np.zeros(1, dtype=np.int64))
    starts.mass_scale[:], starts.friction_scale[:] = 2.0, 0.5
    for factor, friction in ((2.0, 0.5), (1.0, 1.0), (3.0, 1.25)):
        starts.mass_scale[:], starts.friction_scale[:] = factor, friction
        simulator.reset(np.array([1]), starts)
        for env_id, (mass, grip) in enumerate([(1, 1), (factor, friction), (1, 1)]):
            own = simulator._batch.get_model(env_id)
            np.testing.assert_allclose(own.body(tin).mass, mass * model.body(tin).mass)
            np.testing.assert_allclose(own.body(tin).inertia, mass * model.body(tin).inertia)
            np.testing.assert_allclose(own.geom(tin).friction, grip * model.geom(tin).friction)
            for pad in simulator.compiled.pad_geoms:
                np.testing.assert_allclose(own.geom_friction[pad], grip * model.geom_friction[pad])
            floor = model.geom("floor").id
            np.testing.assert_allclose(own.geom_friction[floor], model.geom_friction[floor])


def test_a_scale_that_is_taken_back_leaves_no_trace(new_env: NewEnv) -> None:
    finals = []
    for scaled in (True, False):
        simulator = simulator_of(new_env)
        starts = simulator.nominal.take(np.zeros(3, dtype=np.int64))
        if scaled:
            starts.mass_scale[:], starts.friction_scale[:] = 1.7, 0.6
            simulator.reset(np.arange(3), starts)
            simulator.step(20)
            starts.mass_scale[:], starts.friction_scale[:] = 1.0, 1.0
        starts.body_pos[:, 0, 2] += 0.03
        simulator.reset(np.arange(3), starts)
        simulator.step(60)
        finals.append(simulator.state.frame_pos.clone())
    assert torch.equal(*finals)


def test_a_diverged_environment_is_seen_and_the_others_are_not_touched(
    new_env: NewEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    broken, whole = simulator_of(new_env), simulator_of(new_env)
    broken._qvel[1] = np.nan
    try:
        broken.step(4)
    except SimulatorError as error:
        assert "MuJoCo failed" in str(error)  # noqa: PT017  raising is as good as showing
        return
    whole.step(4)
    assert not torch.isfinite(broken.state.joint_pos[1]).all(), "not silently put back to its start"
    assert torch.equal(broken.state.joint_pos[[0, 2]], whole.state.joint_pos[[0, 2]])
    broken.reset(np.array([1]), broken.nominal.take(np.zeros(1, dtype=np.int64)))
    broken.step(4)
    assert torch.isfinite(broken.state.joint_pos).all(), "and a reset heals it"
    assert list(tmp_path.iterdir()) == [], "MuJoCo's own log file stays away from the user's folder"
