"""A checkpoint brings settings of its own; what a trial goes on with is read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.sweep_checks import IN_FLIGHT
from blueprint_tune.config.validate import apply_overrides
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.learning.in_flight import SettingsNotApplied, confirmed, in_force
from blueprint_tune.learning.trainer import Trainer

NewEnv = Callable[..., ManipulationEnv]
NewConfig = Callable[..., ExperimentConfig]
SMALL = ("backend=pointmass", "backend.num_envs=4", "agent.rollouts=16", "evaluation.selection.episodes=2")
BUDGET = ("budget.env_steps=256", "budget.report_env_steps=64", "budget.first_rung_env_steps=64")
OTHER: dict[str, Any] = {
    "agent.learning_rate": 1.2e-3,
    "agent.ratio_clip": 0.13,
    "agent.entropy_loss_scale": 0.004,
    "agent.desired_kl": 0.03,
    "policy.rewards.reach.weight": 2.5,
}


@pytest.fixture
def donor(config: NewConfig, new_env: NewEnv, tmp_path: Path) -> tuple[ExperimentConfig, Path]:
    """A checkpoint of two updates, whose schedule has moved the learning rate."""
    cfg = config(*SMALL, *BUDGET)
    trainer = Trainer(new_env(*SMALL), cfg)
    while trainer.env_steps < 128:
        trainer.train_until_report()
    trainer.save(tmp_path / "donor.pt")
    assert trainer.adopt([]) == {}
    return cfg, tmp_path / "donor.pt"


@pytest.mark.parametrize(
    ("schedule", "rate"), [("kl_adaptive", 1.2e-3), ("constant", 1.2e-3), ("linear", 6e-4)]
)
def test_a_copy_goes_on_with_its_own_settings(
    donor: tuple[ExperimentConfig, Path], new_env: NewEnv, schedule: str, rate: float
) -> None:
    cfg, checkpoint = donor
    cfg = replace(cfg, agent=replace(cfg.agent, learning_rate_schedule=schedule))
    env = new_env(*SMALL)
    trainer = Trainer(env, apply_overrides(cfg, OTHER))
    trainer.load(checkpoint)
    theirs = trainer.agent.optimizer.param_groups[0]["lr"]
    assert theirs != pytest.approx(rate), "the checkpoint brings its own learning rate"
    with pytest.raises(SettingsNotApplied, match=r"agent.learning_rate should be .* and is"):
        confirmed(OTHER, in_force(trainer.agent, env), trainer._config, 0.5)
    assert trainer.adopt(OTHER) == pytest.approx({**OTHER, "agent.learning_rate": rate})
    assert trainer.agent.optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert trainer.env_steps == 128
    report = trainer.train_until_report()
    assert report["env_steps"] == 192
    assert (report["agent/ratio_clip"], report["agent/entropy_loss_scale"]) == (0.13, 0.004)
    if schedule == "constant":
        assert report["agent/learning_rate"] == pytest.approx(rate)


def test_what_nobody_changed_goes_on_as_it_was_saved(
    donor: tuple[ExperimentConfig, Path], new_env: NewEnv
) -> None:
    cfg, checkpoint = donor
    trainer = Trainer(new_env(*SMALL), apply_overrides(cfg, {"agent.ratio_clip": 0.13}))
    trainer.load(checkpoint)
    before = trainer.agent.optimizer.param_groups[0]["lr"]
    assert trainer.adopt(["agent.ratio_clip"]) == {"agent.ratio_clip": 0.13}
    assert trainer.agent.optimizer.param_groups[0]["lr"] == before


def test_all_that_may_change_in_flight_is_read_back(config: NewConfig, new_env: NewEnv) -> None:
    env = new_env(*SMALL)
    cfg = config(*SMALL, *BUDGET)
    found = in_force(Trainer(env, cfg).agent, env)
    assert found.keys() >= IN_FLIGHT
    assert confirmed(IN_FLIGHT, found, cfg, 0.0).keys() == IN_FLIGHT
    assert {key for key in found if key not in IN_FLIGHT} == {
        f"policy.rewards.{name}.weight" for name in cfg.policy.rewards
    }
