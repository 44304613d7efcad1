"""Environment, trainer and evaluation work with a state that lives on another device than the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs import factory
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.evaluation.benchmark import run_benchmark
from blueprint_tune.learning.trainer import Trainer
from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.simulators import registry
from blueprint_tune.simulators.base import Simulator, Starts, Viewpoint
from blueprint_tune.simulators.pointmass import PointmassSimulator
from blueprint_tune.tasks.spec import TaskSpec
from tests.elsewhere import DEVICE, Away, Elsewhere

SHORT = (
    "agent.rollouts=16",
    "budget.env_steps=512",
    "budget.report_env_steps=128",
    "budget.first_rung_env_steps=128",
    "policy.episode_s=0.5",
)
DELAYED = (
    "+policy.events.late={kind: action_delay, steps: [0, 2]}",
    "+policy.events.seen={kind: observation_delay, steps: [0, 1]}",
)


FILLED = (
    "frame_pos",
    "frame_quat",
    "frame_linvel",
    "frame_angvel",
    "joint_pos",
    "joint_vel",
    "joint_limits",
    "joint_targets",
    "contact_force",
)


class FarAway(Simulator):
    """The gantry, its state elsewhere."""

    def __init__(self, task: TaskSpec, catalog: Catalog, *sizes: Any) -> None:
        num_envs, _, num_actions, _ = sizes
        self._near = PointmassSimulator(task, catalog, *sizes)
        names = ("robot_joints", "joint_names", "free_bodies", "nominal", "joint_limits", "sliding")
        for name in (*names, "num_envs", "physics_dt_s", "exact_state"):
            setattr(self, name, getattr(self._near, name))
        self.device = DEVICE
        self.state = SceneState(catalog, num_envs, len(self.robot_joints), num_actions, DEVICE)
        self._bring()

    def _bring(self) -> None:
        for name in FILLED:
            getattr(self.state, name).copy_(getattr(self._near.state, name))
        self.state.changed()

    def reset(self, env_ids: np.ndarray, starts: Starts) -> None:
        self._near.reset(env_ids, starts)
        self._bring()

    def set_joint_targets(self, position: Tensor) -> None:
        self._near.set_joint_targets(position.cpu())
        self.state.joint_targets.copy_(position)

    def ee_jacobian(self) -> Tensor:
        return self._near.ee_jacobian().to(DEVICE)

    def step(self, num_physics_steps: int) -> None:
        self._near.step(num_physics_steps)
        self._bring()

    def save_state(self) -> dict[str, Any]:
        return self._near.save_state()

    def load_state(self, saved: dict[str, Any]) -> None:
        self._near.load_state(saved)
        self._bring()

    def render(self, *view: Any) -> np.ndarray:
        return self._near.render(*view)

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        return self._near.viewpoint(env_id)

    def close(self) -> None:
        self._near.close()


@pytest.fixture
def far_env(
    config: Callable[..., ExperimentConfig], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[ExperimentConfig, ManipulationEnv]]:
    monkeypatch.setitem(registry.BACKENDS, "pointmass", (__name__, "FarAway"))

    def make(*overrides: str) -> tuple[ExperimentConfig, ManipulationEnv]:
        cfg = config("backend=pointmass", "backend.num_envs=8", *SHORT, *overrides)
        return cfg, factory.make_env(cfg, 1)

    return make


def test_tensors_of_two_devices_do_not_mix() -> None:
    with Elsewhere():
        away = torch.zeros(3, device=DEVICE)
        assert isinstance(away, Away)
        assert torch.equal((away + 1.0)[torch.tensor([0])].cpu(), torch.ones(1))
        with pytest.raises(RuntimeError, match="two devices"):
            away + torch.ones(3)
        with pytest.raises(RuntimeError, match="two devices"):
            away[np.array([0, 2])] = torch.ones(2)
        with pytest.raises(RuntimeError, match="two devices"):
            torch.ones(3)[away.long()]
        with pytest.raises((RuntimeError, TypeError)):
            away.numpy()


@pytest.mark.parametrize("policy", ["dexterous_pick_place", "drawer_manipulation"])
def test_a_policy_is_trained_and_judged_elsewhere(
    far_env: Callable[..., tuple[ExperimentConfig, ManipulationEnv]], tmp_path: Path, policy: str
) -> None:
    with Elsewhere():
        cfg, env = far_env(f"policy={policy}", *DELAYED)
        trainer = Trainer(env, cfg, tmp_path)
        for _ in range(2):
            report = trainer.train_until_report()
        assert env.simulator.state.frame_pos.device == torch.device(DEVICE)
        assert report["train/episodes"] > 0 and np.isfinite(report["loss/policy"])
        trainer.save(tmp_path / "checkpoint.pt")
        trainer.load(tmp_path / "checkpoint.pt")
        trainer.train_until_report()
        result = run_benchmark(env, trainer.agent.deployable(), [1, 2], 4, measured=True)
    assert result.num_episodes == 8 and np.isfinite(result.returns).all() and result.metrics


def test_turns_are_taken_elsewhere(
    far_env: Callable[..., tuple[ExperimentConfig, ManipulationEnv]],
) -> None:
    """A sequence over members, regions and conditions of conditions."""
    with Elsewhere():
        _, env = far_env("policy=table_clearing")
        for _ in range(env.max_episode_steps + 1):
            result = env.step(torch.zeros(8, env.num_actions, device=DEVICE))
        assert result.observations.device == torch.device(DEVICE)
        env.load_state(env.save_state())
