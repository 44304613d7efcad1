"""Trainers small enough to run to the end in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.learning.trainer import Trainer

TINY = (
    "backend.num_envs=8",
    "agent.rollouts=16",
    "agent.mini_batches=2",
    "agent.learning_epochs=2",
    "budget.report_env_steps=256",
    "evaluation.selection.episodes=4",
    "evaluation.selection.max_time_fraction=0.5",
    "policy.episode_s=1.5",
)

NewTrainer = Callable[..., Trainer]


@pytest.fixture
def new_trainer(
    new_env: Callable[..., ManipulationEnv], config: Callable[..., ExperimentConfig], tmp_path: Path
) -> NewTrainer:
    """new_trainer(*overrides, env=None) -> a trainer, in a fresh environment unless one is given."""

    def make(*overrides: str, env: ManipulationEnv | None = None) -> Trainer:
        overrides = (*TINY, *overrides)
        return Trainer(env or new_env(*overrides, num_envs=8), config(*overrides), tmp_path)

    return make
