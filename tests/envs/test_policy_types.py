"""Every policy type that moves a joint: the commanded position counts as success, a near miss does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from blueprint_tune.config.paths import conf_dir
from blueprint_tune.envs.manipulation import ManipulationEnv

ARTICULATE = sorted(
    path.stem
    for path in (conf_dir() / "policy").glob("*.yaml")
    if OmegaConf.load(path).get("family") == "articulate"
)


def succeeds(env: ManipulationEnv, miss: float) -> torch.Tensor:
    """Whether an episode succeeds whose joint is put ``miss`` tolerances beside the commanded position."""
    n, success = env.num_envs, env.policy.success
    env.reset(np.full(n, 7, dtype=np.int64), np.arange(n))
    lower, upper = env.simulator.joint_limits[-1]
    wanted = env.simulator.state.commands[success["at"]][:, 0].double().numpy()
    tolerance = success["tolerance"] if "tolerance" in success else success["distance"] / (upper - lower)
    inwards = np.where(wanted > 0.5, -1.0, 1.0)
    starts = env.simulator.nominal.take(np.zeros(n, dtype=np.int64))
    starts.joint_pos[:, -1] = lower + (wanted + inwards * miss * tolerance) * (upper - lower)
    env.simulator.reset(np.arange(n), starts)
    env.actions.restart(np.arange(n), env.simulator)
    still = torch.zeros(n, env.num_actions)
    for _ in range(round(success["hold_s"] / env.control_dt_s) + 1):
        result = env.step(still)
    return result.success_now


def test_there_are_such_policies() -> None:
    assert {"drawer_manipulation", "door_manipulation", "knob_manipulation"} <= set(ARTICULATE)


@pytest.mark.parametrize("policy", ARTICULATE)
def test_the_commanded_position_succeeds_and_a_near_miss_does_not(
    new_env: Callable[..., ManipulationEnv], policy: str
) -> None:
    env = new_env(f"policy={policy}", "backend=mujoco", num_envs=8)
    assert succeeds(env, miss=0.0).all()
    assert succeeds(env, miss=0.8).all()
    assert not succeeds(env, miss=1.3).any()
